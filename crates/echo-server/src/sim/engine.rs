//! What a run asks of whatever engine it drives.

use std::time::Duration;

use super::{
    oracle::{Bounds, Status},
    world::{End, World},
};

pub(super) trait Engine {
    /// What it has to keep.
    fn bounds(&self) -> Bounds;

    fn has_room(&self) -> bool;

    /// Serves another connection; there is room.
    fn admit(&mut self, end: End);

    /// The service ends.
    fn drain(&mut self);

    /// Whether it would be woken now.
    fn is_ready(&self, world: &World) -> bool;

    /// When it wakes by itself.
    fn wake_at(&self) -> Option<Duration>;

    /// Does what there is to do, and tells which connections have ended, and how.
    fn turn(&mut self, ended: &mut Vec<(usize, Status)>);

    /// How the open connections are.
    fn statuses(&self, statuses: &mut Vec<(usize, Status)>);

    /// Every connection has ended: nothing may be in use any more.
    fn check_at_rest(&self);
}
