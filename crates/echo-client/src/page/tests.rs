//! The page by itself: whole, safe, and without anything from elsewhere.

use super::*;
use crate::report::{
    Part,
    fixture::{Script, outcome},
};

fn side(scripts: impl IntoIterator<Item = Script>) -> Side {
    Side::of(scripts.into_iter().map(|script| Part::of(&outcome(script).0)).collect())
}

fn page_of(now: &Side, baseline: Option<&Side>) -> String {
    let comparison = baseline.map(|baseline| Comparison::of(baseline, now));
    let baseline = baseline.zip(comparison.as_ref());
    page(&View { command: "report", now, baseline, warnings: &[] })
}

fn both_pages() -> [String; 2] {
    let one = side([Script::default()]);
    let now = side([3, 4].map(|seed| Script { seed, middle: 60_000.0, ..Script::default() }));
    let before = side([5, 6, 7].map(|seed| Script { seed, ..Script::default() }));
    [page_of(&one, None), page_of(&now, Some(&before))]
}

/// Checks that every element is closed, in order; returns their names.
fn well_formed(html: &str) -> Vec<String> {
    const VOID: [&str; 3] = ["meta", "!DOCTYPE", "br"];
    let (mut open, mut all) = (Vec::new(), Vec::new());
    let (before, rest) = html.split_once("<style>").expect("a style sheet");
    let (_, after) = rest.split_once("</style>").expect("its end");
    for piece in [before, after].concat().split('<').skip(1) {
        let (tag, text) = piece.split_once('>').expect("a tag ends");
        assert!(!text.contains('>'), "a bare > after <{tag}>: {text}");
        let name = tag.split([' ', '\n']).next().unwrap_or_default();
        if let Some(closed) = name.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed), "in {tag}");
        } else {
            all.push(name.to_owned());
            if !VOID.contains(&name) && !tag.ends_with('/') {
                open.push(name.to_owned());
            }
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    all
}

#[test]
fn every_element_is_closed() {
    for page in both_pages() {
        let elements = well_formed(&page);
        let charts = elements.iter().filter(|name| *name == "desc").count();
        assert_eq!(charts, 3, "each chart is described");
        assert!(!page.contains("NaN") && !page.contains("inf"), "a figure that is none");
    }
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    for page in both_pages() {
        for loads in ["http:", "https:", "src=", "href=", "url(", "@import", "<script", "<link"] {
            assert!(!page.contains(loads), "{loads}");
        }
    }
}

#[test]
fn text_from_outside_stays_text() {
    let hostile = "\"><script>alert('1')</script>&\u{1b}[2J";
    let (mut run, _) = outcome(Script::default());
    run.invalid = vec![hostile.to_owned()];
    run.failed = vec![crate::bench::Failure { reason: hostile.to_owned(), count: 1 }];
    let mut parts =
        vec![Part::of(&run), Part::of(&outcome(Script { seed: 2, ..Script::default() }).0)];
    for part in &mut parts {
        part.name = hostile.to_owned();
        part.summary.as_mut().unwrap().target = hostile.to_owned();
        part.summary.as_mut().unwrap().settings.arrival = Some(hostile.to_owned());
    }
    let now = Side::of(parts);
    let page = page(&View {
        command: "bench",
        now: &now,
        baseline: None,
        warnings: &[hostile.to_owned()],
    });
    well_formed(&page);
    assert!(!page.contains("<script") && !page.contains('\u{1b}'));
    let safe = "&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;\u{fffd}[2J";
    // Title, heading, verdict, warning, runs, settings.
    assert!(page.matches(safe).count() >= 6, "{}", page.matches(safe).count());
}

#[test]
fn a_run_without_samples_has_a_page_too() {
    let (run, _) = outcome(Script { rate: 0, ..Script::default() });
    let now = Side::of(vec![Part::of(&run)]);
    well_formed(&page_of(&now, None));
    well_formed(&page_of(&now, Some(&now)));
    well_formed(&page_of(&side([Script::default()]), Some(&now)));
}
