//! A remote procedure call: one length-prefixed frame each way.
//!
//! ```text
//! call:  +------------+-----------+------+      reply: +------------+----------+-------+
//!        | length u32 | method u8 | args |             | length u32 | status u8| value |
//!        +------------+-----------+------+             +------------+----------+-------+
//! ```
//!
//! `cargo run -p echo-core --example rpc`

use std::{
    error::Error,
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use echo_core::{
    Decoder, Encoder, FrameError, LengthDelimited, Receiver, RecvError, Sender, WithDeadline,
};

const REVERSE: u8 = 1;
const SUM: u8 = 2;
const OK: u8 = 0;
const FAILED: u8 = 1;

/// Either side refuses a larger frame: before it is sent, and before it is stored.
const MAX_FRAME: usize = 1 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    run()
}

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let mut client = Client::connect(serve()?)?;
    assert_eq!(client.call(REVERSE, b"stressed")?, b"desserts");
    assert_eq!(client.call(SUM, &[200, 100])?, 300_u32.to_be_bytes());
    // A call that the service refuses leaves the connection usable.
    assert_eq!(client.call(9, b"").map_err(|e| e.to_string()), Err("no method 9".into()));
    // So does one that is too large to be sent.
    assert!(client.call(REVERSE, &[0; MAX_FRAME]).is_err());
    assert_eq!(client.call(SUM, &[])?, [0; 4]);
    println!("five calls on one connection");
    Ok(())
}

fn framing() -> impl Decoder + Encoder {
    LengthDelimited::u32().max_payload(MAX_FRAME)
}

fn serve() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(&stream).map_err(|e| eprintln!("call failed: {e}")));
        }
    });
    Ok(address)
}

fn answer(stream: &TcpStream) -> Result<(), Box<dyn Error>> {
    let mut receiver = Receiver::new(stream, framing());
    let mut sender = Sender::new(stream, framing());
    loop {
        let reply = match receiver.recv() {
            Ok(None) => return Ok(()),
            Ok(Some(call)) => execute(call),
            // It is skipped, so the next call is still in step.
            Err(RecvError::Frame(e @ FrameError::TooLong { .. })) => Err(e.to_string()),
            Err(e) => return Err(e.into()),
        };
        let (status, value) = match reply {
            Ok(value) => (OK, value),
            Err(reason) => (FAILED, reason.into_bytes()),
        };
        sender.send(&[&[status][..], &value].concat())?;
    }
}

fn execute(call: &[u8]) -> Result<Vec<u8>, String> {
    match call.split_first() {
        Some((&REVERSE, args)) => Ok(args.iter().rev().copied().collect()),
        Some((&SUM, args)) => {
            Ok(args.iter().map(|n| u32::from(*n)).sum::<u32>().to_be_bytes().to_vec())
        }
        Some((method, _)) => Err(format!("no method {method}")),
        None => Err("an empty call".into()),
    }
}

struct Client<F: Decoder + Encoder> {
    receiver: Receiver<WithDeadline<TcpStream>, F>,
    sender: Sender<WithDeadline<TcpStream>, F>,
}

impl Client<LengthDelimited> {
    fn connect(address: SocketAddr) -> std::io::Result<Client<impl Decoder + Encoder>> {
        let stream = TcpStream::connect(address)?;
        Ok(Client {
            receiver: Receiver::new(WithDeadline::new(stream.try_clone()?), framing()),
            sender: Sender::new(WithDeadline::new(stream), framing()),
        })
    }
}

impl<F: Decoder + Encoder> Client<F> {
    /// Two seconds for the whole call, whatever drips.
    fn call(&mut self, method: u8, args: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
        let deadline = Some(Instant::now() + Duration::from_secs(2));
        self.sender.get_mut().set_deadline(deadline);
        self.receiver.get_mut().set_deadline(deadline);
        self.sender.send(&[&[method][..], args].concat())?;
        match self.receiver.recv()?.and_then(<[u8]>::split_first) {
            Some((&OK, value)) => Ok(value.to_vec()),
            Some((_, reason)) => Err(String::from_utf8_lossy(reason).into()),
            None => Err("no reply".into()),
        }
    }
}
