//! Guarantees 11 and 12, counted: memory and allocations of this process, and bytes searched.
//!
//! The counters are per thread and so per test; the allocator is why this is a test binary of its
//! own. What a search looks at is counted beside the search itself, in `framing::delimited`.
#![expect(unsafe_code, reason = "a counting allocator is an unsafe trait")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    io::{self, Read, Write},
    pin::pin,
    task::{Context, Poll, Waker},
};

use echo_core::{
    DEFAULT_READ_SIZE, Decoded, Decoder, Deframer, Delimited, Encoder, FixedLength, FrameError,
    Framing, LengthDelimited, Netstring, Polled, Raw, Receiver, RecvError, Sender,
    tokio as on_tokio,
};

struct Counting;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is handed to `System` unchanged, and its answer handed back unchanged; the
// counters are cells without destructors, which allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        shrunk(layout.size());
        // SAFETY: `at` came from `System` through this allocator, with this layout.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        shrunk(layout.size());
        grown(size);
        // SAFETY: `at` came from `System` through this allocator, with this layout; the caller
        // promises that `size` is valid.
        unsafe { System.realloc(at, layout, size) }
    }
}

fn grown(by: usize) {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    LIVE.set(LIVE.get().wrapping_add(by));
    PEAK.set(PEAK.get().max(LIVE.get()));
}

/// Wraps where a thread frees what another has allocated; only differences are looked at.
fn shrunk(by: usize) {
    LIVE.set(LIVE.get().wrapping_sub(by));
}

/// Reads the counters relative to its start.
struct Meter {
    live: usize,
}

impl Meter {
    fn start() -> Self {
        // Far from zero, so that frees of what was there before do not wrap.
        LIVE.set(1 << 40);
        PEAK.set(1 << 40);
        Self { live: 1 << 40 }
    }

    /// Bytes held now.
    fn live(&self) -> usize {
        LIVE.get() - self.live
    }

    /// The most bytes held at once.
    fn peak(&self) -> usize {
        PEAK.get() - self.live
    }

    /// Allocations during `work`.
    fn allocations(&self, work: impl FnOnce()) -> usize {
        let before = ALLOCATIONS.get();
        work();
        ALLOCATIONS.get() - before
    }
}

/// What a codec and a header take, beside the buffers.
const SMALL: usize = 64;

const MAX: usize = 256 << 10;

/// Gives its bytes in reads of at most `piece`, without holding memory; then EOF.
struct Source<F> {
    byte_at: F,
    at: usize,
    len: usize,
    piece: usize,
}

impl<F: Fn(usize) -> u8> Read for Source<F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = buf.len().min(self.piece).min(self.len - self.at);
        for (i, byte) in buf[..n].iter_mut().enumerate() {
            *byte = (self.byte_at)(self.at + i);
        }
        self.at += n;
        Ok(n)
    }
}

impl<F: Fn(usize) -> u8 + Unpin> tokio::io::AsyncRead for Source<F> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n = self.read(buf.initialize_unfilled())?;
        buf.advance(n);
        Poll::Ready(Ok(()))
    }
}

fn source<F: Fn(usize) -> u8>(len: usize, piece: usize, byte_at: F) -> Source<F> {
    Source { byte_at, at: 0, len, piece }
}

fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a source always has something to give"),
    }
}

#[test]
fn a_length_that_lies_allocates_nothing_for_its_claim() {
    // Claims 8 MiB, sends 100 bytes of it.
    let claim = (8_u32 << 20).to_be_bytes();
    let lie = |at: usize| claim.get(at).copied().unwrap_or(b'x');
    let meter = Meter::start();
    let mut receiver = Receiver::new(source(104, 50, lie), LengthDelimited::u32());
    let end = receiver.recv();
    assert!(
        matches!(end, Err(RecvError::Frame(FrameError::Truncated { got: 104, .. }))),
        "{end:?}"
    );
    assert!(meter.peak() <= DEFAULT_READ_SIZE, "{}", meter.peak());
    drop(receiver);

    let mut receiver = on_tokio::Receiver::new(source(104, 50, lie), LengthDelimited::u32());
    assert!(now(receiver.recv()).is_err());
    assert!(meter.peak() <= DEFAULT_READ_SIZE, "{}", meter.peak());
}

