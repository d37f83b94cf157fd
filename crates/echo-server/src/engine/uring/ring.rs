//! The ring itself: requests into the kernel, completions out of it, and the memory that it uses.
//!
//! ```text
//! push ──▶ submission queue ──┐            ┌──▶ completion queue ──▶ reap
//!                             ├─▶ kernel ──┤
//! give_back ─▶ buffer rings ──┘  (enter)   └──▶ provided buffers ──▶ Lease
//! ```
//!
//! All that is unsafe is here. Memory that the kernel may use belongs to this file until the kernel
//! has said that it is done: provided buffers for the ring's lifetime, the bytes of a waiting send
//! until its completion. A ring that is dropped while something is under way leaves its memory
//! behind, rather than to free what the kernel may still write to.
#![expect(
    unsafe_code,
    reason = "the kernel is told of memory by address; no safe crate offers multishot and buffer rings"
)]

use std::{
    collections::{HashMap, VecDeque},
    fmt, io, mem,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::Duration,
};

use io_uring::{
    EnterFlags, IoUring, cqueue, opcode,
    squeue::{Entry, Flags},
    types::{BufRingEntry, Fd, SubmitArgs, Timespec},
};
use nix::libc::{TIOCOUTQ, c_int, ioctl};
use rustix::{
    event::{self, PollFd, PollFlags},
    io::Errno,
    mm::{MapFlags, ProtFlags, mmap_anonymous, munmap},
    net::{self, RecvFlags, SendFlags, SocketFlags},
};

use super::driver::{Buffers, Completion, Group, KEPT, Lease, Received, Request, Ring};
use crate::slots::{Key, PLACE_BITS};

/// Requests submitted at once; more are submitted in several goes.
const SUBMISSIONS: u32 = 512;

/// Completions that the kernel can hand us at once; it keeps more than that to itself for a while.
const COMPLETIONS: u32 = 4096;

/// Enters in a row that may fail for want of memory before the ring counts as broken, and the
/// pause after each.
const MAX_BUSY: u32 = 1000;
const BUSY_PAUSE: Duration = Duration::from_millis(1);

/// Buffers lie so far apart beyond their size that their beginnings, which are used most, do not
/// all compete for the same lines of the cache.
const GAP: usize = 64;

/// An io_uring instance, for the thread that enables it.
pub(crate) struct Uring {
    /// Closed before the memory below is freed.
    ring: mem::ManuallyDrop<IoUring>,
    pools: mem::ManuallyDrop<[Pool; 2]>,
    /// Bytes of waiting sends, by user data.
    sending: mem::ManuallyDrop<HashMap<u64, Vec<u8>>>,
    /// Requests for which the submission queue had no room.
    waiting: VecDeque<Entry>,
    /// Requests that may use memory until they are completed.
    under_way: usize,
    /// Enters in a row that the kernel had no means for.
    busy: u32,
}

/// What has been completed since the last time.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) connections: Vec<(Key, Completion)>,
    pub(crate) accepted: Vec<Accept>,
    /// Whether a poll has ended; what it has seen is to be looked for.
    pub(crate) polled: Vec<usize>,
}

impl Batch {
    /// Gives memory back that a rush has taken.
    pub(crate) fn shrink(&mut self) {
        self.connections.shrink_to(KEPT);
        self.accepted.shrink_to(KEPT);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.connections.is_empty() && self.accepted.is_empty() && self.polled.is_empty()
    }
}

/// How an accept went on.
#[derive(Debug)]
pub(crate) struct Accept {
    pub(crate) listener: usize,
    pub(crate) result: io::Result<OwnedFd>,
    pub(crate) goes_on: bool,
}

/// How long [`Uring::enter`] waits for a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Submits only: what has arrived meanwhile is left for later.
    Submit,
    /// Takes what is there.
    No,
    AtMost(Duration),
    Forever,
}

/// What a completion is of: the low bits of its user data, below the place and the generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Receive,
    SendNow,
    Send,
    Cancel,
    Accept,
    Poll,
}

