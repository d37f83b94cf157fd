//! `ping`: what it says of a path that works, and of paths that lose, change, repeat and delay.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpStream, UdpSocket},
    os::unix::net::UnixListener,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    PATIENCE, Server, client, client_path, client_to_nowhere, output_of,
    peers::{reset, serve_once},
};

fn ping(target: &str, args: &[&str]) -> Output {
    client_to_nowhere().args(["ping", target]).args(args).output().expect("starts")
}

/// The exit code, and words that are printed in this order.
#[track_caller]
fn assert_told(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stdout);
    let diagnosed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}{diagnosed}");
    let mut rest = &*said;
    for word in words {
        let (_, after) = rest.split_once(word).unwrap_or_else(|| panic!("no '{word}' in: {said}"));
        rest = after;
    }
}

/// Echoes probes of 64 bytes, each as `answer` says; its second argument counts them from 1.
fn serve_probes(mut answer: impl FnMut(&mut Vec<u8>, u32) + Send + 'static) -> String {
    serve_once(move |mut stream| {
        for seq in 1.. {
            let mut probe = vec![0; 64];
            if stream.read_exact(&mut probe).is_err() {
                return;
            }
            answer(&mut probe, seq);
            if stream.write_all(&probe).is_err() {
                return;
            }
        }
    })
}

#[test]
fn each_probe_has_a_line_and_all_of_them_a_summary() {
    let server = Server::start(&[]);
    let output = client(&server).args(["ping", "-c", "3", "-i", "0s"]).output().unwrap();
    let first = format!("PING {}: 64 bytes\n64 bytes from {0}: seq=1 time=", server.endpoint);
    let kernel = if cfg!(target_os = "linux") { " ms kernel_rtt=" } else { " ms" };
    assert_told(
        &output,
        0,
        &[
            &first,
            kernel,
            "seq=2 time=",
            "seq=3 time=",
            "\n\n--- tcp://",
            " ping statistics ---\n3 probes transmitted, 3 received, 0% loss, time ",
            "ms\nrtt min/avg/max/mdev = ",
            " ms, p50/p99 = -/- ms\n",
        ],
    );
    assert_eq!(server.stop().count("received"), 3 * 64);
}

#[test]
fn quiet_leaves_out_the_lines_and_json_is_one_object_on_the_last_line() {
    let server = Server::start(&[]);
    let quiet = client(&server).args(["ping", "-q", "-c", "100", "-i", "0s"]).output().unwrap();
    assert_told(&quiet, 0, &["100 probes transmitted, 100 received", "p50/p99 = 0."]);
    assert!(quiet.stdout.starts_with(b"---"));
    let json = client(&server).args(["ping", "--json", "-c", "2", "-i", "0s"]).output().unwrap();
    assert_told(
        &json,
        0,
        &[
            "seq=2",
            "\n{\"schema\":1,\"kind\":\"ping\",\"target\":\"tcp://127.0.0.1:",
            "\"good\":true,\"sent\":2,\"received\":2,\"lost\":0,\"late\":0,\"in_flight\":0,",
            "\"duplicated\":0,\"corrupt\":0,\"first_damage\":null,\"elapsed_ns\":",
            "\"rtt_ns\":{\"min\":",
            "\"p50\":null,\"p90\":null,\"p99\":null},\"connect_ns\":null}\n",
        ],
    );
}

#[test]
fn probes_of_any_size_come_back() {
    let server = Server::start(&[]);
    for size in ["1", "7", "1460", "65537", "16MiB"] {
        let args = ["ping", "-c", "3", "-i", "0s", "-s", size];
        assert_told(&client(&server).args(args).output().unwrap(), 0, &["3 received, 0% loss"]);
    }
}

#[test]
fn a_connection_for_each_probe_tells_how_long_connecting_takes() {
    let server = Server::start(&[]);
    let args = ["ping", "-c", "3", "-i", "0s", "--reconnect"];
    let output = client(&server).args(args).output().unwrap();
    assert_told(&output, 0, &["seq=3", " connect=", "3 received", "\nconnect min/avg/max/mdev = "]);
    assert_eq!(server.stop().count("connections"), 3);
}

#[test]
fn a_unix_socket_is_pinged_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("echo.sock");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        let stream = listener.accept().unwrap().0;
        let _ = std::io::copy(&mut &stream, &mut &stream);
    });
    let output = ping(&format!("unix:{}", path.display()), &["-c", "2", "-i", "0s"]);
    assert_told(&output, 0, &["seq=2", "2 received, 0% loss"]);
}

