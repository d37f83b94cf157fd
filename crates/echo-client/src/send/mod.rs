//! `send`: stream both ways at once, and check that what comes back is what went out.
//!
//! ```text
//! input ──▶ sending thread ──▶ socket ──▶ the path ──▶ socket ──▶ receiving thread ──▶ stdout
//!                 │                                                    ▲
//!                 └──────────▶ InFlight: sent, not yet back ───────────┘ compared here
//! ```
//!
//! Neither direction waits for the other, so no size of input can lock both up; what is in flight is
//! bounded. At the end of the input the sending side is closed, and the receiving side reads on.

mod args;
mod in_flight;
mod input;
mod verdict;

use std::{
    error::Error,
    io::{self, IsTerminal, Read, Write},
    net::Shutdown,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use echo_cli::{Endpoint, escaped, say};
use echo_core::{Codec, Framing, Receiver, RecvError, SendError, Sender};
use signal_hook::{consts::SIGINT, iterator::Signals};
use socket2::Socket;
use tracing::debug;

use crate::{Ending, args::Globals};
pub(crate) use args::SendArgs;
use in_flight::InFlight;
use input::Input;
pub use verdict::{End, Mismatch, Verdict};

/// How often the receiving side looks up from its socket.
const TICK: Duration = Duration::from_millis(50);

/// How long a peer that has returned everything may take to close, or to send too much.
const EXTRA_WAIT: Duration = Duration::from_millis(250);

/// How much of a stream is received at once.
const READ_SIZE: usize = 64 << 10;

/// How long the sending thread may take to notice that the peer has closed after the last byte.
const SENDER_GRACE: Duration = Duration::from_millis(100);

/// Sends the input, prints what returns, and judges.
///
/// # Errors
/// Usage and local errors, and [`ConnectError`](crate::ConnectError).
pub(crate) fn run(args: &SendArgs, globals: &Globals) -> anyhow::Result<Ending> {
    if matches!(args.target, Endpoint::Udp { .. }) {
        bail!("send needs a stream, and {} is none; use TCP or a Unix socket", args.target);
    }
    let codec = args.framing.codec()?;
    let input = Input::open(args)?;
    let exchange = Arc::new(Exchange {
        stream: globals.connector.connect(&args.target)?,
        in_flight: InFlight::new(args.framing.framing != Framing::Raw),
        interrupted: AtomicBool::new(false),
    });
    end_on_interrupt(&exchange).context("cannot handle signals")?;
    let start = Instant::now();
    let (sending, sending_codec) = (Arc::clone(&exchange), codec.clone());
    thread::Builder::new()
        .name("sending".into())
        .spawn(move || sending.send(input, sending_codec))
        .context("cannot start a thread")?;
    let end = exchange.receive(codec, globals.timeout);
    let elapsed = start.elapsed();
    // Wakes a sending thread that waits for the socket; one that waits for stdin ends with us.
    let _ = exchange.stream.shutdown(Shutdown::Both);
    exchange.in_flight.give_up();
    match exchange.in_flight.take_error() {
        Some(error) => Err(error),
        None => {
            let verdict = exchange.in_flight.verdict(end?, elapsed);
            let is_good = verdict.is_good();
            let last_words = match globals {
                _ if globals.json => Some(verdict.to_json(&args.target)),
                _ if is_good && globals.verbosity.quiet => None,
                _ => Some(format!("echo-client: {verdict}")),
            };
            Ok(Ending { is_good, last_words })
        }
    }
}

/// What both threads and the signal handler share.
struct Exchange {
    stream: Socket,
    in_flight: InFlight,
    interrupted: AtomicBool,
}

impl Exchange {
    /// Sends the whole input, then says that it was all.
    fn send(&self, mut input: Input, codec: Codec) {
        match self.send_all(&mut input, codec) {
            Ok(()) => {
                self.in_flight.all_sent();
                let _ = self.stream.shutdown(Shutdown::Write);
            }
            Err(Unsent::Connection(why)) => self.in_flight.cut_short(why),
            // What was sent before is still due.
            Err(Unsent::Input(error)) => {
                self.in_flight.fail(error);
                let _ = self.stream.shutdown(Shutdown::Write);
            }
        }
    }

    fn send_all(&self, input: &mut Input, codec: Codec) -> Result<(), Unsent> {
        let mut sender = Sender::new(&self.stream, codec);
        while let Some(payload) = input.next().map_err(Unsent::Input)? {
            // First, so that what comes back always finds what it is compared with.
            if !self.in_flight.push(payload) {
                return Err(Unsent::Connection("given up".to_owned()));
            }
            match sender.send(payload) {
                Ok(()) => debug!(bytes = payload.len(), data = %escaped(payload), "sent"),
                Err(SendError::Encode(error)) => {
                    let error = anyhow::Error::new(error);
                    let what = format!("cannot send {}", input.last_piece());
                    return Err(Unsent::Input(error.context(what)));
                }
                Err(error) => return Err(Unsent::Connection(innermost(&error))),
            }
        }
        Ok(())
    }

    /// Receives until everything is back, the peer closes, or nothing comes for `timeout`.
    fn receive(&self, codec: Codec, timeout: Duration) -> anyhow::Result<End> {
        self.stream.set_read_timeout(Some(TICK)).context("cannot set a timeout")?;
        let mut output = Output::new(&codec);
        let reader = Watched { stream: &self.stream, in_flight: &self.in_flight };
        let mut receiver = Receiver::with_read_size(reader, codec, READ_SIZE);
        let end = loop {
            match receiver.recv() {
                Ok(Some(payload)) => {
                    debug!(bytes = payload.len(), data = %escaped(payload), "received");
                    self.in_flight.compare(payload);
                    if !output.write(payload)? {
                        break End::OutputClosed;
                    }
                    // While nobody took our output, nobody looked whether something came.
                    self.in_flight.came_back();
                }
                Ok(None) => {
                    self.in_flight.wait_for_input_end(SENDER_GRACE);
                    break End::PeerClosed;
                }
                Err(RecvError::TimedOut) => {}
                Err(error) => break End::Failed(innermost(&error)),
            }
            // Also of a peer that never pauses.
            if let Some(end) = self.in_flight.patience(timeout, EXTRA_WAIT) {
                break end;
            }
        };
        output.finish();
        let interrupted = self.interrupted.load(Ordering::SeqCst);
        Ok(if interrupted { End::Interrupted } else { end })
    }
}

/// Why not all of the input was sent.
enum Unsent {
    /// The connection would not take it.
    Connection(String),
    /// It cannot be had, or not be sent in this framing.
    Input(anyhow::Error),
}

/// The socket; each byte that it brings shows that the path is alive.
struct Watched<'a> {
    stream: &'a Socket,
    in_flight: &'a InFlight,
}

