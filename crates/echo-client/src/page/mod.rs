//! Results on one page of HTML, which needs nothing else: no network, no script, no font.
//!
//! ```text
//! sides, comparison ──▶ sections: verdict, tiles, charts, tables, settings ──▶ one string
//!                                              chart: SVG          style.css within
//! ```
//!
//! Whatever comes from outside - names of files, targets, reasons - is [`escaped`] where it is put
//! into the page, and nowhere else.
//!
//! What is not about the client's own results is public: the frame of a [`document`], [`table`], [`Chart`].

mod chart;
mod charts;
mod sections;

pub use chart::{Axis, Chart, Line};

use crate::report::{Comparison, Side};

const STYLE: &str = include_str!("style.css");

/// What a page shows.
pub(crate) struct View<'a> {
    /// The command: `bench` or `report`.
    pub(crate) command: &'static str,
    pub(crate) now: &'a Side,
    pub(crate) baseline: Option<(&'a Side, &'a Comparison)>,
    /// What a reader has to know before the figures.
    pub(crate) warnings: &'a [String],
}

/// The whole page.
pub(crate) fn page(view: &View<'_>) -> String {
    let title = sections::title(view);
    let sections = [
        sections::header(view, &title),
        sections::verdict(view),
        sections::tiles(view),
        sections::comparison(view),
        charts::all(view),
        sections::runs(view),
        sections::settings(view),
    ];
    let version = env!("CARGO_PKG_VERSION");
    let footer = format!(
        "Written by echo-client {version}. Times are from HdrHistograms with 3 digits: \
         each is within 0.1 % of a sample. A dash stands for a percentile with fewer than 10 \
         samples beyond it."
    );
    document(&title, &sections.concat(), &footer)
}

/// A whole page around a body of finished HTML, in light and dark; title and footer are text.
#[must_use]
pub fn document(title: &str, body: &str, footer: &str) -> String {
    let (title, footer) = (escaped(title), escaped(footer));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\
         <footer>{footer}</footer>\n</main>\n</body>\n</html>\n"
    )
}

/// Text that cannot be taken for HTML, in an element or in an attribute.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Not allowed in HTML, and of no use to a reader.
            control if control.is_control() && !control.is_whitespace() => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

/// A table: its caption, its header, its rows of finished cells.
#[must_use]
pub fn table(caption: &str, header: &[String], rows: &[Vec<Cell>]) -> String {
    let head: String =
        header.iter().map(|name| format!("<th scope=\"col\">{}</th>", escaped(name))).collect();
    let row = |cells: &Vec<Cell>| {
        format!("<tr>{}</tr>\n", cells.iter().map(Cell::to_html).collect::<String>())
    };
    let body: String = rows.iter().map(row).collect();
    let caption = escaped(caption);
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\"><table>\
         <caption>{caption}</caption><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>\n"
    )
}

/// A cell of a table.
#[derive(Debug, Default)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// Beside it, smaller.
    pub aside: String,
    /// Of the style sheet: `text`, `good`, `bad`, `warn`, or none.
    pub class: &'static str,
}

impl Cell {
    /// Text alone.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    fn to_html(&self) -> String {
        let text = escaped(&self.text);
        let aside = match &*self.aside {
            "" => String::new(),
            aside => format!(" <small>{}</small>", escaped(aside)),
        };
        match self.class {
            "" => format!("<td>{text}{aside}</td>"),
            class => format!("<td class=\"{class}\">{text}{aside}</td>"),
        }
    }
}

#[cfg(test)]
mod tests;
