//! glommio: io_uring, one executor on the core it finds itself on.

use std::io;

use glommio::{
    LocalExecutor,
    net::{TcpListener, TcpStream},
};

use super::futures_io;

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

async fn echo(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    futures_io::echo(stream).await
}
