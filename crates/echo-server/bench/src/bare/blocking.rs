//! A thread per connection that blocks in one call and then in the other, on the smallest stack.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    thread,
};

/// One read: a whole message of the largest kind.
const READ_SIZE: usize = 64 << 10;

/// The buffer is on the heap.
const STACK_SIZE: usize = 16 << 10;

pub(crate) fn serve() -> io::Result<()> {
    let listener = super::listener()?;
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        thread::Builder::new().stack_size(STACK_SIZE).spawn(|| echo(stream))?;
    }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; READ_SIZE];
    loop {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n])?;
    }
}
