//! The pair against programs that everybody has: netcat (OpenBSD's and Nmap's), socat, Python and
//! curl; and the logs of `bench --hlog` against another implementation of HdrHistogram, that of Python.
//!
//! How other servers, and proxies, fare with `check`: `cargo xtask interop`.
//!
//! A program that is not installed shows as `ignored`, with its name. With `ECHO_REQUIRE_INTEROP`
//! set, as in CI, it is a failure instead.

mod histogram;

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use libtest_mimic::{Arguments, Failed, Trial};

/// The longest wait for a program that should end by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// Their clients, which have to wait for the answer after they have sent everything.
const CLIENTS: [(&str, &str, &[&str]); 4] = [
    ("nc", "OpenBSD netcat", &["nc", "-N", "HOST", "PORT"]),
    // Ncat goes on reading after its input has ended, for so long without a byte.
    ("ncat", "Ncat", &["ncat", "-i", "5s", "HOST", "PORT"]),
    ("socat", "socat", &["socat", "-t", "5", "-", "TCP:HOST:PORT"]),
    ("python3", "Python", &["python3", "-c", PYTHON, "HOST", "PORT"]),
];

/// Sends and receives at once, as who wants more back than fits on the way has to.
const PYTHON: &str = r#"
import shutil, socket, sys, threading

with socket.create_connection(sys.argv[1:]) as s:
    def send():
        with s.makefile("wb") as output:
            shutil.copyfileobj(sys.stdin.buffer, output)
        s.shutdown(socket.SHUT_WR)
    threading.Thread(target=send).start()
    while data := s.recv(65536):
        sys.stdout.buffer.write(data)
"#;

/// The guide's client, but for where its server is.
const GUIDE: &str = r#"
import socket, sys

with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
    s.connect((sys.argv[1], int(sys.argv[2])))
    message_to_send = b"Hello, server! This is a test."
    s.sendall(message_to_send)
    print(f"Sent to server: {message_to_send.decode('utf-8')}")
    data = s.recv(1024)
    print(f"Received from server: {data.decode('utf-8')}")
"#;

/// A client that stays when its input has ended, and never half-closes: it is ended. Telnet takes the
/// NUL after a CR for its own (RFC 854), so it gets text.
const TELNET: [&str; 4] = ["curl", "--silent", "--no-buffer", "telnet://HOST:PORT"];

/// Their servers, each for one connection. The port is one that was free a moment ago.
///
/// Not Ncat with `--exec`: it ends the program when the peer half-closes, and drops its answer.
const SERVERS: [(&str, &str, &[&str]); 1] =
    [("socat", "socat", &["socat", "TCP-LISTEN:PORT,bind=HOST,reuseaddr", "EXEC:cat"])];

fn main() {
    let required = std::env::var_os("ECHO_REQUIRE_INTEROP").is_some();
    let trial =
        |program: &'static str, name: String, test: fn(&[&str]) -> Result<(), Failed>, command| {
            let missing = !is_installed(program);
            let name = if missing { format!("{name} ({program} is not installed)") } else { name };
            let run = move || if missing { Err("not installed".into()) } else { test(command) };
            Trial::test(name, run).with_ignored_flag(missing && !required)
        };
    let clients = CLIENTS.into_iter().flat_map(|(program, title, command)| {
        [
            trial(program, format!("{title} gets exactly its bytes back"), small, command),
            trial(program, format!("{title} gets 8 MiB back"), large, command),
        ]
    });
    let servers = SERVERS.into_iter().map(|(program, title, command)| {
        trial(program, format!("echo-client finds {title} identical"), theirs, command)
    });
    let others = [
        trial("curl", "curl telnet:// gets 1 MB of text back".to_owned(), telnet, &TELNET),
        trial("python3", "the guide's client gets its message back".to_owned(), guide, &[]),
        histogram::trial(required),
    ];
    libtest_mimic::run(&Arguments::from_args(), clients.chain(servers).chain(others).collect())
        .exit();
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn small(command: &[&str]) -> Result<(), Failed> {
    exchange(command, b"abc")
}

