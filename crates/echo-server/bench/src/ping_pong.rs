//! One message there and back, again and again: a blocking write and a blocking read with a clock
//! around them and nothing else. `echo-client ping` is held against it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::ensure;

/// Round trips before those that count.
const WARM_UP: usize = 200;

/// Until an answer has to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// The median of so many round trips, in nanoseconds.
pub(crate) fn run(target: SocketAddr, bytes: usize, count: usize) -> anyhow::Result<u64> {
    let mut stream = TcpStream::connect(target)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut message = vec![0x5a; bytes];
    let mut echo = vec![0; bytes];
    let mut times = Vec::with_capacity(count);
    for at in 0..WARM_UP + count {
        message[0] = at as u8;
        let begin = Instant::now();
        stream.write_all(&message)?;
        stream.read_exact(&mut echo)?;
        let took = begin.elapsed();
        ensure!(echo == message, "what came back is not what was sent");
        if at >= WARM_UP {
            times.push(took.as_nanos() as u64);
        }
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
