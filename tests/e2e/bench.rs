//! `bench` against the real server, and against peers that are slow, freeze, damage and die.
//!
//! How fast things are depends on the machine, so what is held is what must be true on any: counts
//! that add up, faults that show where they were made, exit codes.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixListener,
    process::{Command, Stdio},
    sync::{Mutex, OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Server, client_path, client_to_nowhere, output_of, peers::reset};

/// Bytes of a message, where nothing else is said.
pub(crate) const SIZE: usize = 64;

/// What `bench --json ARGS` says, and its exit code.
#[track_caller]
pub(crate) fn bench(target: &str, args: &str) -> (i32, Value) {
    let mut command = client_to_nowhere();
    command.args(["bench", target, "--json"]).args(args.split_whitespace());
    let output = command.output().expect("starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let json = said.lines().last().and_then(|line| serde_json::from_str(line).ok());
    let json = json.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().expect("it ended by itself"), json)
}

#[track_caller]
pub(crate) fn count(json: &Value, path: &str) -> u64 {
    json.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {json}"))
}

/// Every message that was sent is accounted for.
#[track_caller]
fn assert_adds_up(json: &Value) {
    let [sent, received, corrupt, unanswered] =
        ["/sent", "/received", "/corrupt", "/unanswered"].map(|path| count(json, path));
    assert_eq!(sent, received + corrupt + unanswered, "{json}");
    assert_eq!(count(json, "/service_ns/samples"), received + corrupt, "{json}");
}

/// A server of ours that hands each connection, with its number, to `serve`.
pub(crate) fn serve(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let target = listener.local_addr().expect("bound").to_string();
    let serve: &'static _ = Box::leak(Box::new(serve));
    thread::spawn(move || {
        for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            stream.set_nodelay(true).expect("takes the option");
            thread::spawn(move || serve(number, stream));
        }
    });
    target
}

/// Sends message after message back, after `change` has seen its number and bytes, while that is
/// true.
fn echo(mut stream: impl Read + Write, mut change: impl FnMut(u64, &mut [u8]) -> bool) {
    let mut message = [0; SIZE];
    for number in 0.. {
        let came = stream.read_exact(&mut message).is_ok();
        if !came || !change(number, &mut message) || stream.write_all(&message).is_err() {
            return;
        }
    }
}

/// A server that takes its time, so that nobody else is the bottleneck.
fn slow_server() -> String {
    serve(|_, stream| {
        echo(stream, |_, _| {
            thread::sleep(Duration::from_millis(2));
            true
        });
    })
}

#[test]
fn a_closed_loop_counts_every_message_once() {
    let server = Server::start(&[]);
    for args in ["-c 8", "-c 3 -p 16", "-c 2 -s 1", "-c 4 --verify off", "-c 4 --threads 2 -p 3"] {
        let args = format!("{args} -d 200ms --warmup 50ms");
        let (code, json) = bench(&server.endpoint, &args);
        // Busy as we are, the figures may be ours: that is the other good answer.
        assert!(code == 0 || code == 3 && json["valid"] == false, "{code} {json}");
        assert_adds_up(&json);
        assert!(count(&json, "/received") > 0, "{args}");
        assert_eq!((&json["good"], &json["mode"]), (&true.into(), &"closed".into()));
        assert!(json["response_ns"].is_null(), "only intended times tell response times");
    }
}

#[test]
fn messages_larger_than_every_buffer_come_back() {
    let server = Server::start(&[]);
    for args in ["-c 2 -s 1MiB -p 3", "-c 1 -s 20MiB", "-c 2 -s 1MiB -r 20"] {
        let (_, json) =
            bench(&server.endpoint, &format!("{args} -d 300ms --warmup 0s --timeout 50s"));
        assert_adds_up(&json);
        assert!(count(&json, "/received") > 0, "{json}");
        assert_eq!(json["good"], true, "{json}");
    }
}

