//! The bytes that were sent and have not come back yet.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{End, Mismatch, Verdict};

/// Payload bytes in flight; at this bound sending waits for receiving. Far more than the buffers of
/// any path hold, so only a service that stores everything before it answers ever gets there.
const MAX_IN_FLIGHT: usize = 64 << 20;

/// Filled by the sending thread, compared and emptied by the receiving one.
#[derive(Debug)]
pub(super) struct InFlight {
    state: Mutex<State>,
    /// There is room again, or a thread has ended.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    bytes: VecDeque<u8>,
    /// The lengths of the frames in `bytes`, in order; `None` when frames do not matter.
    frames: Option<VecDeque<usize>>,
    /// Payload bytes put in and taken out so far.
    sent: u64,
    returned: u64,
    mismatch: Option<Mismatch>,
    input: InputState,
    /// Nothing more will be taken out.
    given_up: bool,
    /// When bytes last came back, or were sent after all had come back.
    progress: Instant,
}

#[derive(Debug)]
enum InputState {
    Open,
    AllSent,
    /// The connection would not take more, for this reason.
    CutShort(String),
    /// Reading or encoding it failed.
    Failed(Option<anyhow::Error>),
}

impl InFlight {
    /// Nothing in flight. With `framed`, what comes back is compared frame by frame.
    pub(super) fn new(framed: bool) -> Self {
        let state = Mutex::new(State {
            bytes: VecDeque::new(),
            frames: framed.then(VecDeque::new),
            sent: 0,
            returned: 0,
            mismatch: None,
            input: InputState::Open,
            given_up: false,
            progress: Instant::now(),
        });
        Self { state, changed: Condvar::new() }
    }