impl Read for Watched<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(buf)?;
        if n > 0 {
            self.in_flight.came_back();
        }
        Ok(n)
    }
}

/// Returned bytes on stdout, at once: whoever types wants to see the answer.
struct Output {
    stdout: io::StdoutLock<'static>,
    /// What ends a line or record, as it was sent.
    delimiter: Vec<u8>,
    ends_mid_line: bool,
}

impl Output {
    fn new(codec: &Codec) -> Self {
        let delimiter = match codec {
            Codec::Delimited(codec) => codec.delimiter().to_vec(),
            _ => Vec::new(),
        };
        Self { stdout: io::stdout().lock(), delimiter, ends_mid_line: false }
    }

    /// False when nobody reads it any more.
    fn write(&mut self, payload: &[u8]) -> anyhow::Result<bool> {
        let last = self.delimiter.last().or(payload.last());
        self.ends_mid_line = last.map_or(self.ends_mid_line, |last| *last != b'\n');
        let written = self
            .stdout
            .write_all(payload)
            .and_then(|()| self.stdout.write_all(&self.delimiter))
            .and_then(|()| self.stdout.flush());
        match written {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(e) => Err(e).context("cannot write the returned bytes to stdout"),
        }
    }

    /// Keeps the verdict off the last line of text on a terminal.
    fn finish(&self) {
        if self.ends_mid_line && self.stdout.is_terminal() && io::stderr().is_terminal() {
            say(format_args!(""));
        }
    }
}

/// The first SIGINT ends the exchange, to be judged as far as it came; the second ends the process.
fn end_on_interrupt(exchange: &Arc<Exchange>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT])?;
    let exchange = Arc::clone(exchange);
    thread::Builder::new().name("signals".into()).spawn(move || {
        for _ in signals.forever() {
            if exchange.interrupted.swap(true, Ordering::SeqCst) {
                std::process::exit(i32::from(echo_cli::exit::INTERRUPTED));
            }
            let _ = exchange.stream.shutdown(Shutdown::Both);
        }
    })?;
    Ok(())
}

/// The innermost cause, in the system's words.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
