//! Streams of any size, both ways at once, with half-close at the end.

use std::thread;

use crate::{
    Engine,
    support::{client, noise, peers::exchange},
};

pub(crate) const TESTS: crate::Tests = tests![
    everything_received_before_a_half_close_is_echoed_then_the_end,
    a_hundred_clients_at_once_each_get_their_own_bytes,
    forty_long_streams_at_once_come_back_each_the_same,
    sixty_four_mebibytes_through_a_pipe_come_back_the_same,
];

fn everything_received_before_a_half_close_is_echoed_then_the_end(engine: Engine) {
    let server = engine.start(&[]);
    for len in [1, 1 << 20, 8 << 20] {
        let sent = noise(len);
        assert!(exchange(&server.connect(), &sent) == sent, "{len} bytes");
    }
}

fn a_hundred_clients_at_once_each_get_their_own_bytes(engine: Engine) {
    let server = engine.start(&[]);
    thread::scope(|scope| {
        for i in 0..100 {
            let mut command = client(&server);
            scope.spawn(move || {
                let text = format!("client {i}, and nobody else. ").repeat(1000);
                command.args(["-f", "-"]).write_stdin(text.clone()).assert().success().stdout(text);
            });
        }
    });
    let ended = server.stop();
    assert!(ended.status.success());
    assert_eq!(ended.count("connections"), 100);
    assert_eq!(ended.count("received"), ended.count("echoed"));
}

fn forty_long_streams_at_once_come_back_each_the_same(engine: Engine) {
    let server = engine.start(&[]);
    let bytes = noise(4 << 20);
    thread::scope(|scope| {
        for i in 0..40 {
            let (server, mut sent) = (&server, bytes.clone());
            sent.rotate_left(i * 4999); // no two have the same at the same place
            scope.spawn(move || assert!(exchange(&server.connect(), &sent) == sent, "stream {i}"));
        }
    });
    assert_eq!(server.stop().count("echoed"), 40 * (4 << 20));
}

fn sixty_four_mebibytes_through_a_pipe_come_back_the_same(engine: Engine) {
    let server = engine.start(&[]);
    let sent = noise(64 << 20);
    let output =
        client(&server).args(["send", "-f", "-"]).write_stdin(sent.clone()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout == sent);
    assert_eq!(server.stop().count("echoed"), 64 << 20);
}
