//! What the measurements are held to.

use crate::{
    ceilings::CEILING,
    harness::{Spread, Timing},
    ours::{LENT, OWNED},
    peers::{BSTR, COMPAT, LINEREADER, TOKIO},
    wire::Size,
};

/// Ours has to be so many times as fast as the fastest of the peers.
struct Target {
    what: &'static str,
    work: &'static str,
    ours: &'static str,
    peers: &'static [&'static str],
    /// The ways in which both get their bytes alike.
    ways: &'static [&'static str],
    at_least: &'static [(Size, f64)],
}

const S16: Size = Size::Of(16);
const S64: Size = Size::Of(64);
const S256: Size = Size::Of(256);
const S4096: Size = Size::Of(4096);

const EVERY_WAY: &[&str] = &["alone", "deframer", "receiver"];
const BUFFERED: &[&str] = &["deframer", "receiver"];
const NEVER_SLOWER: &[(Size, f64)] = &[(S16, 1.0), (S64, 1.0), (S256, 1.0), (S4096, 1.0)];

const TARGETS: [Target; 12] = [
    Target {
        what: "u32 lent / tokio-util LengthDelimitedCodec",
        work: "u32",
        ours: LENT,
        peers: &[TOKIO],
        ways: EVERY_WAY,
        at_least: &[(S16, 5.0), (S64, 4.0), (S256, 2.0)],
    },
    Target {
        what: "u32 lent / span-borrowing loop (ceiling)",
        work: "u32",
        ours: LENT,
        peers: &[CEILING],
        ways: EVERY_WAY,
        at_least: &[(S16, 0.8), (S64, 0.8), (S256, 0.8)],
    },
    Target {
        what: "lines lent / tokio-util LinesCodec",
        work: "line",
        ours: LENT,
        peers: &[TOKIO],
        ways: EVERY_WAY,
        at_least: &[(S16, 4.0), (S64, 2.5), (S256, 2.0)],
    },
    Target {
        what: "lines lent / better of bstr, linereader",
        work: "line",
        ours: LENT,
        peers: &[BSTR, LINEREADER],
        ways: &["alone", "receiver"],
        at_least: &[(S16, 0.95), (S64, 0.95), (S256, 0.95)],
    },
    Target {
        what: "delim:0d0a lent / memmem iteration (ceiling)",
        work: "delim:0d0a",
        ours: LENT,
        peers: &[CEILING],
        ways: EVERY_WAY,
        at_least: &[(S64, 0.8)],
    },
    Target {
        what: "four 1-byte delimiters lent / AnyDelimiterCodec",
        work: "delim:2c,3b,0a,0d",
        ours: LENT,
        peers: &[TOKIO],
        ways: EVERY_WAY,
        at_least: &[(S16, 3.0), (S64, 3.0), (S256, 3.0)],
    },
    Target {
        what: "u32 owned (to_vec) / tokio-util LengthDelimitedCodec",
        work: "u32",
        ours: OWNED,
        peers: &[TOKIO],
        ways: BUFFERED,
        at_least: NEVER_SLOWER,
    },
    Target {
        what: "lines owned / tokio-util LinesCodec",
        work: "line",
        ours: OWNED,
        peers: &[TOKIO],
        ways: BUFFERED,
        at_least: NEVER_SLOWER,
    },
    Target {
        what: "four 1-byte delimiters owned / AnyDelimiterCodec",
        work: "delim:2c,3b,0a,0d",
        ours: OWNED,
        peers: &[TOKIO],
        ways: BUFFERED,
        at_least: NEVER_SLOWER,
    },
    Target {
        what: "u32 owned in Framed / tokio-util LengthDelimitedCodec",
        work: "u32",
        ours: COMPAT,
        peers: &[TOKIO],
        ways: BUFFERED,
        at_least: NEVER_SLOWER,
    },
    Target {
        what: "lines owned in Framed / tokio-util LinesCodec",
        work: "line",
        ours: COMPAT,
        peers: &[TOKIO],
        ways: BUFFERED,
        at_least: NEVER_SLOWER,
    },
    Target {
        what: "four 1-byte owned in Framed / AnyDelimiterCodec",
        work: "delim:2c,3b,0a,0d",
        ours: COMPAT,
        peers: &[TOKIO],
        ways: BUFFERED,
        at_least: NEVER_SLOWER,
    },
];

/// A target beside what was measured.
pub(crate) struct Verdict {
    pub(crate) what: &'static str,
    pub(crate) way: &'static str,
    pub(crate) size: String,
    /// The fastest of the peers.
    pub(crate) peer: &'static str,
    pub(crate) ratio: Spread,
    pub(crate) at_least: f64,
}

impl Verdict {
    pub(crate) fn is_met(&self) -> bool {
        self.ratio.median >= self.at_least
    }
}

/// Every target that concerns frames of `size`.
pub(crate) fn judge(size: Size, timings: &[Timing<'_>]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for target in &TARGETS {
        let Some((_, at_least)) = target.at_least.iter().find(|(of, _)| *of == size) else {
            continue;
        };
        for way in target.ways {
            let rounds = |who: &str| {
                let is = |t: &&Timing<'_>| {
                    (t.contender.work, t.contender.way, t.contender.who) == (target.work, way, who)
                };
                timings.iter().find(is).map(|timing| &timing.rounds)
            };
            let Some(ours) = rounds(target.ours) else { continue };
            let hardest = target
                .peers
                .iter()
                .filter_map(|peer| Some((*peer, Spread::faster(ours, rounds(peer)?))))
                .min_by(|(_, a), (_, b)| a.median.total_cmp(&b.median));
            let Some((peer, ratio)) = hardest else { continue };
            verdicts.push(Verdict {
                what: target.what,
                way,
                size: size.label(),
                peer,
                ratio,
                at_least: *at_least,
            });
        }
    }
    verdicts
}
