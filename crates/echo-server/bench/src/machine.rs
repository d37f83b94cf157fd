//! Where and when it was measured: without that, a figure is a rumour.

use std::{env, fs, time::SystemTime};

use serde_json::{Value, json};

/// As one line for people, and as an object.
#[derive(Debug)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
    /// It decides about bulk: bbr paces what is sent with timers, even over loopback.
    congestion_control: String,
    date: String,
    command: String,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find(|line| line.starts_with("model name"));
        let model = model.and_then(|line| line.split_once(": ")).map_or("", |(_, name)| name);
        let is_virtual = cpuinfo.split_whitespace().any(|flag| flag == "hypervisor");
        let setting = |of| fs::read_to_string(of).unwrap_or_default().trim().to_owned();
        // Where programs are is of no use elsewhere.
        let name = |arg: String| arg.rsplit('/').next().map(str::to_owned).unwrap_or(arg);
        let args: Vec<String> = env::args().skip(1).map(name).collect();
        Self {
            processor: if is_virtual { format!("{model} (virtual)") } else { model.to_owned() },
            // Not those that this thread may use: it may be pinned.
            cores: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
            kernel: format!("Linux {}", setting("/proc/sys/kernel/osrelease")),
            congestion_control: setting("/proc/sys/net/ipv4/tcp_congestion_control"),
            date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            command: format!("echo-server-bench {}", args.join(" ")),
        }
    }

    pub(crate) fn told(&self) -> String {
        let Self { processor, cores, kernel, congestion_control, date, .. } = self;
        format!("{processor}, {cores} cores; {kernel}, {congestion_control}; {date}")
    }

    pub(crate) fn command(&self) -> &str {
        &self.command
    }

    pub(crate) fn to_json(&self) -> Value {
        let Self { processor, cores, kernel, congestion_control, date, command } = self;
        json!({
            "processor": processor, "cores": cores, "kernel": kernel,
            "congestion_control": congestion_control, "date": date, "command": command,
        })
    }
}