impl Uring {
    /// Sets a ring up. One that is `polled` shows without a system call that there is work.
    ///
    /// # Errors
    /// When the kernel has no io_uring for us, or not all of it that we need.
    pub(crate) fn new(polled: bool) -> io::Result<Self> {
        let ring = set_up(polled)?;
        if !ring.params().is_feature_skip_cqe_on_success() || !ring.params().is_feature_ext_arg() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let small = Pool::register(&ring, Group::Small)?;
        let large = Pool::register(&ring, Group::Large)?;
        Ok(Self {
            ring: mem::ManuallyDrop::new(ring),
            pools: mem::ManuallyDrop::new([small, large]),
            sending: mem::ManuallyDrop::default(),
            waiting: VecDeque::new(),
            under_way: 0,
            busy: 0,
        })
    }

    /// Makes the ring this thread's: only it may enter from here on.
    pub(crate) fn enable(&mut self) -> io::Result<()> {
        self.ring.submitter().register_enable_rings()
    }

    /// Accepts connections: `again` and again, or one.
    pub(crate) fn accept(&mut self, listener: usize, socket: BorrowedFd<'_>, again: bool) {
        let fd = Fd(socket.as_raw_fd());
        let flags = signed(SocketFlags::CLOEXEC.bits());
        let accept = if again {
            opcode::AcceptMulti::new(fd).flags(flags).build()
        } else {
            opcode::Accept::new(fd, ptr::null_mut(), ptr::null_mut()).flags(flags).build()
        };
        self.submit_later(accept, user_data(Operation::Accept, worker_key(listener)));
    }

    /// Ends an accept that goes on.
    pub(crate) fn cancel_accept(&mut self, listener: usize) {
        self.cancel(user_data(Operation::Accept, worker_key(listener)));
    }

    /// Tells, once, when there is something to read.
    pub(crate) fn poll(&mut self, which: usize, fd: BorrowedFd<'_>) {
        let poll = opcode::PollAdd::new(Fd(fd.as_raw_fd()), u32::from(PollFlags::IN.bits()));
        self.submit_later(poll.build(), user_data(Operation::Poll, worker_key(which)));
    }

    /// Whether an [`enter`](Self::enter) would find something, without a system call.
    pub(crate) fn has_work(&mut self) -> bool {
        !self.ring.completion().is_empty() || self.ring.submission().taskrun()
    }

    /// Submits what was pushed, and waits for a completion; returns whether all was submitted, and
    /// every completion is there to be taken.
    pub(crate) fn enter(&mut self, wait: Wait) -> io::Result<bool> {
        self.pools.iter_mut().for_each(Pool::publish);
        while !self.waiting.is_empty() {
            if !self.is_passing(self.ring.submit())? {
                return Ok(false); // completions have to be taken first
            }
            self.refill();
        }
        let entered = match wait {
            Wait::Submit => self.ring.submit(),
            Wait::No => self.look(),
            Wait::Forever => self.ring.submit_and_wait(1),
            Wait::AtMost(time) => {
                let time = Timespec::from(time);
                let args = SubmitArgs::new().timespec(&time);
                self.ring.submitter().submit_with_args(1, &args)
            }
        };
        let passes = self.is_passing(entered)?;
        // What the queue has no room for, the kernel keeps: it may be the answer to what was sent.
        let submission = self.ring.submission();
        Ok(passes && submission.is_empty() && !submission.cq_overflow())
    }

    fn look(&mut self) -> io::Result<usize> {
        let submissions = u32::try_from(self.ring.submission().len()).unwrap_or(u32::MAX);
        let flags = EnterFlags::GETEVENTS.bits();
        // SAFETY: no argument is passed along.
        unsafe { self.ring.submitter().enter::<()>(submissions, 0, flags, None) }
    }

    /// Whether an enter went as it should; no when the kernel is short of something for now.
    fn is_passing(&mut self, entered: io::Result<usize>) -> io::Result<bool> {
        let Err(error) = entered else {
            self.busy = 0;
            return Ok(true);
        };
        match Errno::from_io_error(&error) {
            Some(Errno::INTR | Errno::TIME) => Ok(true),
            Some(Errno::AGAIN | Errno::BUSY) if self.busy < MAX_BUSY => {
                self.busy += 1;
                thread::sleep(BUSY_PAUSE);
                Ok(false)
            }
            _ => Err(error),
        }
    }

    /// Gives memory back that a rush has taken.
    pub(crate) fn shrink(&mut self) {
        self.waiting.shrink_to(KEPT);
    }