#[test]
fn an_open_loop_has_as_many_messages_as_its_rate_says() {
    let server = Server::start(&[]);
    let (_, json) = bench(&server.endpoint, "-c 10 -r 400 -d 500ms --warmup 100ms");
    assert_adds_up(&json);
    assert_eq!(count(&json, "/sent") + count(&json, "/unsent"), 200);
    assert_eq!(count(&json, "/response_ns/samples"), count(&json, "/service_ns/samples"));
    let [response, service] = ["/response_ns/max", "/service_ns/max"].map(|max| count(&json, max));
    assert!(response >= service, "{json}");
    let (_, json) = bench(&server.endpoint, "-c 10 -r 1k -d 1s --arrival poisson --warmup 0s");
    let due = count(&json, "/sent") + count(&json, "/unsent");
    assert!((800..1200).contains(&due), "{due} of 1000");
}

#[test]
fn instances_carry_one_load_together() {
    let server = Server::start(&[]);
    let parts = ["0/3", "1/3", "2/3"].map(|part| {
        let args = format!("-c 7 -r 600 -d 500ms --warmup 0s --instance {part}");
        bench(&server.endpoint, &args).1
    });
    let connections: u64 = parts.iter().map(|json| count(json, "/connections")).sum();
    let due: u64 = parts.iter().map(|json| count(json, "/sent") + count(json, "/unsent")).sum();
    assert_eq!((connections, due), (7, 300));
}

#[test]
fn a_freeze_shows_in_response_times_and_once_in_service_times() {
    /// When the service freezes, and until when, after its first connection.
    const FROM: Duration = Duration::from_millis(1000);
    const TO: Duration = Duration::from_millis(2000);
    fn freezing() -> String {
        let start = OnceLock::new();
        serve(move |_, stream| {
            let start = *start.get_or_init(Instant::now);
            echo(stream, |_, _| {
                if (FROM..TO).contains(&start.elapsed()) {
                    thread::sleep(TO.saturating_sub(start.elapsed()));
                }
                true
            });
        })
    }
    const FROZEN: u64 = 900_000_000;
    let (_, json) = bench(&freezing(), "-c 4 -r 400 -d 4s --warmup 0s");
    assert_adds_up(&json);
    assert!(count(&json, "/response_ns/max") > FROZEN, "{json}");
    assert!(count(&json, "/response_ns/p99") > FROZEN / 2, "a quarter of them felt it: {json}");
    let stall = &json["stalls"][0];
    assert_eq!(count(stall, "/connections"), 4, "{json}");
    assert!(count(stall, "/length_ns") > FROZEN / 2, "{json}");

    let (_, json) = bench(&freezing(), "-c 4 -d 4s --warmup 0s");
    assert!(count(&json, "/service_ns/max") > FROZEN, "once for each connection: {json}");
    assert!(count(&json, "/service_ns/p99") < FROZEN / 2, "{json}");
}

#[test]
fn connections_that_fail_are_counted_with_the_reason_and_the_others_go_on() {
    let target = serve(|number, stream| {
        let mut left = if number == 0 { 10 } else { u64::MAX };
        let for_reset = stream.try_clone().unwrap();
        echo(stream, |_, _| {
            thread::sleep(Duration::from_millis(1));
            left -= 1;
            left > 0
        });
        reset(for_reset);
    });
    let (code, json) = bench(&target, "-c 4 -d 3s --warmup 0s");
    assert_eq!(code, 1, "{json}");
    assert_adds_up(&json);
    assert_eq!(count(&json, "/failed/0/count"), 1);
    let reason = json["failed"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("reset") || reason.contains("closed"), "{reason}");
    assert_eq!(count(&json, "/unanswered"), 1, "{json}");
    assert!(count(&json, "/received") > 60, "three go on: {json}");
}

#[test]
fn a_service_that_dies_ends_the_run() {
    let target = serve(|_, stream| echo(stream, |number, _| number < 50));
    let began = Instant::now();
    let (code, json) = bench(&target, "-c 4 -d 50s --warmup 0s");
    assert_eq!(code, 1, "{json}");
    assert!(began.elapsed() < Duration::from_secs(30), "nothing is left to wait for");
    assert_eq!((count(&json, "/received"), count(&json, "/unanswered")), (200, 4));
    assert_eq!(count(&json, "/failed/0/count"), 4);
}

