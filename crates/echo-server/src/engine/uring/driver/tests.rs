//! The driver over a ring that is a script: completions come as each test says.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc, sync::Arc};

use echo_core::ECHO_READ_SIZE;

use super::{connection::STREAK, *};
use crate::{admission::Slot, peer::Peer, service::Service};

/// So many small buffers, filled, are as much as may be unsent.
const FILLS: usize = ECHO_READ_SIZE / SMALL.size as usize;

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Receive(Group),
    SendNow(Vec<u8>),
    Send(Vec<u8>),
    CancelReceive,
    CancelSend,
}

/// Takes note of requests, and of where each buffer is.
#[derive(Default)]
struct Script {
    asked: Vec<(Key, Asked)>,
    /// The bytes of waiting sends.
    sending: Vec<(Vec<u8>, usize)>,
    buffers: Vec<Vec<u8>>,
    lent: BTreeSet<u16>,
    /// Those that it did not have at first.
    added: BTreeSet<u16>,
    /// What every socket says of itself.
    has_input: bool,
    untaken: usize,
    fins: usize,
}

/// A socket; says when it is closed.
struct Socket(Rc<RefCell<usize>>);

impl Drop for Socket {
    fn drop(&mut self) {
        *self.0.borrow_mut() += 1;
    }
}

impl Ring for Script {
    type Socket = Socket;

    fn push(&mut self, key: Key, request: Request<'_, Socket>) {
        let asked = match request {
            Request::Receive { group, .. } => Asked::Receive(group),
            Request::SendNow { lease, start, end, .. } => {
                Asked::SendNow(self.bytes(lease)[start as usize..end as usize].to_vec())
            }
            Request::Send { bytes, start, .. } => {
                self.sending.push((bytes.clone(), start));
                Asked::Send(bytes[start..].to_vec())
            }
            Request::CancelReceive => Asked::CancelReceive,
            Request::CancelSend => Asked::CancelSend,
        };
        self.asked.push((key, asked));
    }

    fn bytes(&self, lease: &Lease) -> &[u8] {
        assert!(self.lent.contains(&lease.0), "read while it is lent");
        &self.buffers[usize::from(lease.0)]
    }

    fn give_back(&mut self, lease: Lease) {
        let is_new = lease.0 >= Group::Large.first() + LARGE.at_first;
        let once = self.lent.remove(&lease.0) || is_new && self.added.insert(lease.0);
        assert!(once, "given back once");
    }

    fn has_input(&self, _socket: &Socket) -> bool {
        self.has_input
    }

    fn untaken(&self, _socket: &Socket) -> usize {
        self.untaken
    }

    fn send_fin(&mut self, _socket: &Socket) -> io::Result<()> {
        self.fins += 1;
        Ok(())
    }
}

/// A driver and its ring, at a time that each turn moves on by a second.
struct Stage {
    driver: Driver<Script>,
    ring: Script,
    service: Arc<Service>,
    closed: Rc<RefCell<usize>>,
    now: Duration,
}

impl Stage {
    fn new(args: &[&str]) -> Self {
        Self {
            driver: Driver::new(),
            ring: Script::default(),
            service: Service::asked_for(args),
            closed: Rc::default(),
            now: Duration::ZERO,
        }
    }

    /// A connection that asks for input.
    fn connect(&mut self) -> Key {
        let slot = Slot::reserve(&self.service).unwrap();
        let seat = slot.claim(Peer::Inet(([127, 0, 0, 1], 1).into())).unwrap();
        let session = Session::new(seat, self.now);
        let socket = Socket(Rc::clone(&self.closed));
        self.driver.admit(socket, session, self.now, &mut self.ring);
        let (key, asked) = self.ring.asked.pop().unwrap();
        assert_eq!(asked, Asked::Receive(Group::Small));
        key
    }

    /// A turn with these completions, everything submitted before; returns what was asked for.
    fn turn(&mut self, completions: impl IntoIterator<Item = (Key, Completion)>) -> Vec<Asked> {
        self.now += Duration::from_secs(1);
        let mut batch: Vec<_> = completions.into_iter().collect();
        self.driver.turn(&mut batch, true, self.now, &mut self.ring);
        self.asked()
    }

