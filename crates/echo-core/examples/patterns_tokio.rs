//! The guide's four patterns, done right, on tokio.
//!
//! `cargo run -p echo-core --example patterns_tokio`

use std::{error::Error, time::Duration};

use echo_core::{
    DEFAULT_MAX_PAYLOAD, Raw,
    tokio::{Receiver, Sender, echo},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    time::Instant,
};

fn main() -> Result<(), Box<dyn Error>> {
    run()
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;

    // Pattern 4: the echo loop.
    let service = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.map_err(|e| e.to_string())?;
        let (reader, mut writer) = stream.split();
        let echoed = echo(reader, &mut writer).await.map_err(|e| e.to_string())?;
        writer.shutdown().await.map_err(|e| e.to_string())?;
        Ok::<u64, String>(echoed.bytes)
    });

    let mut stream = TcpStream::connect(address).await?;
    let (reader, writer) = stream.split();
    let mut sender = Sender::new(writer, Raw);
    sender.send(b"\0\0\0\x05hello a line\r\nall the rest").await?;
    sender.shutdown().await?;

    // A deadline for all of what follows, however slowly the bytes come.
    let mut receiver = Receiver::new(reader, Raw);
    receiver.set_deadline(Some(Instant::now() + Duration::from_secs(10)));

    // Pattern 1: exactly so many bytes, in as many reads as it takes.
    let header = receiver.recv_exact(4).await?.try_into()?;
    // A length is a claim of the peer: check it before it is asked for.
    let len = usize::try_from(u32::from_be_bytes(header))?;
    if len > DEFAULT_MAX_PAYLOAD {
        return Err("the peer announces too much".into());
    }
    assert_eq!(receiver.recv_exact(len).await?, b"hello");

    // Pattern 2: until a delimiter; what came behind it is kept.
    assert_eq!(receiver.recv_until(b"\r\n").await?, Some(&b" a line"[..]));

    // Pattern 3: everything until the peer closes, with a limit.
    assert_eq!(receiver.recv_to_end().await?, b"all the rest");

    println!("echoed: {} bytes", service.await??);
    Ok(())
}
