//! What the blocking and the tokio receiver share: received bytes, and the requests for them.
//!
//! ```text
//! loop: request.step(intake) -> Frame | Closed
//!                            -> NeedRead      read into request.space(intake), tell intake.took(n)
//! ```
//!
//! Everything that has to outlive a timeout or a dropped future is in the [`Intake`], never in the
//! loop around it.

use std::ops::Range;

use crate::{
    Decoded, Decoder, Deframer, Delimited, FrameError, Overfilled, RecvError, Span, SwitchError,
    deframer::Step,
};

/// A deframer on which requests of other kinds than "the next frame" can be made in between.
#[derive(Debug)]
pub(crate) struct Intake<D> {
    deframer: Deframer<D>,
    /// The decoder of [`Until`], kept so that asking again goes on where the last call stopped.
    until: Option<KnownDelimiter>,
    /// A frame that was asked for with another decoder than `D` is being skipped.
    skipping: bool,
}

#[derive(Debug)]
struct KnownDelimiter {
    delimiter: Box<[u8]>,
    decoder: Delimited,
}

impl<D: Decoder> Intake<D> {
    pub(crate) fn new(deframer: Deframer<D>) -> Self {
        Self { deframer, until: None, skipping: false }
    }

    /// The next frame, if it is whole and nothing is out of the ordinary. `None` says nothing yet:
    /// [`Next`] tells what is there.
    #[inline(always)]
    pub(crate) fn whole(&mut self) -> Option<Range<usize>> {
        if self.skipping { None } else { self.deframer.whole() }
    }

    /// The payload that a step has found.
    #[inline]
    pub(crate) fn frame(&self, payload: Range<usize>) -> &[u8] {
        self.deframer.frame(payload)
    }

    /// Takes note of a read of `n` bytes; 0 means EOF, as the space for it is never empty.
    #[inline]
    pub(crate) fn took(&mut self, n: usize) -> Result<(), Overfilled> {
        if n == 0 {
            self.deframer.close();
        }
        self.deframer.filled(n)
    }

    pub(crate) fn partial(&self) -> &[u8] {
        if self.skipping { &[] } else { self.deframer.partial() }
    }

    #[expect(clippy::result_large_err, reason = "the intake comes back, so that nothing is lost")]
    pub(crate) fn switch<E: Decoder>(self, decoder: E) -> Result<Intake<E>, (Self, SwitchError)> {
        let Self { deframer, until, skipping } = self;
        if skipping {
            return Err((Self { deframer, until, skipping }, SwitchError));
        }
        match deframer.switch(decoder) {
            Ok(deframer) => Ok(Intake { deframer, until, skipping }),
            Err((deframer, error)) => Err((Self { deframer, until, skipping }, error)),
        }
    }

    pub(crate) fn into_parts(self) -> (D, Vec<u8>) {
        self.deframer.into_parts()
    }
}

/// Something to receive.
pub(crate) trait Request<D> {
    /// Goes as far as the received bytes allow.
    fn step(&mut self, intake: &mut Intake<D>) -> Result<Step, RecvError>;

    /// Room for the read that a step has asked for, never empty.
    fn space<'a>(&self, intake: &'a mut Intake<D>) -> &'a mut [u8];
}

/// The next frame, as the intake's own decoder finds it.
pub(crate) struct Next;

impl<D: Decoder> Request<D> for Next {
    #[inline]
    fn step(&mut self, intake: &mut Intake<D>) -> Result<Step, RecvError> {
        if intake.skipping {
            return Err(SwitchError.into());
        }
        Ok(intake.deframer.step()?)
    }

    fn space<'a>(&self, intake: &'a mut Intake<D>) -> &'a mut [u8] {
        intake.deframer.space()
    }
}

/// One frame as another decoder finds it.
pub(crate) struct As<'d, E>(pub(crate) &'d mut E);

impl<D: Decoder, E: Decoder> Request<D> for As<'_, E> {
    fn step(&mut self, intake: &mut Intake<D>) -> Result<Step, RecvError> {
        step_as(&mut intake.deframer, &mut intake.skipping, self.0)
    }

    fn space<'a>(&self, intake: &'a mut Intake<D>) -> &'a mut [u8] {
        intake.deframer.space_for(self.0)
    }
}

/// Everything before a delimiter.
pub(crate) struct Until<'d>(pub(crate) &'d [u8]);

