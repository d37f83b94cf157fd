//! Whom the battery is run against.

use std::{fs, net::SocketAddr, path::Path};

use anyhow::Context;

use super::program::{Program, Protocol, free_port, is_installed};
use crate::workspace;

/// An echo service, or a path in front of ours.
#[derive(Debug)]
pub(super) struct Peer {
    /// As it stands in the table.
    pub(super) name: &'static str,
    /// What it needs, besides us.
    pub(super) needs: Option<&'static Needed>,
    protocol: Protocol,
    start: Start,
    /// Checks that come out now so and now so, depending on who is quicker.
    pub(super) varies: &'static [&'static str],
    /// Why it fails what it fails, for the table.
    pub(super) why: &'static str,
}

/// A program, and how it tells its version.
#[derive(Debug)]
pub(super) struct Needed {
    pub(super) program: &'static str,
    pub(super) version: &'static str,
}

/// How it is started.
#[derive(Debug)]
enum Start {
    /// `echo-server` itself.
    Ours,
    /// A Python script, by its path in the workspace; it announces its port.
    Script(&'static str),
    /// A command, whose words and configuration are filled in.
    Command(&'static [&'static str], Option<Config>),
}

/// A file in `peers/`, and what is filled in there besides
///
/// - `@PORT@`: where to listen
/// - `@BACKEND@`: our server's port, if it is a path that is to be looked at
/// - `@FOLDER@`: one of its own, `@CONFIG@`: this file in it
#[derive(Debug)]
struct Config {
    file: &'static str,
    values: &'static [(&'static str, &'static str)],
}

/// Our server, and what is started in front of it or in its place, as long as it is held.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) target: String,
    _programs: Vec<Program>,
    _folder: tempfile::TempDir,
}

/// Ports that are tried; each can be lost to somebody else before the program takes it.
const ATTEMPTS: usize = 5;

const XINETD: Needed = Needed { program: "xinetd", version: "-version" };
const SOCAT: Needed = Needed { program: "socat", version: "-V" };
const NCAT: Needed = Needed { program: "ncat", version: "--version" };
const PYTHON: Needed = Needed { program: "python3", version: "--version" };
const HAPROXY: Needed = Needed { program: "haproxy", version: "-v" };
const NGINX: Needed = Needed { program: "nginx", version: "-v" };

/// All programs.
pub(super) const PROGRAMS: [&Needed; 6] = [&XINETD, &SOCAT, &NCAT, &PYTHON, &HAPROXY, &NGINX];

const RUN_XINETD: &[&str] =
    &["xinetd", "-dontfork", "-f", "@CONFIG@", "-pidfile", "@FOLDER@/xinetd.pid"];
const RUN_HAPROXY: &[&str] = &["haproxy", "-q", "-db", "-f", "@CONFIG@"];
const RUN_NGINX: &[&str] = &["nginx", "-e", "stderr", "-c", "@CONFIG@"];

const XINETD_TCP: &[(&str, &str)] = &[
    ("@PROTOCOL@", "tcp"),
    ("@KIND@", "stream"),
    ("@WAIT@", "no"),
    ("@LIMITS@", "cps = 100000 1"),
];

const XINETD_UDP: &[(&str, &str)] = &[
    ("@PROTOCOL@", "udp"),
    ("@KIND@", "dgram"),
    ("@WAIT@", "yes"),
    ("@LIMITS@", "cps = 100000 1"),
];

