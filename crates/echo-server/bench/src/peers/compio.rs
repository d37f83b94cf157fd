//! compio: io_uring, one thread, buffers that are lent to the kernel.

use std::io;

use compio::{
    BufResult,
    buf::{IntoInner, IoBuf},
    io::{AsyncRead, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

use super::READ_SIZE;

pub(crate) fn serve() -> io::Result<()> {
    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        crate::announce(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            compio::runtime::spawn(echo(stream)).detach();
        }
    })
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(READ_SIZE);
    loop {
        let BufResult(read, lent) = stream.read(buffer).await;
        let n = read?;
        if n == 0 {
            return Ok(());
        }
        let BufResult(written, lent) = stream.write_all(lent.slice(..n)).await;
        written?;
        buffer = lent.into_inner();
        buffer.clear();
    }
}
