//! Starts the binaries and waits for them, with a bound on every wait.
#![allow(dead_code, reason = "each suite uses a part of it")]

pub(crate) mod check;
pub(crate) mod engine;
pub(crate) mod peers;
pub(crate) mod place;
#[cfg(target_os = "linux")]
pub(crate) mod usage;

use std::{
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// The longest any test waits for anything: far more than a slow machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running `echo-server` on a port of its own, killed when dropped.
pub(crate) struct Server {
    child: Option<Child>,
    pid: Pid,
    /// As announced: `tcp://127.0.0.1:40123`; the first of them.
    pub(crate) endpoint: String,
    log: Mutex<mpsc::Receiver<String>>,
}

/// How a server has ended, and what it logged until then.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) log: String,
}

impl Server {
    /// Starts `echo-server --listen 127.0.0.1:0 ARGS`.
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut command = Command::new(server_path());
        command.args(["--listen", "127.0.0.1:0"]).args(args);
        Self::spawn(command)
    }

    /// Starts `echo-server ARGS` with these endpoints; returns where it listens.
    pub(crate) fn start_on<const N: usize>(
        endpoints: [&str; N],
        args: &[&str],
    ) -> (Self, [String; N]) {
        let mut command = Command::new(server_path());
        command.args(endpoints.iter().flat_map(|endpoint| ["--listen", endpoint])).args(args);
        let (server, announced) = Self::spawn_announcing(command);
        let mut bound = vec![server.endpoint.clone()];
        while bound.len() < N {
            let line = announced.recv_timeout(PATIENCE).expect("another endpoint");
            bound.push(line.strip_prefix("listening on ").expect("an endpoint").to_owned());
        }
        (server, bound.try_into().expect("as many as asked for"))
    }

    /// Starts a command that ends up as a server.
    pub(crate) fn spawn(command: Command) -> Self {
        Self::spawn_announcing(command).0
    }

    /// As [`spawn`](Self::spawn), with what it prints after the first endpoint.
    fn spawn_announcing(mut command: Command) -> (Self, mpsc::Receiver<String>) {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("NO_COLOR", "1");
        let mut child = command.spawn().expect("the server starts");
        let stdout = lines_of(child.stdout.take().expect("piped"));
        let announced = stdout.recv_timeout(PATIENCE).unwrap_or_default();
        let endpoint = announced.trim_end().strip_prefix("listening on ").unwrap_or_else(|| {
            let mut log = String::new();
            let _ = child.stderr.take().expect("piped").read_to_string(&mut log);
            panic!("announced '{announced}' instead of an endpoint: {log}")
        });
        let endpoint = endpoint.to_owned();
        let log = Mutex::new(lines_of(child.stderr.take().expect("piped")));
        let pid = Pid::from_child(&child);
        (Self { child: Some(child), pid, endpoint, log }, stdout)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        address(&self.endpoint)
    }

    /// A plain connection, which gives up after [`PATIENCE`].
    pub(crate) fn connect(&self) -> TcpStream {
        connect(&self.endpoint)
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("the server runs");
    }

    /// Waits for a log line that holds `text`; returns it.
    pub(crate) fn wait_for_log(&self, text: &str) -> String {
        let log = self.log.lock().expect("nobody panics with it");
        loop {
            let line = log.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no log line with '{text}'"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// SIGTERM, then [`wait`](Self::wait).
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits until the server has ended by itself.
    pub(crate) fn wait(mut self) -> Ended {
        let mut child = self.child.take().expect("not waited for yet");
        let (ended, status) = mpsc::channel();
        thread::spawn(move || ended.send(child.wait()));
        let status = status.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            let _ = kill_process(self.pid, Signal::KILL);
            panic!("the server does not end")
        });
        let status = status.expect("it was our child");
        let log = self.log.lock().expect("nobody panics with it").iter().collect::<Vec<_>>();
        Ended { status, log: log.join("\n") }
    }
}

/// A plain TCP connection, which gives up after [`PATIENCE`].
pub(crate) fn connect(endpoint: &str) -> TcpStream {
    let stream = TcpStream::connect(address(endpoint)).expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("takes a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("takes a timeout");
    stream
}

/// The address in `tcp://127.0.0.1:40123` or `udp://[::1]:40123`.
pub(crate) fn address(endpoint: &str) -> SocketAddr {
    let (_, address) = endpoint.split_once("://").expect("a scheme");
    address.parse().expect("an address")
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Ended {
    /// The number after `name=` in the last log line that has it.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let key = format!("{name}=");
        let (_, rest) =
            self.log.rsplit_once(&key).unwrap_or_else(|| panic!("no {key}: {}", self.log));
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    }
}

/// `echo-client ARGS` with the server as its default target.
pub(crate) fn client(server: &Server) -> assert_cmd::Command {
    let mut command = client_to_nowhere();
    command.env("ECHO_TARGET", &server.endpoint);
    command
}

/// `echo-client ARGS` without a default target of ours.
pub(crate) fn client_to_nowhere() -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(client_path());
    command.env_remove("ECHO_TARGET").env("NO_COLOR", "1").timeout(PATIENCE);
    command
}

pub(crate) fn server_path() -> &'static str {
    env!("CARGO_BIN_EXE_echo-server-under-test")
}

pub(crate) fn client_path() -> &'static str {
    env!("CARGO_BIN_EXE_echo-client-under-test")
}

/// What a child has said when it has ended, which it has to do by itself.
pub(crate) fn output_of(child: Child) -> Output {
    let pid = Pid::from_child(&child);
    let (ended, output) = mpsc::channel();
    thread::spawn(move || ended.send(child.wait_with_output()));
    let output = output.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        let _ = kill_process(pid, Signal::KILL);
        panic!("the child does not end")
    });
    output.expect("it was our child")
}

/// Bytes without a pattern that a defect could repeat unseen (xorshift, Marsaglia 2003).
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(len).collect()
}

/// The lines of a stream, read by a thread, so that who writes them never waits.
fn lines_of(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
