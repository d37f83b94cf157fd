//! A server that was started to be measured: on a core of its own, and gone when we are.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Read},
    mem,
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit},
    thread::{CpuSet, sched_setaffinity},
};

use crate::contender::Contender;

/// Servers run on this core, the load on the next one.
const SERVER_CORE: usize = 0;
pub(crate) const LOAD_CORE: usize = 1;

/// How long a server may take to say where it listens.
const START_PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// Between two attempts to connect to one that says so before it listens.
const ATTEMPT: Duration = Duration::from_millis(2);

/// The longest line in which it does.
const MAX_ANNOUNCEMENT: u64 = 256;

/// How long a server that has failed may take to end, and how much of what it said is read.
const LAST_WORDS: Duration = Duration::from_millis(50);
const MAX_LAST_WORDS: u64 = 4096;

/// A running server; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Its work is done in children: their clocks.
    children: Option<Mutex<Clocks>>,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a contender and waits until it listens.
    pub(crate) fn start(contender: &Contender) -> anyhow::Result<Self> {
        let mut command = pinned(SERVER_CORE, &contender.command)?;
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        // Until it listens, no address is right.
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let children = contender.forks.then(Mutex::default);
        let mut server = Self { child, children, address: nowhere };
        match announced(&mut server.child) {
            Ok(address) => server.address = address,
            Err(error) => return Err(server.end(error)),
        }
        if server.children.is_some() {
            server.until_it_listens()?;
        }
        Ok(server)
    }

    /// One that becomes another program could only say where that is going to listen.
    fn until_it_listens(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(START_PATIENCE.tv_sec as u64);
        while let Err(error) = TcpStream::connect(self.address) {
            ensure!(Instant::now() < deadline, "it does not listen: {error}");
            thread::sleep(ATTEMPT);
        }
        Ok(())
    }

    /// Ends it after an error: when it had ended by itself, what it said about that is the error.
    pub(crate) fn end(mut self, error: anyhow::Error) -> anyhow::Error {
        // One that ends right now gets the time to.
        thread::sleep(LAST_WORDS);
        let ended = self.child.try_wait().ok().flatten();
        let (Some(status), Some(stderr)) = (ended, self.child.stderr.take()) else { return error };
        let mut said = String::new();
        drop(stderr.take(MAX_LAST_WORDS).read_to_string(&mut said));
        let line = said.lines().map(str::trim).find(|line| !line.is_empty());
        error.context(format!("{status}: {}", line.unwrap_or("it said nothing")))
    }

    /// The time that all its threads and children, also those that have ended, were on a core.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let mut cpu = cpu_of(self.pid()).context("the server has ended")?;
        if let Some(clocks) = &self.children {
            let alive = children_of(self.pid()).filter_map(|child| Some((child, cpu_of(child)?)));
            cpu += clocks.lock().unwrap_or_else(PoisonError::into_inner).look(alive);
        }
        Ok(cpu)
    }

    /// Its memory, as the kernel counts it page by page.
    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid()))?;
        let bytes = |name: &str| -> anyhow::Result<u64> {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
            Ok(kilobytes.context("smaps_rollup is not as known")?.trim().parse::<u64>()? * 1024)
        };
        Ok(Memory { resident: bytes("Rss:")?, anonymous: bytes("Anonymous:")? })
    }

    fn pid(&self) -> libc::pid_t {
        self.child.id() as libc::pid_t
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What was last seen of the clocks of processes: one that has ended has none any more.
#[derive(Debug, Default)]
struct Clocks(HashMap<libc::pid_t, Duration>);

impl Clocks {
    /// Takes note of those who are alive; returns the time of all there were.
    fn look(&mut self, alive: impl Iterator<Item = (libc::pid_t, Duration)>) -> Duration {
        self.0.extend(alive);
        self.0.values().sum()
    }
}

/// What a server has in memory, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    /// What is its own: heap, stacks, and no pages of the program's file.
    pub(crate) anonymous: u64,
}

/// Reads `listening on tcp://ADDRESS` from its standard output.
fn announced(child: &mut Child) -> anyhow::Result<SocketAddr> {
    let stdout = child.stdout.as_mut().context("no standard output")?;
    let ready = poll(&mut [PollFd::new(stdout, PollFlags::IN)], Some(&START_PATIENCE))?;
    ensure!(ready > 0, "it does not say where it listens");
    let mut line = String::new();
    BufReader::new(stdout.take(MAX_ANNOUNCEMENT)).read_line(&mut line)?;
    let address = line.trim().strip_prefix("listening on tcp://");
    let address = address.with_context(|| format!("it said {line:?}, not where it listens"))?;
    Ok(address.parse()?)
}

/// The time that a process was on a core; none when it has ended.
fn cpu_of(pid: libc::pid_t) -> Option<Duration> {
    let mut clock = 0;
    // SAFETY: `clock` is a valid place for the answer, and the call keeps no pointer to it.
    let error = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
    if error != 0 {
        return None;
    }
    // SAFETY: a timespec is integers, for which all zeros is a value.
    let mut time: libc::timespec = unsafe { mem::zeroed() };
    // SAFETY: `time` is a valid place for the answer, and the call keeps no pointer to it.
    let error = unsafe { libc::clock_gettime(clock, &raw mut time) };
    (error == 0).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

fn children_of(pid: libc::pid_t) -> impl Iterator<Item = libc::pid_t> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(move |process| {
        let child = process.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(process.path().join("stat")).ok()?;
        // "child (any name) state parent ..."
        let parent = stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse();
        (parent == Ok(pid)).then_some(child)
    })
}

/// This program, to be started once more.
pub(crate) fn this_program() -> anyhow::Result<String> {
    Ok(std::env::current_exe()?.to_string_lossy().into_owned())
}

/// A command that is to run on one core, with all the descriptors there may be.
pub(crate) fn pinned(core: usize, words: &[String]) -> anyhow::Result<Command> {
    let mut command = Command::new(this_program()?);
    command.args(["pinned", "--core", &core.to_string(), "--"]).args(words);
    Ok(command)
}

/// Becomes a command: on one core, with all the descriptors there may be, ending when we end.
pub(crate) fn exec_pinned(core: usize, command: &[String]) -> anyhow::Error {
    let prepare = || -> anyhow::Result<Command> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        pin(core)?;
        raise_descriptors()?;
        let (program, args) = command.split_first().context("no command")?;
        let mut command = Command::new(program);
        command.args(args);
        Ok(command)
    };
    match prepare() {
        Ok(mut command) => {
            let error = command.exec();
            anyhow::Error::new(error).context(command.get_program().display().to_string())
        }
        Err(error) => error,
    }
}

/// Makes the rig itself run on the load's core, with all the descriptors there may be, until nobody
/// reads what it prints.
pub(crate) fn prepare() -> anyhow::Result<()> {
    // SAFETY: no thread runs yet, and the default action is no code of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    raise_descriptors()?;
    pin(LOAD_CORE)
}

/// Keeps this thread, and those it starts from now on, on one core.
fn pin(core: usize) -> anyhow::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores)
        .with_context(|| format!("cannot run on core {core}; two cores are needed"))
}

/// Lets this process have as many descriptors as the system allows.
fn raise_descriptors() -> anyhow::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_process_that_has_ended_is_not_taken_back() {
        let mut clocks = Clocks::default();
        let ms = Duration::from_millis;
        assert_eq!(clocks.look([(1, ms(5)), (2, ms(7))].into_iter()), ms(12));
        assert_eq!(clocks.look([(2, ms(9)), (3, ms(1))].into_iter()), ms(15));
        assert_eq!(clocks.look([].into_iter()), ms(15));
    }
}
