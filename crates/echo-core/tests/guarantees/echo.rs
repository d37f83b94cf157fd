//! The guide's echo loop, on every driver.

use std::{
    io::Write,
    net::{Shutdown, TcpListener, TcpStream},
};

use echo_core::{Delimited, Raw, Receiver, Sender, echo, echo_frames, tokio as on_tokio};

fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
    (client, listener.accept().expect("accepts").0)
}

#[test]
fn the_echo_loop_sends_everything_back_and_ends_with_the_peer() {
    let (client, server) = connection();
    let serving = std::thread::spawn(move || {
        let echoed = echo(&server).unwrap();
        server.shutdown(Shutdown::Write).unwrap();
        echoed.bytes
    });
    let sent: Vec<u8> = (0..300_000_u32).map(|i| i.to_le_bytes()[i as usize % 3]).collect();
    let (mut writer, expected) = (client.try_clone().unwrap(), sent.clone());
    let writing = std::thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut receiver = Receiver::new(&client, Raw);
    assert!(receiver.recv_to_end().unwrap() == expected);
    writing.join().unwrap();
    assert_eq!(serving.join().unwrap(), expected.len() as u64);
}

#[test]
fn the_framed_echo_releases_whole_frames_only() {
    let mut wire = Vec::new();
    let mut receiver = Receiver::new(&b"one\ntwo\r\npart"[..], Delimited::lines());
    let result = echo_frames(&mut receiver, &mut Sender::new(&mut wire, Delimited::lines()));
    assert!(result.unwrap_err().to_string().contains("unfinished frame"));
    assert_eq!(wire, b"one\ntwo\n");
}

#[tokio::test]
async fn on_tokio_the_echo_loop_sends_everything_back_and_ends_with_the_peer() {
    let (peer, stream) = tokio::io::duplex(1000);
    let serving = tokio::spawn(async move {
        let (reader, mut writer) = tokio::io::split(stream);
        let echoed = on_tokio::echo(reader, &mut writer).await.unwrap();
        tokio::io::AsyncWriteExt::shutdown(&mut writer).await.unwrap();
        echoed.bytes
    });
    let sent: Vec<u8> = (0..300_000_u32).map(|i| i.to_le_bytes()[i as usize % 3]).collect();
    let (reader, writer) = tokio::io::split(peer);
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        let mut sender = on_tokio::Sender::new(writer, Raw);
        sender.send(&sent).await.unwrap();
        sender.shutdown().await.unwrap();
    });
    let mut receiver = on_tokio::Receiver::new(reader, Raw);
    assert!(receiver.recv_to_end().await.unwrap() == expected);
    writing.await.unwrap();
    assert_eq!(serving.await.unwrap(), expected.len() as u64);
}

#[tokio::test]
async fn on_tokio_the_framed_echo_releases_whole_frames_only() {
    let mut receiver = on_tokio::Receiver::new(&b"one\ntwo\r\npart"[..], Delimited::lines());
    let mut sender = on_tokio::Sender::new(Vec::new(), Delimited::lines());
    let result = on_tokio::echo_frames(&mut receiver, &mut sender).await;
    assert!(result.unwrap_err().to_string().contains("unfinished frame"));
    assert_eq!(sender.get_ref(), b"one\ntwo\n");
}
