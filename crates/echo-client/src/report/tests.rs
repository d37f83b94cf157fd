//! From runs to files and back: nothing lost, nothing taken that is not right.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    slice,
    time::{Duration, SystemTime},
};

use proptest::prelude::*;

use super::{
    fixture::{Script, outcome},
    load::Loader,
    *,
};
use crate::{
    bench::{Counts, Instance, MAX_LATENCY, Summary, histogram, percentile},
    docs::{documented, printed},
    hlog::{LogWriter, Tag},
};

fn log_of(folder: &Path, name: &str, script: Script) -> PathBuf {
    let path = folder.join(name);
    Part::of(&outcome(script).0).write_log(&mut fs::File::create(&path).unwrap()).unwrap();
    path
}

fn load(paths: &[PathBuf]) -> Side {
    Side::of(Loader::default().load(paths).unwrap())
}

fn instance(seed: u64, index: u32) -> Script {
    let instance = Some(Instance { index, count: 2 });
    Script { seed, instance, ..Script::default() }
}

/// A log of service times, a few per line.
fn write_log(path: &Path, samples: &[u64], per_line: usize) {
    let mut file = fs::File::create(path).unwrap();
    let summary = Summary::from(&outcome(Script { rate: 0, ..Script::default() }).0);
    let run = summary.without_distributions().to_json();
    let mut log = LogWriter::begin(&mut file, &run, SystemTime::UNIX_EPOCH).unwrap();
    let mut start = Duration::ZERO;
    for few in samples.chunks(per_line) {
        let mut interval = histogram();
        few.iter().for_each(|sample| interval.saturating_record(*sample));
        log.interval(Tag::Service, start, Duration::from_secs(1), &interval).unwrap();
        start += Duration::from_secs(1);
    }
    log.end().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn many_logs_merged_are_one_log_of_all_samples(
        logs in prop::collection::vec(prop::collection::vec(1..=MAX_LATENCY, 1..200), 1..6),
        per_line in 1_usize..50,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut paths = Vec::new();
        for (at, samples) in logs.iter().enumerate() {
            paths.push(folder.path().join(format!("{at}.hlog")));
            write_log(&paths[at], samples, per_line);
        }
        let all: Vec<u64> = logs.concat();
        let one = folder.path().join("all.hlog");
        write_log(&one, &all, per_line);
        // Logs of one sample may happen to be the same run, which is refused.
        let parts: Vec<Part> =
            paths.iter().flat_map(|path| Loader::default().load(slice::from_ref(path)).unwrap()).collect();
        let merged = Counts::from(&Side::of(parts).merged(Tag::Service));
        prop_assert_eq!(&merged, &Counts::from(&load(&[one]).merged(Tag::Service)));
        let mut counted = histogram();
        all.iter().for_each(|sample| counted.saturating_record(*sample));
        prop_assert_eq!(&merged, &Counts::from(&counted));
    }
}

#[test]
fn percentiles_of_merged_files_are_within_a_thousandth_of_an_exact_sort() {
    let folder = tempfile::tempdir().unwrap();
    let scripts = [1, 2, 3].map(|seed| Script { seed, ..Script::default() });
    let paths = scripts.map(|script| log_of(folder.path(), &script.seed.to_string(), script));
    let mut samples: Vec<u64> = scripts.iter().flat_map(|script| outcome(*script).1).collect();
    samples.sort_unstable();
    let merged = load(&paths).merged(Tag::Response);
    assert_eq!(merged.len(), samples.len() as u64);
    for percent in [50.0, 75.0, 90.0, 99.0, 99.9] {
        let least = percent / 100.0 * samples.len() as f64;
        let mut ranked = samples.iter().zip(1_u32..);
        let (exact, _) = ranked.find(|(_, rank)| f64::from(*rank) >= least).unwrap();
        let (exact, told) = (*exact as f64, percentile(&merged, percent).unwrap() as f64);
        assert!((told / exact - 1.0).abs() <= 0.001, "p{percent}: {told} instead of {exact}");
    }
}