/// In the order of the table; those that take longest begin.
pub(super) const PEERS: &[Peer] = &[
    Peer {
        name: "echo-server",
        needs: None,
        protocol: Protocol::Tcp,
        start: Start::Ours,
        varies: &[],
        why: "",
    },
    Peer {
        name: "socat EXEC:cat",
        needs: Some(&SOCAT),
        protocol: Protocol::Tcp,
        start: Start::Command(
            &["socat", "TCP-LISTEN:@PORT@,bind=127.0.0.1,fork", "EXEC:cat"],
            None,
        ),
        varies: &["conn.burst"],
        why: "a backlog of 5 and a process per connection; after a FIN it waits 0.5 s for what is still to come (`-t`), which is enough here; no `nodelay`",
    },
    Peer {
        name: "socat PIPE",
        needs: Some(&SOCAT),
        protocol: Protocol::Tcp,
        start: Start::Command(&["socat", "TCP-LISTEN:@PORT@,bind=127.0.0.1,fork", "PIPE"], None),
        varies: &[
            "big.both-ways",
            "big.one-mib",
            "big.write-first",
            "close.half-drain",
            "close.no-rst",
            "close.reset-isolated",
            "conn.burst",
            "conn.crosstalk",
            "flow.slow-reader",
            "stream.fragments",
            "stream.pipeline",
        ],
        why: "as above; and it waits for ever to write into its own pipe once that is full",
    },
    Peer {
        name: "ncat -e /bin/cat",
        needs: Some(&NCAT),
        protocol: Protocol::Tcp,
        start: Start::Command(&["ncat", "-k", "-e", "/bin/cat", "-l", "127.0.0.1", "@PORT@"], None),
        varies: &[
            "big.both-ways",
            "big.one-mib",
            "big.write-first",
            "close.eof-delay",
            "close.reset-isolated",
            "conn.crosstalk",
            "flow.slow-reader",
            "stream.fragments",
            "stream.pipeline",
        ],
        why: "at a FIN it ends the program and drops its answer; it writes to the program while that waits to be read, so both wait for ever once the pipes are full; at most 100 connections (`-m`)",
    },
    Peer {
        name: "xinetd's echo, TCP",
        needs: Some(&XINETD),
        protocol: Protocol::Tcp,
        start: Start::Command(RUN_XINETD, Some(Config { file: "xinetd.conf", values: XINETD_TCP })),
        varies: &[],
        why: "no TCP_NODELAY; run with `cps` lifted: by default more than 50 connections a second close its port for 10 s",
    },
    Peer {
        name: "xinetd's echo, UDP",
        needs: Some(&XINETD),
        protocol: Protocol::Udp,
        start: Start::Command(RUN_XINETD, Some(Config { file: "xinetd.conf", values: XINETD_UDP })),
        varies: &[],
        why: "it receives 2,048 bytes of a datagram at most; what comes while it answers another is lost; `cps` lifted as well",
    },
    Peer {
        name: "the guide's server",
        needs: Some(&PYTHON),
        protocol: Protocol::Tcp,
        start: Start::Script("xtask/src/interop/peers/guide.py"),
        varies: &[],
        why: "it decodes what it receives as UTF-8, each piece by itself, and an octet that is none ends the connection; one connection at a time",
    },
    Peer {
        name: "the guide's loop",
        needs: Some(&PYTHON),
        protocol: Protocol::Tcp,
        start: Start::Script("xtask/src/interop/peers/guide_loop.py"),
        varies: &[],
        why: "one connection at a time: whoever stays blocks all others; no TCP_NODELAY",
    },
    Peer {
        name: "Python asyncio, protocol",
        needs: Some(&PYTHON),
        protocol: Protocol::Tcp,
        start: Start::Script("crates/echo-server/bench/foreign/asyncio_echo.py"),
        varies: &[],
        why: "`transport.write` never says that it is enough: what a writer sends that does not read is kept, without a limit",
    },
    Peer {
        name: "Python asyncio, streams",
        needs: Some(&PYTHON),
        protocol: Protocol::Tcp,
        start: Start::Script("xtask/src/interop/peers/asyncio_streams.py"),
        varies: &[],
        why: "`drain` waits",
    },
    Peer {
        name: "haproxy",
        needs: Some(&HAPROXY),
        protocol: Protocol::Tcp,
        start: Start::Command(
            RUN_HAPROXY,
            Some(Config { file: "haproxy.cfg", values: &[("@IDLE@", "50s")] }),
        ),
        varies: &[],
        why: "",
    },
    Peer {
        name: "haproxy, timeouts of 1 s",
        needs: Some(&HAPROXY),
        protocol: Protocol::Tcp,
        start: Start::Command(
            RUN_HAPROXY,
            Some(Config { file: "haproxy.cfg", values: &[("@IDLE@", "1s")] }),
        ),
        varies: &[],
        why: "`timeout client` and `timeout server` end an idle connection",
    },
    Peer {
        name: "nginx stream",
        needs: Some(&NGINX),
        protocol: Protocol::Tcp,
        start: Start::Command(
            RUN_NGINX,
            Some(Config { file: "nginx.conf", values: &[("@SETTINGS@", "")] }),
        ),
        varies: &["close.eof-delay"],
        why: "`proxy_half_close` is off by default: a FIN ends both directions, and the answer on its way is lost; 512 `worker_connections` are 255 clients",
    },
    Peer {
        name: "nginx stream, `proxy_half_close on`",
        needs: Some(&NGINX),
        protocol: Protocol::Tcp,
        start: Start::Command(
            RUN_NGINX,
            Some(Config { file: "nginx.conf", values: &[("@SETTINGS@", "proxy_half_close on;")] }),
        ),
        varies: &[],
        why: "512 `worker_connections` are 255 clients",
    },
    Peer {
        name: "nginx stream, `proxy_half_close on`, `proxy_timeout 1s`",
        needs: Some(&NGINX),
        protocol: Protocol::Tcp,
        start: Start::Command(
            RUN_NGINX,
            Some(Config {
                file: "nginx.conf",
                values: &[("@SETTINGS@", "proxy_half_close on; proxy_timeout 1s;")],
            }),
        ),
        varies: &[],
        why: "`proxy_timeout` ends an idle connection",
    },
];

