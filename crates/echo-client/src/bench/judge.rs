//! Whether the figures say something about the path, and whether the path did what was asked of it.

use std::time::Duration;

use hdrhistogram::Histogram;
use thiserror::Error;

use super::{Mode, Outcome, Slo, SloResult, Statistic, percentile};
use crate::figures;

/// The share of due messages that may go unsent.
const MAX_UNSENT: f64 = 0.01;

/// How late the 99th percentile of messages may be sent, in nanoseconds ...
const MAX_LAG: u64 = 1_000_000;

/// ... or as a share of the median latency.
const MAX_LAG_SHARE: f64 = 0.1;

/// The share of its time that a thread may be busy.
const MAX_BUSY: f64 = 0.9;

/// The figures of a run say nothing about the path.
#[derive(Debug, Error)]
#[error("the measurement is invalid: {0}")]
pub(crate) struct Invalid(pub(crate) String);

/// Judges the figures of a run; fills in `slo` and `invalid`.
pub(super) fn judge(outcome: &mut Outcome) {
    outcome.slo = outcome.settings.slo.iter().map(|slo| met(*slo, outcome.latency())).collect();
    let ours =
        [nothing(outcome), dropped(outcome), rate_missed(outcome), lag(outcome), busy(outcome)];
    outcome.invalid = ours.into_iter().flatten().chain(too_few(outcome)).collect();
}

fn nothing(outcome: &Outcome) -> Option<String> {
    // Where connections failed, or somebody floods us, that is why, and longer measuring does not help.
    let is_why = !outcome.failed.is_empty() || outcome.damage.count > 0;
    let nothing = outcome.sent == 0 && outcome.unsent == 0 && !is_why;
    nothing.then(|| match outcome.interrupted {
        true => "it was interrupted before there was anything to measure".to_owned(),
        false => "nothing was due while it measured: measure for longer".to_owned(),
    })
}

fn dropped(outcome: &Outcome) -> Option<String> {
    let dropped = outcome.datagrams?.dropped.filter(|dropped| *dropped > 0)?;
    Some(format!(
        "our own sockets were full and dropped {dropped} datagrams that had come back, which is no loss \
         of the path's: use less load, more --threads on more cores, or let sockets hold more (sysctl \
         net.core.rmem_max)"
    ))
}

fn rate_missed(outcome: &Outcome) -> Option<String> {
    let Mode::Open { .. } = outcome.settings.mode else { return None };
    let due = outcome.sent + outcome.unsent;
    let missed = outcome.unsent as f64 / due.max(1) as f64;
    let why = if outcome.held > outcome.sent / 2 {
        "connections took no more"
    } else {
        "this machine was too slow"
    };
    (missed > MAX_UNSENT).then(|| {
        format!(
            "the rate was missed by {:.1} %: {} of {due} messages were sent, {why}",
            missed * 100.0,
            outcome.sent
        )
    })
}

fn lag(outcome: &Outcome) -> Option<String> {
    let lag = outcome.send_lag.as_ref()?;
    let share = outcome.latency().value_at_percentile(50.0) as f64 * MAX_LAG_SHARE;
    let late = lag.value_at_percentile(99.0);
    (late > MAX_LAG && late as f64 > share).then(|| {
        let late = figures::time(late as f64);
        format!("we sent late: 1 % of the messages {late} or more after they could be sent")
    })
}

fn busy(outcome: &Outcome) -> Option<String> {
    let busy = outcome.cpu.iter().copied().fold(0.0, f64::max);
    (busy > MAX_BUSY).then(|| {
        format!(
            "a thread of ours was busy {:.0} % of the time: the figures may be ours, not the \
             path's; use more --threads on more cores, or less load",
            busy * 100.0
        )
    })
}

/// Objectives about more messages than there were.
fn too_few(outcome: &Outcome) -> impl Iterator<Item = String> {
    let untold = outcome.slo.iter().filter(|result| result.measured.is_none());
    let messages = outcome.latency().len();
    untold.map(move |result| {
        format!("{messages} messages are too few to tell {}: measure for longer", result.slo.what)
    })
}

