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

#[test]
fn what_a_path_does_to_one_chunk_is_named() {
    const CONNECTIONS: u64 = 10;
    for (harm, name) in [
        (Harm::Corrupt, "corrupt"),
        (Harm::Lose, "lost"),
        (Harm::Duplicate, "duplicated"),
        (Harm::Swap, "reordered"),
        (Harm::Cross, "crossed"),
    ] {
        let target = harmful_path(harm);
        let args = format!("-c {CONNECTIONS} -s {CHUNK} -p 4 -d 2s --warmup 0s");
        let (code, json) = bench(&target, &args);
        assert_eq!(code, 1, "{name}: {json}");
        assert_eq!(count(&json, "/damage/count"), CONNECTIONS, "{name}: {json}");
        for words in json["damage"]["first"].as_array().unwrap() {
            assert!(words.as_str().unwrap().contains(name), "{words} instead of {name}");
        }
    }
}
