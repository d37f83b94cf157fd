//! What an exchange says about peers that return all, less, other or slow bytes.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use super::{Exchange, READ_SIZE};
use crate::check::{
    case::{Broken, Seen},
    peer::{Peer, close, echo, echo_up_to, reset},
};

/// Enough for reads and writes to be cut, and for chunks to differ.
const LEN: u64 = 300_000;

const ALL: Exchange = Exchange { len: LEN, chunk: READ_SIZE, half_close: false };

/// What the exchange of all says.
fn exchanged_with(serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) -> String {
    let peer = Peer::each(move |_, stream| serve(stream));
    match peer.seen_by(|trial| {
        trial.connect()?.exchange(ALL)?;
        Ok(Seen::Kept("all".to_owned()))
    }) {
        Ok(Seen::Kept(words)) | Err(Broken::Promise(words)) => words,
        other => format!("{other:?}"),
    }
}

#[test]
fn chunks_of_any_size_come_back_and_more_after_them() {
    let seen = Peer::good().seen_by(|trial| {
        let mut conn = trial.connect()?;
        for chunk in [1, 7, 4096, 1 << 20] {
            conn.exchange(Exchange { len: chunk as u64 * 3 - 1, chunk, half_close: false })?;
        }
        let transfer = conn.begin(ALL);
        conn.complete(transfer.in_fragments(fastrand::Rng::with_seed(1)))?;
        assert_eq!(conn.came(), 3 * (1 + 7 + 4096 + (1 << 20)) - 4 + LEN);
        Ok(Seen::Kept(String::new()))
    });
    seen.unwrap();
}

#[test]
fn after_a_half_close_all_comes_and_then_fin() {
    let seen = Peer::good().seen_by(|trial| {
        let mut conn = trial.connect()?;
        conn.exchange(Exchange { half_close: true, ..ALL })?;
        conn.expect_fin()?;
        Ok(Seen::Kept(String::new()))
    });
    seen.unwrap();
}

#[test]
fn what_is_not_sent_in_time_is_not_waited_for() {
    let seen = Peer::good().seen_by(|trial| {
        let mut conn = trial.connect()?;
        let transfer = conn.begin(Exchange { len: 1 << 40, ..ALL });
        conn.complete(transfer.until(Instant::now() + Duration::from_millis(20)))?;
        assert!(conn.came() > 0);
        conn.exchange(ALL)?;
        Ok(Seen::Kept(String::new()))
    });
    seen.unwrap();
}

#[test]
fn a_stream_that_ends_early_says_after_how_many_bytes_and_how() {
    assert_eq!(exchanged_with(echo), "all");
    assert_eq!(
        exchanged_with(|mut stream| {
            echo_up_to(&mut stream, 100_000)?;
            close(stream)
        }),
        "100,000 of 300,000 bytes came back, then FIN",
    );
    assert_eq!(
        exchanged_with(|mut stream| {
            echo_up_to(&mut stream, 100_000)?;
            io::copy(&mut stream, &mut io::sink()).map(drop) // and goes on, saying nothing
        }),
        "100,000 of 300,000 bytes came back, then nothing for 2 s",
    );
    let cut = exchanged_with(|mut stream| {
        echo_up_to(&mut stream, 100_000)?;
        reset(stream)
    });
    assert!(cut.ends_with("of 300,000 bytes came back, then RST"), "{cut}");
}

#[test]
fn damage_is_named_even_where_bytes_are_missing() {
    fn once(change: fn(&mut Vec<u8>)) -> String {
        exchanged_with(move |mut stream| {
            // In chunks of one size, whatever the reads are.
            let mut chunk = vec![0; 1000];
            for nth in 0.. {
                stream.read_exact(&mut chunk)?;
                let mut bytes = chunk.clone();
                if nth == 200 {
                    change(&mut bytes);
                }
                stream.write_all(&bytes)?;
            }
            Ok(())
        })
    }
    assert_eq!(once(|bytes| bytes[500] ^= 4), "corrupt at offset 200500, 1 byte");
    assert_eq!(once(|bytes| drop(bytes.drain(100..150))), "lost 50 bytes at offset 200100");
    assert_eq!(once(|bytes| bytes.rotate_left(400)), "reordered 400 bytes at offset 200000");
    assert_eq!(
        once(|bytes| bytes.extend_from_within(600..)),
        "duplicated 400 bytes at offset 200600"
    );
}

#[test]
fn a_stream_that_never_stops_moving_is_slow_and_not_broken() {
    let drips = Peer::each(|_, mut stream| {
        let mut byte = [0];
        loop {
            stream.read_exact(&mut byte)?;
            stream.write_all(&byte)?;
            thread::sleep(Duration::from_millis(20));
        }
    });
    let seen = drips.seen_by(|trial| {
        trial.connect()?.exchange(ALL)?;
        Ok(Seen::Kept(String::new()))
    });
    assert!(matches!(&seen, Err(Broken::Slow(words)) if words.starts_with("only ")), "{seen:?}");
}
