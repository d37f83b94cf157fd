//! `cargo xtask interop`: `echo-client check` against the echo services that people have, and against
//! ours behind the proxies that they have.
//!
//! ```text
//! peers ──▶ program: started on a port of its own ──▶ battery: echo-client check --json
//!                                                        │
//!                          page: docs/interop.md ──▶ compared, or written anew
//! ```

mod battery;
mod page;
mod peers;
mod program;

use std::{
    collections::{BTreeMap, VecDeque},
    env,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    thread,
    time::Instant,
};

use anyhow::{Context, bail};

use self::{
    battery::Run,
    page::Expected,
    peers::{PEERS, Peer},
};
use crate::workspace::build;

/// Peers that are looked at side by side: a broken path is mostly waited for.
const AT_ONCE: usize = 4;

/// Set where everything has to be installed, as in CI.
const REQUIRED: &str = "ECHO_REQUIRE_INTEROP";

/// What to do.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Write what is seen into the table, instead of comparing it
    #[arg(long, conflicts_with = "only")]
    write: bool,
    /// Only the peers whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// Runs the battery against every peer.
///
/// # Errors
/// When a peer fails what it should pass, passes what it is known to fail, or does not start.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let start = Instant::now();
    let stage = Stage { server: build("echo-server")?, client: build("echo-client")? };
    let expected = if args.write { None } else { Some(page::read()?) };
    let is_asked = |peer: &&Peer| args.only.as_ref().is_none_or(|text| peer.name.contains(text));
    let (peers, missing): (Vec<&Peer>, Vec<_>) =
        PEERS.iter().filter(is_asked).partition(|peer| peer.missing().is_none());
    for peer in &missing {
        println!("SKIPPED: {}: {} is not installed", peer.name, peer.missing().unwrap_or_default());
    }
    if !missing.is_empty() && (args.write || env::var_os(REQUIRED).is_some()) {
        bail!("not everything is installed, see above");
    }
    let mut seen = Vec::new();
    let mut wrong = 0;
    for (peer, mut run) in stage.look_at(&peers, expected.as_ref()) {
        if run.is_err() {
            // What was seen may be the load's doing: theirs are programs that we do not mend.
            println!("AGAIN, alone: {}", peer.name);
            run = stage.look(peer, expected.as_ref());
            tell(peer, &run);
        }
        match run {
            Ok(run) => seen.push((peer, run)),
            Err(_) => wrong += 1,
        }
    }
    if wrong > 0 {
        bail!("{wrong} of {} peers are not as in docs/interop.md, see above", peers.len());
    }
    if args.write {
        page::write(&seen)?;
    }
    println!("{} peers after {:.0?}", seen.len(), start.elapsed());
    Ok(())
}

/// The two binaries.
struct Stage {
    server: PathBuf,
    client: PathBuf,
}

impl Stage {
    /// Looks at all of them, a few at a time, and tells of each; in their order.
    fn look_at<'a>(
        &self,
        peers: &[&'a Peer],
        expected: Option<&BTreeMap<String, Expected>>,
    ) -> Vec<(&'a Peer, anyhow::Result<Run>)> {
        let waiting: Mutex<VecDeque<_>> = Mutex::new(peers.iter().copied().enumerate().collect());
        let next = || lock(&waiting).pop_front();
        let done = Mutex::new(BTreeMap::new());
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    while let Some((at, peer)) = next() {
                        let run = self.look(peer, expected);
                        tell(peer, &run);
                        lock(&done).insert(at, (peer, run));
                    }
                });
            }
        });
        done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
    }

    fn look(
        &self,
        peer: &Peer,
        expected: Option<&BTreeMap<String, Expected>>,
    ) -> anyhow::Result<Run> {
        let running = peer.start(&self.server).context("it does not start")?;
        let run = battery::run(&self.client, &running.target)?;
        if let Some(expected) = expected {
            let expected = expected.get(peer.name).context("it is not in the table: --write")?;
            compare(peer, expected, &run)?;
        }
        Ok(run)
    }
}

/// Fails when a run is not as expected, and says where.
fn compare(peer: &Peer, expected: &Expected, run: &Run) -> anyhow::Result<()> {
    let is_fixed = |id: &&String| !peer.varies.contains(&&***id);
    let mut differences = Vec::new();
    for (id, seen) in &run.failed {
        if is_fixed(&id) && !expected.fails.contains(id) {
            differences.push(format!("{id} failed: {seen}"));
        }
    }
    for id in expected.fails.iter().filter(is_fixed) {
        if !run.failed.contains_key(id) {
            differences.push(format!("{id} did not fail"));
        }
    }
    if run.dead_after != expected.dead_after {
        let [seen, expected] =
            [&run.dead_after, &expected.dead_after].map(|id| id.as_deref().unwrap_or("none"));
        differences.push(format!("dead after {seen}, expected: {expected}"));
    }
    if !differences.is_empty() {
        bail!("not as in docs/interop.md:\n  {}", differences.join("\n  "));
    }
    Ok(())
}

fn tell(peer: &Peer, run: &anyhow::Result<Run>) {
    match run {
        Err(error) => println!("WRONG  {}: {error:#}", peer.name),
        Ok(run) => {
            let counts = format!("{} fail, {} warn", run.failed.len(), run.warned.len());
            println!("ok     {}: {counts} ({:.1?})", peer.name, run.took);
            for (id, seen) in run.failed.iter().chain(&run.warned) {
                println!("         {id}: {seen}");
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