#[test]
fn what_never_comes_back_is_unanswered_with_its_age() {
    let target = serve(|_, stream| {
        let for_later = stream.try_clone().unwrap();
        echo(stream, |number, _| number < 2);
        thread::sleep(Duration::from_secs(60));
        drop(for_later);
    });
    let (code, json) = bench(&target, "-c 4 -d 2s --warmup 0s --timeout 200ms");
    assert_eq!(code, 1, "{json}");
    assert_adds_up(&json);
    assert_eq!(count(&json, "/unanswered"), 4);
    assert!(count(&json, "/oldest_unanswered_ns") >= 200_000_000, "{json}");
}

#[test]
fn what_stands_since_the_warm_up_is_unanswered_too() {
    let silent = serve(|_, stream| drop((stream, thread::sleep(Duration::from_secs(60)))));
    let (code, json) = bench(&silent, "-c 2 -d 500ms --warmup 100ms --timeout 200ms");
    assert_eq!((code, count(&json, "/unanswered")), (1, 2), "{json}");
    assert_adds_up(&json);
    let one_stands = serve(|connection, stream| {
        echo(stream, |number, _| connection > 0 || number < 2);
        thread::sleep(Duration::from_secs(60));
    });
    let (code, json) = bench(&one_stands, "-c 4 -d 500ms --warmup 100ms --timeout 200ms");
    assert_eq!(code, 1, "{json}");
    assert_adds_up(&json);
}

#[test]
fn whatever_becomes_of_stdout_every_file_is_written() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("run.hlog");
    let few = ["-c", "1", "-d", "200ms", "--warmup", "0s"];
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(client_path());
    command.args(["bench", &server.endpoint, "--json"]).args(few).arg("--hlog").arg(&log);
    let output = command.args(["--html", "/dev/full"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(std::fs::read_to_string(&log).unwrap().contains("#[End"));

    let mut piped = client_to_nowhere();
    let output = piped.args(["bench", &server.endpoint, "--hlog", "-"]).args(few).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.lines().last().unwrap().starts_with("#[End"), "nothing but the log: {said}");
    let (_, json) = bench(&server.endpoint, "-c 1 -d 200ms --warmup 0s --hlog -");
    assert_eq!(json["kind"], "bench", "the last line");
}

#[test]
fn damage_is_counted_and_named() {
    let target = serve(|_, stream| {
        echo(stream, |number, message| {
            if number == 5 {
                message[17] ^= 4;
            }
            thread::sleep(Duration::from_millis(1));
            true
        });
    });
    let (code, json) = bench(&target, "-c 1 -d 2s --warmup 0s");
    assert_eq!(code, 1, "{json}");
    assert_adds_up(&json);
    assert_eq!((count(&json, "/corrupt"), count(&json, "/damage/count")), (1, 1), "{json}");
    let words = json["damage"]["first"][0].as_str().unwrap();
    assert!(words.contains(&format!("corrupt at offset {}", 5 * SIZE + 17)), "{words}");
    let (code, json) = bench(&target, "-c 1 -d 400ms --warmup 0s --verify off");
    assert_eq!((code, count(&json, "/corrupt")), (0, 0), "unseen when it is not looked for");
}

#[test]
fn objectives_decide_the_exit_code() {
    let target = slow_server();
    let (code, json) = bench(&target, "-c 2 -d 3s --warmup 0s --slo p50=10s --slo max=20s");
    assert_eq!(code, 0, "{json}");
    assert_eq!((&json["slo"][0]["met"], &json["slo"][1]["what"]), (&true.into(), &"max".into()));
    let (code, json) = bench(&target, "-c 2 -d 3s --warmup 0s --slo p50=1ms");
    assert_eq!((code, &json["slo"][0]["met"]), (1, &false.into()), "{json}");
    assert!(count(&json, "/slo/0/measured_ns") >= 2_000_000);
}

