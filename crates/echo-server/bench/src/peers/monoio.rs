//! monoio: io_uring, one thread, buffers that are lent to the kernel.

use std::io;

use monoio::{
    IoUringDriver, RuntimeBuilder,
    io::{AsyncReadRent, AsyncWriteRentExt},
    net::{TcpListener, TcpStream},
};

use super::READ_SIZE;

pub(crate) fn serve() -> io::Result<()> {
    RuntimeBuilder::<IoUringDriver>::new().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        crate::announce(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            monoio::spawn(echo(stream));
        }
    })
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(READ_SIZE);
    loop {
        let (read, lent) = stream.read(buffer).await;
        if read? == 0 {
            return Ok(());
        }
        let (written, lent) = stream.write_all(lent).await;
        written?;
        buffer = lent;
        buffer.clear();
    }
}
