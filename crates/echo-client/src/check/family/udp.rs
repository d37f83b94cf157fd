//! Datagrams: each comes back whole, once, to who sent it, from where it was sent to.
//!
//! All checks together send some 300 datagrams in about half a second: a service that answers so many
//! a second of one source and no more, as `echo-server` does against loops, answers these.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

use crate::{
    check::{
        case::{Broken, Check, Level, Seen},
        conn::time,
        datagrams::{Arrival, Datagrams, Fate, TRIES},
        trial::Trial,
    },
    figures,
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "udp.one",
        level: Level::Must,
        does: "Sends a datagram of 64 bytes, up to four times.",
        expected: "The same bytes come back in one datagram.",
        hint: "Nobody answers there, a filter is on the path or on the way back (NAT forgets who asked, a \
               firewall knows no state for UDP), or the answer comes from another address (see \
               udp.source).",
        source: "RFC 862: an answering datagram is sent containing the data of the one received",
        slow: false,
        run: one,
    },
    Check {
        id: "udp.empty",
        level: Level::Must,
        does: "Sends a datagram without data, up to four times.",
        expected: "A datagram without data comes back.",
        hint: "Something takes a length of 0 for the end of a stream or for nothing at all; clients of \
               protocols in which an empty datagram is the question (RFC 867, RFC 868) get no answer.",
        source: "RFC 768: a length of 8, the header alone, is valid; socat ignores empty datagrams",
        slow: false,
        run: empty,
    },
    Check {
        id: "udp.boundaries",
        level: Level::Must,
        does: "Sends datagrams of 20 and of 30 bytes back to back, five times.",
        expected: "Each comes back by itself: not merged with the other, not in parts.",
        hint: "Something on the path carries datagrams in a stream without saying where each ends (a \
               tunnel or relay over TCP), and cuts it as reads happen to.",
        source: "RFC 768: the length is the datagram's own; TCP knows none (RFC 9293, 2.2)",
        slow: false,
        run: boundaries,
    },
    Check {
        id: "udp.sizes",
        level: Level::Must,
        does: "Sends datagrams of 1, 511 to 513, 548, and so on to 65,507 bytes: around what every host \
               takes, what IPv6 and Ethernet carry in one piece, and powers of two.",
        expected: "Each comes back whole. Up to 548 bytes every path has to carry; larger ones that are \
                   lost are a warning.",
        hint: "What is cut was received into a buffer that was too small. What is lost from about 1,400 \
               bytes on meets a smaller MTU (VPN, PPPoE, overlay network) and a filter that drops \
               fragments or the ICMP message that says so.",
        source: "RFC 1122, 3.3.2: 576 octets with headers are reassembled by everybody; RFC 8900: \
                 IP fragmentation considered fragile",
        slow: false,
        run: sizes,
    },
    Check {
        id: "udp.intact",
        level: Level::Must,
        does: "Sends 16 datagrams of 1,000 bytes.",
        expected: "Not a bit of those that come back has changed.",
        hint: "Something rewrites payload (a NAT's helper for one protocol or another) and repairs the \
               checksum, or memory or a network card is at fault.",
        source: "RFC 768: the checksum may be left out, and sees little; Stone and Partridge, SIGCOMM \
                 2000: when the CRC and TCP checksum disagree",
        slow: false,
        run: intact,
    },
    Check {
        id: "udp.duplicates",
        level: Level::Should,
        does: "Sends 32 datagrams, a millisecond apart, and listens on.",
        expected: "None comes back more than once.",
        hint: "Something sends again what was not lost (a tunnel's or Wi-Fi's retransmission), or two \
               paths carry the same (bonding in broadcast mode, a mirrored port).",
        source: "RFC 768: delivery and duplicate protection are not guaranteed",
        slow: false,
        run: duplicates,
    },
    Check {
        id: "udp.order",
        level: Level::Should,
        does: "Sends 32 datagrams back to back, up to three times.",
        expected: "They come back in the order in which they were sent, at least once.",
        hint: "Each datagram takes a way of its own (load balancing per packet), or several threads \
               answer on one socket; voice and video suffer, and QUIC takes it for loss.",
        source: "RFC 4737: packet reordering metrics, and whom it hurts",
        slow: false,
        run: order,
    },
    Check {
        id: "udp.loss",
        level: Level::Should,
        does: "Sends 100 datagrams, two milliseconds apart, each once.",
        expected: "All of them come back.",
        hint: "A queue or buffer on the path is too short, a radio link loses, or the service limits how \
               many it answers (echo-server --udp-rate). UDP allows for loss; a quiet path should have \
               none.",
        source: "RFC 768: delivery and duplicate protection are not guaranteed",
        slow: false,
        run: loss,
    },
    Check {
        id: "udp.delay",
        level: Level::Should,
        does: "Sends ten datagrams, each when the one before is back.",
        expected: "When the service is on this machine, the quickest takes less than 20 ms; a distant \
                   one takes what it takes.",
        hint: "Something waits for more datagrams or for a timer before it passes one on (coalescing, \
               a traffic shaper, a sleeping poll loop).",
        source: "RFC 768 holds nothing back: a datagram goes when it is sent",
        slow: false,
        run: delay,
    },
    Check {
        id: "udp.clients",
        level: Level::Must,
        does: "Sends four datagrams from each of 16 sockets, all at once.",
        expected: "Each gets its own back, and no other's.",
        hint: "A relay keeps one client in mind instead of a table of them, or answers whoever came \
               last.",
        source: "RFC 768: source address and port say where a reply goes; socat without fork serves \
                 one peer",
        slow: false,
        run: clients,
    },
    Check {
        id: "udp.source",
        level: Level::Must,
        does: "Sends a datagram from a socket that hears everybody.",
        expected: "The answer comes from the address and port that were asked.",
        hint: "A service on every address answers from the one that the route has (it has to use \
               IP_PKTINFO, or a socket per address), or a relay answers from a port of its own. \
               Connected sockets, firewalls and NAT drop such an answer.",
        source: "RFC 1122, 4.1.3.5: UDP multihoming",
        slow: false,
        run: source,
    },
];