    /// Takes what is completed.
    pub(crate) fn reap(&mut self, batch: &mut Batch) {
        let Self { ring, pools, sending, under_way, .. } = self;
        for cqe in ring.completion() {
            let (user_data, result, flags) = (cqe.user_data(), cqe.result(), cqe.flags());
            let Some((operation, key)) = parse(user_data) else { continue };
            let goes_on = cqueue::more(flags);
            if operation.uses_memory() && !goes_on {
                *under_way -= 1;
            }
            let completion = match operation {
                Operation::Receive => {
                    let lease = cqueue::buffer_select(flags).and_then(|id| lend(pools, id));
                    let is_full =
                        |of: &Lease| u32::try_from(result) == Ok(of.group().buffers().size);
                    Completion::Received(Received {
                        result,
                        filled: lease.as_ref().is_some_and(is_full),
                        lease,
                        goes_on,
                        left_some: cqueue::sock_nonempty(flags),
                    })
                }
                Operation::SendNow => Completion::NotSent { result },
                Operation::Send => {
                    let bytes = sending.remove(&user_data).unwrap_or_default();
                    Completion::Sent { result, bytes }
                }
                Operation::Accept => {
                    let result = match u32::try_from(result) {
                        // SAFETY: the kernel has just opened it for us; nobody else knows of it.
                        Ok(_) => Ok(unsafe { OwnedFd::from_raw_fd(result) }),
                        Err(_) => Err(io::Error::from_raw_os_error(-result)),
                    };
                    batch.accepted.push(Accept { listener: key.index as usize, result, goes_on });
                    continue;
                }
                Operation::Poll => {
                    batch.polled.push(key.index as usize);
                    continue;
                }
                Operation::Cancel => continue, // it came too late, which is as good
            };
            batch.connections.push((key, completion));
        }
    }

    fn cancel(&mut self, user_data_of: u64) {
        let cancel = opcode::AsyncCancel::new(user_data_of).build().flags(Flags::SKIP_SUCCESS);
        self.submit_later(cancel, Operation::Cancel as u64);
    }

    fn submit_later(&mut self, entry: Entry, user_data: u64) {
        let entry = entry.user_data(user_data);
        self.under_way += usize::from(parse(user_data).is_some_and(|(op, _)| op.uses_memory()));
        if self.waiting.is_empty() && self.try_push(&entry) {
            return;
        }
        self.waiting.push_back(entry);
    }

    fn try_push(&mut self, entry: &Entry) -> bool {
        // SAFETY: an entry that names memory names a provided buffer, which lives as long as the
        // ring, or the bytes in `sending`, which stay there until it is completed.
        unsafe { self.ring.submission().push(entry) }.is_ok()
    }

    /// Moves requests into the submission queue, as far as there is room.
    fn refill(&mut self) {
        while let Some(entry) = self.waiting.pop_front() {
            if !self.try_push(&entry) {
                return self.waiting.push_front(entry);
            }
        }
    }
}

impl Ring for Uring {
    type Socket = OwnedFd;

    fn push(&mut self, key: Key, request: Request<'_, OwnedFd>) {
        let no_signal = signed(SendFlags::NOSIGNAL.bits());
        match request {
            Request::Receive { socket, group } => {
                let receive = opcode::RecvMulti::new(Fd(socket.as_raw_fd()), group as u16).build();
                self.submit_later(receive, user_data(Operation::Receive, key));
            }
            Request::SendNow { socket, lease, start, end } => {
                let bytes = &self.bytes(lease)[start as usize..end as usize];
                // All of it or an answer: only with WAITALL a short send counts as failed.
                let at_once = signed(RecvFlags::WAITALL.bits() | SendFlags::DONTWAIT.bits());
                let send = opcode::Send::new(Fd(socket.as_raw_fd()), bytes.as_ptr(), end - start)
                    .flags(no_signal | at_once)
                    .build()
                    .flags(Flags::SKIP_SUCCESS);
                self.submit_later(send, user_data(Operation::SendNow, key));
            }
            Request::Send { socket, bytes, start } => {
                let rest = bytes.get(start..).unwrap_or_default();
                let len = u32::try_from(rest.len()).unwrap_or(u32::MAX);
                let send = opcode::Send::new(Fd(socket.as_raw_fd()), rest.as_ptr(), len)
                    .flags(no_signal)
                    .build();
                let user_data = user_data(Operation::Send, key);
                if let Some(earlier) = self.sending.insert(user_data, bytes) {
                    mem::forget(earlier); // the kernel may still read it
                }
                self.submit_later(send, user_data);
            }
            Request::CancelReceive => self.cancel(user_data(Operation::Receive, key)),
            Request::CancelSend => self.cancel(user_data(Operation::Send, key)),
        }
    }

