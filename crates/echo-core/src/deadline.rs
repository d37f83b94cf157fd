//! Deadlines for blocking sockets.
//!
//! A socket's own timeout starts anew with every read, so a peer that drips one byte at a time holds
//! a reader for ever. A deadline is a point in time: [`WithDeadline`] gives each read and write only
//! what is left until then. This module is the one place in the crate that reads the clock.

use std::{
    io::{self, IoSlice, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// A socket whose blocking reads and writes can be told when to give up.
pub trait Timeouts {
    /// See [`TcpStream::set_read_timeout`].
    ///
    /// # Errors
    /// As the operating system reports.
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;

    /// See [`TcpStream::set_write_timeout`].
    ///
    /// # Errors
    /// As the operating system reports.
    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;
}

/// A socket on which every read and write ends at the same point in time.
///
/// Put it under a [`Receiver`](crate::Receiver) and a deadline covers whole frames: it does not move
/// while their bytes arrive. A frame that is already buffered needs no read, so it is returned even
/// when the deadline has passed. Without a deadline nothing is added to a read but one comparison.
///
/// ```no_run
/// use std::{net::TcpStream, time::{Duration, Instant}};
/// use echo_core::{Delimited, Receiver, WithDeadline};
///
/// let stream = WithDeadline::new(TcpStream::connect("127.0.0.1:65432")?);
/// let mut receiver = Receiver::new(stream, Delimited::lines());
/// receiver.get_mut().set_deadline(Some(Instant::now() + Duration::from_secs(2)));
/// let line = receiver.recv()?; // whole within two seconds, or `TimedOut`
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WithDeadline<S> {
    stream: S,
    deadline: Option<Instant>,
    /// Which of the socket's timeouts were set by us and have to be lifted without a deadline.
    read_is_armed: bool,
    write_is_armed: bool,
}

impl<S: Timeouts> WithDeadline<S> {
    /// No deadline yet.
    pub fn new(stream: S) -> Self {
        Self { stream, deadline: None, read_is_armed: false, write_is_armed: false }
    }

    /// Sets when reads and writes give up with [`io::ErrorKind::TimedOut`]; `None` waits for ever.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// The socket.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The socket, with a read or write timeout still on it if there was a deadline.
    pub fn into_inner(self) -> S {
        self.stream
    }

    fn arm_read(&mut self) -> io::Result<()> {
        if self.deadline.is_some() || self.read_is_armed {
            self.stream.set_read_timeout(self.remaining()?)?;
            self.read_is_armed = self.deadline.is_some();
        }
        Ok(())
    }

    fn arm_write(&mut self) -> io::Result<()> {
        if self.deadline.is_some() || self.write_is_armed {
            self.stream.set_write_timeout(self.remaining()?)?;
            self.write_is_armed = self.deadline.is_some();
        }
        Ok(())
    }

    /// What is left, never zero: the operating system takes a zero timeout for none.
    fn remaining(&self) -> io::Result<Option<Duration>> {
        let Some(deadline) = self.deadline else {
            return Ok(None);
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl<S: Timeouts + Read> Read for WithDeadline<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.arm_read()?;
        self.stream.read(buf)
    }
}

impl<S: Timeouts + Write> Write for WithDeadline<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.arm_write()?;
        self.stream.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.arm_write()?;
        self.stream.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

macro_rules! timeouts_of_socket {
    ($($socket:ty),*) => {$(
        impl Timeouts for $socket {
            fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                <$socket>::set_read_timeout(self, timeout)
            }

            fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                <$socket>::set_write_timeout(self, timeout)
            }
        }
    )*};
}

timeouts_of_socket!(TcpStream);
#[cfg(unix)]
timeouts_of_socket!(std::os::unix::net::UnixStream);

impl<T: Timeouts + ?Sized> Timeouts for &T {
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        (**self).set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        (**self).set_write_timeout(timeout)
    }
}