#[test]
fn a_run_is_the_same_as_a_log_and_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let (run, _) = outcome(Script::default());
    let log = log_of(folder.path(), "run.hlog", Script::default());
    let json = folder.path().join("run.json");
    fs::write(&json, Summary::from(&run).to_json() + "\n").unwrap();
    let (as_log, as_json) = (load(slice::from_ref(&log)), load(slice::from_ref(&json)));
    for tag in [Tag::Service, Tag::Response, Tag::SendLag] {
        let counts = Counts::from(&as_log.merged(tag));
        assert!(counts.total() > 0);
        assert_eq!(counts, Counts::from(&as_json.merged(tag)), "{tag}");
    }
    assert_eq!(as_log.rate(), as_json.rate());
    // Which is why both together would count it twice.
    let error = Loader::default().load(&[log, json]).unwrap_err();
    assert!(error.to_string().contains("the same run as in"), "{error}");
}

#[test]
fn instances_that_ran_together_are_one_run() {
    let folder = tempfile::tempdir().unwrap();
    // Seeds tell the hour: the first two ran together, the third an hour later.
    let paths = [instance(1, 0), instance(1001, 1), instance(2, 0)];
    let mut at = 0;
    let paths = paths.map(|script| {
        at += 1;
        log_of(folder.path(), &format!("{at}.hlog"), script)
    });
    let side = load(&paths);
    let counts: Vec<usize> = side.runs.iter().map(|run| run.parts.len()).collect();
    assert_eq!(counts, [2, 1]);
    let (together, alone) = (&side.runs[0], &side.runs[1]);
    assert_eq!(together.rate(), Some(2000.0));
    let slices = together.slices(Tag::Response);
    assert_eq!(slices.len(), 12);
    assert!(slices.iter().all(|slice| slice.samples.total() == 2000));
    assert_eq!(side.warnings(), [format!("{}: instances are missing: 1/2", alone.name())]);
    // The spread of one fleet is over its instances, that of several runs over runs.
    assert_eq!((side.spread_over(), side.groups().len()), ("runs", 2));
    let fleet = load(&paths[..2]);
    assert_eq!((fleet.spread_over(), fleet.groups().len()), ("instances", 2));
    assert!(fleet.warnings().is_empty());
}

#[test]
fn what_a_reader_has_to_know_is_said() {
    let part = |change: fn(&mut Summary)| {
        let mut part = Part::of(&outcome(Script::default()).0);
        change(part.summary.as_mut().unwrap());
        part
    };
    let warned = |parts: Vec<Part>| Side::of(parts).warnings().join("\n");
    assert_eq!(warned(vec![part(|_| ())]), "");
    assert!(warned(vec![part(|run| run.interrupted = true)]).contains("was interrupted"));
    let other = part(|run| run.settings.size = 4096);
    assert!(
        warned(vec![part(|_| ()), other]).contains("different loads are merged: size 64 and 4096")
    );
    let foreign = Part { summary: None, ..part(|_| ()) };
    assert!(warned(vec![foreign]).contains("taken for nanoseconds"));
}

#[test]
fn the_judgement_is_that_of_the_worst_run_with_its_name() {
    let part = |name: &str, change: fn(&mut Summary)| {
        let mut part = Part { name: name.into(), ..Part::of(&outcome(Script::default()).0) };
        change(part.summary.as_mut().unwrap());
        part
    };
    let invalid = || {
        part("slow", |run| {
            run.valid = false;
            run.reasons = vec!["we sent late".to_owned()];
        })
    };
    let lossy = || part("lossy", |run| (run.unanswered, run.good) = (3, false));
    let good = || part("good", |_| ());
    let judged = |parts: Vec<Part>| Judgement::of(&Side::of(parts));
    let verdict = |parts| judged(parts).unwrap().verdict;
    assert_eq!(verdict(vec![good(), good()]), Verdict::Good);
    assert_eq!(verdict(vec![good(), invalid()]), Verdict::Invalid);
    // Damage is damage, whoever measures.
    assert_eq!(verdict(vec![invalid(), lossy(), good()]), Verdict::Failed);
    let reasons = judged(vec![invalid(), lossy()]).unwrap().reasons;
    assert_eq!(reasons, ["slow: we sent late", "lossy: 3 messages did not come back"]);
    // One of another program has no verdict, and hides none.
    let foreign = || Part { summary: None, ..good() };
    assert_eq!(judged(vec![good(), foreign()]), None);
    assert_eq!(verdict(vec![invalid(), foreign()]), Verdict::Invalid);
    assert_eq!(verdict(vec![foreign(), lossy()]), Verdict::Failed);
    let reasons = judged(vec![foreign(), lossy()]).unwrap().reasons;
    assert_eq!(reasons, ["lossy: 3 messages did not come back"]);
}

