//! What `echo-client check` has to say about a target.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use serde_json::Value;

/// A run of the battery.
#[derive(Debug)]
pub(super) struct Run {
    /// The failed checks, and what they have seen.
    pub(super) failed: BTreeMap<String, String>,
    /// Those that warned.
    pub(super) warned: BTreeMap<String, String>,
    /// The check that the service did not survive.
    pub(super) dead_after: Option<String>,
    pub(super) took: Duration,
}

/// Runs all checks.
///
/// # Errors
/// When there is no report: nobody listens, or the run was interrupted.
pub(super) fn run(client: &Path, target: &str) -> anyhow::Result<Run> {
    let mut command = Command::new(client);
    // All of it, however many checks have to wait.
    command.args(["check", "--json", "--deadline", "5m", target]).stdin(Stdio::null());
    let output = command.output().context("cannot run echo-client")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("no report ({}): {}", output.status, said.trim()))?;
    ensure!(report["interrupted"] == false, "it was interrupted");
    let checks = report["checks"].as_array().context("a report has checks")?;
    let those = |outcome: &str| {
        let those = checks.iter().filter(|check| check["outcome"] == outcome);
        those.map(|check| (text(&check["id"]), text(&check["seen"]))).collect()
    };
    Ok(Run {
        failed: those("FAIL"),
        warned: those("WARN"),
        dead_after: report["dead_after"].as_array().and_then(|ids| ids.first()).map(text),
        took: Duration::from_nanos(report["elapsed_ns"].as_u64().unwrap_or_default()),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
