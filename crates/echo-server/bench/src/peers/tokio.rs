//! tokio: a task per connection.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};

use super::READ_SIZE;

pub(crate) fn multi_thread() -> io::Result<()> {
    serve(&Builder::new_multi_thread().enable_io().build()?)
}

pub(crate) fn current_thread() -> io::Result<()> {
    serve(&Builder::new_current_thread().enable_io().build()?)
}

fn serve(runtime: &Runtime) -> io::Result<()> {
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        crate::announce(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(echo(stream));
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
