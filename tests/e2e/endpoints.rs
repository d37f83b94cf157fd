//! Where the server can listen and where it cannot: the files of Unix sockets, above all.

use std::{
    fs,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::{UnixDatagram, UnixListener, UnixStream},
    },
    process::Command,
};

use rustix::process::Signal;

use crate::support::{
    PATIENCE, Server,
    place::{Place, assert_echoes},
    server_path,
};

/// What the server says when it ends with a usage or bind error, which is one line.
fn refusal(args: &[&str]) -> String {
    let mut command = assert_cmd::Command::new(server_path());
    let refused = command.args(args).timeout(PATIENCE).assert().code(2).stdout("");
    let said = String::from_utf8(refused.get_output().stderr.clone()).expect("UTF-8");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// What is said when the server cannot be started here.
fn refusal_at(place: &Place) -> String {
    refusal(&["-l", &place.endpoint()])
}

#[test]
fn the_umask_says_who_may_use_a_unix_socket() {
    let place = Place::new();
    let mut command = Command::new("sh");
    command.args(["-c", "umask 117 && exec \"$0\" -l \"$1\"", server_path(), &place.endpoint()]);
    let _server = Server::spawn(command);
    let mode = fs::metadata(place.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[test]
fn a_file_that_was_put_in_place_of_the_socket_is_left_alone() {
    let place = Place::new();
    let server = place.serve(&[]);
    fs::remove_file(place.path()).unwrap();
    fs::write(place.path(), "precious").unwrap();
    assert!(server.stop().status.success());
    assert_eq!(fs::read(place.path()).unwrap(), b"precious");
}

#[test]
fn a_stale_socket_file_is_replaced() {
    let place = Place::new();
    let server = place.serve(&[]);
    server.signal(Signal::KILL);
    server.wait();
    assert!(place.path().exists(), "nobody could remove it");
    let _server = place.serve(&[]);
    assert_echoes(place.connect());
}

#[test]
fn a_socket_that_somebody_listens_to_is_refused_and_goes_on() {
    let place = Place::new();
    let server = place.serve(&["-v"]);
    let said = refusal_at(&place);
    assert!(said.contains("in use") && said.contains("stop who listens there"), "{said}");
    assert_echoes(place.connect());
    drop(server);

    let place = Place::new();
    let _other_kind = UnixDatagram::bind(place.path()).unwrap();
    assert!(refusal_at(&place).contains("stop who listens there"));

    let place = Place::new();
    let busy = UnixListener::bind(place.path()).unwrap();
    rustix::net::listen(&busy, 0).unwrap();
    let _waiting = [place.connect()]; // the backlog is full
    assert!(refusal_at(&place).contains("stop who listens there"));
}

#[test]
fn what_is_not_a_socket_is_refused_and_never_deleted() {
    let is_refused = |place: &Place| {
        let said = refusal_at(place);
        assert!(said.contains("not a socket") && said.contains("left as it is"), "{said}");
    };
    let place = Place::new();
    fs::write(place.path(), "precious").unwrap();
    is_refused(&place);
    assert_eq!(fs::read(place.path()).unwrap(), b"precious");

    let place = Place::new();
    fs::create_dir(place.path()).unwrap();
    is_refused(&place);
    assert!(place.path().is_dir());

    // Not even when the link leads to a stale socket.
    let (place, other) = (Place::new(), Place::new());
    drop(UnixListener::bind(other.path()).unwrap());
    std::os::unix::fs::symlink(other.path(), place.path()).unwrap();
    is_refused(&place);
    assert!(fs::symlink_metadata(other.path()).unwrap().file_type().is_socket());
}

#[test]
fn paths_that_cannot_be_had_are_refused_with_a_fix() {
    for (endpoint, says) in [
        ("unix:/no/such/folder/echo.sock", "make the folder first"),
        ("unix:", "the path is missing"),
        ("unix:@abstract", "is an abstract name"),
        (&format!("unix:/{}", "x".repeat(108)), "at most 107 bytes"),
    ] {
        let said = refusal(&["-l", endpoint]);
        assert!(said.contains(says), "{endpoint}: {said}");
    }
}

#[test]
fn when_a_later_endpoint_fails_the_earlier_socket_files_are_removed() {
    let (place, bad) = (Place::new(), Place::new());
    fs::write(bad.path(), "").unwrap();
    refusal(&["-l", &place.endpoint(), "-l", &bad.endpoint()]);
    assert!(!place.path().exists());
    // The same endpoint twice is in use by us, and goes as well.
    let said = refusal(&["-l", &place.endpoint(), "-l", &place.endpoint()]);
    assert!(said.contains("in use"), "{said}");
    assert!(!place.path().exists());
}

#[test]
fn a_relative_path_is_removed_too() {
    let place = Place::new();
    let mut command = Command::new(server_path());
    command.args(["-l", "unix:here.sock"]).current_dir(place.path().parent().unwrap());
    let server = Server::spawn(command);
    assert_eq!(server.endpoint, "unix:here.sock");
    let path = place.path().with_file_name("here.sock");
    assert_echoes(UnixStream::connect(&path).unwrap());
    server.stop();
    assert!(!path.exists());
}
