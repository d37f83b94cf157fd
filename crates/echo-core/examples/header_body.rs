//! A header, then a body, as HTTP/1 has them: lines up to an empty one, then so many bytes.
//!
//! Two ways of receiving take turns on one connection, request after request, and no byte is lost in
//! between. `cargo run -p echo-core --example header_body`. (A sketch of a reader, not an HTTP server.)

use std::{
    error::Error,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use echo_core::{Delimited, Receiver, WithDeadline};

/// One line of a header; RFC 9112 recommends 8000 octets for a request line.
const MAX_LINE: usize = 8000;
const MAX_LINES: usize = 100;
const MAX_BODY: usize = 1 << 20;

#[derive(Debug, PartialEq)]
struct Request {
    line: String,
    body: Vec<u8>,
}

fn main() -> Result<(), Box<dyn Error>> {
    run()
}

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let client = thread::spawn(move || -> std::io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"PUT /a HTTP/1.1\r\nHost: here\r\nContent-Len")?;
        stream.write_all(b"gth: 11\r\n\r\nhello\r\nbodyGET /b HTTP/1.1\r\nHost: here\r\n\r\n")?;
        stream.shutdown(Shutdown::Write)
    });

    let stream = WithDeadline::new(listener.accept()?.0);
    let mut receiver = Receiver::new(stream, Delimited::lines().max_payload(MAX_LINE));
    let mut requests = Vec::new();
    loop {
        // Ten seconds for a whole request: a slow peer cannot hold the server.
        receiver.get_mut().set_deadline(Some(Instant::now() + Duration::from_secs(10)));
        let Some(request) = read_request(&mut receiver)? else { break };
        println!("{} with {} bytes", request.line, request.body.len());
        requests.push(request);
    }
    client.join().map_err(|_| "the client panicked")??;
    assert_eq!(
        requests[0],
        Request { line: "PUT /a HTTP/1.1".into(), body: b"hello\r\nbody".to_vec() }
    );
    assert_eq!(requests[1], Request { line: "GET /b HTTP/1.1".into(), body: Vec::new() });
    assert_eq!(requests.len(), 2);
    Ok(())
}

/// The next request, or `None` when the peer has closed between two.
fn read_request<R: Read>(
    receiver: &mut Receiver<R, Delimited>,
) -> Result<Option<Request>, Box<dyn Error>> {
    let Some(line) = receiver.recv()? else { return Ok(None) };
    let line = std::str::from_utf8(line)?.to_owned();
    let mut len = 0;
    for _ in 0..MAX_LINES {
        match receiver.recv()? {
            None => return Err("closed inside a header".into()),
            Some(b"") => {
                let body = receiver.recv_exact(len)?.to_vec();
                return Ok(Some(Request { line, body }));
            }
            Some(field) => len = content_length(field)?.unwrap_or(len),
        }
    }
    Err("too many header lines".into())
}

fn content_length(field: &[u8]) -> Result<Option<usize>, Box<dyn Error>> {
    let (name, value) = std::str::from_utf8(field)?.split_once(':').ok_or("not a header field")?;
    if !name.eq_ignore_ascii_case("content-length") {
        return Ok(None);
    }
    let len = value.trim().parse()?;
    // A claim of the peer: exactly `len` bytes have no limit but this.
    if len > MAX_BODY { Err("body too large".into()) } else { Ok(Some(len)) }
}
