//! One behaviour suite for every driver: scripted streams, and the drivers behind one trait.

mod drivers;
mod script;

pub(crate) use drivers::{Blocking, Driver, Receiving, Sending, Tokio};
pub(crate) use script::{Put, Reads, Step, Writes, reads};

use echo_core::{
    Decoder, FrameError, Malformed,
    testing::{Event, assert_chunk_invariant, random_pieces},
};

/// Makes a test of each generic function, once for every driver: `name::blocking`, `name::tokio`.
macro_rules! on_every_driver {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[test]
            fn blocking() {
                super::$name::<$crate::support::Blocking>();
            }

            #[test]
            fn tokio() {
                super::$name::<$crate::support::Tokio>();
            }
        }
    )*};
}
pub(crate) use on_every_driver;

pub(crate) fn frame(payload: &[u8]) -> Event {
    Event::Frame(payload.to_vec())
}

/// How a stream ends inside a frame.
pub(crate) fn truncated(got: u64, expected: Option<u64>, partial: &[u8]) -> [Event; 2] {
    let error = FrameError::Truncated { got, expected };
    [Event::Error(error), Event::Partial(partial.to_vec())]
}

pub(crate) fn too_long(max: usize, len: Option<u64>) -> Event {
    Event::Error(FrameError::TooLong { max, len })
}

pub(crate) fn malformed(reason: Malformed) -> Event {
    Event::Error(FrameError::Malformed(reason))
}

/// Asserts that `wire` decodes to `expected` wherever it is cut, in the deframer and on every driver.
#[track_caller]
pub(crate) fn check<D: Decoder>(decoder: impl Fn() -> D, wire: &[u8], expected: &[Event]) {
    let events = check_invariant(decoder, wire);
    assert_eq!(events, expected, "{}", wire.escape_ascii());
}

/// The same whatever the events are, which are returned.
#[track_caller]
pub(crate) fn check_invariant<D: Decoder>(decoder: impl Fn() -> D, wire: &[u8]) -> Vec<Event> {
    let whole = assert_chunk_invariant(&decoder, wire);
    check_driver::<Blocking, D>(&decoder, wire, &whole);
    check_driver::<Tokio, D>(&decoder, wire, &whole);
    let mut expected = whole.clone();
    expected.retain(|event| !matches!(event, Event::Partial(_)));
    let in_framed = |pieces: Vec<&[u8]>| {
        let events = drivers::events_in_framed(decoder(), Reads::broken(&pieces));
        assert_eq!(
            events,
            expected,
            "in tokio_util's Framed, {} cut as {pieces:?}",
            wire.escape_ascii()
        );
    };
    cuts(wire).into_iter().for_each(in_framed);
    whole
}

#[track_caller]
fn check_driver<R: Driver, D: Decoder>(decoder: impl Fn() -> D, wire: &[u8], whole: &[Event]) {
    for pieces in cuts(wire) {
        let events = drivers::events::<R, D>(decoder(), Reads::broken(&pieces));
        assert_eq!(events, whole, "{}, {} cut as {pieces:?}", R::NAME, wire.escape_ascii());
    }
}

/// Whole, in one-byte pieces, in two pieces at every place, and in random pieces.
fn cuts(wire: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut cuts = vec![vec![wire], wire.chunks(1).collect()];
    let step = wire.len() / 512 + 1;
    cuts.extend((1..wire.len()).step_by(step).map(|at| vec![&wire[..at], &wire[at..]]));
    cuts.extend((1..=8).map(|seed| random_pieces(wire, seed)));
    for cut in &mut cuts {
        cut.retain(|piece| !piece.is_empty()); // a read of 0 bytes would be the end
    }
    cuts
}
