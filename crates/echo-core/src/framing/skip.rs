//! The rest of a frame of known size that is too long to keep.

use super::Decoded;
use crate::FrameError;

/// How much of a frame has been discarded and how much is still to come.
///
/// `u128` because a header plus a `u64` payload length may exceed `u64`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Skip {
    done: u64,
    left: u128, // 0: not skipping
}

impl Skip {
    pub(super) const NONE: Self = Self { done: 0, left: 0 };

    /// Starts skipping a frame of `size` bytes, header included.
    pub(super) fn start(size: u128) -> Self {
        Self { done: 0, left: size }
    }

    #[inline]
    pub(super) const fn is_active(&self) -> bool {
        self.left != 0
    }

    /// Discards what `src` holds of the frame, but not its last `keep` bytes.
    ///
    /// `None` when only those are left.
    pub(super) fn advance(&mut self, src: &[u8], keep: u8) -> Option<Decoded> {
        let left = self.left - u128::from(keep).min(self.left);
        if left == 0 {
            return None;
        }
        let n = usize::try_from(left).map_or(src.len(), |left| left.min(src.len()));
        if n == 0 {
            return Some(Decoded::NeedMore(usize::try_from(self.left).unwrap_or(usize::MAX)));
        }
        self.left -= n as u128;
        self.done = self.done.saturating_add(n as u64);
        Some(Decoded::Discard(n))
    }

    /// The error when the peer closes now, with everything received so far discarded.
    pub(super) fn truncated(&self) -> FrameError {
        let size = self.left + u128::from(self.done);
        FrameError::Truncated { got: self.done, expected: u64::try_from(size).ok() }
    }
}
