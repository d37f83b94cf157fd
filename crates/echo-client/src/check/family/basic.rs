//! What everybody takes for granted.

use crate::check::{
    case::{Broken, Check, Level, Seen},
    conn::time,
    trial::Trial,
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "basic.connect",
        level: Level::Must,
        does: "Opens a connection.",
        expected: "It is accepted.",
        hint: "Nobody listens there, or a filter is on the path.",
        source: "RFC 9293, 3.5: establishing a connection",
        slow: false,
        run: connect,
    },
    Check {
        id: "basic.hello",
        level: Level::Must,
        does: "Sends \"Hello, server! This is a test.\" in one write.",
        expected: "The same 30 bytes come back.",
        hint: "No echo service is there, or something on the path answers in its place.",
        source: "RFC 862: any data received is sent back",
        slow: false,
        run: hello,
    },
    Check {
        id: "basic.octets",
        level: Level::Must,
        does: "Sends each of the 256 octets, in order and in reverse.",
        expected: "They come back as they are.",
        hint: "Something treats the stream as text: line ends, NUL, the top bit or a character set \
               are changed on the way.",
        source: "RFC 9293, 2.2: TCP carries octets, and gives them no meaning",
        slow: false,
        run: octets,
    },
    Check {
        id: "basic.no-newline",
        level: Level::Must,
        does: "Sends one byte that is no newline, and waits.",
        expected: "It comes back without any that follows it.",
        hint: "Something reads lines and waits for their end (fgets, readline, a terminal's line mode).",
        source: "RFC 862 knows no lines",
        slow: false,
        run: no_newline,
    },
    Check {
        id: "basic.silent",
        level: Level::Must,
        does: "Connects and sends nothing.",
        expected: "Nothing comes, and the connection stays open.",
        hint: "A banner is sent (a wrapper, a login, a proxy's error page), or the path closes what \
               does not speak first.",
        source: "RFC 862: what is sent back is what was received",
        slow: false,
        run: silent,
    },
    Check {
        id: "basic.no-extra",
        level: Level::Must,
        does: "Sends a message, gets it back, and listens on.",
        expected: "Nothing follows it.",
        hint: "Something adds a newline, a NUL or a prompt to each answer, or answers twice.",
        source: "RFC 862: what is sent back is what was received",
        slow: false,
        run: no_extra,
    },
];

/// The guide's message.
const HELLO: &[u8] = b"Hello, server! This is a test.";

fn connect(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let before = std::time::Instant::now();
    trial.connect()?;
    Ok(Seen::Kept(format!("accepted in {}", time(before.elapsed()))))
}

fn hello(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let took = trial.connect()?.echo(HELLO)?;
    Ok(Seen::Kept(format!("came back in {}", time(took))))
}

fn octets(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let octets: Vec<u8> = (0..=u8::MAX).chain((0..=u8::MAX).rev()).collect();
    trial.connect()?.echo(&octets)?;
    Ok(Seen::Kept("all 256 came back as they are".to_owned()))
}

fn no_newline(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let took = trial.connect()?.echo(b"x")?;
    Ok(Seen::Kept(format!("one byte came back in {}", time(took))))
}

fn silent(trial: &Trial<'_>) -> Result<Seen, Broken> {
    trial.connect()?.expect_quiet()?;
    Ok(Seen::Kept(format!("nothing came for {}", time(trial.quiet()))))
}

fn no_extra(trial: &Trial<'_>) -> Result<Seen, Broken> {
    let mut conn = trial.connect()?;
    conn.echo(HELLO)?;
    conn.expect_quiet()?;
    Ok(Seen::Kept(format!("nothing followed for {}", time(trial.quiet()))))
}
