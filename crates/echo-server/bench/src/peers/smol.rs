//! smol: an executor of one thread.

use std::io;

use smol::{
    LocalExecutor,
    net::{TcpListener, TcpStream},
};

use super::futures_io;

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

async fn echo(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    futures_io::echo(stream).await
}