impl Peer {
    /// The program that is not installed, if so.
    pub(super) fn missing(&self) -> Option<&'static str> {
        let program = self.needs?.program;
        (!is_installed(program)).then_some(program)
    }

    /// Starts it, and our server behind it where it is a path.
    pub(super) fn start(&self, server: &Path) -> anyhow::Result<Running> {
        let folder = tempfile::tempdir().context("no folder for it")?;
        let (address, programs) = match &self.start {
            Start::Ours => start_ours(server).map(|(ours, address)| (address, vec![ours]))?,
            Start::Script(path) => {
                let path = workspace::root().join(path).to_string_lossy().into_owned();
                let words = ["python3".to_owned(), "-u".to_owned(), path];
                let (program, address) = Program::announcing(&words)?;
                (address, vec![program])
            }
            Start::Command(words, config) => {
                self.start_command(words, config.as_ref(), folder.path(), server)?
            }
        };
        let scheme = if self.protocol == Protocol::Udp { "udp" } else { "tcp" };
        let target = format!("{scheme}://{address}");
        Ok(Running { target, _programs: programs, _folder: folder })
    }

    fn start_command(
        &self,
        words: &[&str],
        config: Option<&Config>,
        folder: &Path,
        server: &Path,
    ) -> anyhow::Result<(SocketAddr, Vec<Program>)> {
        let mut values = vec![("@FOLDER@", folder.to_string_lossy().into_owned())];
        let mut programs = Vec::new();
        let mut template = String::new();
        if let Some(Config { file, values: more }) = config {
            let path = workspace::root().join("xtask/src/interop/peers").join(file);
            template = fs::read_to_string(path).with_context(|| format!("cannot read {file}"))?;
            values.extend(more.iter().map(|&(key, value)| (key, value.to_owned())));
            values.push(("@CONFIG@", folder.join(file).to_string_lossy().into_owned()));
            if template.contains("@BACKEND@") {
                let (ours, address) = start_ours(server)?;
                programs.push(ours);
                values.push(("@BACKEND@", address.port().to_string()));
            }
        }
        let attempt = || {
            let port = free_port(self.protocol)?;
            let values = [&[("@PORT@", port.to_string())], &values[..]].concat();
            if let Some(Config { file, .. }) = config {
                fs::write(folder.join(file), fill(&template, &values))
                    .with_context(|| format!("cannot write {file}"))?;
            }
            let words: Vec<String> = words.iter().map(|word| fill(word, &values)).collect();
            Program::on_port(&words, self.protocol, port)
        };
        let mut started = attempt();
        for _ in 1..ATTEMPTS {
            started = started.or_else(|_| attempt());
        }
        let (program, address) = started?;
        // The path ends before what it leads to.
        programs.insert(0, program);
        Ok((address, programs))
    }
}

fn start_ours(server: &Path) -> anyhow::Result<(Program, SocketAddr)> {
    let words = [&*server.to_string_lossy(), "--listen", "127.0.0.1:0", "-q"].map(str::to_owned);
    Program::announcing(&words).context("echo-server")
}

fn fill(text: &str, values: &[(&str, String)]) -> String {
    values.iter().fold(text.to_owned(), |text, (key, value)| text.replace(key, value))
}
