//! The same remote procedure call on tokio; see `rpc` for what is on the wire.
//!
//! `cargo run -p echo-core --example rpc_tokio`

use std::{error::Error, net::SocketAddr, time::Duration};

use echo_core::{
    FrameError, LengthDelimited, RecvError,
    tokio::{Receiver, Sender},
};
use tokio::{
    net::{TcpListener, TcpStream, tcp},
    time::Instant,
};

const REVERSE: u8 = 1;
const OK: u8 = 0;
const FAILED: u8 = 1;
const MAX_FRAME: usize = 1 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    run()
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                if let Err(e) = answer(stream).await {
                    eprintln!("call failed: {e}");
                }
            });
        }
    });

    let mut client = Client::connect(address).await?;
    assert_eq!(client.call(REVERSE, b"stressed").await?, b"desserts");
    // A call that the service refuses leaves the connection usable.
    let refused = client.call(9, b"").await.map_err(|e| e.to_string());
    assert_eq!(refused, Err("no method 9".into()));
    assert_eq!(client.call(REVERSE, b"").await?, b"");
    println!("three calls on one connection");
    Ok(())
}

fn framing() -> LengthDelimited {
    LengthDelimited::u32().max_payload(MAX_FRAME)
}

async fn answer(mut stream: TcpStream) -> Result<(), Box<dyn Error>> {
    let (reader, writer) = stream.split();
    let mut receiver = Receiver::new(reader, framing());
    let mut sender = Sender::new(writer, framing());
    loop {
        let reply = match receiver.recv().await {
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
        sender.send(&[&[status][..], &value].concat()).await?;
    }
}

fn execute(call: &[u8]) -> Result<Vec<u8>, String> {
    match call.split_first() {
        Some((&REVERSE, args)) => Ok(args.iter().rev().copied().collect()),
        Some((method, _)) => Err(format!("no method {method}")),
        None => Err("an empty call".into()),
    }
}

struct Client {
    receiver: Receiver<tcp::OwnedReadHalf, LengthDelimited>,
    sender: Sender<tcp::OwnedWriteHalf, LengthDelimited>,
}

impl Client {
    async fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let (reader, writer) = TcpStream::connect(address).await?.into_split();
        Ok(Self {
            receiver: Receiver::new(reader, framing()),
            sender: Sender::new(writer, framing()),
        })
    }

    /// Two seconds for the whole call, whatever drips.
    async fn call(&mut self, method: u8, args: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
        let deadline = Some(Instant::now() + Duration::from_secs(2));
        self.sender.set_deadline(deadline);
        self.receiver.set_deadline(deadline);
        self.sender.send(&[&[method][..], args].concat()).await?;
        match self.receiver.recv().await?.and_then(<[u8]>::split_first) {
            Some((&OK, value)) => Ok(value.to_vec()),
            Some((_, reason)) => Err(String::from_utf8_lossy(reason).into()),
            None => Err("no reply".into()),
        }
    }
}