impl<D: Decoder> Request<D> for Until<'_> {
    fn step(&mut self, intake: &mut Intake<D>) -> Result<Step, RecvError> {
        let known = match &mut intake.until {
            Some(known) if *known.delimiter == *self.0 => known,
            // The one that skips is needed to find the end of what it skips.
            Some(known) if known.decoder.is_skipping() => return Err(SwitchError.into()),
            other => {
                let decoder = Delimited::by(self.0)?;
                other.insert(KnownDelimiter { delimiter: self.0.into(), decoder })
            }
        };
        step_as(&mut intake.deframer, &mut intake.skipping, &mut known.decoder)
    }

    fn space<'a>(&self, intake: &'a mut Intake<D>) -> &'a mut [u8] {
        match &intake.until {
            Some(known) => intake.deframer.space_for(&known.decoder),
            None => intake.deframer.space(),
        }
    }
}

fn step_as<D: Decoder>(
    deframer: &mut Deframer<D>,
    skipping: &mut bool,
    decoder: &mut impl Decoder,
) -> Result<Step, RecvError> {
    if deframer.is_skipping() || *skipping != decoder.is_skipping() {
        return Err(SwitchError.into());
    }
    let step = deframer.step_as(decoder);
    *skipping = decoder.is_skipping();
    Ok(step?)
}

/// One request for all there is.
pub(crate) struct ToEnd {
    pub(crate) max: usize,
}

impl Decoder for ToEnd {
    fn decode(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        if src.len() > self.max {
            return Err(FrameError::TooLong { max: self.max, len: None });
        }
        Ok(Decoded::NeedMore(1))
    }

    fn decode_eof(&mut self, src: &[u8]) -> Result<Decoded, FrameError> {
        self.decode(src)?;
        Ok(Decoded::Frame(Span { payload: 0..src.len(), consumed: src.len() }))
    }

    fn max_buffered(&self) -> Option<usize> {
        Some(self.max)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use super::*;
    use crate::{Raw, Receiver, framing::SCANNED};

    /// A byte, then nothing, in turn.
    struct Drip<'a> {
        wire: &'a [u8],
        paused: bool,
    }

    impl Drip<'_> {
        fn next(&mut self) -> Option<u8> {
            self.paused = !self.paused;
            if self.paused {
                return None;
            }
            let (first, rest) = self.wire.split_first().expect("nobody reads on");
            self.wire = rest;
            Some(*first)
        }
    }

    impl Read for Drip<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            buf[0] = self.next().ok_or(io::ErrorKind::WouldBlock)?;
            Ok(1)
        }
    }

    #[cfg(feature = "tokio")]
    impl ::tokio::io::AsyncRead for Drip<'_> {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buf: &mut ::tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            match self.next() {
                Some(byte) => buf.put_slice(&[byte]),
                None => return std::task::Poll::Pending,
            }
            std::task::Poll::Ready(Ok(()))
        }
    }

    /// Calls until it succeeds, and counts what has been searched.
    fn scanned(mut call: impl FnMut() -> bool) -> usize {
        SCANNED.set(0);
        while !call() {}
        SCANNED.get()
    }

    #[test]
    fn a_request_given_up_after_every_byte_searches_each_byte_once() {
        let mut wire = vec![b'x'; 20_000];
        wire.extend_from_slice(b"\r\n");
        let drip = || Drip { wire: &wire, paused: false };

        let mut receiver = Receiver::new(drip(), Delimited::lines());
        assert_eq!(scanned(|| receiver.recv().is_ok()), wire.len(), "recv");
        let mut receiver = Receiver::new(drip(), Raw);
        assert_eq!(scanned(|| receiver.recv_until(b"\r\n").is_ok()), wire.len(), "recv_until");
        let (mut receiver, mut lines) = (Receiver::new(drip(), Raw), Delimited::lines());
        assert_eq!(scanned(|| receiver.recv_as(&mut lines).is_ok()), wire.len(), "recv_as");

        #[cfg(feature = "tokio")]
        {
            use std::task::{Context, Waker};
            let mut cx = Context::from_waker(Waker::noop());
            let mut receiver = crate::tokio::Receiver::new(drip(), Delimited::lines());
            let dropped = || std::pin::pin!(receiver.recv()).poll(&mut cx).is_ready();
            assert_eq!(scanned(dropped), wire.len(), "recv on tokio");
            let mut receiver = crate::tokio::Receiver::new(drip(), Raw);
            let dropped = || std::pin::pin!(receiver.recv_until(b"\r\n")).poll(&mut cx).is_ready();
            assert_eq!(scanned(dropped), wire.len(), "recv_until on tokio");
        }
    }
}