/// Bytes of a datagram where size does not matter: enough to tell itself from others.
const SIZE: usize = 64;

/// Lengths of `udp.sizes`, in order. 548: 576 less the headers of IPv4 and UDP. 1232: 1280 less those of
/// IPv6 and UDP. 1472: 1500 less those of IPv4 and UDP. 65,507: 65,535 less the same, the most there is.
const SIZES: [usize; 18] = [
    1, 511, 512, 513, 548, 1231, 1232, 1233, 1400, 1471, 1472, 1473, 4096, 8191, 8192, 8193,
    32_768, 65_507,
];

/// What every path has to carry.
const CARRIED_BY_ALL: usize = 548;

/// Between datagrams that are not to crowd each other.
const PACE: Duration = Duration::from_millis(1);

/// The most a way within one machine takes, at best of [`DELAYS`].
const NEAR: Duration = Duration::from_millis(20);

/// Datagrams of `udp.delay`.
const DELAYS: usize = 10;

/// Datagrams of `udp.duplicates` and `udp.order`; there they are sent at once, and so often.
const BURST: usize = 32;
const BURSTS: u32 = 3;

/// Sockets of `udp.clients`, and datagrams of each.
const CLIENTS: usize = 16;
const EACH: usize = 4;

fn one(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let took = trial.datagrams()?.ask(SIZE)?;
    Ok(Seen::Kept(format!("came back in {}", time(took))))
}

fn empty(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let took = trial.datagrams()?.ask(0)?;
    Ok(Seen::Kept(format!("an empty datagram came back in {}", time(took))))
}

fn boundaries(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut socket = trial.datagrams()?;
    for _ in 0..5 {
        if socket.exchange(&[20, 30], Duration::ZERO)?.contains(&Fate::Lost) {
            return Err(socket.silence());
        }
    }
    Ok(Seen::Kept("five pairs came back, each datagram by itself".to_owned()))
}

fn sizes(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut socket = trial.datagrams()?;
    let fates = socket.exchange(&SIZES, PACE)?;
    let of = |meant: fn(&Fate) -> bool| {
        let sizes = SIZES.iter().zip(&fates).filter(move |(_, fate)| meant(fate));
        sizes.map(|(size, _)| *size)
    };
    let lost: Vec<String> =
        of(|fate| *fate == Fate::Lost).map(|size| figures::count(size as u64)).collect();
    let Some(largest) = of(|fate| matches!(fate, Fate::Back(_))).max() else {
        return Err(socket.silence());
    };
    let largest = figures::count(largest as u64);
    match of(|fate| *fate == Fate::Lost).min() {
        None => Ok(Seen::Kept(format!("up to {largest} bytes came back whole"))),
        Some(least) => {
            let lost = lost.join(", ");
            let words =
                format!("lost, {TRIES} times each: {lost} bytes; the largest that came: {largest}");
            if least <= CARRIED_BY_ALL { Err(Broken::Promise(words)) } else { Ok(Seen::Odd(words)) }
        }
    }
}

fn intact(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut socket = trial.datagrams()?;
    let fates = socket.exchange(&[1000; 16], PACE)?;
    match fates.iter().filter(|fate| matches!(fate, Fate::Back(_))).count() {
        0 => Err(socket.silence()),
        back => Ok(Seen::Kept(format!("{back} of 16 came back, not a bit of them changed"))),
    }
}

fn duplicates(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut socket = trial.datagrams()?;
    train(&mut socket, BURST, PACE)?;
    let until = Instant::now() + trial.quiet();
    while socket.receive(until)?.is_some() {}
    match (socket.answered(), socket.duplicates()) {
        (0, _) => Err(socket.silence()),
        (back, 0) => Ok(Seen::Kept(format!("{back} of {BURST} came back, each once"))),
        (back, again) => {
            Ok(Seen::Odd(format!("{back} of {BURST} came back, and {again} more than once")))
        }
    }
}

