//! Services that die under a check, for a while or for good.

use std::{net::UdpSocket, thread};

use clap::Parser;

use super::*;
use crate::{
    args::{Args, Command},
    check::{
        case::Outcome::{Fail, Pass, Skip},
        peer::{Peer, echo, echo_changed},
    },
};

/// Runs these checks on the peer, which gets so long to come back.
fn run(peer: &Peer, words: &str, revival: Duration) -> Report {
    run_at(&peer.target(), words, revival)
}

fn run_at(target: &Endpoint, words: &str, revival: Duration) -> Report {
    let line = format!("x check {target} {words}");
    let Args { command: Command::Check(args), globals } = Args::parse_from(line.split(' ')) else {
        panic!("not check: {line}");
    };
    let selection = Selection::of(&args).unwrap();
    let interrupted = AtomicBool::new(false);
    let mut runner = Runner::new(&selection, &globals, &interrupted).unwrap();
    runner.revival = revival;
    runner.end_after(args.deadline);
    runner.run(&mut |_| Ok(ControlFlow::Continue(()))).unwrap()
}

fn outcomes(report: &Report) -> Vec<(&str, Outcome)> {
    report.done.iter().map(|done| (done.check.id, done.outcome)).collect()
}

#[test]
fn what_a_dead_service_does_not_live_to_see_is_skipped_and_the_check_that_ended_it_is_named() {
    let mortal = Peer::new(|listener| {
        let _ = listener.incoming().flatten().try_for_each(echo);
    });
    let report = run(&mortal, "close.reset close.no-rst conn.serial", Duration::ZERO);
    let expected = [("close.reset", Fail), ("close.no-rst", Skip), ("conn.serial", Skip)];
    assert_eq!(outcomes(&report), expected);
    assert_eq!(report.done[2].seen, "the service is dead after close.reset");
    assert_eq!((report.deaths.as_slice(), report.is_dead), (&["close.reset"][..], true));
}

/// Once it was reset it is ill: it drops so many connections. They come one after the other: the
/// check's next, the look after it, and those whether it is back.
fn ill_after_reset(connections: usize) -> Peer {
    Peer::new(move |listener| {
        let mut ill_for = 0;
        for stream in listener.incoming().flatten() {
            if ill_for > 0 {
                ill_for -= 1;
            } else if echo(stream).is_err() {
                ill_for = connections;
            }
        }
    })
}

#[test]
fn a_service_that_comes_back_is_checked_on_and_its_death_is_told() {
    let words = "close.reset close.no-rst conn.serial";
    let report = run(&ill_after_reset(3), words, Duration::from_secs(20));
    let expected = [("close.reset", Fail), ("close.no-rst", Pass), ("conn.serial", Pass)];
    assert_eq!(outcomes(&report), expected);
    assert_eq!((report.deaths.as_slice(), report.is_dead), (&["close.reset"][..], false));
}

#[test]
fn a_service_that_does_not_come_back_in_time_is_not_asked_again() {
    let report = run(&ill_after_reset(3), "close.reset close.no-rst conn.serial", Duration::ZERO);
    let expected = [("close.reset", Fail), ("close.no-rst", Skip), ("conn.serial", Skip)];
    assert_eq!(outcomes(&report), expected);
    assert!(report.is_dead);
}

#[test]
fn a_run_with_a_death_is_not_good_whatever_the_checks_have_seen() {
    // The probe before it, and the check, and no look after it.
    let passing_away = Peer::new(|listener| {
        listener.incoming().flatten().take(4).for_each(|stream| drop(echo(stream)));
    });
    let report = run(&passing_away, "basic.hello", Duration::ZERO);
    assert_eq!(outcomes(&report), [("basic.hello", Pass)]);
    assert_eq!(report.deaths, ["basic.hello"]);
    assert!(!report.is_good(false));
}

#[test]
fn of_a_service_that_never_answered_no_check_is_to_blame() {
    let deaf = Peer::each(|_, _stream| {
        loop {
            thread::park();
        }
    });
    let report = run(&deaf, "basic.connect basic.no-newline --timeout 300ms", Duration::ZERO);
    assert_eq!(outcomes(&report), [("basic.connect", Pass), ("basic.no-newline", Fail)]);
    assert!(report.deaths.is_empty());
}

