//! Requests of all kinds, mixed on one connection.

use std::io::{self, ErrorKind, Read};

use echo_core::{Codec, Delimited, FrameError, Receiver, RecvError};

use super::input::Input;

#[derive(Debug, Clone, Copy)]
enum Request {
    Next,
    Exactly(usize),
    UntilLf,
    UntilAb,
    As,
    ToEnd(usize),
}

pub(crate) fn requests(data: &[u8]) {
    let mut input = Input(data);
    let codec = input.codec();
    let own = Delimited::by_any(&["a", "\n"]).expect("no empty delimiter").max_payload(4);
    let count = input.below(16);
    let requests: Vec<_> = (0..count).map(|_| request(&mut input)).collect();
    let (pieces, wire) = (input.byte(), input.0);

    let dripping = Dripping { wire, piece: usize::from(pieces % 7) + 1, paused: false };
    let mut receiver = Connection::new(dripping, codec.clone(), own.clone());
    let mut answered = Vec::new();
    for request in requests {
        // What skips a frame has to end it. Every other request may be given up for another.
        let request = receiver.skipping.unwrap_or(request);
        let answer = loop {
            match receiver.ask(request) {
                Err(RecvError::TimedOut) if receiver.skipping.is_some() => {}
                Err(RecvError::TimedOut) => break None,
                answer => break Some(format!("{answer:?}")),
            }
        };
        answered.extend(answer.map(|answer| (request, answer)));
    }

    let mut receiver = Connection::new(wire, codec.clone(), own);
    for (request, answer) in &answered {
        let at_once = format!("{:?}", receiver.ask(*request));
        assert_eq!(
            *answer,
            at_once,
            "{request:?} of {answered:?}, {codec:?}, {}",
            wire.escape_ascii()
        );
    }
}

fn request(input: &mut Input<'_>) -> Request {
    match input.below(6) {
        0 => Request::Next,
        1 => Request::Exactly(input.below(6)),
        2 => Request::UntilLf,
        3 => Request::UntilAb,
        4 => Request::As,
        _ => Request::ToEnd(input.below(32)),
    }
}

struct Connection<R> {
    receiver: Receiver<R, Codec>,
    own: Delimited,
    /// The request that has given up a frame and has to skip the rest of it.
    skipping: Option<Request>,
}

impl<R: Read> Connection<R> {
    fn new(reader: R, codec: Codec, own: Delimited) -> Self {
        Self { receiver: Receiver::new(reader, codec), own, skipping: None }
    }

    fn ask(&mut self, request: Request) -> Result<Option<Vec<u8>>, RecvError> {
        let receiver = &mut self.receiver;
        let answer = match request {
            Request::Next => receiver.recv(),
            Request::Exactly(len) => receiver.recv_exact(len).map(Some),
            Request::UntilLf => receiver.recv_until(b"\n"),
            Request::UntilAb => receiver.recv_until(b"ab"),
            Request::As => receiver.recv_as(&mut self.own),
            Request::ToEnd(max) => receiver.recv_to_end_within(max).map(Some),
        };
        let answer = answer.map(|payload| payload.map(<[u8]>::to_vec));
        match (&answer, request) {
            // The bytes stay: nothing is skipped.
            (_, Request::ToEnd(_)) => {}
            (Err(RecvError::Frame(FrameError::TooLong { .. })), _) => self.skipping = Some(request),
            (Err(RecvError::TimedOut), _) => {}
            _ => self.skipping = None,
        }
        answer
    }
}

/// Gives a piece, then a pause, in turn.
struct Dripping<'a> {
    wire: &'a [u8],
    piece: usize,
    paused: bool,
}

impl Read for Dripping<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.paused = !self.paused;
        if self.paused {
            return Err(ErrorKind::WouldBlock.into());
        }
        let n = self.wire.len().min(self.piece).min(buf.len());
        let (piece, rest) = self.wire.split_at(n);
        buf[..n].copy_from_slice(piece);
        self.wire = rest;
        Ok(n)
    }
}
