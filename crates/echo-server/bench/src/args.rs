//! The command line.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};

use crate::{
    cell::{Cell, GRID, KEY},
    contender::Contender,
    load::Times,
};

/// Until windows and buffers have their size.
const MIN_WARM_UP: Duration = Duration::from_millis(100);

/// echo-server beside its peers and beside bare loops, in one run.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) task: Option<Task>,

    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Contenders in turns over the cells of the grid (the default)
    Run(RunArgs),
    /// What idle connections cost each contender
    Memory(MemoryArgs),
    /// The load alone, on a server that is there already
    Load(LoadArgs),
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

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) who: Who,

    /// The six key cells, three short rounds, the best of each kind: under two minutes
    #[arg(long)]
    pub(crate) quick: bool,

    /// These cells only: connections x bytes x messages in flight
    #[arg(long, value_name = "CELL", value_delimiter = ',')]
    only: Vec<Cell>,

    /// How often each contender is measured in each cell
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,

    /// How long one measurement takes, after a quarter of that for warming up
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,

    /// One JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Who takes part.
#[derive(Debug, clap::Args)]
pub(crate) struct Who {
    /// Our server's program, measured with each engine that it knows
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) ours: Option<PathBuf>,

    /// One more server; it prints `listening on tcp://ADDRESS` (repeatable)
    #[arg(long, value_name = "NAME=COMMAND ARGS", value_parser = Contender::parse)]
    pub(crate) server: Vec<Contender>,

    /// Only those whose name contains one of these, and those added with --server
    #[arg(long, value_name = "TEXT", value_delimiter = ',')]
    who: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct MemoryArgs {
    #[command(flatten)]
    pub(crate) who: Who,

    /// How many connections, at most 19000
    #[arg(long, value_name = "N", default_value = "10000")]
    pub(crate) idle: usize,

    /// One JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LoadArgs {
    /// Where the server listens
    pub(crate) target: SocketAddr,

    /// Connections x bytes x messages in flight
    pub(crate) cell: Cell,

    /// How long it is measured, after a quarter of that for warming up
    #[arg(long, value_name = "SECONDS", default_value = "2")]
    seconds: f64,
}

impl RunArgs {
    pub(crate) fn cells(&self) -> Vec<Cell> {
        match (&*self.only, self.quick) {
            ([], true) => KEY.to_vec(),
            ([], false) => GRID.to_vec(),
            (only, _) => only.to_vec(),
        }
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 3 } else { 5 }).max(1)
    }

    pub(crate) fn times(&self) -> Times {
        times(self.seconds.unwrap_or(if self.quick { 0.2 } else { 1.0 }))
    }
}

impl LoadArgs {
    pub(crate) fn times(&self) -> Times {
        times(self.seconds)
    }
}

impl Who {
    /// Whether a contender takes part; who was added by name always does.
    pub(crate) fn includes(&self, contender: &Contender) -> bool {
        self.who.is_empty()
            || self.who.iter().any(|text| contender.name.contains(text))
            || self.server.iter().any(|added| added.name == contender.name)
    }
}

fn times(seconds: f64) -> Times {
    let measure = Duration::from_secs_f64(seconds.clamp(0.01, 3600.0));
    Times { warm_up: (measure / 4).max(MIN_WARM_UP), measure }
}
