//! A program that serves, for as long as somebody holds it.
//!
//! ```text
//! xtask ──pipe──▶ sh, leader of a process group
//!                 ├── the program ── its workers, what it forks
//!                 └── read: when the pipe ends, kill -KILL the group
//! ```
//!
//! The pipe ends with us, however that comes about, so nothing is left running after an interrupt or
//! a crash either.

use std::{
    env,
    io::{BufRead, BufReader, ErrorKind, Read},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

/// How long a program may take until it serves.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Between two looks whether it does.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What is kept of what a program says, to tell why it does not serve.
const LOG_SIZE: u64 = 4 << 10;

/// Runs a program, and ends all of its group when the program or the pipe has ended.
const GUARD: &str = r#"{ "$@" </dev/null; kill -KILL 0; } & read -r _; kill -KILL 0"#;

/// Where daemons are, which the PATH of a user may not know.
const DAEMONS: &str = "/usr/sbin";

/// Ended with everything that it has started when dropped.
#[derive(Debug)]
pub(super) struct Program {
    guard: Child,
    log: Arc<Mutex<String>>,
}

/// How a port is asked whether somebody serves there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

impl Program {
    /// Starts a program that prints where it listens.
    pub(super) fn announcing(words: &[String]) -> anyhow::Result<(Self, SocketAddr)> {
        let mut program = Self::spawn(words)?;
        let stdout = program.guard.stdout.take().context("stdout is piped")?;
        let (tell, announced) = mpsc::channel();
        thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            let mut line = String::new();
            let _ = stdout.read_line(&mut line);
            let _ = tell.send(line);
            // Whatever it prints later must not stop it.
            let _ = std::io::copy(&mut stdout, &mut std::io::sink());
        });
        let line = announced.recv_timeout(READY_WITHIN).unwrap_or_default();
        let address = line.trim().rsplit([' ', '/']).next().unwrap_or_default().parse();
        match address {
            Ok(address) => Ok((program, address)),
            Err(_) => bail!("it announced '{}'; it said: {}", line.trim(), program.said()),
        }
    }

    /// Starts a program that has to serve on a port, and waits until it does.
    pub(super) fn on_port(
        words: &[String],
        protocol: Protocol,
        port: u16,
    ) -> anyhow::Result<(Self, SocketAddr)> {
        let mut program = Self::spawn(words)?;
        let stdout = program.guard.stdout.take().context("stdout is piped")?;
        thread::spawn(move || std::io::copy(&mut { stdout }, &mut std::io::sink()));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let deadline = Instant::now() + READY_WITHIN;
        while !serves(protocol, address) {
            if program.guard.try_wait()?.is_some() {
                bail!("it has ended; it said: {}", program.said());
            }
            if Instant::now() > deadline {
                bail!("it does not serve after {READY_WITHIN:?}; it said: {}", program.said());
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok((program, address))
    }

    fn spawn(words: &[String]) -> anyhow::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "sh"]).args(words).process_group(0);
        command.env("PATH", env::join_paths(folders()).context("PATH")?);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut guard = command.spawn().context("cannot run sh")?;
        let mut stderr = guard.stderr.take().context("stderr is piped")?;
        let log = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&log);
        thread::spawn(move || {
            let mut said = Vec::new();
            let _ = (&mut stderr).take(LOG_SIZE).read_to_end(&mut said);
            *kept.lock().unwrap_or_else(PoisonError::into_inner) =
                String::from_utf8_lossy(&said).into_owned();
            let _ = std::io::copy(&mut stderr, &mut std::io::sink());
        });
        Ok(Self { guard, log })
    }

    /// What it has said, once it has ended or said a lot.
    fn said(mut self) -> String {
        self.end();
        let log = Arc::clone(&self.log);
        let said = log.lock().unwrap_or_else(PoisonError::into_inner);
        said.trim().to_owned()
    }

    fn end(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether a program is installed.
pub(super) fn is_installed(program: &str) -> bool {
    folders().iter().any(|folder| folder.join(program).is_file())
}

fn folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain([PathBuf::from(DAEMONS)]).collect()
}

/// A port that is free at this moment. Who wants to use it finds out whether it still is.
pub(super) fn free_port(protocol: Protocol) -> anyhow::Result<u16> {
    let any = (Ipv4Addr::LOCALHOST, 0);
    let address = match protocol {
        Protocol::Tcp => TcpListener::bind(any)?.local_addr(),
        Protocol::Udp => UdpSocket::bind(any)?.local_addr(),
    };
    Ok(address?.port())
}

/// Whether somebody is there.
fn serves(protocol: Protocol, address: SocketAddr) -> bool {
    match protocol {
        // A socket that connects to a port of which it is itself the owner is connected to itself.
        Protocol::Tcp => TcpStream::connect(address)
            .is_ok_and(|stream| stream.local_addr().is_ok_and(|local| local != address)),
        Protocol::Udp => answers(address).unwrap_or(false),
    }
}

fn answers(address: SocketAddr) -> std::io::Result<bool> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(LOOK_AGAIN))?;
    socket.send(b"ready?")?;
    match socket.recv(&mut [0; 16]) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}
