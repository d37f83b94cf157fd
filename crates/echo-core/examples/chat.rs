//! A chat: lines, a thread per guest, everybody hears everybody else.
//!
//! `cargo run -p echo-core --example chat` lets two guests talk. A guest's first line is his name.

use std::{
    error::Error,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use echo_core::{Delimited, FrameError, Receiver, RecvError, Sender};

/// Long lines are for files.
const MAX_LINE: usize = 512;

/// A guest that does not read holds nobody up for longer.
const STALL: Duration = Duration::from_secs(5);

type Guests = Arc<Mutex<Vec<(String, Sender<TcpStream, Delimited>)>>>;

fn main() -> Result<(), Box<dyn Error>> {
    run()
}

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let address = serve()?;
    let mut ada = Guest::join(address, "ada")?;
    let mut bob = Guest::join(address, "bob")?;
    assert_eq!(ada.hear()?, "* bob is here");
    ada.say("hello bob")?;
    assert_eq!(bob.hear()?, "ada: hello bob");
    bob.sender.get_ref().shutdown(Shutdown::Write)?;
    assert_eq!(ada.hear()?, "* bob has left");
    println!("ada and bob have met at {address}");
    Ok(())
}

fn serve() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let guests = Guests::default();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let guests = Arc::clone(&guests);
            thread::spawn(move || {
                if let Err(e) = attend(&stream, &guests) {
                    eprintln!("a guest was lost: {e}");
                }
            });
        }
    });
    Ok(address)
}

fn attend(stream: &TcpStream, guests: &Guests) -> Result<(), Box<dyn Error>> {
    let mut receiver = Receiver::new(stream, Delimited::lines().max_payload(MAX_LINE));
    let Some(name) = receiver.recv()? else { return Ok(()) };
    let name = String::from_utf8_lossy(name).into_owned();
    let writer = stream.try_clone()?;
    writer.set_write_timeout(Some(STALL))?;
    tell(guests, &name, &format!("* {name} is here"));
    lock(guests).push((name.clone(), Sender::new(writer, Delimited::lines())));
    // The guest is in once he reads this.
    tell_one(guests, &name, "* welcome");

    let heard = loop {
        match receiver.recv() {
            Ok(Some(line)) => {
                let line = String::from_utf8_lossy(line).into_owned();
                tell(guests, &name, &format!("{name}: {line}"));
            }
            Ok(None) => break Ok(()),
            // The rest of that line is skipped; the connection goes on.
            Err(RecvError::Frame(FrameError::TooLong { .. })) => {
                tell_one(guests, &name, "* that line was too long");
            }
            Err(e) => break Err(e.into()),
        }
    };
    lock(guests).retain(|(guest, _)| *guest != name);
    tell(guests, &name, &format!("* {name} has left"));
    heard
}

/// Tells everybody but `from`. Who cannot be told is out.
fn tell(guests: &Guests, from: &str, line: &str) {
    lock(guests).retain_mut(|(name, sender)| name == from || sender.send(line.as_bytes()).is_ok());
}

fn tell_one(guests: &Guests, to: &str, line: &str) {
    lock(guests).retain_mut(|(name, sender)| name != to || sender.send(line.as_bytes()).is_ok());
}

fn lock(guests: &Guests) -> std::sync::MutexGuard<'_, Vec<(String, Sender<TcpStream, Delimited>)>> {
    guests.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Guest {
    receiver: Receiver<TcpStream, Delimited>,
    sender: Sender<TcpStream, Delimited>,
}

impl Guest {
    fn join(address: SocketAddr, name: &str) -> Result<Self, Box<dyn Error>> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut guest = Self {
            receiver: Receiver::new(stream.try_clone()?, Delimited::lines()),
            sender: Sender::new(stream, Delimited::lines()),
        };
        guest.say(name)?;
        assert_eq!(guest.hear()?, "* welcome");
        Ok(guest)
    }

    fn say(&mut self, line: &str) -> Result<(), Box<dyn Error>> {
        Ok(self.sender.send(line.as_bytes())?)
    }

    fn hear(&mut self) -> Result<String, Box<dyn Error>> {
        let line = self.receiver.recv()?.ok_or("the chat is closed")?;
        Ok(String::from_utf8(line.to_vec())?)
    }
}
