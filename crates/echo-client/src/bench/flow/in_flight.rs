//! The messages of a stream that are in flight, oldest first.

use std::collections::VecDeque;

use super::Sent;

/// Messages in flight. Those that were due and sent together, as a closed loop's are, stand as one, so
/// that a deep pipeline takes little time for each.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    /// When they were sent, and how many; never 0.
    together: VecDeque<(Sent, u64)>,
    messages: u64,
}

impl InFlight {
    pub(super) fn len(&self) -> u64 {
        self.messages
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Adds so many messages, at least one, that were sent together.
    pub(super) fn push(&mut self, sent: Sent, count: u64) {
        self.together.push_back((sent, count));
        self.messages += count;
    }

    /// Takes the oldest ones, as many as were sent together, but at most `most`.
    pub(super) fn take(&mut self, most: u64) -> Option<(Sent, u64)> {
        let (sent, count) = self.together.front_mut().filter(|_| most > 0)?;
        let (sent, taken) = (*sent, most.min(*count));
        *count -= taken;
        if *count == 0 {
            self.together.pop_front();
        }
        self.messages -= taken;
        Some((sent, taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_leave_in_the_order_in_which_they_came_each_with_its_time() {
        let [early, late] = [1, 2].map(|at| Sent { due: at, at });
        let mut in_flight = InFlight::default();
        in_flight.push(early, 3);
        in_flight.push(late, 2);
        assert_eq!((in_flight.len(), in_flight.take(0)), (5, None));
        assert_eq!(in_flight.take(2), Some((early, 2)));
        assert_eq!(in_flight.take(9), Some((early, 1)), "the others were sent later");
        assert_eq!((in_flight.take(9), in_flight.is_empty()), (Some((late, 2)), true));
        assert_eq!(in_flight.take(9), None);
    }
}
