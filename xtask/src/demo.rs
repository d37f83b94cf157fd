//! `cargo xtask demo`: both binaries at work, and what each of them says.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::Instant,
};

use anyhow::{Context, ensure};

use crate::workspace::{build, shown};

const MESSAGE: &[u8] = b"Hello, server! This is a test.";

/// The stream of the last scene.
const STREAM_SIZE: usize = 64 << 20;

/// Shows every scene; the first that is not as it should be is an error.
pub(crate) fn run() -> anyhow::Result<()> {
    let stage = Stage { server: build("echo-server")?, client: build("echo-client")? };
    let start = Instant::now();
    stage.scene(&Scene {
        title: "The guide's message",
        server: &["-v"],
        client: &["-v"],
        input: None,
        expected: MESSAGE,
    })?;
    stage.scene(&Scene {
        title: "Lines: whole ones only, a stream of them through a pipe",
        server: &["-v", "--framing", "line"],
        client: &["send", "-f", "-", "--framing", "line"],
        input: Some(b"first line\nsecond line\n\nthe one before was empty\n"),
        expected: b"first line\nsecond line\n\nthe one before was empty\n",
    })?;
    stage.scene(&Scene {
        title: "Length-prefixed frames",
        server: &["-v", "--framing", "u32"],
        client: &["send", "-m", "a frame with its length before it", "--framing", "u32"],
        input: None,
        expected: b"a frame with its length before it",
    })?;
    let stream = noise(STREAM_SIZE);
    stage.scene(&Scene {
        title: "64 MiB both ways at once",
        server: &[],
        client: &["send", "-f", "-"],
        input: Some(&stream),
        expected: &stream,
    })?;
    println!("Everything came back identical ({:.1?}).", start.elapsed());
    Ok(())
}

/// One exchange between a server and a client.
struct Scene<'a> {
    title: &'a str,
    server: &'a [&'a str],
    client: &'a [&'a str],
    input: Option<&'a [u8]>,
    expected: &'a [u8],
}

/// The two binaries.
struct Stage {
    server: PathBuf,
    client: PathBuf,
}

impl Stage {
    fn scene(&self, scene: &Scene<'_>) -> anyhow::Result<()> {
        println!("== {}\n", scene.title);
        let server = Server::start(&self.server, scene.server)?;
        let mut command = Command::new(&self.client);
        command.args(scene.client).arg(&server.endpoint);
        let (returned, said, success) = exchange(&mut command, scene.input)?;
        let log = server.stop()?;

        println!("$ {}", server_line(scene.server));
        tell("server", &log);
        println!("$ {}", shown(&command));
        let text = String::from_utf8_lossy(&returned);
        let is_large = returned.len() > 1000;
        tell("client", &if is_large { format!("({} bytes)", returned.len()) } else { text.into() });
        tell("client", &said);
        println!();
        ensure!(success, "the client failed in the scene '{}'", scene.title);
        ensure!(returned == scene.expected, "other bytes came back in the scene '{}'", scene.title);
        Ok(())
    }
}

fn server_line(args: &[&str]) -> String {
    shown(Command::new("echo-server").args(["--listen", "127.0.0.1:0"]).args(args))
}

fn tell(who: &str, said: &str) {
    for line in said.lines() {
        println!("  {who} | {line}");
    }
}

/// Runs the client; returns its stdout, its stderr, and whether it succeeded.
fn exchange(
    command: &mut Command,
    input: Option<&[u8]>,
) -> anyhow::Result<(Vec<u8>, String, bool)> {
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = command.spawn().context("cannot start the client")?;
    let stdin = client.stdin.take();
    let output = thread::scope(|scope| {
        // Fed from the side: it returns bytes long before it has taken the last.
        scope.spawn(|| stdin.zip(input).map(|(mut stdin, input)| stdin.write_all(input)));
        client.wait_with_output()
    })?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((output.stdout, said, output.status.success()))
}

/// A running server, killed if the demo fails before it is stopped.
struct Server {
    child: Child,
    endpoint: String,
    log: Option<JoinHandle<String>>,
}

impl Server {
    fn start(path: &Path, args: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new(path)
            .args(["--listen", "127.0.0.1:0"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start the server")?;
        let mut stderr = child.stderr.take().context("stderr is piped")?;
        let log = thread::spawn(move || {
            let mut log = String::new();
            let _ = stderr.read_to_string(&mut log);
            log
        });
        let mut announced = String::new();
        BufReader::new(child.stdout.take().context("stdout is piped")?)
            .read_line(&mut announced)?;
        let endpoint = announced.trim_end().strip_prefix("listening on ").map(str::to_owned);
        let mut server = Self { child, endpoint: String::new(), log: Some(log) };
        server.endpoint = endpoint.context("the server does not listen")?;
        Ok(server)
    }

    /// Ends the server in order; returns what it has said.
    fn stop(mut self) -> anyhow::Result<String> {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        ensure!(asked.is_ok_and(|status| status.success()), "cannot send SIGTERM to the server");
        let status = self.child.wait()?;
        let log = self.log.take().and_then(|log| log.join().ok()).unwrap_or_default();
        ensure!(status.success(), "the server ended with {status}:\n{log}");
        Ok(format!("listening on {}\n{log}", self.endpoint))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes without a short period, so that a piece out of place shows (Knuth's multiplicative hash).
fn noise(len: usize) -> Vec<u8> {
    (0_u32..).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).take(len).collect()
}