    fn asked(&mut self) -> Vec<Asked> {
        self.ring.asked.drain(..).map(|(_, asked)| asked).collect()
    }

    /// Small buffers are filled, and more is left, until large ones suit the connection.
    fn comes_to_want_large_ones(&mut self, key: Key) {
        for round in 1..=STREAK {
            let whole = self.data(&vec![7; SMALL.size as usize]);
            let Completion::Received(full) = whole else { unreachable!() };
            let full = Completion::Received(Received { left_some: true, ..full });
            let asked = self.turn([(key, full)]);
            assert_eq!(asked.contains(&Asked::CancelReceive), round == STREAK, "round {round}");
        }
        self.turn([]);
    }

    /// `bytes` arrive in the first small buffer that is free.
    fn data(&mut self, bytes: &[u8]) -> Completion {
        let id = (0..SMALL.count).find(|id| !self.ring.lent.contains(id)).unwrap();
        self.data_in(id, bytes)
    }

    fn data_in(&mut self, id: u16, bytes: &[u8]) -> Completion {
        self.ring.lent.insert(id);
        self.ring.buffers.resize(usize::from(SMALL.count + LARGE.count), Vec::new());
        self.ring.buffers[usize::from(id)] = bytes.to_vec();
        let result = i32::try_from(bytes.len()).unwrap();
        received(result, Some(Lease(id)), true)
    }

    /// The oldest waiting send has sent so much, or failed.
    fn sent(&mut self, result: i32) -> Completion {
        let (bytes, _) = self.ring.sending.remove(0);
        Completion::Sent { result, bytes }
    }
}

fn received(result: i32, lease: Option<Lease>, goes_on: bool) -> Completion {
    let filled = usize::try_from(result).is_ok_and(|n| n == SMALL.size as usize);
    Completion::Received(Received { result, lease, goes_on, filled, left_some: false })
}

fn last(result: i32) -> Completion {
    received(result, None, false)
}

#[test]
fn input_is_sent_from_where_it_is_and_the_buffer_comes_back_with_the_next_turn() {
    let mut stage = Stage::new(&[]);
    let key = stage.connect();
    let hello = stage.data(b"hello");
    assert_eq!(stage.turn([(key, hello)]), [Asked::SendNow(b"hello".to_vec())]);
    assert_eq!(stage.ring.lent.len(), 1);
    let world = stage.data(b"world");
    assert_eq!(stage.turn([(key, world)]), [Asked::SendNow(b"world".to_vec())]);
    assert_eq!(stage.ring.lent.len(), 1, "the first was sent");
    assert_eq!(stage.turn([]), []);
    assert!(stage.ring.lent.is_empty());
    assert!(!stage.driver.is_pressing());
}

#[test]
fn what_was_not_submitted_yet_is_not_taken_for_sent() {
    let mut stage = Stage::new(&[]);
    let key = stage.connect();
    let hello = stage.data(b"hello");
    stage.turn([(key, hello)]);
    stage.driver.turn(&mut Vec::new(), false, stage.now, &mut stage.ring);
    assert_eq!(stage.ring.lent.len(), 1);
    assert!(stage.driver.is_pressing());
    stage.turn([]);
    assert!(stage.ring.lent.is_empty());
}

#[test]
fn several_buffers_of_one_connection_go_out_one_after_the_other() {
    let mut stage = Stage::new(&[]);
    let key = stage.connect();
    let batch = [b"a", b"b", b"c"].map(|byte| (key, stage.data(byte)));
    assert_eq!(stage.turn(batch), [Asked::SendNow(b"a".to_vec())]);
    assert!(stage.driver.is_pressing(), "the next does not wait for input");
    assert_eq!(stage.turn([]), [Asked::SendNow(b"b".to_vec())]);
    assert_eq!(stage.turn([]), [Asked::SendNow(b"c".to_vec())]);
    assert_eq!(stage.turn([]), []);
    assert!(stage.ring.lent.is_empty());
}

