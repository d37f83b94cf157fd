//! A path that does one thing to one chunk of each connection, and what it is called.

use std::{
    io::{Read, Write},
    sync::Mutex,
};

use crate::bench::{bench, count, serve};

/// What a path does to one chunk of each connection.
#[derive(Clone, Copy, PartialEq)]
enum Harm {
    Corrupt,
    Lose,
    Duplicate,
    Swap,
    Cross,
}

/// A path that does that to the `HARMED`th chunk.
fn harmful_path(harm: Harm) -> String {
    let elsewhere = Mutex::new((usize::MAX, [0; CHUNK]));
    serve(move |number, mut stream| {
        let mut kept = Vec::new();
        for count in 0.. {
            let mut chunk = [0; CHUNK];
            if stream.read_exact(&mut chunk).is_err() {
                return;
            }
            let own = chunk;
            let mut out = chunk.to_vec();
            match harm {
                Harm::Corrupt if count == HARMED => out[number] ^= 1,
                Harm::Lose if count == HARMED => out.clear(),
                Harm::Duplicate if count == HARMED => out.extend_from_slice(&chunk),
                Harm::Swap if count == HARMED => kept = std::mem::take(&mut out),
                Harm::Swap if count == HARMED + 1 => out.append(&mut kept),
                Harm::Cross if count >= HARMED && kept.is_empty() => {
                    let other = *elsewhere.lock().expect("nobody panics with it");
                    if other.0 != usize::MAX && other.0 != number {
                        out = other.1.to_vec();
                        kept = vec![0]; // once
                    }
                }
                _ => {}
            }
            *elsewhere.lock().expect("nobody panics with it") = (number, own);
            if stream.write_all(&out).is_err() {
                return;
            }
        }
    })
}

const CHUNK: usize = 1024;
const HARMED: u64 = 9;

/// A hundred times: so many runs of so many connections, each harmed once.
const RUNS: u64 = 10;
const CONNECTIONS: u64 = 10;

#[track_caller]
fn assert_named(harm: Harm, name: &str) {
    let args = format!("-c {CONNECTIONS} -s {CHUNK} -p 4 -d 500ms --warmup 0s");
    let mut named = 0;
    for run in 0..RUNS {
        let (code, json) = bench(&harmful_path(harm), &args);
        assert_eq!(code, 1, "{name}, run {run}: {json}");
        assert_eq!(count(&json, "/damage/count"), CONNECTIONS, "{name}, run {run}: {json}");
        for words in json["damage"]["first"].as_array().expect("an array") {
            assert!(words.as_str().expect("words").contains(name), "{words} instead of {name}");
            named += 1;
        }
    }
    assert_eq!(named, RUNS * CONNECTIONS);
}

#[test]
fn a_bit_that_changed_is_named_corrupt() {
    assert_named(Harm::Corrupt, "corrupt");
}

#[test]
fn a_chunk_that_never_came_is_named_lost() {
    assert_named(Harm::Lose, "lost");
}

#[test]
fn a_chunk_that_came_twice_is_named_duplicated() {
    assert_named(Harm::Duplicate, "duplicated");
}

#[test]
fn two_chunks_in_the_wrong_order_are_named_reordered() {
    assert_named(Harm::Swap, "reordered");
}

#[test]
fn a_chunk_of_another_connection_is_named_crossed() {
    assert_named(Harm::Cross, "crossed");
}
