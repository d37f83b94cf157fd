//! io_uring: multishot accept, multishot receive into a ring of provided buffers, and one send in
//! flight per connection straight from the received buffer.
//!
//! ```text
//! buffer ring ──receive──▶ connection's queue ──send──▶ back to the ring
//! ```
//!
//! A receive that finds no buffer ends; it is made again when a buffer has come back.

use std::{
    collections::VecDeque,
    io, mem,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    ptr,
    sync::atomic::{AtomicU16, Ordering},
};

use io_uring::{
    EnterFlags, IoUring, cqueue, opcode, squeue,
    types::{BufRingEntry, Fd},
};
use rustix::{
    mm::{MapFlags, ProtFlags, mmap_anonymous},
    net::sockopt::set_tcp_nodelay,
};

/// Room for what is submitted in one turn; more is submitted at once.
const ENTRIES: u32 = 4096;

/// Completions that may be there at once, more wait in the kernel.
const COMPLETIONS: u32 = 16384;

/// The only group of buffers.
const GROUP: u16 = 0;

/// Between buffers, so that their beginnings do not share a set of the cache.
const GAP: usize = 64;

/// How many buffers, and of which size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Buffers {
    /// A power of two.
    count: u16,
    size: u32,
}

/// Enough for many small messages, without leaving the cache.
pub(crate) const SMALL: Buffers = Buffers { count: 1024, size: 4 << 10 };

/// A whole message of the largest kind in each.
pub(crate) const LARGE: Buffers = Buffers { count: 32, size: 64 << 10 };

/// Serves for ever. One that `spins` asks again and again instead of sleeping.
pub(crate) fn serve(buffers: Buffers, spins: bool) -> io::Result<()> {
    let listener = super::listener()?;
    let ring = IoUring::builder()
        .setup_cqsize(COMPLETIONS)
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .build(ENTRIES)?;
    ring.submitter().register_ring_fd()?;
    let pool = Pool::register(&ring, buffers)?;
    let mut server = Server {
        ring,
        pool,
        connections: Vec::new(),
        starving: VecDeque::new(),
        listener: listener.as_raw_fd(),
    };
    server.accept()?;
    let mut batch: Vec<(u64, i32, u32)> = Vec::with_capacity(COMPLETIONS as usize);
    loop {
        if spins {
            let to_submit = server.ring.submission().len() as u32;
            // SAFETY: no argument is passed, so there is none that could be wrong.
            let entered = unsafe {
                server.ring.submitter().enter::<()>(
                    to_submit,
                    0,
                    EnterFlags::GETEVENTS.bits(),
                    None,
                )
            };
            interrupted_is_fine(entered)?;
        } else {
            interrupted_is_fine(server.ring.submit_and_wait(1))?;
        }
        let completions = server.ring.completion();
        batch.extend(completions.map(|c| (c.user_data(), c.result(), c.flags())));
        for (user_data, result, flags) in batch.drain(..) {
            server.complete(user_data, result, flags)?;
        }
        server.pool.publish();
        server.feed()?;
    }
}

const ACCEPT: u64 = 0;
const RECEIVE: u64 = 1;
const SEND: u64 = 2;

fn user_data(operation: u64, connection: usize) -> u64 {
    (connection as u64) << 2 | operation
}

struct Server {
    ring: IoUring,
    pool: Pool,
    /// In the order of their coming; a place is not used again.
    connections: Vec<Option<Connection>>,
    /// Whose receive has found no buffer.
    starving: VecDeque<usize>,
    listener: RawFd,
}

struct Connection {
    socket: OwnedFd,
    /// Buffers received and not sent. The first is being sent.
    queue: VecDeque<Chunk>,
    /// A receive is under way, or will be.
    receives: bool,
}

struct Chunk {
    buffer: u16,
    start: u32,
    end: u32,
}

