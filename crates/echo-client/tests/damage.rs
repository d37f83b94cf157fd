//! Every kind of damage, planted in a stream, is named for what it is, wherever it is and however
//! the stream is cut into reads.

use echo_client::pattern::{Checker, Damage, DamageKind, Pattern};
use proptest::prelude::*;

/// How far an end may seem off because the bytes there happen to be the same: more than four in a
/// row are once in 2^32.
const BY_CHANCE: u64 = 4;

/// Short enough to be quick, long enough for all paths of the fast comparison.
const LEN: usize = 6000;

/// The bytes sent, and what became of them.
fn stream(load: Pattern, from: usize, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    load.fill(from as u64, &mut bytes);
    bytes
}

/// What is named when `received` comes in pieces of these sizes, again and again.
fn named(load: Pattern, received: &[u8], pieces: &[usize]) -> Vec<Damage> {
    let mut checker = Checker::new(load);
    let mut damages = Vec::new();
    let mut rest = received;
    for piece in pieces.iter().cycle() {
        let (bytes, after) = rest.split_at(rest.len().min(*piece));
        damages.extend_from_slice(checker.check(bytes));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    damages.extend_from_slice(checker.finish(LEN as u64));
    assert_eq!(checker.received(), received.len() as u64);
    assert!(checker.complete_to() >= LEN as u64);
    damages
}

#[track_caller]
fn assert_one(damages: &[Damage], kind: DamageKind, offset: usize, extent: usize) {
    let [damage] = damages else { panic!("not one damage: {damages:?}") };
    let is_near = |named: u64, planted: usize| named.abs_diff(planted as u64) <= BY_CHANCE;
    let is_kind = match (damage.kind, kind) {
        (
            DamageKind::Crossed { connection, offset },
            DamageKind::Crossed { connection: other, offset: theirs },
        ) => connection == other && offset.abs_diff(theirs) <= BY_CHANCE,
        (named, planted) => named == planted,
    };
    let is_right = is_kind && is_near(damage.offset, offset) && is_near(damage.extent, extent);
    assert!(is_right, "{damage} instead of {kind:?} at {offset}, {extent} bytes");
}

prop_compose! {
    fn a_load()(seed: u64, connection in 0_u32..20_000) -> Pattern {
        Pattern::new(seed, connection)
    }
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    let piece = prop_oneof![1_usize..40, 1_usize..3000, Just(LEN)];
    prop::collection::vec(piece, 1..5)
}

/// `n` cuts of the stream, in order, at least `apart` bytes from each other and from the ends.
fn cuts(n: usize, apart: usize) -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..=LEN - apart * (n + 1), n).prop_map(move |mut cuts| {
        cuts.sort_unstable();
        (1..).zip(cuts).map(|(i, cut)| i * apart + cut).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_comes_back_as_it_was_sent_is_not_damaged(load in a_load(), pieces in pieces()) {
        prop_assert_eq!(named(load, &stream(load, 0, LEN), &pieces), []);
    }

    #[test]
    fn a_bit_that_changed_is_corrupt(load in a_load(), at in 0..LEN, bit in 0..8, pieces in pieces()) {
        let mut bytes = stream(load, 0, LEN);
        bytes[at] ^= 1_u8 << bit;
        let damages = named(load, &bytes, &pieces);
        prop_assert_eq!(
            damages,
            [Damage { kind: DamageKind::Corrupt, offset: at as u64, extent: 1 }]
        );
    }

    #[test]
    fn bytes_that_changed_are_corrupt(
        load in a_load(),
        at in 0..LEN,
        other in prop::collection::vec(any::<u8>(), 1..2000),
        pieces in pieces(),
    ) {
        let sent = stream(load, 0, LEN);
        let mut bytes = sent.clone();
        for (byte, other) in bytes[at..].iter_mut().zip(other) {
            *byte = other;
        }
        let differs = |i: &usize| sent[*i] != bytes[*i];
        let first = (0..LEN).find(differs);
        prop_assume!(first.is_some());
        let (first, last) = (first.unwrap(), (0..LEN).rfind(differs).unwrap());
        let damages = named(load, &bytes, &pieces);
        let extent = (last + 1 - first) as u64;
        prop_assert_eq!(
            damages,
            [Damage { kind: DamageKind::Corrupt, offset: first as u64, extent }]
        );
    }

    #[test]
    fn bytes_that_never_come_are_lost(
        load in a_load(), cut in cuts(2, 16), to_the_end: bool, pieces in pieces(),
    ) {
        let mut bytes = stream(load, 0, LEN);
        let end = if to_the_end { LEN } else { cut[1] };
        bytes.drain(cut[0]..end);
        assert_one(&named(load, &bytes, &pieces), DamageKind::Lost, cut[0], end - cut[0]);
    }

    #[test]
    fn few_bytes_that_never_come_are_lost(
        load in a_load(), at in 0..LEN - 40, len in 1_usize..16, pieces in pieces(),
    ) {
        let mut bytes = stream(load, 0, LEN);
        bytes.drain(at..at + len);
        assert_one(&named(load, &bytes, &pieces), DamageKind::Lost, at, len);
    }

    #[test]
    fn bytes_that_come_again_are_duplicated(
        load in a_load(), cut in cuts(3, 16), at_once: bool, pieces in pieces(),
    ) {
        let mut bytes = stream(load, 0, LEN);
        let again = bytes[cut[0]..cut[1]].to_vec();
        let at = if at_once { cut[1] } else { cut[2] };
        bytes.splice(at..at, again);
        assert_one(&named(load, &bytes, &pieces), DamageKind::Duplicated, cut[0], cut[1] - cut[0]);
    }

    #[test]
    fn neighbours_that_change_places_are_reordered(
        load in a_load(), cut in cuts(3, 16), pieces in pieces(),
    ) {
        let mut bytes = stream(load, 0, LEN);
        bytes[cut[0]..cut[2]].rotate_left(cut[1] - cut[0]);
        assert_one(&named(load, &bytes, &pieces), DamageKind::Reordered, cut[0], cut[1] - cut[0]);
    }

    #[test]
    fn chunks_that_change_places_over_others_are_reordered(
        load in a_load(), cut in cuts(4, 16), pieces in pieces(),
    ) {
        let bytes = stream(load, 0, LEN);
        let [a, b, c, d] = cut[..] else { unreachable!() };
        let order = [&bytes[..a], &bytes[c..d], &bytes[b..c], &bytes[a..b], &bytes[d..]];
        assert_one(&named(load, &order.concat(), &pieces), DamageKind::Reordered, a, c - a);
    }

    #[test]
    fn bytes_of_another_connection_are_crossed(
        load in a_load(),
        other in 0_u32..20_000,
        from in prop_oneof![Just(None), (0..LEN).prop_map(Some)],
        cut in cuts(2, 16),
        replaced in 0..=100_usize,
        pieces in pieces(),
    ) {
        prop_assume!(other != load.connection());
        let mut bytes = stream(load, 0, LEN);
        let len = cut[1] - cut[0];
        let from = from.unwrap_or(cut[0]);
        let theirs = stream(load.of(other), from, len);
        bytes.splice(cut[0]..cut[0] + len * replaced / 100, theirs);
        let kind = DamageKind::Crossed { connection: other, offset: from as u64 };
        assert_one(&named(load, &bytes, &pieces), kind, cut[0], len);
    }

    #[test]
    fn damage_after_damage_is_found(load in a_load(), cut in cuts(8, 64), pieces in pieces()) {
        let mut bytes = stream(load, 0, LEN);
        // From the end, so that offsets before stay as they are.
        bytes[cut[7]] ^= 0x80;
        let again = bytes[cut[5]..cut[6]].to_vec();
        bytes.splice(cut[6]..cut[6], again);
        bytes[cut[2]..cut[4]].rotate_left(cut[3] - cut[2]);
        bytes.drain(cut[0]..cut[1]);
        let mut damages = named(load, &bytes, &pieces);
        damages.sort_unstable_by_key(|damage| damage.offset);
        prop_assert_eq!(damages.len(), 4, "{:?}", damages);
        assert_one(&damages[..1], DamageKind::Lost, cut[0], cut[1] - cut[0]);
        assert_one(&damages[1..2], DamageKind::Reordered, cut[2], cut[3] - cut[2]);
        assert_one(&damages[2..3], DamageKind::Duplicated, cut[5], cut[6] - cut[5]);
        assert_one(&damages[3..], DamageKind::Corrupt, cut[7], 1);
    }

    #[test]
    fn whatever_comes_is_named_and_the_same_in_all_pieces(
        load in a_load(),
        parts in prop::collection::vec((0..4_u8, 0..LEN, 1..200_usize), 0..60),
        pieces in pieces(),
    ) {
        let parts = parts.into_iter().map(|(what, from, len)| match what {
            0 => stream(load, from, len),
            1 => stream(load.of(1), from, len),
            2 => stream(Pattern::new(!0, 0), from, len),
            _ => vec![0; len],
        });
        let bytes = parts.collect::<Vec<_>>().concat();
        let whole = named(load, &bytes, &[bytes.len().max(1)]);
        prop_assert_eq!(whole.is_empty(), bytes == stream(load, 0, LEN));
        prop_assert_eq!(named(load, &bytes, &pieces), whole);
    }
}