fn order(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut least = usize::MAX;
    for _ in 0..BURSTS {
        let mut socket = trial.datagrams()?;
        let came = train(&mut socket, BURST, Duration::ZERO)?;
        if came.is_empty() {
            return Err(socket.silence());
        }
        least = least.min(overtaken(&came));
        if least == 0 {
            return Ok(Seen::Kept(format!("{} of {BURST} came back, in order", socket.answered())));
        }
    }
    Ok(Seen::Odd(format!("of {BURST} at least {least} were overtaken, {BURSTS} times in a row")))
}

fn loss(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut socket = trial.datagrams()?;
    train(&mut socket, 100, PACE * 2)?;
    match socket.sent() - socket.answered() {
        0 => Ok(Seen::Kept("none of 100 was lost".to_owned())),
        lost => Ok(Seen::Odd(format!("{lost} of 100 were lost"))),
    }
}

fn delay(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let (socket, pattern) = trial.socket()?;
    let is_near = socket.peer_addr().ok().and_then(|peer| peer.as_socket());
    let is_near = is_near.is_some_and(|peer| peer.ip().is_loopback());
    let mut socket = Datagrams::new(trial, socket, pattern, None)?;
    let times: Vec<_> = (0..DELAYS).map(|_| socket.ask(SIZE)).collect::<Result<_, _>>()?;
    let [least, most] =
        [times.iter().min(), times.iter().max()].map(|took| took.copied().unwrap_or_default());
    let words = format!("{} to {} in {DELAYS} round trips", time(least), time(most));
    match is_near && least > NEAR {
        true => Ok(Seen::Odd(words + ", on one machine")),
        false => Ok(Seen::Kept(words)),
    }
}

fn clients(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| trial.datagrams()).collect::<Result<_, _>>()?;
    let is_served = |client: &Datagrams<'_>| client.answered() >= EACH;
    for _ in 0..TRIES {
        // In turn, so that no two datagrams of one client follow each other.
        for nth in 0..EACH {
            for client in clients.iter_mut().filter(|client| client.answered() + nth < EACH) {
                client.send(SIZE)?;
            }
        }
        let until = Instant::now() + trial.patience() / TRIES;
        for client in &mut clients {
            while !is_served(client) && client.receive(until)?.is_some() {}
        }
        if clients.iter().all(is_served) {
            return Ok(Seen::Kept(format!("each of {CLIENTS} got its {EACH} back")));
        }
    }
    let unserved = clients.iter().filter(|client| !is_served(client)).count();
    Err(Broken::Promise(format!("{unserved} of {CLIENTS} did not get their {EACH} back")))
}

fn source(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let (socket, pattern) = trial.socket()?;
    let (socket, asked) = unconnected(&socket).map_err(|error| Broken::Ours(error.to_string()))?;
    let mut socket = Datagrams::new(trial, socket, pattern, Some(asked))?;
    for _ in 0..TRIES {
        socket.send(SIZE)?;
        let until = Instant::now() + socket.wait();
        if let Some(Arrival { from, .. }) = socket.receive(until)? {
            return match (from.ip(), from.port()) == (asked.ip(), asked.port()) {
                true => Ok(Seen::Kept(format!("the answer came from {from}"))),
                false => Err(Broken::Promise(format!("{asked} was asked, {from} has answered"))),
            };
        }
    }
    Err(socket.silence())
}

/// A socket with the local address of one that is connected, and where that one leads.
fn unconnected(socket: &Socket) -> io::Result<(Socket, SocketAddr)> {
    let [local, peer] = [socket.local_addr()?, socket.peer_addr()?].map(|it| it.as_socket());
    let (Some(mut local), Some(peer)) = (local, peer) else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    local.set_port(0);
    let socket = Socket::new(Domain::for_address(peer), Type::DGRAM, None)?;
    socket.bind(&local.into())?;
    Ok((socket, peer))
}

/// Sends so many, each once, and returns the numbers of those that come back, as they come.
fn train(socket: &mut Datagrams<'_>, count: usize, pace: Duration) -> Result<Vec<usize>, Broken> {
    let mut came = Vec::new();
    for nth in 1..=count {
        socket.send(SIZE)?;
        let until = Instant::now() + if nth < count { pace } else { socket.wait() };
        while nth < count || socket.answered() < count {
            let Some(arrival) = socket.receive(until)? else { break };
            came.push(arrival.number);
        }
    }
    Ok(came)
}

/// How many came after one that was sent later.
fn overtaken(came: &[usize]) -> usize {
    let mut latest = 0;
    let is_overtaken = |number: &&usize| {
        latest = latest.max(**number);
        **number < latest
    };
    came.iter().filter(is_overtaken).count()
}

#[cfg(test)]
mod tests;