impl Server {
    fn complete(&mut self, user_data: u64, result: i32, flags: u32) -> io::Result<()> {
        let connection = (user_data >> 2) as usize;
        match user_data & 3 {
            ACCEPT => self.accepted(result, flags),
            RECEIVE => self.received(connection, result, flags),
            _ => self.sent(connection, result),
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        let accept = opcode::AcceptMulti::new(Fd(self.listener)).build();
        self.push(accept.user_data(user_data(ACCEPT, 0)))
    }

    fn accepted(&mut self, result: i32, flags: u32) -> io::Result<()> {
        if result < 0 {
            return Err(io::Error::from_raw_os_error(-result));
        }
        // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(result) };
        set_tcp_nodelay(&socket, true)?;
        let queue = VecDeque::new();
        self.connections.push(Some(Connection { socket, queue, receives: true }));
        self.receive(self.connections.len() - 1)?;
        if cqueue::more(flags) { Ok(()) } else { self.accept() }
    }

    fn receive(&mut self, id: usize) -> io::Result<()> {
        let Some(connection) = &self.connections[id] else { return Ok(()) };
        let receive = opcode::RecvMulti::new(Fd(connection.socket.as_raw_fd()), GROUP).build();
        self.push(receive.user_data(user_data(RECEIVE, id)))
    }

    fn received(&mut self, id: usize, result: i32, flags: u32) -> io::Result<()> {
        let Some(connection) = &mut self.connections[id] else { return Ok(()) };
        if let (Some(buffer), 1..) = (cqueue::buffer_select(flags), result) {
            self.pool.held += 1;
            connection.queue.push_back(Chunk { buffer, start: 0, end: result as u32 });
            let is_first = connection.queue.len() == 1;
            if !cqueue::more(flags) {
                self.receive(id)?;
            }
            return if is_first { self.send(id) } else { Ok(()) };
        }
        if result == -libc::ENOBUFS {
            self.starving.push_back(id);
        } else {
            connection.receives = false;
            self.close_when_done(id);
        }
        Ok(())
    }

    fn send(&mut self, id: usize) -> io::Result<()> {
        let Some(connection) = &self.connections[id] else { return Ok(()) };
        let Some(chunk) = connection.queue.front() else { return Ok(()) };
        let start = self.pool.at(chunk.buffer).wrapping_add(chunk.start as usize);
        let fd = Fd(connection.socket.as_raw_fd());
        let send = opcode::Send::new(fd, start, chunk.end - chunk.start)
            .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
            .build();
        self.push(send.user_data(user_data(SEND, id)))
    }

    fn sent(&mut self, id: usize, result: i32) -> io::Result<()> {
        let Some(connection) = &mut self.connections[id] else { return Ok(()) };
        let Some(chunk) = connection.queue.front_mut() else { return Ok(()) };
        if result < 0 {
            // Nobody is there any more: what is left is dropped, and the receive ends by itself.
            for chunk in mem::take(&mut connection.queue) {
                self.pool.give_back(chunk.buffer);
            }
            self.close_when_done(id);
            return Ok(());
        }
        chunk.start += result as u32;
        if chunk.start == chunk.end {
            let buffer = chunk.buffer;
            connection.queue.pop_front();
            self.pool.give_back(buffer);
        }
        self.close_when_done(id);
        self.send(id)
    }

    /// Closes when no operation of the connection is under way.
    fn close_when_done(&mut self, id: usize) {
        let slot = &mut self.connections[id];
        if slot.as_ref().is_some_and(|c| !c.receives && c.queue.is_empty()) {
            *slot = None;
        }
    }

    /// Has the starving receive again, as many as there are buffers that we do not hold.
    fn feed(&mut self) -> io::Result<()> {
        for _ in self.pool.held..self.pool.buffers.count {
            let Some(id) = self.starving.pop_front() else { break };
            self.receive(id)?;
        }
        Ok(())
    }

    fn push(&mut self, entry: squeue::Entry) -> io::Result<()> {
        loop {
            // SAFETY: a send's bytes are in the pool, which outlives the ring, in a buffer that the
            // kernel gets back only when the send is complete; its socket is closed no earlier.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return Ok(());
            }
            interrupted_is_fine(self.ring.submit())?;
        }
    }
}

/// The ring of provided buffers, and their memory. Both live as long as the process.
struct Pool {
    buffers: Buffers,
    bytes: *mut u8,
    entries: *mut BufRingEntry,
    /// How many buffers have ever been put into the ring, as far as we know and the kernel does not.
    tail: u16,
    /// Buffers with received bytes.
    held: u16,
}

impl Pool {
    fn register(ring: &IoUring, buffers: Buffers) -> io::Result<Self> {
        let count = usize::from(buffers.count);
        let bytes = pages(count * (buffers.size as usize + GAP))?;
        let entries = pages(count * size_of::<BufRingEntry>())?.cast::<BufRingEntry>();
        // SAFETY: `entries` begins on a page, has room for `count` entries, and is never freed.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(
                entries as u64,
                buffers.count,
                GROUP,
                0,
            )?;
        }
        let mut pool = Self { buffers, bytes, entries, tail: 0, held: buffers.count };
        for buffer in 0..buffers.count {
            pool.give_back(buffer);
        }
        pool.publish();
        Ok(pool)
    }

    fn at(&self, buffer: u16) -> *mut u8 {
        self.bytes.wrapping_add(usize::from(buffer) * (self.buffers.size as usize + GAP))
    }

    /// Puts a buffer back; the kernel sees it when it is published.
    fn give_back(&mut self, buffer: u16) {
        let place = usize::from(self.tail & (self.buffers.count - 1));
        let address = self.at(buffer) as u64;
        // SAFETY: `place` is below the count, the memory is zeroed or was written here before, and
        // the kernel does not look at entries behind the tail that it was shown.
        let entry = unsafe { &mut *self.entries.add(place) };
        entry.set_addr(address);
        entry.set_len(self.buffers.size);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        self.held -= 1;
    }

    fn publish(&self) {
        // SAFETY: the ring's tail lies in its first entry, aligned and never freed, and is written
        // by nobody else.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

/// Zeroed memory that begins on a page, for as long as the process lives.
fn pages(length: usize) -> io::Result<*mut u8> {
    let (read_write, private) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
    // SAFETY: a new mapping, at a place of the kernel's choice, touches nothing that exists.
    let memory = unsafe { mmap_anonymous(ptr::null_mut(), length, read_write, private)? };
    Ok(memory.cast())
}

fn interrupted_is_fine(entered: io::Result<usize>) -> io::Result<()> {
    match entered {
        Err(e) if e.kind() != io::ErrorKind::Interrupted => Err(e),
        _ => Ok(()),
    }
}
