//! The guide's four patterns, done right, against an echo service in the same process.
//!
//! `cargo run -p echo-core --example patterns`

use std::{
    error::Error,
    net::{Shutdown, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use echo_core::{DEFAULT_MAX_PAYLOAD, Raw, Receiver, Sender, WithDeadline, echo};

fn main() -> Result<(), Box<dyn Error>> {
    run()
}

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;

    // Pattern 4: the echo loop.
    let service = thread::spawn(move || -> Result<u64, Box<dyn Error + Send + Sync>> {
        let (stream, _) = listener.accept()?;
        let echoed = echo(&stream)?;
        stream.shutdown(Shutdown::Write)?;
        Ok(echoed.bytes)
    });

    let stream = TcpStream::connect(address)?;
    let mut sender = Sender::new(&stream, Raw);
    sender.send(b"\0\0\0\x05hello a line\r\nall the rest")?;
    stream.shutdown(Shutdown::Write)?;

    // A deadline for all of what follows, however slowly the bytes come.
    let mut receiver = Receiver::new(WithDeadline::new(&stream), Raw);
    receiver.get_mut().set_deadline(Some(Instant::now() + Duration::from_secs(10)));

    // Pattern 1: exactly so many bytes, in as many reads as it takes.
    let header = receiver.recv_exact(4)?.try_into()?;
    // A length is a claim of the peer: check it before it is asked for.
    let len = usize::try_from(u32::from_be_bytes(header))?;
    if len > DEFAULT_MAX_PAYLOAD {
        return Err("the peer announces too much".into());
    }
    let body = receiver.recv_exact(len)?;
    println!("fixed size:      {}", body.escape_ascii());
    assert_eq!(body, b"hello");

    // Pattern 2: until a delimiter; what came behind it is kept.
    let line = receiver.recv_until(b"\r\n")?.ok_or("closed before the line")?;
    println!("until delimiter: {}", line.escape_ascii());
    assert_eq!(line, b" a line");

    // Pattern 3: everything until the peer closes, with a limit.
    let rest = receiver.recv_to_end()?;
    println!("to the end:      {}", rest.escape_ascii());
    assert_eq!(rest, b"all the rest");

    let bytes = service.join().map_err(|_| "the service panicked")?.map_err(|e| e.to_string())?;
    println!("echoed:          {bytes} bytes");
    Ok(())
}
