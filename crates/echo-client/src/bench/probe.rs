//! One message at a time beside the load: what the load does to somebody else's latency.

use std::{
    io::{self, Read, Write},
    thread,
    time::Duration,
};

use socket2::Socket;

use super::{Probe, clock::Clock, histogram, plan::Plan};
use crate::{figures, pattern::Pattern};

/// Bytes of a message.
const SIZE: usize = 64;

/// Between one message's return and the next message: too rare to be part of the load.
const PAUSE: Duration = Duration::from_millis(10);

/// The probe's connection, in the pattern: none of the load has it.
const NUMBER: u32 = (1 << 24) - 1;

/// Sends and awaits one message after the other, from the start of the load until its end.
///
/// Waits at most `timeout` for a message.
pub(super) fn run(plan: &Plan, clock: Clock, mut stream: Socket, timeout: Duration) -> Probe {
    let mut probe = Probe { sent: 0, received: 0, rtt: histogram(), failed: None };
    let pattern = Pattern::new(super::flow::SEED, NUMBER);
    let result = (|| -> io::Result<()> {
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        clock.wait_for_start();
        let (mut sent, mut back) = ([0; SIZE], [0; SIZE]);
        for offset in (0..).step_by(SIZE) {
            pattern.fill(offset, &mut sent);
            let at = clock.now();
            if at >= plan.until() {
                break;
            }
            let measured = plan.measures(at);
            probe.sent += u64::from(measured);
            stream.write_all(&sent)?;
            stream.read_exact(&mut back)?;
            let took = clock.now() - at;
            if plan.verify && sent != back {
                return Err(io::Error::other("a message came back damaged"));
            }
            if measured {
                probe.received += 1;
                probe.rtt.saturating_record(took);
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    })();
    probe.failed = result.err().map(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("nothing came for {}", figures::duration(timeout))
        }
        _ => error.to_string(),
    });
    probe
}
