//! The drivers under one trait, and what each makes of a whole stream.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use echo_core::{
    Decoder, Encoder, FrameError, Receiver, RecvError, SendError, Sender, SwitchError,
    codec::{Compat, CompatError},
    testing::Event,
    tokio as on_tokio,
};
use futures_util::Stream as _;
use tokio_util::codec::FramedRead;

use super::{Reads, Writes};

/// A driver: a receiver and a sender with the same calls.
pub(crate) trait Driver {
    const NAME: &'static str;
    type Receiver<D: Decoder>: Receiving<D>;
    type Sender<E: Encoder>: Sending<E>;

    fn switch<D: Decoder, E: Decoder>(
        receiver: Self::Receiver<D>,
        decoder: E,
    ) -> Result<Self::Receiver<E>, (Self::Receiver<D>, SwitchError)>;
}

/// A receiver. A call that would wait is given up, and answers `TimedOut`.
pub(crate) trait Receiving<D> {
    fn new(reads: Reads, decoder: D) -> Self;
    fn recv(&mut self) -> Result<Option<Vec<u8>>, RecvError>;
    fn recv_exact(&mut self, len: usize) -> Result<Vec<u8>, RecvError>;
    fn recv_until(&mut self, delimiter: &[u8]) -> Result<Option<Vec<u8>>, RecvError>;
    fn recv_to_end_within(&mut self, max: usize) -> Result<Vec<u8>, RecvError>;
    fn recv_as(&mut self, decoder: &mut impl Decoder) -> Result<Option<Vec<u8>>, RecvError>;
    fn partial(&self) -> &[u8];
    /// Calls of the reader so far.
    fn reads(&self) -> usize;
    fn into_pending(self) -> Vec<u8>;
}

/// A sender. A call that would wait is given up, and answers `TimedOut`.
pub(crate) trait Sending<E> {
    fn new(writes: Writes, encoder: E) -> Self;
    fn send(&mut self, payload: &[u8]) -> Result<(), SendError>;
    fn flush(&mut self) -> Result<(), SendError>;
    fn has_unsent(&self) -> bool;
    fn into_parts(self) -> (Writes, Vec<u8>);
}

/// `echo_core::{Receiver, Sender}`.
pub(crate) struct Blocking;

impl Driver for Blocking {
    const NAME: &'static str = "blocking";
    type Receiver<D: Decoder> = Receiver<Reads, D>;
    type Sender<E: Encoder> = Sender<Writes, E>;

    fn switch<D: Decoder, E: Decoder>(
        receiver: Receiver<Reads, D>,
        decoder: E,
    ) -> Result<Receiver<Reads, E>, (Receiver<Reads, D>, SwitchError)> {
        receiver.switch(decoder)
    }
}

/// `echo_core::tokio::{Receiver, Sender}`. A future that waits is dropped at once, so every pause of a
/// script is a cancellation.
pub(crate) struct Tokio;

impl Driver for Tokio {
    const NAME: &'static str = "tokio";
    type Receiver<D: Decoder> = on_tokio::Receiver<Reads, D>;
    type Sender<E: Encoder> = on_tokio::Sender<Writes, E>;

    fn switch<D: Decoder, E: Decoder>(
        receiver: Self::Receiver<D>,
        decoder: E,
    ) -> Result<Self::Receiver<E>, (Self::Receiver<D>, SwitchError)> {
        receiver.switch(decoder)
    }
}

macro_rules! receiving {
    ($receiver:ty, $call:expr) => {
        impl<D: Decoder> Receiving<D> for $receiver {
            fn new(reads: Reads, decoder: D) -> Self {
                <$receiver>::new(reads, decoder)
            }

            fn recv(&mut self) -> Result<Option<Vec<u8>>, RecvError> {
                Ok($call(self.recv())?.map(Vec::from))
            }

            fn recv_exact(&mut self, len: usize) -> Result<Vec<u8>, RecvError> {
                Ok($call(self.recv_exact(len))?.to_vec())
            }

            fn recv_until(&mut self, delimiter: &[u8]) -> Result<Option<Vec<u8>>, RecvError> {
                Ok($call(self.recv_until(delimiter))?.map(Vec::from))
            }

            fn recv_to_end_within(&mut self, max: usize) -> Result<Vec<u8>, RecvError> {
                Ok($call(self.recv_to_end_within(max))?.to_vec())
            }

            fn recv_as(
                &mut self,
                decoder: &mut impl Decoder,
            ) -> Result<Option<Vec<u8>>, RecvError> {
                Ok($call(self.recv_as(decoder))?.map(Vec::from))
            }

            fn partial(&self) -> &[u8] {
                self.partial()
            }

            fn reads(&self) -> usize {
                self.get_ref().calls
            }

            fn into_pending(self) -> Vec<u8> {
                self.into_parts().2
            }
        }
    };
}

