//! The healthy server passes all checks, without a warning.

use std::env;

use libtest_mimic::Trial;
use serde_json::json;

use crate::support::{
    Server,
    check::{check, report, with_outcome},
    engine::Engine,
    place::Place,
};

/// How often each is checked; a number above 1 shows how often a loaded machine brings a warning.
const ROUNDS: &str = "ECHO_ROUNDS";

/// Every engine on every kind of endpoint that it serves. Datagrams have no engine.
pub(crate) fn trials() -> impl Iterator<Item = Trial> {
    let of_engines = Engine::ALL.into_iter().flat_map(|engine| {
        [
            engine.trial("passes_everything", move || {
                assert_passes_everything(&engine.start(&[]).endpoint);
            }),
            engine.trial("passes_everything_on_a_unix_socket", move || {
                let place = Place::new();
                let _server = place.serve(&["--engine", engine.name()]);
                assert_passes_everything(&place.endpoint());
            }),
        ]
    });
    let addresses = ["udp://127.0.0.1:0", "udp://[::1]:0", "udp://[::]:0"];
    of_engines.chain(addresses.map(|address| {
        Trial::test(format!("{address} passes everything"), move || {
            let (_server, [bound]) = Server::start_on([address], &[]);
            assert_passes_everything(&bound.replace("[::]", "[::1]"));
            Ok(())
        })
    }))
}

/// All checks that the target allows pass, without a warning, and none is left out.
#[track_caller]
fn assert_passes_everything(target: &str) {
    let rounds = env::var(ROUNDS).map_or(1, |rounds| rounds.parse().expect("a number of rounds"));
    let wrong: Vec<String> = (0..rounds).flat_map(|_| what_is_wrong(target)).collect();
    assert!(wrong.is_empty(), "in {rounds} rounds on {target}:\n{}", wrong.join("\n"));
}

/// Each check that did not pass, and what it has seen.
fn what_is_wrong(target: &str) -> Vec<String> {
    let output = check(&[target, "--strict", "--json"]);
    let report = report(&output);
    // A Unix socket lacks what some checks are about.
    let may_skip = target.starts_with("unix:");
    let outcomes = ["FAIL", "WARN", "SKIP"].into_iter().take(if may_skip { 2 } else { 3 });
    let wrong = outcomes.flat_map(|outcome| {
        let checks = with_outcome(&report, outcome).into_iter();
        checks.map(move |seen| format!("{outcome} {seen}"))
    });
    let wrong: Vec<String> = wrong.collect();
    assert_eq!(output.status.code(), Some(i32::from(!wrong.is_empty())), "{report}");
    assert_eq!((&report["dead_after"], &report["not_run"]), (&json!([]), &json!(0)), "{target}");
    assert!(report["passed"].as_u64() > Some(5), "{report}");
    wrong
}
