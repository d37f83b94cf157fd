//! What a process uses of the system, as proc(5) tells it.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use rustix::process::Pid;

use super::PATIENCE;

/// Memory of its own that is resident, in bytes: heap and stacks, not the program's file.
pub(crate) fn anonymous_memory(pid: Pid) -> u64 {
    let path = format!("/proc/{}/status", pid.as_raw_nonzero());
    let status = fs::read_to_string(path).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).expect("a number of KiB");
    kib.parse::<u64>().expect("a number") << 10
}

pub(crate) fn open_descriptors(pid: Pid) -> usize {
    let path = format!("/proc/{}/fd", pid.as_raw_nonzero());
    fs::read_dir(path).expect("the process runs").count()
}

/// CPU time in clock ticks (a hundredth of a second): fields 14 and 15 of `stat`.
pub(crate) fn cpu_ticks(pid: Pid) -> u64 {
    let path = format!("/proc/{}/stat", pid.as_raw_nonzero());
    let stat = fs::read_to_string(path).expect("the process runs");
    let (_, after_name) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
}

/// Looks again and again until `holds`; fails when that takes too long.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
