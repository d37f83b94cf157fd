//! `--fault`: each fault shows on the wire what it promises, and nothing else.
//!
//! A row is a fault and what a plain socket sees of it; the rows of a family are one test.

mod bytes;
mod crowd;
mod datagrams;
mod ends;
mod front;
mod times;

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Engine,
    support::{PATIENCE, Server},
};

pub(crate) const TESTS: crate::Tests = tests![
    bytes_that_are_changed,
    bytes_that_are_kept_back,
    times_that_are_wrong,
    ends_that_are_wrong,
    connections_that_suffer_from_others,
    datagrams_that_are_changed,
    a_front_that_does_nothing_loses_no_byte_and_no_half_close,
    a_front_that_does_nothing_passes_resets_on,
    a_front_holds_bounded_memory_while_a_peer_does_not_read,
    a_front_asks_whether_its_peers_are_still_there,
    every_fault_ends_when_told_to,
    once_means_one_connection_with_a_fault_too,
    several_faults_are_shown_at_once,
    a_fault_shows_on_unix_sockets_and_spares_other_kinds_of_endpoints,
    every_fault_of_the_list_is_shown_here,
    a_fault_that_cannot_be_shown_is_a_usage_error,
    without_a_fault_nothing_stands_in_front,
];

use front::{
    a_fault_shows_on_unix_sockets_and_spares_other_kinds_of_endpoints,
    a_fault_that_cannot_be_shown_is_a_usage_error, a_front_asks_whether_its_peers_are_still_there,
    a_front_holds_bounded_memory_while_a_peer_does_not_read,
    a_front_that_does_nothing_loses_no_byte_and_no_half_close,
    a_front_that_does_nothing_passes_resets_on, every_fault_ends_when_told_to,
    once_means_one_connection_with_a_fault_too, several_faults_are_shown_at_once,
    without_a_fault_nothing_stands_in_front,
};

/// A fault, and what is to be seen of it.
type Row = (&'static str, fn(&Server));

/// How long it has to be silent until nothing is expected any more.
const SILENCE: Duration = Duration::from_millis(300);

fn bytes_that_are_changed(engine: Engine) {
    show(engine, bytes::CHANGED);
}

fn bytes_that_are_kept_back(engine: Engine) {
    show(engine, bytes::KEPT_BACK);
}

fn times_that_are_wrong(engine: Engine) {
    show(engine, times::ROWS);
}

fn ends_that_are_wrong(engine: Engine) {
    show(engine, ends::ROWS);
}

fn connections_that_suffer_from_others(engine: Engine) {
    show(engine, crowd::ROWS);
}

fn datagrams_that_are_changed(engine: Engine) {
    for (spec, see) in datagrams::ROWS {
        let _named = Named(spec);
        let args = ["--engine", engine.name(), "--fault", spec];
        let (server, [_]) = Server::start_on(["udp://127.0.0.1:0"], &args);
        see(&server);
    }
}

fn show(engine: Engine, rows: &[Row]) {
    for (spec, see) in rows {
        let _named = Named(spec);
        see(&engine.start(&["--fault", spec]));
    }
}

fn every_fault_of_the_list_is_shown_here(_: Engine) {
    let rows = [bytes::CHANGED, bytes::KEPT_BACK, times::ROWS, ends::ROWS, crowd::ROWS];
    let rows = rows.into_iter().flatten().chain(datagrams::ROWS);
    let mut shown: Vec<&str> = rows.map(|(spec, _)| name(spec)).collect();
    shown.dedup();
    let list = front::list();
    let listed: Vec<&str> = list.lines().map(name).collect();
    shown.sort_unstable();
    let mut sorted = listed.clone();
    sorted.sort_unstable();
    assert_eq!(shown, sorted);
    assert!(listed.len() >= 30, "{}", listed.len());
}

/// What a spec, or a line of the list, begins with.
fn name(line: &str) -> &str {
    line.split(['=', ' ']).next().unwrap()
}

/// Says which row it was when a test fails.
struct Named(&'static str);

impl Drop for Named {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = writeln!(std::io::stderr(), "that was --fault {}", self.0);
        }
    }
}

/// How what is heard ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Fin,
    Rst,
    /// Nothing for [`SILENCE`].
    Silence,
}

/// These bytes come, and then this end. All is waited for, but silence, which is listened to.
#[track_caller]
fn hears(mut stream: &TcpStream, expected: &[u8], end: End) {
    hear(stream, expected);
    if end == End::Silence {
        assert!(is_silent(stream), "there is more");
        return;
    }
    let seen = match stream.read(&mut [0]) {
        Ok(0) => End::Fin,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => End::Rst,
        other => panic!("{other:?} instead of an end"),
    };
    assert_eq!(seen, end);
}

/// Whether nothing comes for a while, not even an end.
fn is_silent(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    let heard = stream.read(&mut [0]).map_err(|error| error.kind());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    matches!(heard, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

fn say(mut stream: &TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
}

fn half_close(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).unwrap();
}

/// Exactly as many bytes as are expected, then those; waits for them.
#[track_caller]
fn hear(mut stream: &TcpStream, expected: &[u8]) {
    let mut back = vec![0; expected.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, expected);
}

/// For `sent` and FIN, this comes back, and then this end.
#[track_caller]
fn returns(server: &Server, sent: &[u8], expected: &[u8], end: End) {
    let stream = server.connect();
    say(&stream, sent);
    half_close(&stream);
    hears(&stream, expected, end);
}

/// How long it takes until these bytes are back.
#[track_caller]
fn round_trip(stream: &TcpStream, bytes: &[u8]) -> Duration {
    let start = Instant::now();
    say(stream, bytes);
    hear(stream, bytes);
    start.elapsed()
}
