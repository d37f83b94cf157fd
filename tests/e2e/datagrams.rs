//! `bench` over UDP, against services that lose, repeat, delay, reorder and damage datagrams.

use std::{
    net::{SocketAddr, UdpSocket},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    bench::{SIZE, bench, count},
    support::{Server, client_path, output_of},
};

/// Every datagram that was sent is accounted for.
#[track_caller]
fn assert_datagrams_add_up(json: &Value) {
    let [sent, received, corrupt, unanswered, lost, late] =
        ["/sent", "/received", "/corrupt", "/unanswered", "/datagrams/lost", "/datagrams/late"]
            .map(|path| count(json, path));
    assert_eq!(sent, received + corrupt + unanswered + lost + late, "{json}");
    assert_eq!(count(json, "/service_ns/samples"), received + corrupt, "{json}");
}

/// A UDP service of ours: `answer` sends what it likes for the datagram with this number.
fn serve_datagrams(
    mut answer: impl FnMut(u64, &mut Vec<u8>, &mut dyn FnMut(&[u8])) + Send + 'static,
) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let target = format!("udp://{}", socket.local_addr().expect("bound"));
    thread::spawn(move || {
        for number in 0.. {
            let mut datagram = vec![0; 1 << 16];
            let Ok((len, peer)) = socket.recv_from(&mut datagram) else { return };
            datagram.truncate(len);
            answer(number, &mut datagram, &mut |bytes| {
                let _: Result<usize, _> = socket.send_to(bytes, SocketAddr::clone(&peer));
            });
        }
    });
    target
}

#[test]
fn a_probe_over_datagrams_goes_on_when_one_is_lost() {
    // The load's messages are longer.
    let mut probes = 0;
    let target = serve_datagrams(move |_, datagram, send| {
        probes += u64::from(datagram.len() == SIZE);
        if datagram.len() != SIZE || probes % 4 != 2 {
            send(datagram);
        }
    });
    let args = "-c 1 -s 100 -r 100 -d 2s --warmup 0s -W 200ms --probe --max-loss 5%";
    let (_, json) = bench(&target, args);
    let [sent, received] = ["/probe/sent", "/probe/received"].map(|path| count(&json, path));
    assert!(sent >= 5 && json["probe"]["failed"].is_null(), "{json}");
    assert!((sent / 4..=sent / 4 + 2).contains(&(sent - received)), "each fourth: {json}");
    assert_eq!(count(&json, "/probe/rtt_ns/samples"), received, "{json}");
}

#[test]
fn datagrams_come_back_from_the_real_server_in_both_loops() {
    let (_server, [target]) = Server::start_on(["udp://127.0.0.1:0"], &["--udp-rate", "0"]);
    for args in ["-c 4", "-c 2 -p 8", "-s 1", "-s 7 -p 3 -c 2", "-s 65507 -c 1", "--verify off"] {
        let (_, json) = bench(&target, &format!("{args} -d 200ms --warmup 50ms --max-loss 5%"));
        assert_datagrams_add_up(&json);
        assert!(json["good"] == true && count(&json, "/received") > 0, "{args}: {json}");
        assert_eq!(json["datagrams"]["duplicated"], 0, "{args}: {json}");
    }
    let (_, json) = bench(&target, "-c 5 -r 400 -d 500ms --warmup 100ms --max-loss 5%");
    assert_datagrams_add_up(&json);
    assert_eq!(count(&json, "/sent") + count(&json, "/unsent"), 200);
    assert_eq!(json["good"], true, "{json}");
}

#[test]
fn lost_datagrams_are_counted_and_do_not_stop_the_loop() {
    let lossy = || {
        serve_datagrams(|number, datagram, send| {
            if number % 10 != 9 {
                send(datagram);
            }
        })
    };
    let (code, json) = bench(&lossy(), "-c 1 -r 500 -d 1s --warmup 0s -W 500ms");
    assert_eq!(code, 1, "{json}");
    assert_datagrams_add_up(&json);
    assert_eq!(count(&json, "/datagrams/lost"), count(&json, "/sent") / 10, "{json}");
    assert!(json["datagrams"]["loss"].as_f64().unwrap() > 0.08, "{json}");

    let (code, json) = bench(&lossy(), "-c 1 -d 1s --warmup 0s -W 60ms --max-loss 20%");
    assert!(code == 0 || code == 3, "{json}");
    assert_datagrams_add_up(&json);
    assert!(count(&json, "/datagrams/lost") >= 3, "each cost its wait, and no more: {json}");
    assert_eq!((count(&json, "/unanswered"), &json["good"]), (0, &true.into()));
}

#[test]
fn duplicated_datagrams_are_counted() {
    let target = serve_datagrams(|number, datagram, send| {
        send(datagram);
        if number % 10 == 0 {
            send(datagram);
        }
    });
    for args in ["", "-s 7", "--verify off"] {
        let (code, json) = bench(&target, &format!("{args} -c 1 -r 500 -d 400ms --warmup 0s"));
        assert_eq!(code, 1, "{json}");
        assert_datagrams_add_up(&json);
        let sent = count(&json, "/sent");
        assert_eq!(count(&json, "/received"), sent, "{json}");
        // That of the last one may come when nobody waits any more.
        let duplicated = sent.div_ceil(10);
        let seen = count(&json, "/datagrams/duplicated");
        assert!((duplicated - 1..=duplicated).contains(&seen), "{json}");
    }
}

