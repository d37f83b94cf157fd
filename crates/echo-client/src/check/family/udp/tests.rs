//! Each check sees the one promise broken that it is about, and a good service passes all.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::atomic::AtomicBool,
    thread,
    time::Duration,
};

use super::*;
use crate::{
    Connector,
    check::{case::Outcome, trial::Trial},
};

/// For what is due and never comes: a quarter of it is waited for, four times.
const SHORT: Duration = Duration::from_secs(2);

/// Answers a datagram, or does not.
type Service = Box<dyn FnMut(&UdpSocket, &[u8], SocketAddr) + Send>;

/// Where a service is that answers like this.
fn serve(mut service: Service) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            service(&socket, &buffer[..len], from);
        }
    });
    address
}

/// What becomes of a check there.
fn outcome(id: &str, at: SocketAddr, timeout: Duration) -> (Outcome, String) {
    let check = CHECKS.iter().find(|check| check.id == id).unwrap();
    let target = format!("udp://{at}").parse().unwrap();
    let (connector, interrupted) = (Connector::default(), AtomicBool::new(false));
    let rtt = Duration::from_micros(50);
    check.judge((check.run)(&Trial::new(&target, &connector, rtt, timeout, &interrupted)))
}

fn back(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) {
    let _ = socket.send_to(bytes, to);
}

fn echo() -> Service {
    Box::new(back)
}

/// Sends two as one.
fn merge() -> Service {
    let mut held = Vec::new();
    Box::new(move |socket, bytes, from| {
        if held.is_empty() {
            held = bytes.to_vec();
        } else {
            held.extend_from_slice(bytes);
            back(socket, &std::mem::take(&mut held), from);
        }
    })
}

fn lose_every_tenth() -> Service {
    let mut seen = 0;
    Box::new(move |socket, bytes, from| {
        seen += 1;
        if seen % 10 != 0 {
            back(socket, bytes, from);
        }
    })
}

/// Sends every second before the one that came before it.
fn reorder() -> Service {
    let mut held: Option<Vec<u8>> = None;
    Box::new(move |socket, bytes, from| match held.take() {
        Some(held) => {
            back(socket, bytes, from);
            back(socket, &held, from);
        }
        None => held = Some(bytes.to_vec()),
    })
}

/// Answers whoever asked before.
fn crossed() -> Service {
    let mut last = None;
    Box::new(move |socket, bytes, from| {
        back(socket, bytes, last.replace(from).unwrap_or(from));
    })
}

fn from_another_port() -> Service {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    Box::new(move |_, bytes, from| back(&other, bytes, from))
}

fn cut_at(most: usize) -> Service {
    Box::new(move |socket, bytes, from| back(socket, &bytes[..bytes.len().min(most)], from))
}

fn lose_over(most: usize) -> Service {
    Box::new(move |socket, bytes, from| {
        if bytes.len() <= most {
            back(socket, bytes, from);
        }
    })
}

/// Answers nobody.
fn silent() -> Service {
    Box::new(|_, _, _| {})
}

/// Answers everything with the same.
fn say(answer: &'static [u8]) -> Service {
    Box::new(move |socket, _, from| back(socket, answer, from))
}

fn drop_empty() -> Service {
    Box::new(|socket, bytes, from| {
        if !bytes.is_empty() {
            back(socket, bytes, from);
        }
    })
}

fn flip_the_last_bit() -> Service {
    Box::new(|socket, bytes, from| {
        let mut bytes = bytes.to_vec();
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        back(socket, &bytes, from);
    })
}

fn twice() -> Service {
    Box::new(|socket, bytes, from| {
        back(socket, bytes, from);
        back(socket, bytes, from);
    })
}

fn delay() -> Service {
    Box::new(|socket, bytes, from| {
        thread::sleep(NEAR);
        back(socket, bytes, from);
    })
}

#[test]
fn every_fault_is_seen_by_the_check_that_is_about_it() {
    use Outcome::{Fail, Pass, Warn};
    let table: [(&str, Service, Outcome, &str); 20] = [
        ("udp.one", silent(), Fail, "nothing came back within 500 ms, 4 times"),
        ("udp.one", say(b"\x1b[2J"), Fail, r#"nobody sent: "\x1b[2J""#),
        ("udp.one", lose_every_tenth(), Pass, "came back in"),
        ("udp.empty", drop_empty(), Fail, "nothing came back"),
        ("udp.empty", say(b"\n"), Fail, r#"1 bytes came that nobody sent: "\n""#),
        ("udp.boundaries", merge(), Fail, "a datagram of 20 bytes came back as one of 50"),
        ("udp.boundaries", cut_at(25), Fail, "25 of a datagram's 30 bytes came back"),
        ("udp.sizes", cut_at(512), Fail, "512 of a datagram's 513 bytes came back"),
        ("udp.sizes", lose_over(512), Fail, "4 times each: 513, 548, 1,231"),
        ("udp.sizes", lose_over(1472), Warn, "the largest that came: 1,472"),
        ("udp.sizes", lose_every_tenth(), Pass, "up to 65,507 bytes"),
        ("udp.intact", flip_the_last_bit(), Fail, "of 1,000 bytes, at offset 999 came"),
        ("udp.duplicates", twice(), Warn, "32 of 32 came back, and 32 more than once"),
        ("udp.duplicates", lose_every_tenth(), Pass, "29 of 32 came back, each once"),
        ("udp.order", reorder(), Warn, "of 32 at least 16 were overtaken, 3 times"),
        ("udp.order", lose_every_tenth(), Pass, "29 of 32 came back, in order"),
        ("udp.loss", lose_every_tenth(), Warn, "10 of 100 were lost"),
        ("udp.delay", delay(), Warn, "on one machine"),
        ("udp.clients", crossed(), Fail, "of 64 bytes came that another socket had sent"),
        ("udp.source", from_another_port(), Fail, "has answered"),
    ];
    // At once, because most of the time nothing comes.
    thread::scope(|scope| {
        for (id, service, expected, words) in table {
            scope.spawn(move || {
                let (outcome, seen) = outcome(id, serve(service), SHORT);
                assert_eq!(outcome, expected, "{id}: {seen}");
                assert!(seen.contains(words), "{id}: {seen}");
            });
        }
    });
}

#[test]
fn a_good_service_passes_them_all() {
    let good = serve(echo());
    for check in CHECKS {
        let (outcome, seen) = outcome(check.id, good, Duration::from_secs(10));
        assert_eq!(outcome, Outcome::Pass, "{}: {seen}", check.id);
    }
}

#[test]
fn a_relay_with_one_client_serves_no_other() {
    let mut first = None;
    let relay = serve(Box::new(move |socket, bytes, from| {
        if *first.get_or_insert(from) == from {
            back(socket, bytes, from);
        }
    }));
    let (outcome, seen) = outcome("udp.clients", relay, SHORT);
    assert_eq!((outcome, &*seen), (Outcome::Fail, "15 of 16 did not get their 4 back"));
}

#[test]
fn nobody_there_is_heard_at_once() {
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for check in CHECKS.iter().filter(|check| check.id != "udp.source") {
        let (_, seen) = outcome(check.id, closed, SHORT);
        assert_eq!(seen, "refused: nobody receives there", "{}", check.id);
    }
}