fn large(command: &[&str]) -> Result<(), Failed> {
    let bytes: Vec<u8> =
        (0..8_u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    exchange(command, &bytes)
}

/// Pipes `sent` through their client to our server and back.
fn exchange(command: &[&str], sent: &[u8]) -> Result<(), Failed> {
    let (mut server, port) = our_server()?;
    let mut client = start(command, &port)?;
    let mut stdin = client.stdin.take().ok_or("piped")?;
    let returned = thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(sent));
        let mut returned = Vec::new();
        client.stdout.take().ok_or("piped")?.read_to_end(&mut returned)?;
        Ok::<_, Failed>(returned)
    })?;
    end(client)?;
    server.kill()?;
    server.wait()?;
    if returned != sent {
        return Err(format!("{} bytes sent, {} returned", sent.len(), returned.len()).into());
    }
    Ok(())
}

/// Types text into their client, which shows it as it comes back, and ends it then.
fn telnet(command: &[&str]) -> Result<(), Failed> {
    let sent: Vec<u8> = (0..100_000).flat_map(|i| format!("{i:08}\r\n").into_bytes()).collect();
    let (mut server, port) = our_server()?;
    let mut client = start(command, &port)?;
    let (stdin, stdout) = (client.stdin.take(), client.stdout.take());
    let (mut stdin, mut stdout) = (stdin.ok_or("piped")?, stdout.ok_or("piped")?);
    let typed = sent.clone();
    let typist = thread::spawn(move || -> io::Result<()> {
        stdin.write_all(&typed)?;
        // curl 7.88 at times waits for its input alone, and leaves what has come back unread.
        loop {
            stdin.write_all(b"\r\n")?;
            thread::sleep(Duration::from_millis(20));
        }
    });
    let mut returned = vec![0; sent.len()];
    let (done, result) = mpsc::channel();
    thread::spawn(move || done.send(stdout.read_exact(&mut returned).map(|()| returned)));
    let returned = result.recv_timeout(PATIENCE);
    client.kill()?;
    client.wait()?;
    server.kill()?;
    server.wait()?;
    let _gone = typist.join().map_err(|_| "the typist has panicked")?;
    if returned.map_err(|_| "not everything came back in time")?? != sent {
        return Err("other bytes came back".into());
    }
    Ok(())
}

/// Runs the guide's client.
fn guide(_: &[&str]) -> Result<(), Failed> {
    let (mut server, port) = our_server()?;
    let output = Command::new("python3").args(["-c", GUIDE, "127.0.0.1", &port]).output()?;
    server.kill()?;
    server.wait()?;
    let said = String::from_utf8_lossy(&output.stdout);
    if said.lines().last() != Some("Received from server: Hello, server! This is a test.") {
        return Err(format!("{said}{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(())
}

/// Our server, and its port.
fn our_server() -> Result<(Child, String), Failed> {
    let mut server = Command::new(env!("CARGO_BIN_EXE_echo-server-under-test"))
        .args(["--listen", "127.0.0.1:0", "-q"])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut announced = String::new();
    BufReader::new(server.stdout.take().ok_or("piped")?).read_line(&mut announced)?;
    let port = announced.trim().rsplit(':').next().unwrap_or_default();
    Ok((server, port.to_owned()))
}

/// Our client against their server.
fn theirs(command: &[&str]) -> Result<(), Failed> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut server = start(command, &port.to_string())?;
    // They do not say when they listen: ask until they do, or have ended.
    let output = loop {
        if let Some(status) = server.try_wait()? {
            return Err(format!("their server ended with {status}").into());
        }
        let client = Command::new(env!("CARGO_BIN_EXE_echo-client-under-test"))
            .args(["-m", "to another implementation", &format!("127.0.0.1:{port}")])
            .output()?;
        if !String::from_utf8_lossy(&client.stderr).contains("refused") {
            break client;
        }
    };
    end(server)?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || output.stdout != b"to another implementation" {
        return Err(format!("{said}").into());
    }
    Ok(())
}

fn start(command: &[&str], port: &str) -> Result<Child, Failed> {
    let words: Vec<String> = command
        .iter()
        .map(|word| word.replace("HOST", "127.0.0.1").replace("PORT", port))
        .collect();
    let (program, arguments) = words.split_first().ok_or("a program")?;
    Ok(Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?)
}

fn end(mut child: Child) -> Result<(), Failed> {
    drop(child.stdin.take());
    let (ended, status) = mpsc::channel();
    thread::spawn(move || ended.send(child.wait()));
    status.recv_timeout(PATIENCE).map_err(|_| "does not end")??;
    Ok(())
}
