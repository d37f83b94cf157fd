//! The flags of `report`.

use std::path::PathBuf;

use clap::Args;

/// `report`
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReportArgs {
    /// Logs of 'bench --hlog', or files with lines of 'bench --json'; stdin when it is -
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// Compare with these runs; may be given several times
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) baseline: Vec<PathBuf>,

    /// Write one page with plots, which needs no network; stdout when it is -
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  echo-client report monday-*.hlog                           merged, with the spread of the runs
  echo-client report new-*.hlog --baseline old-*.hlog        what has changed, and how surely
  echo-client report part-0.hlog part-1.hlog --html run.html one load from two machines

Instances of one load (bench --instance I/N) that ran at the same time are one run.";