#[test]
fn what_did_not_go_at_once_waits_in_own_memory_and_the_buffers_come_back() {
    let mut stage = Stage::new(&[]);
    let key = stage.connect();
    let batch = [&b"hello"[..], b" world"].map(|bytes| (key, stage.data(bytes)));
    assert_eq!(stage.turn(batch), [Asked::SendNow(b"hello".to_vec())]);
    let short = (key, Completion::NotSent { result: 2 });
    assert_eq!(stage.turn([short]), [Asked::Send(b"llo world".to_vec())]);
    assert!(stage.ring.lent.is_empty());
    let more = stage.data(b"!");
    assert_eq!(stage.turn([(key, more)]), []);
    assert!(stage.ring.lent.is_empty(), "it is copied while a send waits");
    let short = stage.sent(4);
    assert_eq!(stage.turn([(key, short)]), [Asked::Send(b"world".to_vec())]);
    let rest = stage.sent(5);
    assert_eq!(stage.turn([(key, rest)]), [Asked::Send(b"!".to_vec())]);
    let rest = stage.sent(1);
    assert_eq!(stage.turn([(key, rest)]), []);
    let again = stage.data(b"again");
    assert_eq!(stage.turn([(key, again)]), [Asked::SendNow(b"again".to_vec())]);
}

#[test]
fn receiving_ends_above_the_mark_and_resumes_below_half_of_it() {
    let mut stage = Stage::new(&[]);
    let key = stage.connect();
    let whole = vec![7; SMALL.size as usize];
    let first = stage.data(&whole);
    stage.turn([(key, first)]);
    assert_eq!(stage.turn([(key, Completion::NotSent { result: -AGAIN })]).len(), 1);
    for _ in 2..FILLS {
        let more = stage.data(&whole);
        assert_eq!(stage.turn([(key, more)]), []);
    }
    let full = stage.data(&whole);
    assert_eq!(stage.turn([(key, full)]), [Asked::CancelReceive]);
    let late = stage.data(b"late");
    let asked = stage.turn([(key, late)]);
    assert_eq!(asked, [Asked::CancelReceive], "the cancel may have missed; and this counts");
    assert_eq!(stage.turn([(key, last(-CANCELLED))]), []);
    // What the first send took along is sent, then the rest in two halves.
    let sent = stage.sent(4096);
    assert!(
        matches!(&stage.turn([(key, sent)])[..], [Asked::Send(rest)] if rest.len() == (FILLS - 1) * 4096 + 4)
    );
    let sent = stage.sent(7 * 4096);
    assert!(matches!(&stage.turn([(key, sent)])[..], [Asked::Send(_)]), "more than half is left");
    let sent = stage.sent(4096);
    let asked = stage.turn([(key, sent)]);
    assert!(
        matches!(&asked[..], [Asked::Send(_), Asked::Receive(Group::Small)]),
        "half is left: {asked:?}"
    );
}

#[test]
fn who_finds_no_buffer_receives_again_in_order_once_some_are_back() {
    let mut stage = Stage::new(&[]);
    let (a, b, c) = (stage.connect(), stage.connect(), stage.connect());
    let batch: Vec<_> = (0..SMALL.count).map(|_| (a, stage.data(b"x"))).collect();
    let asked = stage.turn(batch);
    assert_eq!(asked, [Asked::SendNow(b"x".to_vec())]);
    assert!(stage.driver.is_pressing());
    let none = [(c, last(-NO_BUFFER)), (b, last(-NO_BUFFER))];
    stage.now += Duration::from_secs(1);
    stage.driver.turn(&mut none.into(), true, stage.now, &mut stage.ring);
    let asked = mem::take(&mut stage.ring.asked);
    assert_eq!(asked[0], (a, Asked::SendNow(b"x".to_vec())), "one buffer has come back");
    assert_eq!(asked[1..], [(c, Asked::Receive(Group::Small))], "as many as buffers");
    stage.turn([]);
    let asked = stage.turn([]);
    assert!(!asked.contains(&Asked::Receive(Group::Small)), "each once: {asked:?}");
}