#[test]
fn probes_are_sent_when_they_are_due() {
    let server = Server::start(&[]);
    let start = Instant::now();
    let args = ["ping", "-c", "5", "-i", "50ms"];
    assert_told(&client(&server).args(args).output().unwrap(), 0, &["5 received"]);
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[test]
fn a_changed_bit_is_named_with_its_place() {
    let target = serve_probes(|probe, seq| {
        if seq == 2 {
            probe[63] ^= 0x20;
        }
    });
    let words = [
        "seq=1 time=",
        "seq=2 damaged: corrupt at offset 127, 1 byte\n",
        "seq=2 time=",
        "seq=3 time=",
        "3 received, 1 corrupt, 0% loss",
        "first damage: seq=2 corrupt at offset 127, 1 byte\n",
    ];
    assert_told(&ping(&target, &["-c", "3", "-i", "0s"]), 1, &words);
}

#[test]
fn bytes_that_are_lost_are_named_when_the_next_probe_shows_it() {
    let target = serve_probes(|probe, seq| {
        if seq == 1 {
            probe.truncate(44);
        }
    });
    let words = [
        "seq=1 lost: no reply within 1 s",
        "seq=1 damaged: lost 20 bytes at offset 44\n",
        "seq=2 time=",
        "2 probes transmitted, 1 received, 1 corrupt, 50% loss",
    ];
    assert_told(&ping(&target, &["-c", "2", "-i", "0s", "-W", "1s"]), 1, &words);
}

#[test]
fn bytes_that_come_again_are_named() {
    let target = serve_probes(|probe, seq| {
        if seq == 2 {
            probe.extend_from_within(..32);
        }
    });
    let words = ["duplicated 32 bytes at offset 64", " corrupt, 0% loss"];
    assert_told(&ping(&target, &["-c", "3", "-i", "0s"]), 1, &words);
}

#[test]
fn a_service_that_dies_on_the_way_is_told_and_tried_again() {
    let target = serve_once(|mut stream: TcpStream| {
        let mut probe = [0; 64];
        stream.read_exact(&mut probe).unwrap();
        stream.write_all(&probe).unwrap();
        stream.read_exact(&mut probe).unwrap();
        reset(stream);
    });
    let words = [
        "seq=1 time=",
        "seq=2 lost: Connection reset by peer",
        "seq=3 lost: cannot connect: Connection refused",
        "3 probes transmitted, 1 received, 66.7% loss",
    ];
    assert_told(&ping(&target, &["-c", "3", "-i", "0s"]), 1, &words);
}

#[test]
fn nobody_there_is_a_path_that_fails() {
    let output = ping("127.0.0.1:1", &["-c", "1"]);
    assert_told(&output, 1, &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("nobody listens there"));
    let words = ["seq=1 lost: Connection refused", "1 probes transmitted, 0 received, 100% loss"];
    assert_told(&ping("udp://127.0.0.1:1", &["-c", "1"]), 1, &words);
}

#[test]
fn no_reply_at_all_ends_with_the_deadline() {
    let target = serve_once(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let words = ["seq=1 lost: no reply by the end of the run", "0 received, 100% loss"];
    assert_told(&ping(&target, &["-w", "300ms", "-c", "1"]), 1, &words);
}

#[test]
fn what_is_on_its_way_at_the_deadline_is_not_lost() {
    let late = || {
        serve_once(|mut stream| {
            let mut probe = [0; 64];
            while stream.read_exact(&mut probe).is_ok() {
                thread::sleep(Duration::from_millis(200));
                let _ = stream.write_all(&probe);
            }
        })
    };
    let words = ["2 probes transmitted, 1 received, 1 on the way, 0% loss"];
    assert_told(&ping(&late(), &["-i", "0s", "-w", "300ms"]), 0, &words);
    let words = ["seq=2 lost: no reply by the end of the run", "2 probes transmitted, 1 received"];
    assert_told(&ping(&late(), &["-i", "0s", "-w", "300ms", "-c", "2"]), 1, &words);
    let nothing = serve_once(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let words = ["1 probes transmitted, 0 received"];
    assert_told(&ping(&nothing, &["-w", "300ms"]), 1, &words);
}

#[test]
fn datagrams_that_are_late_again_or_lost_are_told_apart() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let target = format!("udp://{}", socket.local_addr().unwrap());
    thread::spawn(move || {
        let mut held = Vec::new();
        for seq in 1..=5 {
            let mut probe = vec![0; 1000];
            let (n, peer) = socket.recv_from(&mut probe).unwrap();
            probe.truncate(n);
            let answers = match seq {
                2 => {
                    held = probe;
                    vec![]
                }
                3 => vec![&held, &probe, &probe],
                4 => vec![],
                _ => vec![&probe],
            };
            for answer in answers {
                socket.send_to(answer, peer).unwrap();
            }
        }
    });
    let words = [
        "seq=1 time=",
        "seq=2 lost: no reply within 2 s",
        "seq=2 late: it took ",
        "seq=3 time=",
        "seq=3 duplicated: again after ",
        "seq=4 lost: no reply within 2 s",
        "seq=5 time=",
        "5 probes transmitted, 3 received, 1 late, 1 duplicated, 20% loss",
    ];
    let output = ping(&target, &["-c", "5", "-i", "0s", "-W", "2s", "-s", "100"]);
    assert_told(&output, 1, &words);
}

#[test]
fn a_changed_or_cut_datagram_is_named() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let target = format!("udp://{}", socket.local_addr().unwrap());
    thread::spawn(move || {
        for seq in 1..=2 {
            let mut probe = [0; 100];
            let (n, peer) = socket.recv_from(&mut probe).unwrap();
            probe[3] ^= 1;
            socket.send_to(if seq == 1 { &probe[..n] } else { &probe[..0] }, peer).unwrap();
        }
    });
    let words = [
        "seq=1 damaged: corrupt at offset 3, 1 byte\n",
        "seq=2 damaged: lost 100 bytes at offset 104\n",
        "2 received, 2 corrupt, 0% loss",
    ];
    assert_told(&ping(&target, &["-c", "2", "-i", "0s", "-s", "100"]), 1, &words);
}

/// A ping whose stdout is a pipe of ours.
fn piped(server: &Server, args: &[&str]) -> Child {
    Command::new(client_path())
        .args(["ping", &server.endpoint])
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts")
}

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).expect("it runs");
}

