//! What the checks are, as a page: `--list`, and `docs/checks.md`.

use std::fmt::Write;

use super::case::Check;

/// Columns that a line has at most; words that are longer have a line of their own.
const WIDTH: usize = 100;

/// What is to be known before one reads about a check.
const HEAD: &str = "\
# What `echo-client check` checks

`echo-client check TARGET` runs these checks against an echo service, or against any path that leads to
one: a proxy, a load balancer, a NAT, a tunnel, a container network. Nothing on a path may be seen by
those who use it, except in how long it takes. Where it can be seen, the check that sees it says what
was sent, what came, and where to look.

- Levels. `must`: a promise of TCP, UDP or RFC 862; where it is broken, bytes are lost, changed or
  delivered to others, or programs hang. `should`: nothing is lost, but it is slower or stranger than it
  has to be. `info`: no promise; it measures what the path is like.
- Outcomes. PASS: as expected. FAIL: a `must` is broken. WARN: a `should` is broken, or a `must` was kept
  in an odd way. INFO: what was measured. SKIP: it could not be done, and why.
- Exit codes. 0: nothing failed, and the service is still alive; 1: something failed, or warned and
  `--strict` was given, or the service is dead; 2: usage or local error.
- Each check has connections and a deadline of its own. What is due is waited for at least 2 s, or 20
  round trips; what takes long on a loaded machine warns at most.
- After each check the service is asked whether it is still well. If it is not, the report names the
  check that it died of, and what follows is skipped until it answers again.
- A word after the target selects: a family, as `close`, or one check, as `conn.burst`. Ids never
  change. A check marked slow runs with `--slow`, or when it is named.
- Does the path fail, or the service behind it? Run the same check beside the service, without the
  path: what fails there, too, is not the path's.

This page is what `echo-client check --list` prints.
";

/// What families are about, for someone who runs a proxy.
const FAMILIES: [(&str, &str); 7] = [
    (
        "basic",
        "What everybody takes for granted: who fails here is no echo service, or something \
               answers in its place, greets, or treats bytes as text.",
    ),
    (
        "stream",
        "Bytes are a stream: how writes cut it must not matter, neither to what comes back nor \
                to when.",
    ),
    (
        "big",
        "Much of it, in both directions at once: a relay that reads only while nothing waits to \
             be written locks up, or loses what its buffers do not hold.",
    ),
    (
        "flow",
        "Who reads slowly slows down who sends to it, and nobody else: without that, a proxy \
              fills its memory, or lets one client stop all others.",
    ),
    (
        "close",
        "How connections end: half-close, FIN and RST each mean something, and a proxy that \
               turns one into another loses the end of the data, or hangs.",
    ),
    (
        "conn",
        "Many connections: each has its own bytes, and gets them, however many come at once, \
              one after the other, or do nothing for long.",
    ),
    (
        "udp",
        "Datagrams, for a target as `udp://HOST:PORT`: each comes back whole, once, to who sent \
             it, from the address that was asked. Loss is no failure until a datagram was lost four \
             times in a row.",
    ),
];

/// The page of these checks, in Markdown; with a head when it is about all of them.
pub(super) fn page(checks: &[&Check], is_whole: bool) -> String {
    let mut page = if is_whole { format!("{HEAD}\n") } else { String::new() };
    let mut family = "";
    for check in checks {
        if check.family() != family {
            family = check.family();
            let about = FAMILIES.iter().find(|(name, _)| *name == family);
            let about = about.map_or("", |(_, about)| about);
            let _ = writeln!(page, "## {family}\n\n{}\n", wrapped("", about));
        }
        let slow = if check.slow { ", slow" } else { "" };
        let Check { id, does, expected, hint, source, .. } = check;
        let _ =
            writeln!(page, "### {id} ({}{slow})\n\n{}\n", check.level.name(), wrapped("", does));
        for (name, text) in [("expected", expected), ("if not", hint), ("source", source)] {
            let _ = writeln!(page, "{}", wrapped("- ", &format!("{name}: {text}")));
        }
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page + "\n"
}

/// In lines of at most [`WIDTH`] columns, the first after this mark, the others below what follows it.
fn wrapped(mark: &str, text: &str) -> String {
    let (mut lines, mut column) = (mark.to_owned(), mark.len());
    for (nth, word) in text.split_whitespace().enumerate() {
        let width = word.chars().count();
        if nth > 0 && column + 1 + width > WIDTH {
            lines += &format!("\n{}", " ".repeat(mark.len()));
            column = mark.len();
        } else if nth > 0 {
            lines.push(' ');
            column += 1;
        }
        lines += word;
        column += width;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::selection::battery;

    #[test]
    fn the_page_in_docs_is_what_is_printed() {
        let printed = page(&battery().collect::<Vec<_>>(), true);
        let kept = include_str!("../../docs/checks.md");
        let differs = kept.lines().zip(printed.lines()).position(|(kept, printed)| kept != printed);
        assert!(
            kept == printed,
            "docs/checks.md is not what the code says, from line {:?}; make it anew: \
             cargo run -p echo-client -- check --list > crates/echo-client/docs/checks.md",
            differs.map(|line| line + 1),
        );
    }

    #[test]
    fn every_family_says_what_it_is_about() {
        for check in battery() {
            let family = check.family();
            assert!(FAMILIES.iter().any(|(name, _)| *name == family), "no words about {family}");
        }
    }

    #[test]
    fn lines_fit_on_a_terminal_and_lose_no_word() {
        let text = "one two  three ".repeat(30);
        let lines = wrapped("- ", &text);
        assert!(
            lines
                .lines()
                .all(|line| line.len() <= WIDTH
                    && (line.starts_with("- ") || line.starts_with("  ")))
        );
        assert_eq!(lines.lines().count(), 5);
        let words = lines.trim_start_matches("- ").split_whitespace();
        assert!(words.eq(text.split_whitespace()), "{lines}");
        assert_eq!(wrapped("", &"x".repeat(200)), "x".repeat(200));
    }
}
