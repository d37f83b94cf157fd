//! A thread per connection that blocks in one call and then in the other, on the smallest stack.

use std::{io, thread};

use crate::peers::threads::echo;

/// One read: a whole message of the largest kind.
const READ_SIZE: usize = 64 << 10;

/// The buffer is on the heap.
const STACK_SIZE: usize = 16 << 10;

pub(crate) fn serve() -> io::Result<()> {
    let listener = super::listener()?;
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        thread::Builder::new().stack_size(STACK_SIZE).spawn(|| echo(stream, READ_SIZE))?;
    }
}
