//! A report as JUnit XML, as build servers read it: a suite per family, a case per check.

use std::{
    io::{self, Write},
    time::Duration,
};

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use super::{
    case::{Done, Outcome},
    report::Report,
};

/// Writes the whole document. A warning is a failure when the run is `strict`.
///
/// # Errors
/// What `output` says.
pub(super) fn write(report: &Report, strict: bool, output: &mut dyn Write) -> io::Result<()> {
    let mut xml = Writer::new_with_indent(output, b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let page = Page { report, strict };
    let late = usize::from(report.time_is_up);
    let tests = (report.done.len() + late).to_string();
    let errors = page.of(&report.done, Verdict::Error) + late;
    xml.create_element("testsuites")
        .with_attribute(("name", "echo-client check"))
        .with_attribute(("tests", tests.as_str()))
        .with_attribute(("failures", page.count(&report.done, Verdict::Failure).as_str()))
        .with_attribute(("errors", errors.to_string().as_str()))
        .with_attribute(("time", seconds(report.took).as_str()))
        .write_inner_content(|xml| {
            let same_family = |a: &Done, b: &Done| a.check.family() == b.check.family();
            report.done.chunk_by(same_family).try_for_each(|suite| page.write_suite(xml, suite))?;
            if report.time_is_up { page.write_time_is_up(xml) } else { Ok(()) }
        })?;
    xml.get_mut().write_all(b"\n")
}

struct Page<'a> {
    report: &'a Report,
    strict: bool,
}

/// What JUnit knows of outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Success,
    Failure,
    /// The service did not live to see the next check.
    Error,
    Skipped,
}

impl Page<'_> {
    fn verdict(&self, done: &Done) -> Verdict {
        match done.outcome {
            Outcome::Fail => Verdict::Failure,
            Outcome::Warn if self.strict => Verdict::Failure,
            _ if self.report.deaths.contains(&done.check.id) => Verdict::Error,
            Outcome::Skip => Verdict::Skipped,
            Outcome::Pass | Outcome::Info | Outcome::Warn => Verdict::Success,
        }
    }

    fn count(&self, suite: &[Done], verdict: Verdict) -> String {
        self.of(suite, verdict).to_string()
    }

    fn of(&self, suite: &[Done], verdict: Verdict) -> usize {
        suite.iter().filter(|done| self.verdict(done) == verdict).count()
    }

    /// A suite for what was not done: who reads the others alone would take the run for a good one.
    fn write_time_is_up<W: Write>(&self, xml: &mut Writer<W>) -> io::Result<()> {
        let message = format!("the time was up: {} checks were not run", self.report.not_run);
        xml.create_element("testsuite")
            .with_attribute(("name", "deadline"))
            .with_attribute(("tests", "1"))
            .with_attribute(("failures", "0"))
            .with_attribute(("errors", "1"))
            .with_attribute(("skipped", "0"))
            .with_attribute(("time", "0.000"))
            .write_inner_content(|xml| {
                xml.create_element("testcase")
                    .with_attribute(("classname", "deadline"))
                    .with_attribute(("name", "deadline"))
                    .with_attribute(("time", "0.000"))
                    .write_inner_content(|xml| {
                        let error =
                            xml.create_element("error").with_attribute(("type", "deadline"));
                        error.with_attribute(("message", message.as_str())).write_empty().map(drop)
                    })
                    .map(drop)
            })
            .map(drop)
    }

    fn write_suite<W: Write>(&self, xml: &mut Writer<W>, suite: &[Done]) -> io::Result<()> {
        let Some(first) = suite.first() else { return Ok(()) };
        let target = self.report.target.to_string();
        xml.create_element("testsuite")
            .with_attribute(("name", first.check.family()))
            .with_attribute(("hostname", legal(&target).as_str()))
            .with_attribute(("tests", suite.len().to_string().as_str()))
            .with_attribute(("failures", self.count(suite, Verdict::Failure).as_str()))
            .with_attribute(("errors", self.count(suite, Verdict::Error).as_str()))
            .with_attribute(("skipped", self.count(suite, Verdict::Skipped).as_str()))
            .with_attribute(("time", seconds(suite.iter().map(|done| done.took).sum()).as_str()))
            .write_inner_content(|xml| {
                suite.iter().try_for_each(|done| self.write_case(xml, done))
            })?;
        Ok(())
    }

    fn write_case<W: Write>(&self, xml: &mut Writer<W>, done: &Done) -> io::Result<()> {
        let Done { check, outcome, seen, took } = done;
        let seen = legal(seen);
        let (outcome, seen) = (outcome.name(), seen.as_str());
        let more = format!("expected: {}\nhint: {}", check.expected, check.hint);
        let (kind, name, message) = match self.verdict(done) {
            Verdict::Success => ("", "system-out", None),
            Verdict::Failure => (outcome, "failure", Some(seen)),
            Verdict::Error => ("dead", "error", Some("the service is dead after it")),
            Verdict::Skipped => (outcome, "skipped", Some(seen)),
        };
        let text = if message == Some(seen) { more } else { format!("{outcome}: {seen}") };
        xml.create_element("testcase")
            .with_attribute(("classname", check.family()))
            .with_attribute(("name", check.id))
            .with_attribute(("time", seconds(*took).as_str()))
            .write_inner_content(|xml| {
                let mut element = xml.create_element(name);
                if let Some(message) = message {
                    element =
                        element.with_attribute(("type", kind)).with_attribute(("message", message));
                }
                element.write_text_content(BytesText::new(&text)).map(drop)
            })?;
        Ok(())
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.6}", duration.as_secs_f64())
}

