//! The rules of an echo connection, one by one, in bytes and seconds.

use super::*;
use crate::{Delimited, Raw};

const LIMITS: EchoLimits = EchoLimits {
    high_water: 100,
    idle_timeout: Some(secs(10)),
    stall_timeout: Some(secs(5)),
    drain_timeout: secs(2),
};

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn raw() -> EchoConnection<Raw> {
    EchoConnection::new(Raw, LIMITS, Duration::ZERO)
}

fn lines() -> EchoConnection<Delimited> {
    EchoConnection::new(Delimited::lines().max_payload(5), LIMITS, Duration::ZERO)
}

#[test]
fn everything_received_is_echoed_then_fin_then_the_end() {
    let mut echo = raw();
    assert_eq!(echo.received(b"hello", 5, secs(1)), 5);
    assert_eq!(echo.peer_done(b"", secs(1)), 0);
    assert_eq!((echo.unsent(), echo.owes_fin(), echo.intake()), (5, false, Intake::Done));
    echo.sent(3, secs(1));
    assert!(!echo.owes_fin(), "two bytes are still to be sent");
    echo.sent(2, secs(1));
    assert!(echo.owes_fin());
    assert_eq!(echo.end(), None);
    echo.fin_sent(secs(1));
    assert_eq!((echo.end(), echo.reason()), (Some(End::InOrder), Some(Reason::PeerDone)));
    assert_eq!((echo.bytes_received(), echo.bytes_sent()), (5, 5));
}

#[test]
fn receiving_pauses_at_the_high_water_mark_and_resumes_at_half() {
    let mut echo = raw();
    assert_eq!(echo.intake(), Intake::Echo(100));
    echo.received(&[0; 60], 60, secs(1));
    assert_eq!(echo.intake(), Intake::Echo(40), "never more than fits below the mark");
    echo.received(&[0; 40], 40, secs(1));
    assert_eq!(echo.intake(), Intake::Pause);
    echo.sent(49, secs(1));
    assert_eq!(echo.intake(), Intake::Pause);
    echo.sent(1, secs(1));
    assert_eq!(echo.intake(), Intake::Echo(50));
}

#[test]
fn only_whole_frames_are_released_byte_for_byte() {
    let mut echo = lines();
    assert_eq!(echo.received(b"one\r\ntwo\nthr", 12, secs(1)), 9);
    assert_eq!(echo.received(b"three\n", 3, secs(1)), 6);
    assert_eq!(echo.received(b"cut", 3, secs(1)), 0);
    assert_eq!(echo.peer_done(b"cut", secs(1)), 0);
    let truncated = FrameError::Truncated { got: 3, expected: None };
    assert_eq!(echo.reason(), Some(Reason::Frame(truncated)));
    assert_eq!(echo.unsent(), 15, "what was released before is still sent");
}

#[test]
fn a_bad_frame_ends_the_input_behind_the_good_ones() {
    let mut echo = lines();
    assert_eq!(echo.received(b"good\nfar too long\nlost\n", 23, secs(1)), 5);
    let too_long = FrameError::TooLong { max: 5, len: None };
    assert_eq!(echo.reason(), Some(Reason::Frame(too_long)));
    assert_eq!((echo.intake(), echo.unsent()), (Intake::Discard, 5));
    assert_eq!(echo.received(b"more\n", 5, secs(1)), 0);
    assert_eq!(echo.bytes_discarded(), 5);
    echo.sent(5, secs(1));
    assert!(echo.owes_fin());
    echo.fin_sent(secs(1));
    assert_eq!(echo.end(), None, "the peer has not said that it is done");
    echo.peer_done(b"", secs(2));
    assert_eq!(echo.end(), Some(End::InOrder));
}

#[test]
fn a_slow_peer_gets_all_the_good_frames_before_a_bad_one() {
    let mut echo = lines();
    assert_eq!(echo.received(b"good\nfar too long\n", 18, secs(1)), 5);
    for second in 2..7 {
        echo.tick(secs(second));
        assert_eq!(echo.end(), None, "it reads, if slowly");
        echo.sent(1, secs(second));
    }
    assert!(echo.owes_fin());
    echo.fin_sent(secs(7));
    assert_eq!(echo.wake_at(), Some(secs(9)));
}

#[test]
fn an_idle_connection_is_ended_in_order_or_cut() {
    let mut echo = raw();
    echo.received(b"x", 1, secs(1));
    echo.sent(1, secs(3));
    assert_eq!(echo.wake_at(), Some(secs(13)));
    echo.tick(secs(12));
    assert_eq!(echo.reason(), None);
    echo.tick(secs(13));
    assert_eq!((echo.reason(), echo.intake()), (Some(Reason::Idle), Intake::Discard));
    assert!(echo.owes_fin());
    echo.fin_sent(secs(13));
    assert_eq!(echo.wake_at(), Some(secs(15)), "as long as a drain may take");
    echo.tick(secs(15));
    assert_eq!((echo.end(), echo.wake_at()), (Some(End::Cut), None));
}

#[test]
fn while_steady_the_time_to_wake_only_moves_away() {
    let mut echo = raw();
    let mut wake_at = echo.wake_at();
    for second in 1..5 {
        echo.received(&[0; 9], 9, secs(second));
        assert!(!echo.is_steady(), "the peer can stall");
        echo.sent(9, secs(second));
        assert!(echo.is_steady() && echo.wake_at() > wake_at);
        wake_at = echo.wake_at();
    }
    echo.drain(secs(5));
    assert!(!echo.is_steady() && echo.wake_at() < wake_at);
}

