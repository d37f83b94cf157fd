//! The chat on tokio: one task per guest, which listens to its guest and to everybody else at once.
//!
//! `cargo run -p echo-core --example chat_tokio`. `select!` drops the future that loses, and may do
//! so in the middle of a line: nothing is lost, because `recv` is cancel-safe.

use std::{error::Error, net::SocketAddr};

use echo_core::{
    Delimited, FrameError, RecvError,
    tokio::{Receiver, Sender},
};
use tokio::{
    net::{TcpListener, TcpStream, tcp},
    sync::broadcast::{self, error::RecvError as Missed},
};

/// Long lines are for files.
const MAX_LINE: usize = 512;

/// Lines kept for a guest that does not read; then he misses some.
const BACKLOG: usize = 64;

type Said = (String, String);

fn main() -> Result<(), Box<dyn Error>> {
    run()
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let address = serve().await?;
    let mut ada = Guest::join(address, "ada").await?;
    let mut bob = Guest::join(address, "bob").await?;
    assert_eq!(ada.hear().await?, "* bob is here");
    ada.sender.send(b"hello bob").await?;
    assert_eq!(bob.hear().await?, "ada: hello bob");
    bob.sender.shutdown().await?;
    assert_eq!(ada.hear().await?, "* bob has left");
    println!("ada and bob have met at {address}");
    Ok(())
}

async fn serve() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (room, _) = broadcast::channel(BACKLOG);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let room = room.clone();
            tokio::spawn(async move {
                if let Err(e) = attend(stream, &room).await {
                    eprintln!("a guest was lost: {e}");
                }
            });
        }
    });
    Ok(address)
}

async fn attend(
    mut stream: TcpStream,
    room: &broadcast::Sender<Said>,
) -> Result<(), Box<dyn Error>> {
    let (reader, writer) = stream.split();
    let mut receiver = Receiver::new(reader, Delimited::lines().max_payload(MAX_LINE));
    let mut sender = Sender::new(writer, Delimited::lines());
    let Some(name) = receiver.recv().await? else { return Ok(()) };
    let name = String::from_utf8_lossy(name).into_owned();
    let mut others = room.subscribe();
    let tell = |line: String| room.send((name.clone(), line)).map_or((), drop);
    tell(format!("* {name} is here"));
    sender.send(b"* welcome").await?;

    let heard = loop {
        tokio::select! {
            line = receiver.recv() => match line {
                Ok(Some(line)) => tell(format!("{name}: {}", String::from_utf8_lossy(line))),
                Ok(None) => break Ok(()),
                // The rest of that line is skipped; the connection goes on.
                Err(RecvError::Frame(FrameError::TooLong { .. })) => {
                    sender.send(b"* that line was too long").await?;
                }
                Err(e) => break Err(e.into()),
            },
            said = others.recv() => match said {
                Ok((from, line)) if from != name => sender.send(line.as_bytes()).await?,
                Ok(_) => {}
                Err(Missed::Lagged(_)) => sender.send(b"* you missed some lines").await?,
                Err(Missed::Closed) => break Ok(()),
            },
        }
    };
    tell(format!("* {name} has left"));
    heard
}

struct Guest {
    receiver: Receiver<tcp::OwnedReadHalf, Delimited>,
    sender: Sender<tcp::OwnedWriteHalf, Delimited>,
}

impl Guest {
    async fn join(address: SocketAddr, name: &str) -> Result<Self, Box<dyn Error>> {
        let (reader, writer) = TcpStream::connect(address).await?.into_split();
        let mut guest = Self {
            receiver: Receiver::new(reader, Delimited::lines()),
            sender: Sender::new(writer, Delimited::lines()),
        };
        guest.sender.send(name.as_bytes()).await?;
        assert_eq!(guest.hear().await?, "* welcome");
        Ok(guest)
    }

    async fn hear(&mut self) -> Result<String, Box<dyn Error>> {
        let line = self.receiver.recv().await?.ok_or("the chat is closed")?;
        Ok(String::from_utf8(line.to_vec())?)
    }
}