#[test]
fn who_has_paused_since_it_found_no_buffer_does_not_receive_until_it_resumes() {
    let mut stage = Stage::new(&[]);
    let key = stage.connect();
    let whole = vec![7; SMALL.size as usize];
    let first = stage.data(&whole);
    stage.turn([(key, first)]);
    stage.turn([(key, Completion::NotSent { result: -AGAIN })]);
    let mut batch: Vec<_> = (1..FILLS).map(|_| (key, stage.data(&whole))).collect();
    batch.push((key, last(-NO_BUFFER)));
    let asked = stage.turn(batch);
    assert!(!asked.contains(&Asked::Receive(Group::Small)), "{asked:?}");
    let all = stage.sent(i32::try_from(SMALL.size).unwrap());
    stage.turn([(key, all)]);
    let rest = stage.sent(i32::try_from((FILLS - 1) * whole.len()).unwrap());
    let asked = stage.turn([(key, rest)]);
    assert!(asked.contains(&Asked::Receive(Group::Small)), "{asked:?}");
}

#[test]
fn a_peer_is_not_late_for_what_it_was_not_offered() {
    let mut stage = Stage::new(&["--stall-timeout", "5s"]);
    let key = stage.connect();
    let batch = [b"a", b"b"].map(|byte| (key, stage.data(byte)));
    assert_eq!(stage.turn(batch), [Asked::SendNow(b"a".to_vec())]);
    stage.now += Duration::from_secs(60); // the process was stopped
    assert_eq!(stage.turn([]), [Asked::SendNow(b"b".to_vec())]);
    stage.turn([]);
    assert_eq!(*stage.closed.borrow(), 0);
    assert!(stage.ring.lent.is_empty());
}

#[test]
fn a_peer_is_not_late_while_nobody_knows_what_it_was_sent() {
    for drains in [false, true] {
        let mut stage = Stage::new(&["--stall-timeout", "5s"]);
        let key = stage.connect();
        let hello = stage.data(b"hello");
        assert_eq!(stage.turn([(key, hello)]), [Asked::SendNow(b"hello".to_vec())]);
        stage.driver.timers.arm(key.index, Some(stage.now));
        stage.now += Duration::from_secs(60); // the process was stopped
        stage.driver.turn(&mut Vec::new(), false, stage.now, &mut stage.ring);
        if drains {
            stage.driver.drain(stage.now, &mut stage.ring);
        }
        stage.turn([]);
        assert_eq!(*stage.closed.borrow(), 0, "drains: {drains}");
        assert!(stage.ring.lent.is_empty());
        stage.turn([(key, last(0))]);
        assert_eq!(stage.service.summary().cut, 0, "drains: {drains}");
        assert_eq!((stage.ring.fins, *stage.closed.borrow()), (1, 1), "drains: {drains}");
    }
}

#[test]
fn nobody_is_silent_whose_input_waits_to_be_received() {
    let mut stage = Stage::new(&["--idle-timeout", "5s"]);
    let key = stage.connect();
    stage.ring.has_input = true;
    stage.now += Duration::from_secs(60); // the process was stopped, or others were first
    assert_eq!(stage.turn([]), []);
    let hello = stage.data(b"hello");
    assert_eq!(stage.turn([(key, hello)]), [Asked::SendNow(b"hello".to_vec())]);
    stage.ring.has_input = false;
    stage.turn([]);
    stage.now += Duration::from_secs(5);
    stage.turn([]);
    assert_eq!(stage.ring.fins, 1, "now it is");
}

#[test]
fn a_peer_that_takes_less_than_the_system_wakes_for_is_not_cut() {
    let mut stage = Stage::new(&["--stall-timeout", "5s"]);
    let key = stage.connect();
    let hello = stage.data(b"hello");
    stage.turn([(key, hello)]);
    stage.ring.untaken = 1000;
    let asked = stage.turn([(key, Completion::NotSent { result: -AGAIN })]);
    assert_eq!(asked, [Asked::Send(b"hello".to_vec())]);
    for untaken in [999, 1] {
        stage.ring.untaken = untaken;
        stage.now += Duration::from_secs(5);
        assert_eq!(stage.turn([]), [], "{untaken}");
    }
    stage.now += Duration::from_secs(5);
    assert_eq!(stage.turn([]), [Asked::CancelReceive, Asked::CancelSend]);
}

