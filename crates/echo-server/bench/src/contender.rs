//! Who is measured: our server in its variants, the peers, and the bare loops.

use std::path::{Path, PathBuf};

use crate::{args::Who, foreign, server::this_program};

/// What a contender is to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Our server, and what `--server` adds.
    Ours,
    /// What somebody could use instead.
    Peer,
    /// A loop without limits, time or protocol: what the kernel allows.
    Bare,
}

/// A server that can be started.
#[derive(Debug, Clone)]
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) command: Vec<String>,
    /// Busy while it waits: compared with those that do the same.
    pub(crate) spins: bool,
    /// Has a process for each connection.
    pub(crate) forks: bool,
    /// Part of a quick run.
    pub(crate) is_key: bool,
    /// The most connections that it can have.
    pub(crate) max_connections: usize,
}

/// Those that can run here, and those that cannot, with the reason.
#[derive(Debug, Default)]
pub(crate) struct Field {
    pub(crate) present: Vec<Contender>,
    pub(crate) absent: Vec<(Contender, String)>,
}

/// The bare loops and the peers in this program: how `serve NAME` calls them, and how tables do.
const BARE: [(&str, &str); 7] = [
    ("bare-epoll", "bare epoll"),
    ("bare-epoll-spin", "bare epoll, spinning"),
    ("bare-uring", "bare io_uring"),
    ("bare-uring-large", "bare io_uring, 64 KiB"),
    ("bare-uring-spin", "bare io_uring, spinning"),
    ("bare-blocking", "bare blocking"),
    ("bare-splice", "bare splice"),
];
const PEERS: [(&str, &str); 7] = [
    ("tokio", "tokio"),
    ("tokio-current", "tokio current-thread"),
    ("monoio", "monoio"),
    ("smol", "smol"),
    ("glommio", "glommio"),
    ("compio", "compio"),
    ("threads", "std threads"),
];

/// The best of each kind, as far as we know: a quick run is about them, and so is that of scale.
const KEY: [&str; 11] = [
    "echo-server epoll",
    "echo-server uring",
    "echo-server epoll, spinning",
    "tokio current-thread",
    "monoio",
    "Asio",
    "Go net",
    "bare epoll",
    "bare epoll, spinning",
    "bare io_uring",
    "bare splice",
];

/// How many threads a process is asked to have.
const MAX_THREADS: usize = 10_000;

impl Contender {
    fn new(name: &str, kind: Kind, command: Vec<String>) -> Self {
        let spins = command.iter().any(|word| word.contains("spin"));
        Self {
            name: name.to_owned(),
            kind,
            command,
            spins,
            forks: false,
            is_key: KEY.contains(&name),
            max_connections: usize::MAX,
        }
    }

    /// `NAME=COMMAND ARGS`, as `--server` takes it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, command) = text.split_once('=').ok_or("NAME=COMMAND ARGS")?;
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if name.is_empty() || words.is_empty() {
            return Err("NAME=COMMAND ARGS".into());
        }
        Ok(Self { is_key: true, ..Self::new(name, Kind::Ours, words) })
    }
}

impl Field {
    /// One of those that are part of this program.
    pub(crate) fn bare_epoll() -> anyhow::Result<Contender> {
        let command = vec![this_program()?, "serve".to_owned(), BARE[0].0.to_owned()];
        Ok(Contender::new(BARE[0].1, Kind::Bare, command))
    }

    /// Everybody there is.
    pub(crate) fn gather(who: &Who) -> anyhow::Result<Self> {
        let mut field = Self::default();
        if let Some(program) = &who.ours {
            field.add_ours(program);
        }
        field.present.extend(who.server.iter().cloned());
        let me = this_program()?;
        for (kind, list) in [(Kind::Peer, &PEERS), (Kind::Bare, &BARE)] {
            for (word, name) in list {
                let command = vec![me.clone(), "serve".to_owned(), (*word).to_owned()];
                let mut contender = Contender::new(name, kind, command);
                if ["threads", "bare-blocking"].contains(word) {
                    contender.max_connections = MAX_THREADS;
                }
                field.present.push(contender);
            }
        }
        for peer in foreign::peers() {
            let contender = |command| Contender {
                forks: peer.forks(),
                max_connections: peer.max_connections,
                ..Contender::new(peer.name, Kind::Peer, command)
            };
            match peer.command() {
                Ok(command) => field.present.push(contender(command)),
                Err(why) => field.absent.push((contender(Vec::new()), format!("{why:#}"))),
            }
        }
        Ok(field)
    }

    /// Our server with each engine, and with spinning.
    fn add_ours(&mut self, program: &Path) {
        let base = ["-l", "tcp://127.0.0.1:0", "-q", "--max-connections", "20000"];
        let mut add = |name: &str, flags: &[&str]| {
            let program = PathBuf::from(program).to_string_lossy().into_owned();
            let mut words = vec![program];
            words.extend(base.iter().chain(flags).map(|word| (*word).to_owned()));
            let mut contender = Contender::new(name, Kind::Ours, words);
            if name.ends_with("threads") {
                contender.max_connections = MAX_THREADS;
            }
            self.present.push(contender);
        };
        for engine in ["epoll", "uring"] {
            let flags = ["--engine", engine, "--workers", "1"];
            add(&format!("echo-server {engine}"), &flags);
            let spinning = [&flags[..], &["--spin", "100us"]].concat();
            add(&format!("echo-server {engine}, spinning"), &spinning);
        }
        add("echo-server threads", &["--engine", "threads"]);
    }
}
