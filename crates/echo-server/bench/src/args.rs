//! The command line.

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::{Parser, Subcommand};

use crate::{
    cell::{Cell, MAX_CONNECTIONS},
    contender::Contender,
    loader::Times,
    turns::Rounds,
};

/// Until windows and buffers have their size.
const MIN_WARM_UP: Duration = Duration::from_millis(100);

/// What a quick run may take for all cells.
const QUICK: Duration = Duration::from_secs(115);

/// echo-server and echo-client beside their peers and beside bare loops, in one run.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) task: Task,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Servers in turns over the cells of the grid
    Server(GridArgs),
    /// Our load generator beside the minimal loop, and ping beside a bare one
    Client(ClientArgs),
    /// What a message and a byte cost each server as connections and messages grow
    Scale(GridArgs),
    /// What connections cost each server in memory
    Memory(MemoryArgs),
    /// The minimal load alone, on a server that is there already
    Load(LoadArgs),
    /// One message there and back, with nothing in between; prints the median in ns
    PingPong {
        target: SocketAddr,
        #[arg(long, default_value = "64")]
        bytes: usize,
        #[arg(long, default_value = "10000")]
        count: usize,
    },
    /// One of the peers or bare loops that are part of this program
    Serve { name: String },
    /// A command on one core, with all the descriptors there may be
    Pinned {
        #[arg(long)]
        core: usize,
        #[arg(last = true)]
        command: Vec<String>,
    },
}

/// Of everything that is measured in cells.
#[derive(Debug, clap::Args)]
pub(crate) struct GridArgs {
    #[command(flatten)]
    pub(crate) who: Who,

    #[command(flatten)]
    pub(crate) effort: Effort,

    #[command(flatten)]
    pub(crate) output: Output,

    /// These cells only: connections x bytes x messages in flight
    #[arg(long, value_name = "CELL", value_delimiter = ',')]
    only: Vec<Cell>,

    /// One page with plots, which needs nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ClientArgs {
    /// Our client's program
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) client: PathBuf,

    /// Our server's program, which is not needed here
    #[arg(long, value_name = "PROGRAM", hide = true)]
    ours: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) effort: Effort,

    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct MemoryArgs {
    #[command(flatten)]
    pub(crate) who: Who,

    /// How many connections, at most 19000
    #[arg(long, value_name = "N", default_value = "10000")]
    idle: usize,

    /// How many connections with a message in flight, at most 19000
    #[arg(long, value_name = "N", default_value = "1000")]
    active: usize,

    #[command(flatten)]
    pub(crate) output: Output,
}

/// How long everything is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Effort {
    /// Key cells and the best of each kind, in short rounds: measuring takes at most two minutes
    #[arg(long)]
    pub(crate) quick: bool,

    /// How often everybody is measured in each cell
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,

    /// How long one measurement takes, after a quarter of that for warming up
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
}

/// Where results go beside the terminal.
#[derive(Debug, clap::Args)]
pub(crate) struct Output {
    /// One JSON object per line
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Who takes part.
#[derive(Debug, clap::Args)]
pub(crate) struct Who {
    /// Our server's program, measured with each engine that it knows
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) ours: Option<PathBuf>,

    /// Our client's program, which carries the load
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) client: PathBuf,

    /// One more server; it prints `listening on tcp://ADDRESS` (repeatable)
    #[arg(long, value_name = "NAME=COMMAND ARGS", value_parser = Contender::parse)]
    pub(crate) server: Vec<Contender>,

    /// Only those whose name contains one of these, and those added with --server
    #[arg(long, value_name = "TEXT", value_delimiter = ',')]
    who: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LoadArgs {
    /// Where the server listens
    pub(crate) target: SocketAddr,

    /// Connections x bytes x messages in flight
    pub(crate) cell: Cell,

    /// How long it is measured
    #[arg(long, value_name = "SECONDS", default_value = "2")]
    seconds: f64,

    /// Load before that
    #[arg(long, value_name = "SECONDS", default_value = "0.5")]
    warm_up: f64,
}

impl GridArgs {
    /// Those that are asked for, or else the `usual` ones.
    pub(crate) fn cells(&self, usual: impl FnOnce(bool) -> Vec<Cell>) -> Vec<Cell> {
        if self.only.is_empty() { usual(self.effort.quick) } else { self.only.clone() }
    }
}

impl Effort {
    /// How often, when as many `cells` are still to be measured and `begin` was the beginning.
    pub(crate) fn rounds(&self, begin: Instant, cells: usize) -> Rounds {
        let at_most = self.rounds_of(5).at_most;
        let left = QUICK.saturating_sub(begin.elapsed());
        let share = left / u32::try_from(cells).unwrap_or(u32::MAX).max(1);
        Rounds { at_most, until: self.quick.then(|| Instant::now() + share) }
    }

    /// How often, unless told otherwise `usual` times, or 3 in a quick run.
    pub(crate) fn rounds_of(&self, usual: usize) -> Rounds {
        let at_most = self.rounds.unwrap_or(if self.quick { 3 } else { usual }).max(1);
        Rounds { at_most, until: None }
    }

    /// How long, unless told otherwise `usual` seconds, or 0.2 in a quick run.
    pub(crate) fn times(&self, usual: f64) -> Times {
        let seconds = self.seconds.unwrap_or(if self.quick { 0.2 } else { usual });
        let measure = seconds_of(seconds.max(0.01));
        Times { warm_up: (measure / 4).max(MIN_WARM_UP), measure }
    }
}

impl MemoryArgs {
    pub(crate) fn idle(&self) -> usize {
        self.idle.clamp(1, MAX_CONNECTIONS)
    }

    pub(crate) fn active(&self) -> usize {
        self.active.clamp(1, MAX_CONNECTIONS)
    }
}

impl LoadArgs {
    pub(crate) fn times(&self) -> Times {
        Times { warm_up: seconds_of(self.warm_up), measure: seconds_of(self.seconds) }
    }
}

impl Who {
    /// Whether a contender takes part; who was added by name always does.
    pub(crate) fn includes(&self, contender: &Contender) -> bool {
        self.who.is_empty()
            || self.who.iter().any(|text| contender.name.contains(text))
            || self.server.iter().any(|added| added.name == contender.name)
    }

    /// Whether nobody was chosen by name.
    pub(crate) fn is_anyone(&self) -> bool {
        self.who.is_empty()
    }
}

/// At most an hour.
fn seconds_of(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.clamp(0.0, 3600.0))
}