    fn bytes(&self, lease: &Lease) -> &[u8] {
        self.pools[lease.group() as usize].bytes(lease)
    }

    fn give_back(&mut self, lease: Lease) {
        self.pools[lease.group() as usize].give_back(lease);
    }

    fn has_input(&self, socket: &OwnedFd) -> bool {
        let mut polled = [PollFd::new(socket, PollFlags::IN)];
        event::poll(&mut polled, Some(&event::Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    fn untaken(&self, socket: &OwnedFd) -> usize {
        let mut untaken: c_int = 0;
        // SAFETY: this request writes an int to where it is told, and `untaken` is one.
        let asked = unsafe { ioctl(socket.as_raw_fd(), TIOCOUTQ, &raw mut untaken) };
        if asked == 0 { usize::try_from(untaken).unwrap_or(0) } else { 0 }
    }

    fn send_fin(&mut self, socket: &OwnedFd) -> io::Result<()> {
        Ok(net::shutdown(socket, net::Shutdown::Write)?)
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        // SAFETY: neither is used again.
        unsafe { mem::ManuallyDrop::drop(&mut self.ring) };
        if self.under_way == 0 {
            // SAFETY: neither is used again, and as nothing is under way, not by the kernel either.
            unsafe {
                mem::ManuallyDrop::drop(&mut self.pools);
                mem::ManuallyDrop::drop(&mut self.sending);
            }
        }
    }
}

impl fmt::Debug for Uring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uring").field("under_way", &self.under_way).finish_non_exhaustive()
    }
}

/// The most that this kernel has of what makes a ring cheap for a single thread.
fn set_up(polled: bool) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.dontfork().setup_cqsize(COMPLETIONS).setup_submit_all().setup_coop_taskrun();
    builder.setup_r_disabled();
    if polled {
        builder.setup_taskrun_flag();
    }
    let plain = builder.clone();
    match builder.setup_single_issuer().setup_defer_taskrun().build(SUBMISSIONS) {
        // Linux 6.0 has all that we need, and not these.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => plain.build(SUBMISSIONS),
        ring => ring,
    }
}

/// Provided buffers of one group, and the ring through which the kernel is given them.
struct Pool {
    bytes: Pages,
    entries: Pages,
    buffers: Buffers,
    /// The first buffer's id.
    first: u16,
    /// Buffers put into the ring, ever; the kernel has been told of some of them.
    tail: u16,
    /// By buffer: whether it is ours to read, rather than the kernel's to write to.
    lent: Vec<bool>,
}

impl Pool {
    fn register(ring: &IoUring, group: Group) -> io::Result<Self> {
        let buffers = group.buffers();
        let count = usize::from(buffers.count);
        let bytes = Pages::new(count * stride(buffers))?;
        let entries = Pages::new(count * size_of::<BufRingEntry>())?;
        let address = entries.start.as_ptr().addr() as u64;
        // SAFETY: `entries` begins on a page and has room for `count` entries. It is freed after the
        // ring is closed, and not at all when something is still under way then.
        unsafe {
            let submitter = ring.submitter();
            submitter.register_buf_ring_with_flags(address, buffers.count, group as u16, 0)?;
        }
        let lent = vec![true; count];
        let mut pool = Self { bytes, entries, buffers, first: group.first(), tail: 0, lent };
        for id in group.first()..group.first() + buffers.at_first {
            pool.give_back(Lease(id));
        }
        pool.publish();
        Ok(pool)
    }

    /// Takes note that the kernel has filled a buffer and left it to us.
    fn lend(&mut self, id: u16) -> Option<Lease> {
        let lent = self.lent.get_mut(usize::from(id - self.first))?;
        *lent = true;
        Some(Lease(id))
    }

