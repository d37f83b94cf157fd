//! The README's transcripts, run as they stand there.
//!
//! A `console` block that starts the server stands for a terminal of its own: the server is up for
//! the blocks after it. Ports, times, durations and what is measured may differ, and a busy machine may
//! say that its figures are not valid; everything else may not.

use std::{fs, os::unix::fs::symlink, process::Command};

use crate::support::{Server, client_path, server_path};

/// A command and the lines that the README shows after it.
struct Step {
    command: String,
    shown: Vec<String>,
}

/// The fenced `console` blocks, each as its steps.
fn blocks(readme: &str) -> Vec<Vec<Step>> {
    let mut blocks = Vec::new();
    for block in readme.split("```console\n").skip(1) {
        let (block, _) = block.split_once("```").expect("a block ends");
        let mut steps: Vec<Step> = Vec::new();
        for line in block.lines() {
            match line.strip_prefix("$ ") {
                Some(command) => steps.push(Step { command: command.into(), shown: Vec::new() }),
                None => steps.last_mut().expect("a command first").shown.push(line.into()),
            }
        }
        blocks.push(steps);
    }
    blocks
}

/// What may differ from run to run, replaced.
fn normal(line: &str) -> String {
    if line.contains(" |") && line.ends_with(" %") {
        return "BAR".into(); // of a distribution
    }
    if let Some(measured) = without_figures(line) {
        return measured;
    }
    line.split(' ').map(normal_word).collect::<Vec<String>>().join(" ")
}

fn normal_word(word: &str) -> String {
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let is_duration = unit != word && matches!(unit, "s" | "ms" | "µs" | "ns" | "/s");
    match word.split_once("127.0.0.1:") {
        Some((before, port)) if port != "1:" => format!("{before}127.0.0.1:PORT"),
        _ if is_duration => "DURATION".into(),
        _ if is_figures(word) => "FIGURES".into(),
        _ if word.starts_with("took=") => "took=DURATION".into(),
        _ if word.len() == 27 && word.ends_with('Z') => "TIME".into(),
        _ => word.into(),
    }
}

/// A line of what `bench` and `report` measure: its figures are replaced, and how far they are apart
/// depends on them. None when it has no figure.
fn without_figures(line: &str) -> Option<String> {
    const TIMES: [&str; 5] = ["ns", "µs", "ms", "s", "min"];
    const COUNTS: [&str; 5] = ["msg/s", "KiB/s", "sent", "received", "unsent"];
    let is_number = |word: &str| word.replace(',', "").parse::<f64>().is_ok();
    let words: Vec<&str> = line.split_whitespace().collect();
    let (mut kept, mut rest) = (Vec::new(), &words[..]);
    while let [word, after @ ..] = rest {
        let unit = after.first().map_or("", |unit| unit.trim_end_matches([',', ';']));
        let (is_time, is_count) = (TIMES.contains(&unit), COUNTS.contains(&unit));
        let is_count = is_count || kept.last().is_some_and(|last| last == "samples");
        let is_figure = is_number(word) && (is_time || is_count);
        kept.push(if is_figure { "FIGURE".to_owned() } else { normal_word(word) });
        // In which unit of time it is told depends on it, too.
        rest = if is_figure && is_time { &after[1..] } else { after };
    }
    let has_figures = kept.iter().any(|word| word == "FIGURE");
    // A spread from one figure to the same one is told as one figure.
    has_figures.then(|| kept.join(" ").replace("FIGURE to FIGURE", "FIGURE"))
}

/// What `ping` measures: `time=0.041`, `0.033/0.041/0.055/0.008`.
fn is_figures(word: &str) -> bool {
    let figures = word.trim_start_matches("kernel_rtt=").trim_start_matches("time=");
    let is_figure = |part: &str| part.contains('.') && part.parse::<f64>().is_ok();
    (figures != word || word.contains('/')) && figures.split('/').all(is_figure)
}

fn normal_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().filter(|line| !is_doubt(line)).map(normal).collect();
    lines.dedup_by(|line, last| line == "BAR" && last == "BAR");
    lines
}

/// Where a busy machine says why its figures are not valid.
fn is_doubt(line: &str) -> bool {
    line.starts_with("invalid: ") || line.starts_with("echo-client: the measurement is invalid: ")
}

/// The same line of a machine that had time.
fn valid(line: String) -> String {
    if line == "INVALID" { "good: every byte came back".into() } else { line }
}

#[test]
fn every_transcript_is_true() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = fs::read_to_string(readme).expect("the README");
    let bin = tempfile::tempdir().expect("a folder");
    symlink(server_path(), bin.path().join("echo-server")).expect("a link");
    symlink(client_path(), bin.path().join("echo-client")).expect("a link");
    let path = format!("{}:{}", bin.path().display(), std::env::var("PATH").expect("a PATH"));

    let mut server: Option<(Server, Vec<String>)> = None;
    let mut ran = 0;
    for step in blocks(&readme).into_iter().flatten() {
        let Step { command, shown } = step;
        if let Some(arguments) = starts_a_server(&command) {
            assert!(server.is_none(), "one server at a time");
            let arguments: Vec<&str> = arguments.split_whitespace().collect();
            server = Some((Server::start(&arguments), shown));
        } else if command.starts_with("cargo ") {
            continue; // `cargo xtask tidy` knows these
        } else {
            let mut shell = Command::new("sh");
            shell.args(["-c", &command]).env("PATH", &path).env("NO_COLOR", "1");
            shell.current_dir(bin.path());
            if let Some((server, _)) = &server {
                shell.env("ECHO_TARGET", &server.endpoint);
            }
            let output = shell.output().expect("a shell");
            // As on a terminal: the verdict begins on a line of its own.
            let (stdout, stderr) = (output.stdout, output.stderr);
            let mut said = normal_lines(&String::from_utf8_lossy(&stdout));
            said.extend(normal_lines(&String::from_utf8_lossy(&stderr)));
            let is_help = command.ends_with("--help");
            let said: Vec<String> = said.into_iter().map(valid).collect();
            let shown = normal_lines(&shown.join("\n"));
            assert!(said == shown || is_help && output.status.success(), "{command}: {said:#?}");
        }
        ran += 1;
    }
    let (server, shown) = server.expect("the README shows a server");
    let mut said = vec![normal(&format!("listening on {}", server.endpoint))];
    server.signal(rustix::process::Signal::INT);
    said.extend(normal_lines(&server.wait().log));
    // The README shows the first connection only.
    let shown: Vec<String> =
        shown.iter().filter(|line| *line != "^C").map(|line| normal(line)).collect();
    let (story, end) = shown.split_at(5);
    assert_eq!(said[..5], *story);
    assert!(said.contains(&end[0]), "{said:#?}");
    assert!(end[1].starts_with("TIME  INFO done connections="), "{end:#?}");
    assert!(ran >= 6, "only {ran} commands of the README were run");
}

/// The arguments of a command that starts a server and keeps it running.
fn starts_a_server(command: &str) -> Option<&str> {
    let arguments = command.strip_prefix("echo-server")?;
    let ends_at_once = ["--help", "--version", "--fault list"];
    let ends_at_once = ends_at_once.iter().any(|it| arguments.contains(it));
    (!ends_at_once).then_some(arguments)
}