#[test]
fn a_peer_that_does_not_read_is_cut_and_each_byte_it_takes_gives_it_more_time() {
    let mut echo = raw();
    echo.received(&[0; 9], 9, secs(1));
    echo.sent(1, secs(4));
    assert_eq!(echo.wake_at(), Some(secs(9)));
    echo.sent(1, secs(8));
    echo.tick(secs(12));
    assert_eq!(echo.end(), None);
    echo.tick(secs(13));
    assert_eq!(echo.end(), Some(End::Cut));
    assert_eq!(echo.bytes_sent(), 2);
}

#[test]
fn a_send_of_nothing_gives_no_more_time() {
    let mut echo = raw();
    echo.received(&[0; 9], 9, secs(1));
    echo.sent(0, secs(5));
    assert_eq!(echo.wake_at(), Some(secs(6)));
}

#[test]
fn a_peer_is_neither_silent_nor_slow_when_its_bytes_are_only_not_taken_in_yet() {
    let mut echo = raw();
    echo.input_waits(secs(9));
    echo.tick(secs(18));
    assert_eq!((echo.reason(), echo.wake_at()), (None, Some(secs(19))));
    echo.received(&[0; 9], 9, secs(18));
    echo.output_waits(secs(22));
    echo.tick(secs(26));
    assert_eq!((echo.end(), echo.wake_at()), (None, Some(secs(27))));
    echo.sent(9, secs(26));
    echo.drain(secs(26));
    echo.input_waits(secs(27));
    echo.tick(secs(27));
    assert_eq!(echo.reason(), Some(Reason::Drain), "at half of its time a drain ends the input");
}

#[test]
fn everything_due_at_once_is_done_at_once() {
    let limits = EchoLimits { stall_timeout: None, ..LIMITS };
    let mut echo = EchoConnection::new(Raw, limits, Duration::ZERO);
    echo.received(&[0; 9], 9, secs(1));
    echo.tick(secs(11));
    assert_eq!((echo.reason(), echo.end()), (Some(Reason::Idle), Some(End::Cut)));
    assert_eq!(echo.wake_at(), None);
}

#[test]
fn without_a_stall_timeout_a_flush_is_still_bounded_by_the_idle_timeout() {
    let limits = EchoLimits { stall_timeout: None, ..LIMITS };
    let mut echo = EchoConnection::new(Raw, limits, Duration::ZERO);
    echo.received(&[0; 9], 9, secs(1));
    echo.peer_done(b"", secs(1));
    assert_eq!(echo.wake_at(), Some(secs(11)));
    echo.tick(secs(11));
    assert_eq!(echo.end(), Some(End::Cut));
}

#[test]
fn a_drain_echoes_until_the_input_runs_dry() {
    let mut echo = raw();
    echo.drain(secs(100));
    assert_eq!(echo.wake_at(), Some(secs(100) + DRAIN_QUIET));
    assert_eq!(echo.received(b"on its way", 10, secs(100) + DRAIN_QUIET / 2), 10);
    echo.sent(10, secs(100) + DRAIN_QUIET / 2);
    echo.tick(secs(100) + DRAIN_QUIET);
    assert_eq!(echo.reason(), None);
    echo.tick(secs(100) + DRAIN_QUIET * 2);
    assert_eq!(echo.reason(), Some(Reason::Drain));
    assert!(echo.owes_fin());
}

#[test]
fn input_behind_a_slow_flush_is_not_dry() {
    let mut echo = raw();
    echo.received(&[0; 9], 9, secs(99));
    echo.drain(secs(100));
    echo.tick(secs(100) + DRAIN_QUIET * 3);
    assert_eq!(echo.reason(), None, "the peer reads slowly, and may have sent more");
    echo.sent(9, secs(100) + DRAIN_QUIET * 3);
    assert_eq!(echo.wake_at(), Some(secs(100) + DRAIN_QUIET * 4));
}

#[test]
fn a_firehose_is_echoed_for_half_of_the_drain_and_has_the_other_half_to_close() {
    let mut echo = raw();
    echo.drain(secs(100));
    let mut now = secs(100);
    while echo.intake() == Intake::Echo(100) {
        assert_eq!(echo.received(&[0; 10], 10, now), 10);
        echo.sent(10, now);
        now += DRAIN_QUIET / 2;
        echo.tick(now);
    }
    assert_eq!((now, echo.intake()), (secs(101), Intake::Discard));
    echo.fin_sent(now);
    echo.tick(secs(102));
    assert_eq!(echo.end(), Some(End::Cut), "it never closed");
}

#[test]
fn a_failure_is_the_end_and_nothing_comes_after_the_first_end() {
    let mut echo = raw();
    echo.received(b"x", 1, secs(1));
    echo.failed();
    assert_eq!((echo.end(), echo.intake()), (Some(End::Failed), Intake::Done));
    assert!(!echo.owes_fin());
    echo.peer_done(b"", secs(1));
    echo.fin_sent(secs(1));
    echo.tick(secs(1000));
    assert_eq!(echo.end(), Some(End::Failed));
}
