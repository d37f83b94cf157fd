//! A real service around engines that are fed with fake sockets: its sessions, slots and limits.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, OnceLock},
};

use clap::Parser;
use echo_core::{Codec, EchoLimits};

use super::{
    oracle::{Bounds, Status},
    script::Frames,
};
use crate::{
    admission::Slot, args::Args, config::Config, peer::Peer, service::Service, session::Session,
    shutdown::Shutdown, timers::TICK,
};

/// A service with room for `slots` connections.
pub(super) fn new(frames: &Frames, limits: EchoLimits, slots: usize) -> Arc<Service> {
    static DEFAULT: OnceLock<Config> = OnceLock::new();
    let default = || Config::try_from(&Args::parse_from(["echo-server"])).unwrap();
    let config = Config {
        codec: frames.codec.clone(),
        max_connections: slots,
        high_water: limits.high_water,
        idle_timeout: limits.idle_timeout,
        stall_timeout: limits.stall_timeout,
        drain_timeout: limits.drain_timeout,
        ..DEFAULT.get_or_init(default).clone()
    };
    Service::new(config, Arc::new(Shutdown::new(limits.drain_timeout).unwrap()))
}

/// A session for the connection `id`, which the peer's port tells.
pub(super) fn session(service: &Arc<Service>, id: usize, now: std::time::Duration) -> Session {
    let slot = Slot::reserve(service).expect("there is room");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(id).unwrap()));
    let seat = slot.claim(Peer::Inet(address)).expect("there is room for this peer");
    Session::new(seat, now)
}

/// Adds how the connections of `sessions` are.
pub(super) fn statuses<'a>(
    sessions: impl Iterator<Item = &'a Session>,
    statuses: &mut Vec<(usize, Status)>,
) {
    statuses.extend(sessions.map(|session| (id(session.peer()), Status::of(&session.echo))));
}

/// Adds which connections have ended since the last time, and how.
pub(super) fn ended(service: &Service, ended: &mut Vec<(usize, Status)>) {
    let witnessed = service.witnessed();
    ended.extend(witnessed.iter().map(|(peer, echo)| (id(*peer), Status::of(echo))));
}

/// Of an engine that notices deadlines by timers, and may have so many bytes unsent.
pub(super) fn bounds(limits: EchoLimits, unsent: usize) -> Bounds {
    Bounds { limits, tick: TICK, unsent, lags: false, goes_on: false }
}

/// The most that a codec leaves unreleased.
pub(super) fn held(codec: &Codec) -> usize {
    echo_core::Decoder::max_buffered(codec).unwrap()
}

fn id(peer: Peer) -> usize {
    let Peer::Inet(address) = peer else { unreachable!("every peer has a port") };
    usize::from(address.port())
}