    /// Takes a frame in before it is sent, once there is room. False when nobody compares any more.
    pub(super) fn push(&self, payload: &[u8]) -> bool {
        let mut state = self.state();
        // A frame larger than the bound goes alone.
        while !state.given_up
            && !state.bytes.is_empty()
            && state.bytes.len() + payload.len() > MAX_IN_FLIGHT
        {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_empty() {
            state.progress = Instant::now();
        }
        state.bytes.extend(payload);
        state.frames.iter_mut().for_each(|frames| frames.push_back(payload.len()));
        state.sent += payload.len() as u64;
        !state.given_up
    }

    /// The whole input is sent.
    pub(super) fn all_sent(&self) {
        self.end_input(InputState::AllSent);
    }

    /// The connection would not take the rest of the input.
    pub(super) fn cut_short(&self, why: String) {
        self.end_input(InputState::CutShort(why));
    }

    /// The rest of the input cannot be had, or not be sent in this framing.
    pub(super) fn fail(&self, error: anyhow::Error) {
        self.end_input(InputState::Failed(Some(error)));
    }

    /// Gives the sending thread a moment to notice what the receiving one has: that it is over.
    pub(super) fn wait_for_input_end(&self, grace: Duration) {
        let is_open = |state: &mut State| matches!(state.input, InputState::Open);
        // Noticed or not, the verdict looks at the state.
        let _ = self.changed.wait_timeout_while(self.state(), grace, is_open);
    }

    pub(super) fn take_error(&self) -> Option<anyhow::Error> {
        match &mut self.state().input {
            InputState::Failed(error) => error.take(),
            _ => None,
        }
    }

    /// Nothing more will be compared: a sending thread that waits for room may go.
    pub(super) fn give_up(&self) {
        self.state().given_up = true;
        self.changed.notify_all();
    }

    /// Compares what came back with the front of what is in flight; with frames, it has to be the
    /// next one, whole and nothing else.
    ///
    /// Only the first mismatch counts: what follows one is most likely out of step.
    pub(super) fn compare(&self, payload: &[u8]) {
        let mut state = self.state();
        let state = &mut *state;
        let due = match &mut state.frames {
            Some(frames) => frames.pop_front(),
            None => Some(payload.len().min(state.bytes.len())),
        };
        let due_len = due.unwrap_or(0);
        let common = due_len.min(payload.len());
        let differs = first_difference(&state.bytes, &payload[..common]).map(|(at, sent, got)| {
            Mismatch::Byte { offset: state.returned + at as u64, sent, returned: got }
        });
        let uneven = (due.is_none() || due_len != payload.len()).then(|| {
            let offset = state.returned + common as u64;
            match due {
                Some(sent) if state.frames.is_some() => {
                    Mismatch::FrameLength { offset, sent, returned: payload.len() }
                }
                _ => Mismatch::NotSent { offset },
            }
        });
        state.mismatch = state.mismatch.or(differs).or(uneven);
        state.bytes.drain(..due_len);
        state.returned += payload.len() as u64;
        self.changed.notify_all();
    }

    /// Whether to stop waiting: when bytes are due and nothing has come for `timeout`, or when all
    /// is back and the peer has not closed within `extra_wait`.
    pub(super) fn patience(&self, timeout: Duration, extra_wait: Duration) -> Option<End> {
        let state = self.state();
        let waited = state.progress.elapsed();
        if !state.is_empty() {
            return (waited >= timeout).then_some(End::TimedOut(timeout));
        }
        match state.input {
            InputState::Open => None, // the input pauses
            // More than was sent: no use in waiting for the end of that.
            _ if matches!(state.mismatch, Some(Mismatch::NotSent { .. })) => Some(End::AllReturned),
            _ => (waited >= extra_wait).then_some(End::AllReturned),
        }
    }

    /// Bytes came back, a whole frame or not.
    pub(super) fn came_back(&self) {
        let mut state = self.state();
        // Once all is back, the wait for the peer to close is on, whatever else it sends.
        if !state.is_empty() {
            state.progress = Instant::now();
        }
    }

    pub(super) fn verdict(&self, end: End, elapsed: Duration) -> Verdict {
        let state = self.state();
        let end = match (&state.input, end) {
            // Our write has seen why, so a read has seen no more than the end.
            (InputState::CutShort(why), End::PeerClosed) => End::Failed(why.clone()),
            (_, end) => end,
        };
        Verdict {
            sent: state.sent,
            returned: state.returned,
            missing_frames: state.frames.as_ref().map_or(0, VecDeque::len),
            mismatch: state.mismatch,
            all_sent: matches!(state.input, InputState::AllSent),
            end,
            elapsed,
        }
    }

    fn end_input(&self, input: InputState) {
        let mut state = self.state();
        state.input = input;
        if state.is_empty() {
            state.progress = Instant::now();
        }
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.frames.as_ref().is_none_or(VecDeque::is_empty)
    }
}

/// Where `returned` first differs from the front of `sent`, which is at least as long.
fn first_difference(sent: &VecDeque<u8>, returned: &[u8]) -> Option<(usize, u8, u8)> {
    let (a, b) = sent.as_slices();
    let (ra, rb) = returned.split_at(a.len().min(returned.len()));
    if a[..ra.len()] == *ra && b[..rb.len()] == *rb {
        return None;
    }
    let mut pairs = sent.iter().zip(returned).enumerate();
    pairs.find(|(_, (s, r))| s != r).map(|(at, (s, r))| (at, *s, *r))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_flight(framed: bool, sent: &[&[u8]]) -> InFlight {
        let in_flight = InFlight::new(framed);
        assert!(sent.iter().all(|piece| in_flight.push(piece)));
        in_flight.all_sent();
        in_flight
    }

    fn mismatch(in_flight: &InFlight, returned: &[&[u8]]) -> Option<Mismatch> {
        returned.iter().for_each(|piece| in_flight.compare(piece));
        in_flight.verdict(End::PeerClosed, Duration::ZERO).mismatch
    }

    #[test]
    fn raw_bytes_may_come_back_in_other_pieces() {
        let in_flight = in_flight(false, &[b"hel", b"", b"lo wor", b"ld"]);
        assert_eq!(mismatch(&in_flight, &[b"h", b"ello w", b"orld"]), None);
        assert!(in_flight.verdict(End::PeerClosed, Duration::ZERO).is_identical());
    }

    #[test]
    fn an_empty_frame_that_does_not_come_back_is_missed() {
        let in_flight = in_flight(true, &[b"abc", b"", b""]);
        in_flight.compare(b"abc");
        let verdict = in_flight.verdict(End::PeerClosed, Duration::ZERO);
        assert!(!verdict.is_identical() && !verdict.is_good());
        assert!(verdict.to_string().contains("3 bytes sent, 3 returned, 2 frames missing"));
    }

    #[test]
    fn the_first_difference_is_named_even_across_pieces() {
        let in_flight = in_flight(false, &[b"hello", b"world"]);
        let expected = Mismatch::Byte { offset: 6, sent: b'o', returned: b'0' };
        assert_eq!(mismatch(&in_flight, &[b"hell", b"ow0r", b"!!"]), Some(expected));
    }

    #[test]
    fn more_than_was_sent_is_a_mismatch_where_it_begins() {
        let expected = Some(Mismatch::NotSent { offset: 2 });
        assert_eq!(mismatch(&in_flight(false, &[b"hi"]), &[b"hi", b"!"]), expected);
        assert_eq!(mismatch(&in_flight(false, &[b"hi"]), &[b"hi!"]), expected);
        assert_eq!(mismatch(&in_flight(true, &[b"hi"]), &[b"hi", b""]), expected);
    }

    #[test]
    fn a_frame_has_to_come_back_whole() {
        assert_eq!(mismatch(&in_flight(true, &[b"a", b"", b"bc"]), &[b"a", b"", b"bc"]), None);
        let expected = Mismatch::FrameLength { offset: 2, sent: 3, returned: 2 };
        assert_eq!(mismatch(&in_flight(true, &[b"abc", b"d"]), &[b"ab", b"cd"]), Some(expected));
    }

    #[test]
    fn waiting_ends_only_when_something_is_due_or_all_is_back() {
        let none = Duration::ZERO;
        let open = InFlight::new(false);
        assert_eq!(open.patience(none, none), None);
        assert!(open.push(b"x"));
        assert_eq!(open.patience(none, none), Some(End::TimedOut(none)));
        assert_eq!(open.patience(Duration::MAX, none), None);
        open.compare(b"x");
        open.all_sent();
        assert_eq!(open.patience(Duration::MAX, none), Some(End::AllReturned));
    }

    #[test]
    fn sending_waits_at_the_bound_and_goes_on_when_bytes_come_back() {
        let in_flight = InFlight::new(false);
        let full = vec![7; MAX_IN_FLIGHT];
        assert!(in_flight.push(&full));
        std::thread::scope(|scope| {
            let pushing = scope.spawn(|| in_flight.push(b"more"));
            in_flight.compare(&full[..4]);
            assert!(pushing.join().unwrap());
        });
        assert_eq!(in_flight.state().bytes.len(), MAX_IN_FLIGHT);
    }
}
