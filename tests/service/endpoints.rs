//! Where connections come from: Unix sockets, several endpoints, IPv4 and IPv6 at once.

use std::{
    io::{IoSlice, Read, Write},
    mem::MaybeUninit,
    net::Shutdown,
    os::fd::AsFd,
    thread,
};

use rustix::{
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
    process::Signal,
};

use crate::{
    Engine,
    support::{
        Server, connect, noise,
        place::{Place, assert_echoes},
        usage::{open_descriptors, until},
    },
};

pub(crate) const TESTS: crate::Tests = tests![
    a_unix_socket_echoes_all_of_it_and_ends_in_order,
    descriptors_sent_along_with_bytes_delay_nothing_and_are_not_kept,
    the_log_names_the_process_at_the_other_end_of_a_unix_socket,
    the_file_of_a_unix_socket_is_removed_at_every_orderly_end,
    newcomers_do_not_find_a_unix_socket_whose_server_ends,
    several_endpoints_of_all_kinds_are_served_at_once,
    once_means_one_connection_on_any_of_several_endpoints,
    once_means_one_connection_also_when_several_come_at_once,
    every_address_means_ipv4_and_ipv6,
];

fn a_unix_socket_echoes_all_of_it_and_ends_in_order(engine: Engine) {
    let place = Place::new();
    let _server = place.serve(&["--engine", engine.name()]);
    let (sent, stream) = (noise(300_000), place.connect());
    let mut back = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            (&stream).write_all(&sent).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        });
        (&stream).read_to_end(&mut back).unwrap();
    });
    assert!(back == sent, "{} of {} bytes", back.len(), sent.len());
}

fn descriptors_sent_along_with_bytes_delay_nothing_and_are_not_kept(engine: Engine) {
    let place = Place::new();
    let server = place.serve(&["--engine", engine.name()]);
    let mut stream = place.connect();
    assert_echoes(&stream);
    let before = open_descriptors(server.pid());
    // All is there when the server looks, but a read ends behind the bytes with a descriptor.
    server.signal(Signal::STOP);
    let sent = [stream.as_fd()];
    let mut space = [MaybeUninit::uninit(); 64];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&sent)));
    let bytes = [IoSlice::new(b"first")];
    assert_eq!(sendmsg(&stream, &bytes, &mut control, SendFlags::empty()).unwrap(), 5);
    stream.write_all(b"second").unwrap();
    server.signal(Signal::CONT);
    let mut back = [0; 11];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"firstsecond");
    assert_eq!(open_descriptors(server.pid()), before);
}

fn the_log_names_the_process_at_the_other_end_of_a_unix_socket(engine: Engine) {
    let place = Place::new();
    let server = place.serve(&["--engine", engine.name(), "-v"]);
    assert_echoes(place.connect());
    let line = server.wait_for_log("connected");
    assert!(line.contains(&format!("peer=unix:pid={},uid=", std::process::id())), "{line}");
}

fn the_file_of_a_unix_socket_is_removed_at_every_orderly_end(engine: Engine) {
    for signal in [Signal::TERM, Signal::INT] {
        let place = Place::new();
        let server = place.serve(&["--engine", engine.name()]);
        server.signal(signal);
        assert!(server.wait().status.success());
        assert!(!place.path().exists(), "{signal:?}");
    }
    let place = Place::new();
    let server = place.serve(&["--engine", engine.name(), "--once"]);
    assert_echoes(place.connect());
    assert!(server.wait().status.success());
    assert!(!place.path().exists(), "--once");
}

fn newcomers_do_not_find_a_unix_socket_whose_server_ends(engine: Engine) {
    let place = Place::new();
    let server = place.serve(&["--engine", engine.name(), "--drain-timeout", "1h"]);
    let mut stays = place.connect();
    assert_echoes(&stays);
    server.signal(Signal::TERM);
    assert_eq!(stays.read(&mut [0]).unwrap(), 0, "it is told that the server ends");
    until("the name is gone", || !place.path().exists());
    let next = place.serve(&["--engine", engine.name()]);
    assert_echoes(place.connect());
    server.signal(Signal::TERM);
    assert_eq!(server.wait().status.code(), Some(1));
    assert!(place.path().exists(), "the end of one does not take the file of the next");
    drop(next);
}

fn several_endpoints_of_all_kinds_are_served_at_once(engine: Engine) {
    let place = Place::new();
    let endpoints = ["127.0.0.1:0", &place.endpoint(), "tcp://127.0.0.1:0"];
    let (server, [first, unix, second]) = Server::start_on(endpoints, &["--engine", engine.name()]);
    assert_ne!(first, second);
    assert_eq!(unix, place.endpoint());
    assert_echoes(connect(&second));
    assert_echoes(place.connect());
    assert_echoes(connect(&first));
    let ended = server.stop();
    assert!(ended.status.success());
    assert_eq!(ended.count("connections"), 3, "{}", ended.log);
}

fn once_means_one_connection_on_any_of_several_endpoints(engine: Engine) {
    let place = Place::new();
    let (server, [_, _]) = Server::start_on(
        ["127.0.0.1:0", &place.endpoint()],
        &["--engine", engine.name(), "--once"],
    );
    assert_echoes(place.connect());
    let ended = server.wait();
    assert!(ended.status.success());
    assert_eq!(ended.count("connections"), 1);
}

fn once_means_one_connection_also_when_several_come_at_once(engine: Engine) {
    let endpoints = ["127.0.0.1:0", "127.0.0.1:0"];
    let (server, bound) = Server::start_on(endpoints, &["--engine", engine.name(), "--once"]);
    server.signal(Signal::STOP);
    let mut streams: Vec<_> = bound.iter().map(|endpoint| connect(endpoint)).collect();
    for stream in &mut streams {
        stream.write_all(b"x").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    }
    server.signal(Signal::CONT);
    let ended = server.wait();
    assert!(ended.status.success(), "{}", ended.log);
    assert_eq!((ended.count("connections"), ended.count("echoed")), (1, 1), "{}", ended.log);
}

fn every_address_means_ipv4_and_ipv6(engine: Engine) {
    let (_server, [bound]) = Server::start_on(["[::]:0"], &["--engine", engine.name()]);
    let (_, port) = bound.rsplit_once(':').unwrap();
    assert_echoes(connect(&format!("tcp://127.0.0.1:{port}")));
    assert_echoes(connect(&format!("tcp://[::1]:{port}")));
}
