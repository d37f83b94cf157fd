//! Guarantee 10, and the socket half of 9: a deadline is one point in time for the whole frame.

use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use echo_core::{
    Delimited, FixedLength, LengthDelimited, Receiver, RecvError, SendError, Sender, WithDeadline,
    tokio as on_tokio,
};
use tokio::{
    io::{AsyncWriteExt, duplex},
    time,
};

fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
    (client, listener.accept().expect("accepts").0)
}

#[test]
fn a_blocking_sockets_read_timeout_is_reported_as_timed_out() {
    let (mut client, server) = connection();
    server.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let mut receiver = Receiver::new(&server, FixedLength::new(2).unwrap());
    assert!(matches!(receiver.recv(), Err(RecvError::TimedOut)));
    client.write_all(b"ok").unwrap();
    server.set_read_timeout(None).unwrap();
    assert_eq!(receiver.recv().unwrap(), Some(&b"ok"[..]));
}

#[test]
fn a_peer_that_drips_cannot_extend_a_deadline() {
    let (mut client, server) = connection();
    let drip = std::thread::spawn(move || {
        // Ends when the receiver's side is closed, at the latest after two seconds.
        for _ in 0..400 {
            if client.write_all(b"x").is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let mut receiver = Receiver::new(WithDeadline::new(server), Delimited::lines());
    let start = Instant::now();
    receiver.get_mut().set_deadline(Some(start + Duration::from_millis(200)));
    assert!(matches!(receiver.recv(), Err(RecvError::TimedOut)));
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert!(!receiver.partial().is_empty(), "what has dripped in is kept");
    drop(receiver);
    drip.join().unwrap();
}

#[test]
fn a_buffered_frame_comes_after_its_deadline_and_a_lifted_deadline_waits() {
    let (mut client, server) = connection();
    let mut receiver = Receiver::new(WithDeadline::new(server), Delimited::lines());
    client.write_all(b"one\ntwo\n").unwrap();
    receiver.get_mut().set_deadline(Some(Instant::now() + Duration::from_secs(60)));
    assert_eq!(receiver.recv().unwrap(), Some(&b"one"[..]));
    receiver.get_mut().set_deadline(Some(Instant::now()));
    assert_eq!(receiver.recv().unwrap(), Some(&b"two"[..]));
    assert!(matches!(receiver.recv(), Err(RecvError::TimedOut)));
    receiver.get_mut().set_deadline(None);
    client.write_all(b"three\n").unwrap();
    assert_eq!(receiver.recv().unwrap(), Some(&b"three"[..]));
    assert_eq!(receiver.get_ref().get_ref().read_timeout().unwrap(), None);
}

#[test]
fn a_peer_that_does_not_read_cannot_hold_a_sender() {
    let (client, _server) = connection();
    let mut sender = Sender::new(WithDeadline::new(client), LengthDelimited::u32().unlimited());
    let payload = vec![b'x'; 32 << 20]; // more than both sockets hold
    sender.get_mut().set_deadline(Some(Instant::now() + Duration::from_millis(200)));
    let sent = sender.send(&payload);
    assert!(matches!(sent, Err(SendError::TimedOut { taken: true })), "{sent:?}");
    assert!(sender.has_unsent());
    assert!(matches!(sender.send(b"next"), Err(SendError::TimedOut { taken: false })));
}

// On tokio the clock of the tests is virtual, but for one: nothing waits, and the figures are exact.

#[tokio::test(start_paused = true)]
async fn on_tokio_a_peer_that_drips_cannot_extend_a_deadline() {
    let (mut peer, stream) = duplex(64);
    let drip = tokio::spawn(async move {
        for _ in 0..60 {
            if peer.write_all(b"x").await.is_err() {
                return;
            }
            time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut receiver = on_tokio::Receiver::new(stream, Delimited::lines());
    let start = time::Instant::now();
    receiver.set_deadline(Some(start + Duration::from_millis(5500)));
    assert!(matches!(receiver.recv().await, Err(RecvError::TimedOut)));
    assert_eq!(start.elapsed().as_millis(), 5500);
    assert_eq!(receiver.partial(), b"xxxxxx", "what has dripped in is kept");
    drop(receiver);
    drip.await.unwrap();
}

#[tokio::test]
async fn on_tokio_a_firehose_cannot_extend_a_deadline() {
    /// Has another byte at once, so `poll_read` is never pending; but not for ever, or a deadline
    /// that does not hold would hang the test.
    struct Firehose(usize);
    impl tokio::io::AsyncRead for Firehose {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buf: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::thread::sleep(Duration::from_millis(1));
            if self.0 > 0 {
                self.0 -= 1;
                buf.put_slice(b"x");
            }
            std::task::Poll::Ready(Ok(()))
        }
    }
    let mut receiver = on_tokio::Receiver::new(Firehose(1000), Delimited::lines());
    receiver.set_deadline(Some(time::Instant::now() + Duration::from_millis(100)));
    assert!(matches!(receiver.recv().await, Err(RecvError::TimedOut)));
    assert!(!receiver.partial().is_empty(), "what came before the deadline is kept");
}

#[tokio::test(start_paused = true)]
async fn on_tokio_a_buffered_frame_comes_after_its_deadline_and_a_lifted_deadline_waits() {
    let (mut peer, stream) = duplex(64);
    peer.write_all(b"one\ntwo\n").await.unwrap();
    let mut receiver = on_tokio::Receiver::new(stream, Delimited::lines());
    receiver.set_deadline(Some(time::Instant::now() + Duration::from_secs(1)));
    assert_eq!(receiver.recv().await.unwrap(), Some(&b"one"[..]));
    time::advance(Duration::from_secs(2)).await;
    assert_eq!(receiver.recv().await.unwrap(), Some(&b"two"[..]));
    let late = time::timeout(Duration::from_secs(60), receiver.recv()).await;
    assert!(matches!(late, Ok(Err(RecvError::TimedOut))), "at once");
    receiver.set_deadline(None);
    peer.write_all(b"three\n").await.unwrap();
    assert_eq!(receiver.recv().await.unwrap(), Some(&b"three"[..]));
}

#[tokio::test(start_paused = true)]
async fn on_tokio_any_call_may_be_put_under_a_timeout() {
    let (mut peer, stream) = duplex(64);
    let mut receiver = on_tokio::Receiver::new(stream, Delimited::lines());
    peer.write_all(b"hel").await.unwrap();
    assert!(time::timeout(Duration::from_secs(1), receiver.recv()).await.is_err());
    assert_eq!(receiver.partial(), b"hel");
    peer.write_all(b"lo\n").await.unwrap();
    assert_eq!(receiver.recv().await.unwrap(), Some(&b"hello"[..]));
}

#[tokio::test(start_paused = true)]
async fn on_tokio_a_peer_that_does_not_read_cannot_hold_a_sender() {
    let (_peer, stream) = duplex(4);
    let mut sender = on_tokio::Sender::new(stream, Delimited::lines());
    let start = time::Instant::now();
    sender.set_deadline(Some(start + Duration::from_secs(3)));
    assert!(matches!(sender.send(b"hello").await, Err(SendError::TimedOut { taken: true })));
    assert_eq!(start.elapsed().as_secs(), 3);
    assert!(sender.has_unsent());
    assert!(matches!(sender.send(b"next").await, Err(SendError::TimedOut { taken: false })));
    assert_eq!(sender.frames_taken(), 1);
}

#[tokio::test(start_paused = true)]
async fn on_tokio_a_dropped_send_finishes_its_frame_before_the_next() {
    let (peer, stream) = duplex(4);
    let mut sender = on_tokio::Sender::new(stream, Delimited::lines());
    let dropped = time::timeout(Duration::from_secs(1), sender.send(b"hello"));
    assert!(dropped.await.is_err());
    assert_eq!((sender.frames_taken(), sender.has_unsent()), (1, true), "its first byte is out");
    let reading = tokio::spawn(async move {
        let mut receiver = on_tokio::Receiver::new(peer, Delimited::lines());
        let mut lines = Vec::new();
        while let Some(line) = receiver.recv().await.unwrap() {
            lines.push(line.to_vec());
        }
        lines
    });
    sender.send(b"next").await.unwrap();
    sender.shutdown().await.unwrap();
    assert_eq!(reading.await.unwrap(), [&b"hello"[..], b"next"]);
}
