//! A report as JUnit XML, as build servers read it: a suite per family, a case per check.

use std::io::{self, Write};

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use super::{
    case::{Done, Outcome},
    report::Report,
};

/// Writes the whole document.
///
/// # Errors
/// What `output` says.
pub(super) fn write(report: &Report, output: &mut dyn Write) -> io::Result<()> {
    let mut xml = Writer::new_with_indent(output, b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.create_element("testsuites")
        .with_attribute(("name", "echo-client check"))
        .write_inner_content(|xml| {
            for suite in report.done.chunk_by(|a, b| a.check.family() == b.check.family()) {
                write_suite(xml, report, suite)?;
            }
            Ok(())
        })?;
    xml.get_mut().write_all(b"\n")
}

fn write_suite<W: Write>(xml: &mut Writer<W>, report: &Report, suite: &[Done]) -> io::Result<()> {
    let count = |outcome| suite.iter().filter(|done| done.outcome == outcome).count().to_string();
    let Some(first) = suite.first() else { return Ok(()) };
    let target = report.target.to_string();
    xml.create_element("testsuite")
        .with_attribute(("name", first.check.family()))
        .with_attribute(("hostname", target.as_str()))
        .with_attribute(("tests", suite.len().to_string().as_str()))
        .with_attribute(("failures", count(Outcome::Fail).as_str()))
        .with_attribute(("skipped", count(Outcome::Skip).as_str()))
        .write_inner_content(|xml| suite.iter().try_for_each(|done| write_case(xml, done)))?;
    Ok(())
}

fn write_case<W: Write>(xml: &mut Writer<W>, done: &Done) -> io::Result<()> {
    let Done { check, outcome, seen, took } = done;
    let case = xml
        .create_element("testcase")
        .with_attribute(("classname", check.family()))
        .with_attribute(("name", check.id))
        .with_attribute(("time", format!("{:.6}", took.as_secs_f64()).as_str()));
    case.write_inner_content(|xml| {
        let message = ("message", seen.as_str());
        match outcome {
            Outcome::Fail => {
                let more = format!("expected: {}\nhint: {}", check.expected, check.hint);
                let failure = xml.create_element("failure").with_attribute(message);
                failure.write_text_content(BytesText::new(&more))?;
            }
            Outcome::Skip => {
                xml.create_element("skipped").with_attribute(message).write_empty()?;
            }
            Outcome::Pass | Outcome::Info | Outcome::Warn => {
                let told = format!("{}: {seen}", outcome.name());
                xml.create_element("system-out").write_text_content(BytesText::new(&told))?;
            }
        }
        Ok(())
    })?;
    Ok(())
}
