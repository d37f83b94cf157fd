//! What can go wrong. Each seed picks its own faults and how often they strike; some seeds are calm.

use super::rng::Rng;

/// One way to go wrong. What the layers without such a thing do not have (completions, events) never
/// strikes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    // Any system call.
    PartialReceive,
    PartialSend,
    ZeroWrite,
    WouldBlockStorm,
    Interrupted,
    // The peer.
    Reset,
    EarlyFin,
    AbruptClose,
    SlowReader,
    NonReader,
    DrippingWriter,
    Firehose,
    SilentPeer,
    BadFrame,
    // The path, the clock, and who runs us.
    SlowNetwork,
    ClockJump,
    LateWake,
    SpuriousWake,
    Drain,
    Churn,
    // Readiness, edge-triggered.
    MergedEdges,
    StaleEvent,
    // Completions.
    BufferExhaustion,
    OutOfOrder,
    ShortCompletion,
    MultishotEnds,
    CancelRace,
    StaleToken,
    Burst,
    PartialSubmit,
}

impl Fault {
    pub(super) const ALL: [Self; 30] = [
        Self::PartialReceive,
        Self::PartialSend,
        Self::ZeroWrite,
        Self::WouldBlockStorm,
        Self::Interrupted,
        Self::Reset,
        Self::EarlyFin,
        Self::AbruptClose,
        Self::SlowReader,
        Self::NonReader,
        Self::DrippingWriter,
        Self::Firehose,
        Self::SilentPeer,
        Self::BadFrame,
        Self::SlowNetwork,
        Self::ClockJump,
        Self::LateWake,
        Self::SpuriousWake,
        Self::Drain,
        Self::Churn,
        Self::MergedEdges,
        Self::StaleEvent,
        Self::BufferExhaustion,
        Self::OutOfOrder,
        Self::ShortCompletion,
        Self::MultishotEnds,
        Self::CancelRace,
        Self::StaleToken,
        Self::Burst,
        Self::PartialSubmit,
    ];
}

/// How often each fault struck.
pub(super) type Counts = [u64; Fault::ALL.len()];

/// The faults of one run.
#[derive(Debug)]
pub(super) struct Faults {
    /// In how many of 100 opportunities each strikes.
    rates: [usize; Fault::ALL.len()],
    pub(super) counts: Counts,
}

impl Faults {
    /// A choice; about one run in eight is calm.
    pub(super) fn choose(rng: &mut Rng) -> Self {
        let share = rng.pick(&[0, 15, 15, 30, 30, 50, 50, 80]);
        let mut rates = [0; Fault::ALL.len()];
        for rate in &mut rates {
            if rng.percent(share) {
                *rate = rng.pick(&[1, 5, 20, 50]);
            }
        }
        Self { rates, counts: [0; Fault::ALL.len()] }
    }

    /// Whether `fault` strikes this time.
    pub(super) fn strikes(&mut self, fault: Fault, rng: &mut Rng) -> bool {
        let rate = self.rates[fault as usize];
        let strikes = rate > 0 && rng.percent(rate);
        if strikes {
            self.happened(fault);
        }
        strikes
    }

    /// Takes note of something that nobody had to cause.
    pub(super) fn happened(&mut self, fault: Fault) {
        self.counts[fault as usize] += 1;
    }

    /// Nothing strikes any more.
    pub(super) fn stop(&mut self) {
        self.rates = [0; Fault::ALL.len()];
    }
}