#[test]
fn who_is_still_without_a_buffer_does_not_wait_for_others_to_use_theirs() {
    let mut stage = Stage::new(&[]);
    let starved: Vec<Key> = (0..=SMALL.count).map(|_| stage.connect()).collect();
    let asked = stage.turn(starved.into_iter().map(|key| (key, last(-NO_BUFFER))));
    assert_eq!(asked.len(), usize::from(SMALL.count));
    assert!(stage.driver.is_pressing(), "those may have nothing to receive, unlike the last");
    assert_eq!(stage.turn([]), [Asked::Receive(Group::Small)]);
    assert!(!stage.driver.is_pressing());
}

#[test]
fn a_stale_completion_finds_nothing_but_its_buffer_comes_back() {
    let mut stage = Stage::new(&[]);
    let old = stage.connect();
    assert_eq!(stage.turn([(old, last(0))]), []);
    assert_eq!((stage.ring.fins, *stage.closed.borrow()), (1, 1));
    let new = stage.connect();
    assert_eq!(new.index, old.index, "the place is used again");
    let stale = stage.data(b"stale");
    let not_sent = (old, Completion::NotSent { result: -AGAIN });
    let sent = (old, Completion::Sent { result: 1, bytes: vec![0] });
    assert_eq!(stage.turn([(old, stale), not_sent, sent, (old, last(-CANCELLED))]), []);
    assert!(stage.ring.lent.is_empty());
    let hello = stage.data(b"hello");
    assert_eq!(stage.turn([(new, hello)]), [Asked::SendNow(b"hello".to_vec())]);
}

#[test]
fn everything_is_sent_before_fin_then_the_socket_is_closed() {
    let mut stage = Stage::new(&[]);
    let key = stage.connect();
    let batch = [&b"a"[..], b"b"].map(|bytes| (key, stage.data(bytes)));
    let batch = batch.into_iter().chain([(key, last(0))]);
    assert_eq!(stage.turn(batch), [Asked::SendNow(b"a".to_vec())]);
    assert_eq!(stage.turn([]), [Asked::SendNow(b"b".to_vec())]);
    assert_eq!((stage.ring.fins, *stage.closed.borrow()), (0, 0));
    assert_eq!(stage.turn([]), []);
    assert_eq!((stage.ring.fins, *stage.closed.borrow()), (1, 1));
    assert!(stage.driver.is_empty());
    assert_eq!(stage.service.summary().echoed, 2);
}

#[test]
fn a_place_is_free_only_after_the_last_completions_of_receive_and_send() {
    let mut stage = Stage::new(&["--stall-timeout", "5s"]);
    let key = stage.connect();
    let hello = stage.data(b"hello");
    stage.turn([(key, hello)]);
    stage.turn([(key, Completion::NotSent { result: -AGAIN })]);
    stage.now += Duration::from_secs(5);
    assert_eq!(stage.turn([]), [Asked::CancelReceive, Asked::CancelSend]);
    let late = stage.data(b"late");
    assert_eq!(stage.turn([(key, late)]), [Asked::CancelReceive], "the cancel may have missed");
    assert!(stage.ring.lent.is_empty());
    let cancelled = stage.sent(-CANCELLED);
    assert_eq!(stage.turn([(key, cancelled)]), []);
    assert_eq!(*stage.closed.borrow(), 0, "its receive is still to end");
    assert_eq!(stage.turn([(key, last(-CANCELLED))]), []);
    assert_eq!(*stage.closed.borrow(), 1);
    assert!(stage.driver.is_empty());
    assert_eq!(stage.service.admission.open(), 0);
}

#[test]
fn a_reset_ends_the_connection_when_what_it_sends_at_once_is_out() {
    let mut stage = Stage::new(&[]);
    let key = stage.connect();
    let batch = [b"a", b"b"].map(|byte| (key, stage.data(byte)));
    stage.turn(batch);
    let reset = last(-Errno::CONNRESET.raw_os_error());
    assert_eq!(
        stage.turn([(key, Completion::NotSent { result: -PIPE }), (key, reset)]),
        [Asked::CancelReceive]
    );
    assert!(stage.ring.lent.is_empty());
    assert_eq!(*stage.closed.borrow(), 1);
}

