//! A header, then a body, on tokio; see `header_body`.
//!
//! `cargo run -p echo-core --example header_body_tokio`

use std::{error::Error, time::Duration};

use echo_core::{Delimited, tokio::Receiver};
use tokio::{
    io::{AsyncRead, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

const MAX_LINE: usize = 8000;
const MAX_LINES: usize = 100;
const MAX_BODY: usize = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    run()
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let client = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"PUT /a HTTP/1.1\r\nHost: here\r\nContent-Len").await?;
        stream.write_all(b"gth: 11\r\n\r\nhello\r\nbodyGET /b HTTP/1.1\r\n\r\n").await?;
        stream.shutdown().await
    });

    let (stream, _) = listener.accept().await?;
    let mut receiver = Receiver::new(stream, Delimited::lines().max_payload(MAX_LINE));
    let mut requests = Vec::new();
    // Ten seconds for a whole request: a slow peer cannot hold the server.
    while let Some(request) =
        timeout(Duration::from_secs(10), read_request(&mut receiver)).await??
    {
        println!("{} with {} bytes", request.0, request.1.len());
        requests.push(request);
    }
    client.await??;
    assert_eq!(requests[0], ("PUT /a HTTP/1.1".into(), b"hello\r\nbody".to_vec()));
    assert_eq!(requests[1], ("GET /b HTTP/1.1".into(), Vec::new()));
    assert_eq!(requests.len(), 2);
    Ok(())
}

/// The next request's first line and body, or `None` when the peer has closed between two.
async fn read_request<R: AsyncRead + Unpin>(
    receiver: &mut Receiver<R, Delimited>,
) -> Result<Option<(String, Vec<u8>)>, Box<dyn Error>> {
    let Some(line) = receiver.recv().await? else { return Ok(None) };
    let line = std::str::from_utf8(line)?.to_owned();
    let mut len = 0;
    for _ in 0..MAX_LINES {
        match receiver.recv().await? {
            None => return Err("closed inside a header".into()),
            Some(b"") => return Ok(Some((line, receiver.recv_exact(len).await?.to_vec()))),
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