    fn bytes(&self, lease: &Lease) -> &[u8] {
        let index = usize::from(lease.0 - self.first);
        assert!(self.lent[index], "a buffer that is the kernel's to write to");
        let start = self.at(index);
        // SAFETY: it lies within `bytes`, which was mapped zeroed, and the kernel writes to it
        // only after it was given back, which takes `self` mutably.
        unsafe { slice::from_raw_parts(start.as_ptr(), self.buffers.size as usize) }
    }

    /// Puts a buffer into the ring; the kernel is told when it is published.
    fn give_back(&mut self, lease: Lease) {
        let index = usize::from(lease.0 - self.first);
        assert!(mem::take(&mut self.lent[index]), "a buffer is given back once");
        let address = self.at(index).as_ptr().addr() as u64;
        let place = usize::from(self.tail & (self.buffers.count - 1));
        // SAFETY: `place` is below the number of entries, which are zeroed integers, and the kernel
        // reads none that lies behind the tail it was shown.
        let entry = unsafe { self.entries.start.cast::<BufRingEntry>().add(place).as_mut() };
        entry.set_addr(address);
        entry.set_len(self.buffers.size);
        entry.set_bid(lease.0);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Tells the kernel of all that was put into the ring.
    fn publish(&mut self) {
        let entries = self.entries.start.cast::<BufRingEntry>().as_ptr();
        // SAFETY: the tail lies in the first entry, aligned for a u16, as long as `entries` lives.
        // We are the only ones to write it, and only here; the kernel reads it.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(entries).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    fn at(&self, index: usize) -> NonNull<u8> {
        // SAFETY: `index` is below the count, as it has an entry in `lent`, and `bytes` has room for
        // so many strides.
        unsafe { self.bytes.start.add(index * stride(self.buffers)) }
    }
}

const fn stride(buffers: Buffers) -> usize {
    buffers.size as usize + GAP
}

/// Zeroed memory that begins on a page. It is the system's, not the allocator's, which would keep
/// more for itself after it has given back such a large piece.
struct Pages {
    start: NonNull<u8>,
    len: usize,
}

impl Pages {
    fn new(len: usize) -> io::Result<Self> {
        let (any, access) = (ptr::null_mut(), ProtFlags::READ | ProtFlags::WRITE);
        // SAFETY: without a wish where to put it, it is put where nothing else is.
        let start = unsafe { mmap_anonymous(any, len, access, MapFlags::PRIVATE) }?;
        Ok(Self { start: NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?, len })
    }
}

// SAFETY: it is memory like any other, not bound to a thread.
unsafe impl Send for Pages {}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: mapped with this length, and unmapped once. It cannot fail.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}

impl Operation {
    const ALL: [Self; 6] =
        [Self::Receive, Self::SendNow, Self::Send, Self::Cancel, Self::Accept, Self::Poll];

    /// Whether the kernel may use memory until the last completion comes.
    fn uses_memory(self) -> bool {
        matches!(self, Self::Receive | Self::Send)
    }
}

/// ```text
/// 63         32 31       4 3         0
/// | generation | index    | operation |
/// ```
fn user_data(operation: Operation, key: Key) -> u64 {
    u64::from(key.generation) << 32 | u64::from(key.index) << OPERATION_BITS | operation as u64
}

fn parse(user_data: u64) -> Option<(Operation, Key)> {
    let operation = *Operation::ALL.get((user_data & ((1 << OPERATION_BITS) - 1)) as usize)?;
    let generation = u32::try_from(user_data >> 32).ok()?;
    let index = u32::try_from((user_data & u64::from(u32::MAX)) >> OPERATION_BITS).ok()?;
    Some((operation, Key { index, generation }))
}

const OPERATION_BITS: u32 = 4;

/// Every place fits into user data.
const _: () = assert!(PLACE_BITS + OPERATION_BITS <= 32);

/// Flags are as unsigned for one crate, and signed for the other.
fn signed(flags: u32) -> i32 {
    i32::from_ne_bytes(flags.to_ne_bytes())
}

/// Of what belongs to the worker and not to a connection.
fn worker_key(which: usize) -> Key {
    Key { index: u32::try_from(which).unwrap_or(u32::MAX), generation: 0 }
}

fn lend(pools: &mut [Pool; 2], id: u16) -> Option<Lease> {
    pools[Lease(id).group() as usize].lend(id)
}

#[cfg(test)]
mod tests;
