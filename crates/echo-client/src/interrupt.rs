//! Ctrl-C: the first ends the run, which then tells what it has seen; the second ends the process.

use std::sync::{Arc, atomic::AtomicBool};

use anyhow::Context;
use echo_cli::exit;
use signal_hook::{consts::SIGINT, flag};

/// Set by the first SIGINT from here on.
///
/// # Errors
/// When the system lets us have no signal handler.
pub(crate) fn flag() -> anyhow::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    // In this order: the second is the one that finds it set.
    let code = i32::from(exit::INTERRUPTED);
    flag::register_conditional_shutdown(SIGINT, code, Arc::clone(&interrupted))
        .and_then(|_| flag::register(SIGINT, Arc::clone(&interrupted)))
        .context("cannot handle signals")?;
    Ok(interrupted)
}