#[test]
fn a_service_that_is_fit_for_text_only_is_wrong_and_not_dead() {
    // Only from the check's connection on: of who never answered, no check is to blame.
    let fit_for_text = Peer::each(|number, mut stream| {
        echo_changed(&mut stream, |bytes| {
            bytes.retain(|byte| number < 3 || byte.is_ascii_graphic());
            true
        })
    });
    let report = run(&fit_for_text, "basic.octets", Duration::ZERO);
    assert_eq!(outcomes(&report), [("basic.octets", Fail)]);
    assert!(report.deaths.is_empty(), "{:?}", report.deaths);
}

#[test]
fn what_holds_back_the_end_of_a_message_is_no_part_of_the_round_trip() {
    let held = Duration::from_millis(40);
    let holds_ends_back = Peer::each(move |_, mut stream| {
        echo_changed(&mut stream, |bytes| {
            thread::sleep(if bytes.len() > 1 { held } else { Duration::ZERO });
            true
        })
    });
    let report = run(&holds_ends_back, "basic.connect", Duration::ZERO);
    assert!(report.rtt < held, "{:?}", report.rtt);
}

#[test]
fn no_check_is_begun_when_time_is_up_and_that_is_no_success() {
    let report = run(&Peer::good(), "--deadline 1ns", Duration::ZERO);
    assert!(report.time_is_up && report.done.is_empty());
    assert!(report.not_run > 20 && !report.is_good(false), "{} not run", report.not_run);
}

#[test]
fn the_whole_battery_has_its_time_and_checks_that_are_named_have_any() {
    let budget = |words: &str, deadline| {
        let line = format!("x check {words}");
        let Args { command: Command::Check(args), globals } = Args::parse_from(line.split(' '))
        else {
            panic!("not check: {line}");
        };
        let peer = Peer::good();
        let args = crate::check::CheckArgs { default_target: peer.target(), ..args };
        let selection = Selection::of(&args).unwrap();
        let interrupted = AtomicBool::new(false);
        let mut runner = Runner::new(&selection, &globals, &interrupted).unwrap();
        runner.rtt = Duration::from_millis(100);
        runner.end_after(deadline);
        runner.budget
    };
    let far = Some(Duration::from_secs(30));
    assert_eq!(budget("--strict", None), far);
    assert_eq!(budget("--slow", None), None);
    assert_eq!(budget("close", None), None);
    let asked = Some(Duration::from_secs(1));
    assert_eq!(budget("close", asked), asked);
}

#[test]
fn a_service_that_returns_other_bytes_is_wrong_and_not_dead() {
    // Connecting, the round trip, the look before, and the check; then comes the look after it.
    const GOOD: usize = 4;
    let peer = Peer::new(|listener| {
        for (number, mut stream) in listener.incoming().flatten().enumerate() {
            let _ = echo_changed(&mut stream, |bytes| {
                bytes.iter_mut().for_each(|byte| *byte ^= u8::from(number >= GOOD));
                true
            });
        }
    });
    let report = run(&peer, "basic.hello basic.octets", Duration::ZERO);
    assert_eq!(outcomes(&report), [("basic.hello", Pass), ("basic.octets", Fail)]);
    assert!(report.deaths.is_empty());
}

#[test]
fn a_service_that_returns_other_datagrams_is_wrong_and_not_dead() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = format!("udp://{}", socket.local_addr().unwrap()).parse().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 1 << 16];
        let mut is_well = true;
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            is_well &= len == PROBE_SIZE; // what the battery alone sends makes it ill
            buffer[..len].iter_mut().for_each(|byte| *byte ^= u8::from(!is_well));
            let _ = socket.send_to(&buffer[..len], from);
        }
    });
    let report = run_at(&target, "udp.boundaries udp.sizes", Duration::ZERO);
    assert_eq!(outcomes(&report), [("udp.boundaries", Fail), ("udp.sizes", Fail)]);
    assert!(report.deaths.is_empty());
}
