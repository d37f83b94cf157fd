//! Looking for more work a while before sleeping.
//!
//! Waking a sleeping thread takes the kernel far longer than an echo does, so who needs the shortest
//! delay lets a worker poll without waiting until nothing has come for a set time: `--spin`.

use std::time::Duration;

/// Whether to sleep.
#[derive(Debug)]
pub(crate) struct Spin {
    /// How long to look after the last work; zero sleeps at once.
    limit: Duration,
    until: Duration,
}

impl Spin {
    pub(crate) const fn new(limit: Duration) -> Self {
        Self { limit, until: Duration::ZERO }
    }

    /// There was work at `now`.
    #[inline]
    pub(crate) fn worked(&mut self, now: Duration) {
        self.until = now.saturating_add(self.limit);
    }

    /// Whether to look again at once, rather than to sleep.
    #[inline]
    pub(crate) fn goes_on(&self, now: Duration) -> bool {
        now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Duration = Duration::from_micros(1);

    #[test]
    fn it_looks_for_so_long_after_the_last_work() {
        let mut spin = Spin::new(US * 50);
        assert!(!spin.goes_on(US * 1), "nothing has ever come");
        spin.worked(US * 100);
        assert!(spin.goes_on(US * 149));
        assert!(!spin.goes_on(US * 150));
        spin.worked(US * 160);
        assert!(spin.goes_on(US * 209));
    }

    #[test]
    fn without_a_limit_it_never_looks() {
        let mut spin = Spin::new(Duration::ZERO);
        spin.worked(US * 100);
        assert!(!spin.goes_on(US * 100));
    }
}
