//! The standard library: a blocking thread per connection.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use super::READ_SIZE;

pub(crate) fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    crate::announce(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        thread::spawn(move || {
            stream.set_nodelay(true)?;
            echo(stream, READ_SIZE)
        });
    }
}

/// The blocking loop, of a peer and of a bare loop.
pub(crate) fn echo(mut stream: TcpStream, read_size: usize) -> io::Result<()> {
    let mut buffer = vec![0; read_size];
    loop {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n])?;
    }
}
