//! glommio: io_uring, one executor on the core it finds itself on.

use std::io;

use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
use glommio::{
    LocalExecutor,
    net::{TcpListener, TcpStream},
};

use super::READ_SIZE;

pub(crate) fn serve() -> io::Result<()> {
    LocalExecutor::default().run(async {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        crate::announce(listener.local_addr()?);
        loop {
            let stream = listener.accept().await?;
            glommio::spawn_local(echo(stream)).detach();
        }
    })
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
