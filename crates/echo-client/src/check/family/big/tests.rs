//! Peers that break one promise, and what the checks say.

use crate::check::{
    case::Outcome::Fail,
    peer::{Peer, assert_good_passes, assert_judged, close, echo_changed, echo_up_to, lossy},
};

#[test]
fn a_good_peer_passes() {
    assert_good_passes("big");
}

#[test]
fn what_goes_wrong_far_into_a_stream_is_seen() {
    assert_judged([
        (
            "big.one-mib",
            Peer::each(|_, mut stream| {
                echo_up_to(&mut stream, 100_000)?;
                close(stream)
            }),
            Fail,
            "100,000 of 1,048,576 bytes came back, then FIN",
        ),
        ("big.both-ways", flips_a_bit_at(1_500_000), Fail, "corrupt at offset 1500000, 1 byte"),
        ("big.write-first", lossy(), Fail, "lost"),
    ]);
}

fn flips_a_bit_at(offset: usize) -> Peer {
    Peer::each(move |_, mut stream| {
        let mut before = 0;
        echo_changed(&mut stream, |bytes| {
            if let Some(byte) = bytes.get_mut(offset.wrapping_sub(before)) {
                *byte ^= 1;
            }
            before += bytes.len();
            true
        })
    })
}
