//! A log of ours, read and written again by HdrHistogram_py.
//!
//! ```text
//! bench --hlog ──▶ ours.hlog ──▶ HdrHistogram_py: read, add up, write ──▶ theirs.hlog
//!                      └──▶ report --json ──▶ the same figures, bucket for bucket ◀──┘
//! ```

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use libtest_mimic::{Failed, Trial};

/// Adds up the lines of each tag, and writes what came of it as a log of its own.
const READ_AND_WRITE: &str = r#"
import sys
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

ours, theirs = sys.argv[1:]
reader = HistogramLogReader(ours, HdrHistogram(1, 3600 * 10**9, 3))
merged, lines = {}, 0
while True:
    interval = reader.get_next_interval_histogram()
    if interval is None:
        break
    lines += 1
    tag = interval.get_tag()
    if tag in merged:
        merged[tag].add(interval)
    else:
        merged[tag] = interval
with open(theirs, "w") as log:
    for tag, histogram in merged.items():
        text = histogram.encode().decode()
        top = histogram.get_max_value() / 1e6
        log.write("Tag=%s,0.0,1.0,%.3f,%s\n" % (tag, top, text))
print(lines)
"#;

/// The trial; ignored where the package is missing, unless it is required.
pub(crate) fn trial(required: bool) -> Trial {
    let python = python();
    let found = Command::new(&python).args(["-c", "import hdrh"]).output();
    let missing = !found.is_ok_and(|output| output.status.success());
    let name = "HdrHistogram_py reads our log, and we read what it makes of it";
    let name = if missing {
        format!("{name} (the Python package hdrhistogram is not installed)")
    } else {
        name.to_owned()
    };
    let run = move || if missing { Err("not installed".into()) } else { there_and_back(&python) };
    Trial::test(name, run).with_ignored_flag(missing && !required)
}

/// Where `.ci/run` puts it, else the one that is there.
fn python() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop/bin/python3");
    if own.exists() { own } else { "python3".into() }
}

fn there_and_back(python: &Path) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let (ours, theirs) = (folder.path().join("ours.hlog"), folder.path().join("theirs.hlog"));
    let (mut server, port) = crate::our_server()?;
    // Valid or not, what was measured is written down.
    Command::new(client())
        .args(["bench", "-q", "-c", "4", "-r", "2000", "-d", "3s", "--warmup", "0s", "--probe"])
        .arg(format!("127.0.0.1:{port}"))
        .arg("--hlog")
        .arg(&ours)
        .output()?;
    server.kill()?;
    server.wait()?;
    let output =
        Command::new(python).args(["-c", READ_AND_WRITE]).args([&ours, &theirs]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let log = std::fs::read_to_string(&ours)?;
    let lines = log.lines().filter(|line| line.starts_with("Tag=")).count();
    if String::from_utf8_lossy(&output.stdout).trim() != lines.to_string() {
        return Err(format!("{lines} lines written, {:?} read", output.stdout).into());
    }
    let (ours, theirs) = (figures(&ours)?, figures(&theirs)?);
    for tag in ["service_ns", "response_ns", "send_lag_ns", "probe_ns"] {
        // All of it: samples, percentiles, and every bucket.
        if ours[tag] != theirs[tag] || ours[tag]["samples"].as_u64().unwrap_or(0) == 0 {
            return Err(format!("{tag}: {} became {}", ours[tag], theirs[tag]).into());
        }
    }
    Ok(())
}

fn figures(log: &Path) -> Result<serde_json::Value, Failed> {
    let output = Command::new(client()).args(["report", "--json"]).arg(log).output()?;
    Ok(serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&output.stderr)))?)
}

fn client() -> &'static str {
    env!("CARGO_BIN_EXE_echo-client-under-test")
}