receiving!(Receiver<Reads, D>, std::convert::identity);
receiving!(on_tokio::Receiver<Reads, D>, |call| once(call).unwrap_or(Err(RecvError::TimedOut)));

impl<E: Encoder> Sending<E> for Sender<Writes, E> {
    fn new(writes: Writes, encoder: E) -> Self {
        Self::new(writes, encoder)
    }

    fn send(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.send(payload)
    }

    fn flush(&mut self) -> Result<(), SendError> {
        self.flush()
    }

    fn has_unsent(&self) -> bool {
        self.has_unsent()
    }

    fn into_parts(self) -> (Writes, Vec<u8>) {
        let (writes, _, unsent) = self.into_parts();
        (writes, unsent)
    }
}

impl<E: Encoder> Sending<E> for on_tokio::Sender<Writes, E> {
    fn new(writes: Writes, encoder: E) -> Self {
        Self::new(writes, encoder)
    }

    fn send(&mut self, payload: &[u8]) -> Result<(), SendError> {
        let before = self.frames_taken();
        let sent = once(self.send(payload));
        let taken = self.frames_taken() > before;
        sent.unwrap_or(Err(SendError::TimedOut { taken }))
    }

    fn flush(&mut self) -> Result<(), SendError> {
        once(self.flush()).unwrap_or(Err(SendError::TimedOut { taken: false }))
    }

    fn has_unsent(&self) -> bool {
        self.has_unsent()
    }

    fn into_parts(self) -> (Writes, Vec<u8>) {
        let (writes, _, unsent) = self.into_parts();
        (writes, unsent)
    }
}

/// Polls once; a future that waits is dropped.
fn once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// What a driver makes of a stream, pauses and all.
pub(super) fn events<R: Driver, D: Decoder>(decoder: D, reads: Reads) -> Vec<Event> {
    let mut receiver = R::Receiver::new(reads, decoder);
    let mut events = Vec::new();
    loop {
        match receiver.recv() {
            Ok(Some(payload)) => events.push(Event::Frame(payload)),
            Err(RecvError::TimedOut) => {}
            Err(RecvError::Frame(error)) if error.is_resumable() => {
                events.push(Event::Error(error));
            }
            Err(RecvError::Frame(error)) => {
                events.push(Event::Error(error));
                let again = receiver.recv();
                assert!(matches!(again, Err(RecvError::Frame(e)) if e == error), "{again:?}");
                if matches!(error, FrameError::Truncated { .. }) {
                    events.push(Event::Partial(receiver.partial().to_vec()));
                }
                return events;
            }
            Ok(None) => {
                let calls = receiver.reads();
                assert!(matches!(receiver.recv(), Ok(None)), "the end comes again");
                assert_eq!(receiver.reads(), calls, "nothing is read after the end");
                events.push(Event::Closed);
                return events;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// What a `Framed` of tokio-util with one of our codecs in it makes of a stream. It has no `partial`.
pub(super) fn events_in_framed<D: Decoder>(decoder: D, reads: Reads) -> Vec<Event> {
    let reads = Uninterrupted(reads); // `Framed` gives an interruption to its user
    let mut framed = pin!(FramedRead::new(reads, Compat::new(decoder).resumable()));
    let mut events = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match framed.as_mut().poll_next(&mut cx) {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(Ok(payload)))) => events.push(Event::Frame(payload.to_vec())),
            Poll::Ready(Some(Ok(Err(error)))) => events.push(Event::Error(error)),
            Poll::Ready(Some(Err(CompatError::Frame(error)))) => {
                events.push(Event::Error(error));
                assert!(matches!(framed.as_mut().poll_next(&mut cx), Poll::Ready(None)));
                return events;
            }
            Poll::Ready(Some(Err(error))) => panic!("{error:?}"),
            Poll::Ready(None) => {
                events.push(Event::Closed);
                return events;
            }
        }
    }
}

/// Leaves the interruptions out.
struct Uninterrupted(Reads);

impl tokio::io::AsyncRead for Uninterrupted {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        loop {
            match std::pin::Pin::new(&mut self.0).poll_read(cx, buf) {
                Poll::Ready(Err(e)) if e.kind() == std::io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}