fn met(slo: Slo, latency: &Histogram<u64>) -> SloResult {
    let measured = match slo.what {
        Statistic::Percentile(percent) => percentile(latency, percent),
        Statistic::Mean => (!latency.is_empty()).then(|| mean(latency)),
        Statistic::Max => (!latency.is_empty()).then(|| latency.max()),
    };
    let measured = measured.map(Duration::from_nanos);
    SloResult { slo, measured, met: measured.is_some_and(|measured| measured <= slo.limit) }
}

/// The average in whole nanoseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most an hour")]
pub(super) fn mean(latency: &Histogram<u64>) -> u64 {
    latency.mean().round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Arrival, Datagrams, Failure, Settings, Unanswered, Verdict, histogram};

    /// A run at 1000 msg/s for 10 s, with messages of 2 ms that were sent in time.
    fn fine() -> Outcome {
        let mode = Mode::Open { rate: 1000.0, arrival: Arrival::Even };
        let mut outcome = Outcome::empty(Settings { mode, ..Settings::default() });
        (outcome.sent, outcome.received) = (10_000, 10_000);
        outcome.cpu = vec![0.2, 0.5];
        outcome.service.saturating_record_n(2_000_000, 10_000);
        outcome.response = Some(outcome.service.clone());
        let mut lag = histogram();
        lag.saturating_record_n(10_000, 10_000);
        outcome.send_lag = Some(lag);
        outcome
    }

    fn judged(change: impl FnOnce(&mut Outcome)) -> Outcome {
        let mut outcome = fine();
        change(&mut outcome);
        judge(&mut outcome);
        outcome
    }

    #[test]
    fn a_run_without_fault_is_good() {
        let outcome = judged(|_| {});
        assert_eq!(outcome.invalid, [""; 0]);
        assert_eq!(outcome.verdict(), Verdict::Good);
    }

    #[test]
    fn the_rate_may_be_missed_by_one_percent() {
        let missed =
            |unsent| judged(|outcome| (outcome.sent, outcome.unsent) = (10_000 - unsent, unsent));
        assert!(missed(100).is_valid());
        let outcome = missed(101);
        assert!(outcome.invalid[0].starts_with("the rate was missed by 1.0 %: 9899 of 10000"));
        assert_eq!(outcome.verdict(), Verdict::Invalid);
    }

    #[test]
    fn one_percent_may_be_sent_a_millisecond_late_or_a_tenth_of_the_median() {
        let late = |count, by, median: u64| {
            judged(|outcome| {
                let mut response = histogram();
                response.saturating_record_n(median, 10_000);
                outcome.response = Some(response);
                outcome.send_lag.as_mut().unwrap().saturating_record_n(by, count);
            })
        };
        assert!(late(90, 5_000_000, 2_000_000).is_valid(), "less than 1 %");
        assert!(late(200, 900_000, 2_000_000).is_valid(), "less than a millisecond");
        assert!(late(200, 5_000_000, 100_000_000).is_valid(), "less than a tenth");
        let outcome = late(200, 5_000_000, 2_000_000);
        assert!(outcome.invalid[0].starts_with("we sent late"), "{:?}", outcome.invalid);
    }

    #[test]
    fn a_thread_may_be_busy_nine_tenths_of_its_time() {
        assert!(judged(|outcome| outcome.cpu = vec![0.1, 0.9]).is_valid());
        let outcome = judged(|outcome| outcome.cpu = vec![0.1, 0.91]);
        assert!(outcome.invalid[0].contains("busy 91 %"), "{:?}", outcome.invalid);
    }

    #[test]
    fn objectives_are_met_missed_or_cannot_be_told() {
        let asked =
            |text: &str| judged(|outcome| outcome.settings.slo = vec![text.parse().unwrap()]);
        for met in ["p99=3ms", "mean=2001us", "max=3ms"] {
            assert_eq!(asked(met).verdict(), Verdict::Good, "{met}");
        }
        for missed in ["p99=1999us", "mean=1ms", "max=1ms"] {
            assert_eq!(asked(missed).verdict(), Verdict::Failed, "{missed}");
        }
        let outcome = asked("p99.99=1s");
        assert_eq!((outcome.slo[0].measured, outcome.slo[0].met), (None, false));
        assert_eq!(outcome.verdict(), Verdict::Invalid);
    }

    #[test]
    fn connections_that_died_in_the_warm_up_are_no_reason_to_measure_for_longer() {
        let reasons = |failed: Vec<Failure>| {
            let outcome = judged(|outcome| (outcome.sent, outcome.failed) = (0, failed));
            outcome.invalid.iter().filter(|reason| reason.contains("longer")).count()
        };
        assert_eq!(reasons(vec![Failure { reason: "reset".into(), count: 8 }]), 0);
        assert_eq!(reasons(Vec::new()), 1);
    }

    #[test]
    fn losing_datagrams_is_a_failure_beyond_what_may_be_lost() {
        let lossy = |max_loss, datagrams| {
            judged(|outcome| {
                outcome.settings.max_loss = max_loss;
                outcome.datagrams = Some(datagrams);
            })
            .verdict()
        };
        let none = Datagrams::default();
        let some = Datagrams { lost: 6, late: 4, ..none };
        assert_eq!(lossy(0.0, none), Verdict::Good);
        assert_eq!(lossy(0.0, some), Verdict::Failed);
        assert_eq!(lossy(0.000_9, some), Verdict::Failed);
        assert_eq!(lossy(0.001, some), Verdict::Good, "10 of 10,000");
        assert_eq!(lossy(0.0, Datagrams { reordered: 5, ..none }), Verdict::Good);
        assert_eq!(lossy(1.0, Datagrams { duplicated: 1, ..none }), Verdict::Failed);
    }

    #[test]
    fn what_our_own_sockets_drop_is_not_the_paths_loss() {
        let judge_lost = |lost, dropped| {
            judged(|outcome| {
                outcome.datagrams = Some(Datagrams { lost, dropped, ..Datagrams::default() });
            })
        };
        assert_eq!(judge_lost(0, Some(0)).verdict(), Verdict::Good);
        assert_eq!(judge_lost(6, None).verdict(), Verdict::Failed, "nobody tells");
        let ours = judge_lost(6, Some(6));
        assert_eq!(ours.verdict(), Verdict::Invalid);
        assert!(ours.invalid[0].contains("dropped 6 datagrams"), "{:?}", ours.invalid);
        assert_eq!(
            judge_lost(0, Some(1)).verdict(),
            Verdict::Invalid,
            "of the warm-up, or duplicates"
        );
        // One of these was lost by somebody else.
        assert_eq!(judge_lost(7, Some(6)).verdict(), Verdict::Failed);
        for (lost, dropped) in [(6, Some(6)), (7, Some(6)), (6, None)] {
            let outcome = judge_lost(lost, dropped);
            let summary = crate::bench::Summary::from(&outcome);
            assert_eq!(summary.verdict(), outcome.verdict(), "a file tells the same");
        }
    }

    #[test]
    fn damage_counts_even_where_latencies_are_invalid() {
        let faults: [fn(&mut Outcome); 4] = [
            |outcome| outcome.corrupt = 1,
            |outcome| outcome.damage.count = 1,
            |outcome| outcome.unanswered = Unanswered { count: 1, oldest: None },
            |outcome| outcome.failed.push(Failure { reason: "reset".into(), count: 1 }),
        ];
        for fault in faults {
            let outcome = judged(|outcome| {
                outcome.cpu = vec![1.0];
                fault(outcome);
            });
            assert!(!outcome.is_valid());
            assert_eq!(outcome.verdict(), Verdict::Failed);
        }
    }
}