#[test]
fn a_log_that_is_not_right_is_refused_with_file_line_cause_and_fix() {
    let folder = tempfile::tempdir().unwrap();
    let good = fs::read_to_string(log_of(folder.path(), "good.hlog", Script::default())).unwrap();
    let intervals = good.lines().count() - 6;
    let json = Summary::from(&outcome(Script::default()).0).to_json();
    let half = &good[..good.len() / 2];
    let mut without_an_interval: Vec<&str> = good.lines().collect();
    without_an_interval.remove(10);
    let without_an_interval = without_an_interval.join("\n") + "\n";
    let histogram = good.lines().nth(6).unwrap().rsplit_once(',').unwrap().1;
    for (text, said) in [
        ("", "it is empty".to_owned()),
        ("\n", "line 1: not an HdrHistogram log".to_owned()),
        ("hello\n", "line 1: not an HdrHistogram log".to_owned()),
        ("\u{7f}ELF\u{2}", "line 1: not an HdrHistogram log".to_owned()),
        ("#[StartTime: 5.0 (seconds since epoch)]\n", "it holds no samples".to_owned()),
        (half, "cut short in the middle of a line".to_owned()),
        (good.rsplit_once("#[End").unwrap().0, "its last line is missing".to_owned()),
        (&without_an_interval, format!("has {intervals} intervals, and has {}", intervals - 1)),
        (&good.replace("version 1.3", "version 2.0"), "line 1: log format version 2.0".to_owned()),
        (&good.replace("Tag=service", "Tag=disk"), "unknown tag 'disk'".to_owned()),
        (&good.replace("Tag=service,", ""), "without a tag".to_owned()),
        (&good.replace(",1.000000,", ",-1,"), "'-1' is not a time in seconds".to_owned()),
        (&good.replace(",1.000000,", ",NaN,"), "'NaN' is not a time".to_owned()),
        (&good.replace(histogram, &histogram[..40]), "damaged".to_owned()),
        (
            &good.replace("\"schema\":1", "\"schema\":9"),
            "schema 9; schema 1 can be read".to_owned(),
        ),
        (&good.replace("\"unanswered\":0,", ""), "missing field `unanswered`".to_owned()),
        (&json[..json.len() / 2], "line 1: not JSON".to_owned()),
        (&format!("{json}\n{{}}\n"), "line 2: not a result of echo-client".to_owned()),
        (&json.replace("\"bench\"", "\"ping\""), "a result of 'ping'".to_owned()),
        (&json.replace("\"hdr\":\"H", "\"hdr\":\"A"), "service: no HdrHistogram".to_owned()),
        (&json.replace("\"hdr\"", "\"her\""), "nothing can be merged".to_owned()),
    ] {
        let path = folder.path().join("bad");
        fs::write(&path, text).unwrap();
        let error = Loader::default().load(slice::from_ref(&path)).unwrap_err();
        let line = format!("{error}; {}", error.fix());
        assert!(line.starts_with(&format!("{}: ", path.display())), "{line}");
        assert!(line.contains(&said), "no '{said}' in: {line}");
        assert!(!line.contains('\n') && line.len() < 400, "{line}");
    }
    for path in [folder.path().to_owned(), folder.path().join("missing")] {
        let error = Loader::default().load(&[path]).unwrap_err();
        assert!(error.to_string().contains("cannot open it"), "{error}");
    }
}

#[test]
fn a_line_without_end_is_not_taken_into_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("endless");
    for first in ["#", "{"] {
        fs::write(&path, first.repeat(5 << 20)).unwrap();
        let error = Loader::default().load(slice::from_ref(&path)).unwrap_err();
        assert!(error.to_string().contains("line 1: longer than"), "{error}");
    }
}