/// Receives until the end; what counts is the peak.
fn receive_all<D: Decoder>(reader: impl Read, decoder: D) {
    let mut receiver = Receiver::new(reader, decoder);
    loop {
        match receiver.recv() {
            Ok(Some(_)) | Err(RecvError::Frame(FrameError::TooLong { .. })) => {}
            Ok(None) | Err(RecvError::Frame(_)) => return,
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn memory_stays_under_max_and_header_and_one_read() {
    let bound = |decoder: &dyn Decoder| decoder.max_buffered().unwrap() + DEFAULT_READ_SIZE;
    let endless = |piece| source(8 * MAX, piece, |_| b'x');
    for piece in [1000, DEFAULT_READ_SIZE, usize::MAX] {
        let lines = Delimited::lines().max_payload(MAX);
        let most = bound(&lines);
        let meter = Meter::start();
        receive_all(endless(piece), lines);
        assert!(meter.peak() <= most, "endless line: {} of {most}", meter.peak());
        assert!(meter.peak() > MAX, "the limit was reached");

        let delimited = Delimited::by(&[b'x'; 300]).unwrap().max_payload(MAX);
        let most = bound(&delimited);
        // Always one byte short of the delimiter.
        let almost = source(8 * MAX, piece, |at| if at % 300 == 299 { b'y' } else { b'x' });
        let meter = Meter::start();
        receive_all(almost, delimited);
        assert!(meter.peak() <= most, "long delimiter: {} of {most}", meter.peak());

        // Frames of exactly the limit, one after the other, and half of one more.
        let frame = MAX + 4;
        let claim = u32::try_from(MAX).unwrap().to_be_bytes();
        let byte_at = move |at: usize| claim.get(at % frame).copied().unwrap_or(b'x');
        let codec = LengthDelimited::u32().max_payload(MAX);
        let most = bound(&codec);
        let meter = Meter::start();
        receive_all(source(3 * frame + frame / 2, piece, byte_at), codec);
        assert!(meter.peak() <= most, "full frames: {} of {most}", meter.peak());

        let mut receiver = Receiver::new(endless(piece), Raw);
        let meter = Meter::start();
        assert!(receiver.recv_to_end_within(MAX).is_err());
        let most = MAX + DEFAULT_READ_SIZE;
        assert!(meter.peak() <= most, "to the end: {} of {most}", meter.peak());
    }
}

#[test]
fn a_drip_holds_no_more_than_one_read() {
    let drip = || source(200_000, 1, |at| if at % 100 == 99 { b'\n' } else { b'x' });
    for lines in [Delimited::lines(), Delimited::lines().max_payload(10)] {
        let meter = Meter::start();
        receive_all(drip(), lines);
        assert_eq!(meter.peak(), DEFAULT_READ_SIZE);
    }
    // A frame of 200,000 bytes that is skipped.
    let claimed = |at: usize| b"200000:".get(at).copied().unwrap_or(b'x');
    let meter = Meter::start();
    receive_all(source(200_000, 1, claimed), Netstring::new().max_payload(10));
    assert_eq!(meter.peak(), DEFAULT_READ_SIZE);
}

#[test]
fn after_a_spike_the_buffer_returns_to_its_idle_size() {
    const SPIKE: usize = 8 << 20;
    // A frame of 8 MiB, then small ones of 12 bytes.
    let byte_at = |at: usize| {
        let (at, len) = if at < SPIKE + 4 { (at, SPIKE) } else { ((at - SPIKE - 4) % 12, 8) };
        u32::try_from(len).unwrap().to_be_bytes().get(at).copied().unwrap_or(b'x')
    };
    let len = SPIKE + 4 + 12 * 10_000;

    let meter = Meter::start();
    let mut receiver = Receiver::new(source(len, 60_000, byte_at), LengthDelimited::u32());
    assert_eq!(receiver.recv().unwrap().map(<[u8]>::len), Some(SPIKE));
    assert!(meter.live() >= SPIKE, "the frame is lent from the buffer");
    // What was read behind it is used up; with the first read after that, the memory is gone.
    for _ in 0..10_000 {
        assert_eq!(receiver.recv().unwrap().map(<[u8]>::len), Some(8));
    }
    assert!(meter.live() <= DEFAULT_READ_SIZE, "{}", meter.live());
    drop(receiver);

    let meter = Meter::start();
    let reader = source(len, 60_000, byte_at);
    let mut receiver = on_tokio::Receiver::new(reader, LengthDelimited::u32());
    for _ in 0..10_001 {
        assert!(now(receiver.recv()).unwrap().is_some());
    }
    assert!(meter.live() <= DEFAULT_READ_SIZE, "tokio: {}", meter.live());
}

#[test]
fn a_lent_frame_costs_no_allocation_in_steady_state() {
    for text in ["line", "delim:0d0a", "fixed:64", "u8", "u32", "u64le", "varint", "netstring"] {
        let codec = text.parse::<Framing>().unwrap().codec();
        let mut frame = Vec::new();
        codec.encode_to(&[b'x'; 64], &mut frame).unwrap();
        let byte_at = |at: usize| frame[at % frame.len()];
        let len = frame.len() * 20_000;
        let meter = Meter::start();

        let mut receiver = Receiver::new(source(len, 7_000, byte_at), codec.clone());
        receiver.recv().unwrap();
        let allocations = meter.allocations(|| {
            (1..20_000).for_each(|_| assert!(receiver.recv().unwrap().is_some()));
        });
        assert_eq!(allocations, 0, "{text}, blocking");

        let mut receiver = on_tokio::Receiver::new(source(len, 7_000, byte_at), codec.clone());
        now(receiver.recv()).unwrap();
        let allocations = meter.allocations(|| {
            (1..20_000).for_each(|_| assert!(now(receiver.recv()).unwrap().is_some()));
        });
        assert_eq!(allocations, 0, "{text}, tokio");
    }
}

#[test]
fn other_requests_cost_no_allocation_in_steady_state_either() {
    let byte_at = |at: usize| b"head\r\nbody"[at % 10];
    let meter = Meter::start();
    let mut receiver = Receiver::new(source(100_000, 777, byte_at), Raw);
    let mut both = || {
        assert_eq!(receiver.recv_until(b"\r\n").unwrap(), Some(&b"head"[..]));
        assert_eq!(receiver.recv_exact(4).unwrap(), b"body");
    };
    both();
    assert_eq!(meter.allocations(|| (1..10_000).for_each(|_| both())), 0);
}

#[test]
fn a_frame_sent_costs_no_allocation_in_steady_state() {
    let meter = Meter::start();
    let mut sender = Sender::new(io::sink(), LengthDelimited::u32());
    sender.send(b"first").unwrap();
    let sent = meter.allocations(|| (0..10_000).for_each(|_| sender.send(b"payload").unwrap()));
    assert_eq!(sent, 0);
    let mut sender = on_tokio::Sender::new(tokio::io::sink(), Netstring::new());
    now(sender.send(b"first")).unwrap();
    let sent =
        meter.allocations(|| (0..10_000).for_each(|_| now(sender.send(b"payload")).unwrap()));
    assert_eq!(sent, 0, "tokio");
}

#[test]
fn the_rest_of_a_large_frame_is_not_kept_when_it_is_out() {
    /// Takes half a frame, then nothing once, then everything.
    struct Half(usize);
    impl Write for Half {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0 += 1;
            match self.0 {
                1 => Ok(1),
                2 => Err(io::ErrorKind::WouldBlock.into()),
                _ => Ok(buf.len()),
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let payload = vec![b'x'; MAX];
    let meter = Meter::start();
    let mut sender = Sender::new(Half(0), LengthDelimited::u32());
    assert!(sender.send(&payload).is_err());
    assert!(meter.live() >= MAX, "the rest of the frame is with the sender");
    sender.flush().unwrap();
    assert!(meter.live() <= SMALL, "{}", meter.live());
}

/// Counts the bytes that a decoder is asked to look at for the first time, and all that it is shown.
struct Watched<D> {
    decoder: D,
    calls: usize,
}

impl<D: Decoder> Decoder for Watched<D> {
    fn decode(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        self.calls += 1;
        self.decoder.decode(src)
    }
}

#[test]
fn a_decoder_is_asked_a_bounded_number_of_times_per_read_and_frame() {
    let wire = b"5:hello,".repeat(1000);
    for piece in [1, 3, 8, 1000] {
        let mut deframer = Deframer::new(Watched { decoder: Netstring::new(), calls: 0 });
        let (mut frames, mut pushes) = (0, 0);
        for piece in wire.chunks(piece) {
            deframer.push(piece);
            pushes += 1;
            while let Ok(Polled::Frame(_)) = deframer.poll() {
                frames += 1;
            }
        }
        assert_eq!(frames, 1000);
        assert_eq!(deframer.decoder_mut().calls, frames + pushes, "in pieces of {piece}");
    }
}

#[test]
fn nothing_is_allocated_before_the_first_read() {
    let meter = Meter::start();
    let connections: [_; 100] =
        std::array::from_fn(|_| Receiver::new(io::empty(), FixedLength::new(9).unwrap()));
    assert!(meter.live() <= SMALL, "{}", meter.live());
    drop(connections);
}