#[test]
fn late_datagrams_are_told_from_lost_and_duplicated_ones() {
    // Each tenth waits until twenty more have come.
    let mut kept = std::collections::VecDeque::new();
    let target = serve_datagrams(move |number, datagram, send| {
        if number % 10 == 0 {
            kept.push_back((number + 20, datagram.clone()));
        } else {
            send(datagram);
        }
        if kept.front().is_some_and(|(when, _)| *when <= number) {
            kept.pop_front().iter().for_each(|(_, late)| send(late));
        }
    });
    let (code, json) = bench(&target, "-c 1 -r 50 -d 2s --warmup 0s -W 300ms");
    assert_eq!(code, 1, "{json}");
    assert_datagrams_add_up(&json);
    // Where we were late ourselves, twenty more may have come in time.
    let [late, reordered] =
        ["/datagrams/late", "/datagrams/reordered"].map(|path| count(&json, path));
    let answered = (count(&json, "/sent") - 20).div_ceil(10);
    assert!(late > 0 && late + reordered >= answered, "{json}");
    assert!((1..=2).contains(&count(&json, "/datagrams/lost")), "{json}");
    assert_eq!(count(&json, "/datagrams/duplicated"), 0, "{json}");
}

#[test]
fn reordered_datagrams_are_told_and_are_no_fault() {
    let mut kept: Option<Vec<u8>> = None;
    let target = serve_datagrams(move |number, datagram, send| {
        if number % 10 == 0 {
            kept = Some(datagram.clone());
        } else {
            send(datagram);
            kept.take().iter().for_each(|before| send(before));
        }
    });
    let (code, json) = bench(&target, "-c 1 -r 500 -d 400ms --warmup 0s");
    assert!(code == 0 || code == 3, "{json}");
    assert_datagrams_add_up(&json);
    let reordered = count(&json, "/received") / 10;
    let seen = count(&json, "/datagrams/reordered");
    assert!((reordered..=reordered + 1).contains(&seen), "{json}");
    assert_eq!((&json["good"], &json["datagrams"]["loss"]), (&true.into(), &0.0.into()));
}

#[cfg(target_os = "linux")]
#[test]
fn what_our_own_socket_drops_makes_the_figures_invalid_and_is_no_fault_of_the_path() {
    // We ask for 4 MiB and get twice what may be had; the payloads alone are more.
    let most = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap();
    let buffer = most.trim().parse::<usize>().unwrap().min(4 << 20);
    let rate = (2 * buffer / 1000 + 500) / 2;
    let service = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket2::SockRef::from(&service).set_recv_buffer_size(buffer).unwrap();
    let target = format!("udp://{}", service.local_addr().unwrap());
    let child = Command::new(client_path())
        .args(["bench", &target, "--json", "-c", "1", "-s", "1000", "-p", "65536"])
        .args(["-r", &rate.to_string(), "-d", "2s", "--warmup", "0s", "-W", "8s"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&child);
    // Everything is kept until no more comes, and then answered at once, while nobody reads it.
    let mut kept = Vec::new();
    service.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    let mut datagram = [0; 1000];
    while let Ok((_, peer)) = service.recv_from(&mut datagram) {
        kept.push((datagram, peer));
        service.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    }
    kill_process(pid, Signal::STOP).unwrap();
    let state = format!("/proc/{}/stat", child.id());
    while !std::fs::read_to_string(&state).unwrap().contains(") T ") {}
    for (datagram, peer) in &kept {
        service.send_to(datagram, peer).unwrap();
    }
    kill_process(pid, Signal::CONT).unwrap();
    let output = output_of(child);
    let said = String::from_utf8_lossy(&output.stderr);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{json}");
    assert_datagrams_add_up(&json);
    let [lost, dropped] = ["/datagrams/lost", "/datagrams/dropped"].map(|path| count(&json, path));
    assert!(dropped > 0 && lost == dropped, "{json}");
    assert!(said.contains(&format!("full and dropped {dropped} datagrams")), "{said}");
}

#[test]
fn damaged_datagrams_are_corrupt_and_named() {
    for (damage, words) in [
        ((|datagram| datagram[17] ^= 4) as fn(&mut Vec<u8>), "corrupt at offset"),
        (|datagram| datagram[1] ^= 4, "corrupt at offset"),
        (|datagram| datagram.truncate(40), "lost 24 bytes at offset"),
    ] {
        let target = serve_datagrams(move |number, datagram, send| {
            if number % 10 == 0 {
                damage(datagram);
            }
            send(datagram);
        });
        let (code, json) = bench(&target, "-c 1 -r 500 -d 200ms --warmup 0s");
        assert_eq!(code, 1, "{json}");
        assert_datagrams_add_up(&json);
        let damaged = count(&json, "/sent").div_ceil(10);
        assert_eq!(count(&json, "/corrupt"), damaged, "{json}");
        assert_eq!(count(&json, "/damage/count"), damaged, "{json}");
        assert!(json["damage"]["first"][0].as_str().unwrap().contains(words), "{json}");
        assert_eq!(count(&json, "/datagrams/lost"), 0, "{json}");
    }
}

#[test]
fn datagrams_that_nobody_listens_for_end_the_run_with_the_reason() {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let began = Instant::now();
    let (code, json) = bench(&format!("udp://{free}"), "-c 3 -d 50s --warmup 0s");
    assert_eq!(code, 1, "{json}");
    assert!(began.elapsed() < Duration::from_secs(30), "nothing is left to wait for");
    assert_eq!(count(&json, "/failed/0/count"), 3, "{json}");
    assert!(json["failed"][0]["reason"].as_str().unwrap().contains("nobody listens"), "{json}");
}