#[test]
fn a_result_without_times_does_not_take_percentiles_over_time_from_others() {
    let (timed, mut untimed) =
        [1, 2].map(|seed| Part::of(&outcome(Script { seed, ..Script::default() }).0)).into();
    untimed.series.values_mut().for_each(|series| series.slices.clear());
    let now = Side::of(vec![timed, untimed]);
    let page = page::page(&View { command: "report", now: &now, baseline: None, warnings: &[] });
    let (_, over_time) = page.split_once("Latency over time").unwrap();
    assert!(over_time.split("</figcaption>").next().unwrap().contains("p99"));
}

#[test]
fn logs_of_other_programs_are_read_whatever_their_times_count_from() {
    let folder = tempfile::tempdir().unwrap();
    let mut samples = histogram();
    samples.saturating_record_n(5000, 100);
    let text = crate::hlog::encode(&samples);
    for (header, starts) in [
        ("#[StartTime: 1441812279.474 (seconds since epoch), Wed Sep 09]\n", ["0.1", "1.1"]),
        ("#[BaseTime: 1441812279.474 (seconds since epoch)]\n", ["0.1", "1.1"]),
        ("", ["1441812279.574", "1441812280.574"]),
        (
            "#[StartTime: 1441812279.474 (seconds since epoch)]\n",
            ["1441812279.574", "1441812280.574"],
        ),
    ] {
        let line = |start| format!("Tag=service,{start},1.0,5.0,{text}\r\n");
        let path = folder.path().join("foreign");
        fs::write(&path, format!("#a comment\n{header}{}", starts.map(line).concat())).unwrap();
        let side = load(&[path]);
        assert_eq!(side.merged(Tag::Service).len(), 200);
        let slices = side.runs[0].slices(Tag::Service);
        let gap = (slices[1].start - slices[0].start).as_secs_f64();
        assert!((gap - 1.0).abs() < 1e-6 && slices[0].start.as_secs() == 0, "{header}");
        let base = side.runs[0].parts[0].base.unwrap().as_secs();
        assert_eq!(base, 1_441_812_279, "{header}");
        assert!((side.rate().unwrap() - 100.0).abs() < 0.01);
    }
}

#[test]
fn many_intervals_are_kept_in_bounded_room_and_nothing_is_lost() {
    let samples: Vec<u64> = (0..20_000).map(|at| 1 + at % 2000).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.hlog");
    write_log(&path, &samples, 5);
    let side = load(&[path]);
    assert_eq!(side.merged(Tag::Service).len(), 20_000);
    let slices = side.runs[0].slices(Tag::Service);
    assert!(slices.len() <= 1025, "{}", slices.len());
    assert_eq!(slices.iter().map(|slice| slice.samples.total()).sum::<u64>(), 20_000);
    assert_eq!(slices.iter().map(|slice| slice.length).sum::<Duration>().as_secs(), 4000);
}

#[test]
fn every_field_of_the_json_is_documented_and_no_other() {
    let (mut run, _) = outcome(Script::default());
    run.damage.first = vec!["a place".to_owned()];
    run.failed = vec![crate::bench::Failure { reason: "a reason".to_owned(), count: 1 }];
    run.probe =
        Some(crate::bench::Probe { sent: 1, received: 1, rtt: run.service.clone(), failed: None });
    run.datagrams = Some(crate::bench::Datagrams::default());
    assert_eq!(documented("bench"), printed(&run.to_json()));
    let part = |seed| {
        let mut part = Part::of(&outcome(Script { seed, ..Script::default() }).0);
        part.series.extend(Part::of(&run).series.into_iter().filter(|(tag, _)| *tag == Tag::Probe));
        part
    };
    let (now, baseline) = (Side::of(vec![part(1), part(2)]), Side::of(vec![part(3), part(4)]));
    let comparison = Comparison::of(&baseline, &now);
    let report = json::json(&now, Some((&baseline, &comparison)), &[]);
    let told = printed(&report);
    let of_baseline = told.iter().filter_map(|path| path.strip_prefix("baseline."));
    let (of_baseline, documented) = (of_baseline.collect::<Vec<_>>(), documented("report"));
    assert!(of_baseline.iter().all(|path| documented.contains(*path)), "{of_baseline:?}");
    let told: BTreeSet<String> =
        told.into_iter().filter(|path| !path.starts_with("baseline.")).collect();
    let documented: BTreeSet<String> =
        documented.into_iter().filter(|path| path != "baseline").collect();
    assert_eq!(documented, told);
}
