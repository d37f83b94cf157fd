//! smol: an executor of one thread.

use std::io;

use smol::{
    LocalExecutor,
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::READ_SIZE;

pub(crate) fn serve() -> io::Result<()> {
    let executor = LocalExecutor::new();
    smol::block_on(executor.run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        crate::announce(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            executor.spawn(echo(stream)).detach();
        }
    }))
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; READ_SIZE];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
    }
}
