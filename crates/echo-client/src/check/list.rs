//! What the checks are, as a page: `--list`, and `docs/checks.md`.

use std::fmt::Write;

use super::case::Check;

/// The page of these checks, in Markdown.
pub(super) fn page(checks: &[&Check]) -> String {
    let mut page = String::new();
    let mut family = "";
    for check in checks {
        if check.family() != family {
            family = check.family();
            let _ = writeln!(page, "## {family}\n");
        }
        let slow = if check.slow { ", slow" } else { "" };
        let Check { id, does, expected, hint, source, .. } = check;
        let _ = writeln!(
            page,
            "**{id}** ({}{slow}): {does}\n\n- expected: {expected}\n- if not: {hint}\n- source: {source}\n",
            check.level.name(),
        );
    }
    page
}