#[test]
fn an_interrupt_prints_the_summary() {
    let server = Server::start(&[]);
    let mut pinging = piped(&server, &["-i", "1h"]);
    let mut stdout = BufReader::new(pinging.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains("seq=1") {
        assert_ne!(stdout.read_line(&mut said).unwrap(), 0, "{said}");
    }
    interrupt(&pinging);
    stdout.read_to_string(&mut said).unwrap();
    assert!(said.contains("1 probes transmitted, 1 received, 0% loss"), "{said}");
    assert_eq!(output_of(pinging).status.code(), Some(0));
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let server = Server::start(&["-v"]);
    // A full pipe that nobody reads: its first line is where it stands still.
    let (_unread, stdout) = rustix::pipe::pipe().unwrap();
    rustix::io::ioctl_fionbio(&stdout, true).unwrap();
    while rustix::io::write(&stdout, &[0]).is_ok() {}
    rustix::io::ioctl_fionbio(&stdout, false).unwrap();
    let mut command = Command::new(client_path());
    let mut pinging = command.args(["ping", &server.endpoint]).stdout(stdout).spawn().unwrap();
    server.wait_for_log("connected");
    let start = Instant::now();
    while pinging.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < PATIENCE, "it does not end");
        interrupt(&pinging);
        thread::yield_now();
    }
    assert_eq!(pinging.wait().unwrap().code(), Some(130));
}

#[test]
fn a_closed_stdout_ends_it_without_an_error() {
    let server = Server::start(&[]);
    let mut pinging = piped(&server, &["-i", "0s"]);
    drop(pinging.stdout.take());
    assert_eq!(output_of(pinging).status.code(), Some(0));
}

#[test]
fn what_cannot_be_pinged_is_a_usage_error() {
    for (args, said) in [
        (&["udp://127.0.0.1:7", "-s", "65508"][..], "a datagram has at most 65507 bytes"),
        (&["127.0.0.1:7", "-s", "0"], "nothing comes back of an empty message"),
        (&["127.0.0.1:7", "-s", "65MiB"], "more than 64MiB"),
        (&["127.0.0.1:7", "-c", "0"], "0 is not in 1.."),
        (&["127.0.0.1:7", "-4", "-6"], "cannot be used with"),
        (&["127.0.0.1:7", "-6"], "the host has no IPv6 address; leave out -6"),
    ] {
        let output = client_to_nowhere().arg("ping").args(args).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(said), "no '{said}' in: {stderr}");
    }
}