/// Without the characters that XML 1.0 has no way to write, escaped or not (2.2, Char). What peers send
/// is escaped before it is part of a text; this is for the names of targets and what the system says.
fn legal(text: &str) -> String {
    let is_legal = |c: &char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if is_legal(&c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

#[cfg(test)]
mod tests {
    use quick_xml::{Reader, events::Event};

    use super::*;
    use crate::check::{report::sample, selection::battery};

    /// Elements with their attributes, in the order in which they begin; fails unless all of it is
    /// XML.
    fn elements(xml: &str) -> Vec<String> {
        assert!(xml.chars().all(|c| c == '\n' || !c.is_control()), "{xml:?}");
        let mut reader = Reader::from_str(xml);
        reader.config_mut().check_end_names = true;
        let mut all = Vec::new();
        loop {
            match reader.read_event().unwrap() {
                Event::Start(element) | Event::Empty(element) => {
                    let attributes = element.attributes().map(|attribute| {
                        let attribute = attribute.unwrap();
                        let key = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
                        format!(" {key}={}", attribute.unescape_value().unwrap())
                    });
                    let name = String::from_utf8_lossy(element.name().as_ref()).into_owned();
                    all.push(name + &attributes.collect::<String>());
                }
                Event::Text(text) => drop(text.decode().unwrap()),
                Event::Eof => return all,
                _ => {}
            }
        }
    }

    fn written(report: &Report, strict: bool) -> Vec<String> {
        let mut output = Vec::new();
        write(report, strict, &mut output).unwrap();
        elements(std::str::from_utf8(&output).unwrap())
    }

    #[test]
    fn a_suite_per_family_counts_its_cases_and_says_why_they_failed() {
        let report = sample(&[
            ("basic.connect", Outcome::Pass, "fine"),
            ("basic.hello", Outcome::Fail, "<\"&\u{1b}\u{0}>"),
            ("basic.octets", Outcome::Warn, "odd"),
            ("udp.one", Outcome::Skip, "cannot"),
        ]);
        let of_udp = |all: &[String]| {
            all.len() - all.iter().rev().position(|it| it.starts_with("testsuite ")).unwrap() - 1
        };
        let lenient = written(&report, false);
        assert!(
            lenient[0]
                .starts_with("testsuites name=echo-client check tests=4 failures=1 errors=0 time=")
        );
        assert!(lenient[1].starts_with("testsuite name=basic hostname=tcp://127.0.0.1:7 tests=3 failures=1 errors=0 skipped=0 time="), "{}", lenient[1]);
        assert!(lenient[2].starts_with("testcase classname=basic name=basic.connect time=0.0"));
        assert_eq!(lenient[3], "system-out");
        assert_eq!(lenient[5], "failure type=FAIL message=<\"&\u{fffd}\u{fffd}>");
        assert_eq!(lenient[7], "system-out");
        assert!(lenient[of_udp(&lenient)].contains("name=udp"));
        assert_eq!(lenient[10], "skipped type=SKIP message=cannot");
        let strict = written(&report, true);
        assert!(strict[1].contains(" failures=2 "));
        assert_eq!(strict[7], "failure type=WARN message=odd");
    }

    #[test]
    fn a_run_whose_time_was_up_is_not_all_green() {
        let mut report = sample(&[("basic.connect", Outcome::Pass, "fine")]);
        (report.time_is_up, report.not_run) = (true, 33);
        let all = written(&report, false);
        assert!(all[0].contains(" tests=2 failures=0 errors=1 "), "{}", all[0]);
        let last = all.last().unwrap();
        assert_eq!(last, "error type=deadline message=the time was up: 33 checks were not run");
    }

    #[test]
    fn a_service_that_dies_of_a_check_is_an_error_of_that_check() {
        let mut report = sample(&[("basic.connect", Outcome::Pass, "fine")]);
        report.deaths = vec!["basic.connect"];
        let all = written(&report, false);
        assert!(all[1].contains(" failures=0 errors=1 skipped=0 "), "{}", all[1]);
        assert_eq!(all[3], "error type=dead message=the service is dead after it");
    }

    #[test]
    fn the_whole_battery_is_written() {
        let all: Vec<_> = battery().map(|check| (check.id, Outcome::Fail, "")).collect();
        let cases = written(&sample(&all), false);
        assert_eq!(cases.iter().filter(|it| it.starts_with("testcase ")).count(), all.len());
    }
}