#[test]
fn figures_that_say_nothing_are_invalid() {
    let (code, json) = bench(&slow_server(), "-c 2 -p 1 -r 100k -d 300ms --warmup 0s");
    assert_eq!((code, &json["valid"]), (3, &false.into()), "{json}");
    assert_adds_up(&json);
    let reason = json["reasons"][0].as_str().unwrap();
    assert!(reason.contains("the rate was missed by 9"), "{reason}");
    assert_eq!(count(&json, "/sent") + count(&json, "/unsent"), 30_000);
    let (code, json) = bench(&slow_server(), "-c 1 -d 1s --warmup 0s --slo p99.99=1s");
    let reason = json["reasons"][0].as_str().unwrap();
    assert!(code == 3 && reason.contains("too few to tell p99.99"), "{code} {reason}");
}

#[test]
fn a_probe_tells_what_others_feel() {
    let (code, json) = bench(&slow_server(), "-c 2 -d 2s --warmup 0s --probe");
    assert_eq!(code, 0, "{json}");
    assert!(count(&json, "/probe/received") > 0);
    assert_eq!(count(&json, "/probe/sent"), count(&json, "/probe/received"));
    assert!(count(&json, "/probe/rtt_ns/min") >= 2_000_000, "{json}");
}

#[test]
fn a_unix_socket_is_a_path_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("echo");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || echo(stream, |_, _| true));
        }
    });
    let target = format!("unix:{}", path.display());
    let (_, json) = bench(&target, "-c 4 -d 3s --warmup 0s");
    assert_adds_up(&json);
    assert!(json["good"] == true && count(&json, "/received") > 0, "{json}");
}

#[test]
fn the_first_interrupt_ends_the_run_with_its_summary() {
    let (running, is_running) = mpsc::channel();
    let running = Mutex::new(running);
    let target = serve(move |_, stream| {
        let running = running.lock().unwrap().clone();
        echo(stream, |_, _| {
            thread::sleep(Duration::from_millis(2));
            let _ = running.send(());
            true
        });
    });
    let child = Command::new(client_path())
        .args(["bench", &target, "-c", "2", "-d", "1h", "--warmup", "0s", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..100 {
        is_running.recv_timeout(crate::support::PATIENCE).unwrap();
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = output_of(child);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{json}");
    assert_adds_up(&json);
    assert_eq!((&json["interrupted"], &json["good"]), (&true.into(), &true.into()));
    assert!(count(&json, "/received") >= 90, "{json}");
}

#[test]
fn a_person_gets_a_table_and_a_closed_pipe_is_no_error() {
    let target = slow_server();
    let mut command = client_to_nowhere();
    command.args(["bench", &target, "-c", "2", "-d", "300ms", "--warmup", "0s"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    for words in ["closed loop, 2 connections x 64 B", "p99.9", "service", " msg/s", "####", "good"]
    {
        assert!(said.contains(words), "no '{words}' in: {said}");
    }
    assert!(output.stderr.is_empty(), "no terminal, no status line");
    let mut child = Command::new(client_path())
        .args(["bench", &target, "-c", "2", "-d", "100ms", "--warmup", "0s"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = output_of(child);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_stands_in_the_way_of_a_run_is_said_with_a_way_out() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = client_to_nowhere().args(["bench", &free, "-d", "1s"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot connect to") && said.contains("start the server"), "{said}");

    let few = format!("ulimit -n 100; exec '{}' bench {free} -c 200 --threads 2", client_path());
    let output = Command::new("sh").args(["-c", &few]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("266 open files, and 100 are allowed"), "{said}");
    assert!(said.contains("ulimit"), "{said}");

    for (args, words) in [
        ("-s 0", "1 or more"),
        ("-s 65MiB", "more than 64MiB"),
        ("-r 0", "too few"),
        ("--slo p99", "p99=5ms"),
        ("--instance 2/2", "0/4"),
        ("-c 2 --instance 2/3", "too few for 3 instances"),
        ("--arrival poisson", "--rate"),
        ("-s 65508 udp://127.0.0.1:1", "65507"),
        ("--max-loss 1% 127.0.0.1:1", "may lose nothing"),
        ("--max-loss 1 udp://127.0.0.1:1", "0.1%"),
    ] {
        let mut command = client_to_nowhere();
        let output = command.arg("bench").args(args.split(' ')).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args}: {said}");
        assert!(said.contains(words), "{args}: {said}");
    }
}