#[test]
fn a_frame_over_two_buffers_is_sent_when_it_is_whole_with_all_that_came_before() {
    let mut stage = Stage::new(&["--framing", "line"]);
    let key = stage.connect();
    let first = stage.data(b"one\ntw");
    assert_eq!(stage.turn([(key, first)]), [Asked::SendNow(b"one\n".to_vec())]);
    let second = stage.data(b"o\nthr");
    assert_eq!(stage.turn([(key, second)]), [Asked::Send(b"two\n".to_vec())]);
    assert!(stage.ring.lent.is_empty());
    let third = stage.data(b"ee\n");
    assert_eq!(stage.turn([(key, third)]), [], "a send waits");
    let sent = stage.sent(4);
    assert_eq!(stage.turn([(key, sent)]), [Asked::Send(b"three\n".to_vec())]);
    let sent = stage.sent(6);
    assert_eq!(stage.turn([(key, sent)]), []);
    let plain = stage.data(b"four\n");
    assert_eq!(stage.turn([(key, plain)]), [Asked::SendNow(b"four\n".to_vec())]);
}

#[test]
fn after_a_bad_frame_input_is_dropped_until_the_peer_is_done() {
    let mut stage = Stage::new(&["--framing", "line", "--max-frame", "5"]);
    let key = stage.connect();
    let bad = stage.data(b"good\nfar too long\n");
    assert_eq!(stage.turn([(key, bad)]), [Asked::SendNow(b"good\n".to_vec())]);
    let more = stage.data(b"more\n");
    assert_eq!(stage.turn([(key, more)]), []);
    assert!(stage.ring.lent.is_empty());
    assert_eq!((stage.ring.fins, *stage.closed.borrow()), (1, 0));
    assert_eq!(stage.turn([(key, last(0))]), []);
    assert_eq!(*stage.closed.borrow(), 1);
}

#[test]
fn who_fills_small_buffers_and_leaves_more_gets_large_ones() {
    let mut stage = Stage::new(&[]);
    let key = stage.connect();
    stage.comes_to_want_large_ones(key);
    let asked = stage.turn([(key, last(-CANCELLED))]);
    assert_eq!(asked, [Asked::Receive(Group::Large)]);
}

#[test]
fn there_are_more_large_buffers_when_more_connections_fill_them() {
    let mut stage = Stage::new(&[]);
    let keys: Vec<Key> = (0..LARGE.count + 5).map(|_| stage.connect()).collect();
    for (users, key) in (1..).zip(&keys) {
        stage.comes_to_want_large_ones(*key);
        let more = LARGE.count.min(users).saturating_sub(LARGE.at_first);
        assert_eq!(stage.ring.added.len(), usize::from(more), "{users} use them");
    }
    let ends = keys.iter().flat_map(|key| [(*key, last(-CANCELLED)), (*key, last(0))]);
    stage.turn(ends.collect::<Vec<_>>());
    stage.turn([]);
    assert_eq!((stage.closed.borrow().to_owned(), stage.driver.reserved()), (keys.len(), 0));

    // With nobody left, those that come back are kept.
    let key = stage.connect();
    for id in Group::Large.first()..Group::Large.first() + LARGE.count {
        let data = stage.data_in(id, b"late");
        stage.turn([(key, data)]);
        stage.turn([]);
    }
    assert_eq!(stage.driver.reserved(), usize::from(LARGE.count - LARGE.at_first));
    assert_eq!(stage.ring.lent.len(), stage.driver.reserved(), "no other is missing");
}

#[test]
fn who_sends_a_little_more_than_a_small_buffer_holds_gets_large_ones_too() {
    for (small, gets_large) in [(0, true), (1, false)] {
        let mut stage = Stage::new(&[]);
        let key = stage.connect();
        let mut asked = Vec::new();
        for _ in 0..STREAK {
            let whole = stage.data(&vec![7; SMALL.size as usize]);
            let Completion::Received(full) = whole else { unreachable!() };
            let full = Completion::Received(Received { left_some: true, ..full });
            asked.extend(stage.turn([(key, full)]));
            for _ in 0..=small {
                let rest = stage.data(b"rest");
                asked.extend(stage.turn([(key, rest)]));
            }
        }
        assert_eq!(asked.contains(&Asked::CancelReceive), gets_large, "small: {small}");
    }
}

const AGAIN: i32 = Errno::AGAIN.raw_os_error();
const PIPE: i32 = Errno::PIPE.raw_os_error();
