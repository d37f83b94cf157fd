//! What `docs/json.md` documents and what is printed, side by side, for the tests that compare them.

use std::collections::BTreeSet;

/// The paths that a section of the page documents: the first column of its tables, in which
/// `latency.` stands for the fields of each distribution.
pub(crate) fn documented(section: &str) -> BTreeSet<String> {
    let page = include_str!("../docs/json.md");
    let rows_of = |title: &str| -> Vec<&str> {
        let (_, section) = page.split_once(&format!("\n## {title}\n")).expect("a section");
        let section = section.split("\n## ").next().unwrap_or_default();
        section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
    };
    let of_latency = rows_of("A distribution");
    let mut all = BTreeSet::new();
    for row in rows_of(section) {
        match row.strip_suffix(".*") {
            Some(path) => {
                // Each run's distributions are left out, or they would be most of the output.
                let told =
                    of_latency.iter().filter(|it| **it != "hdr" || !path.starts_with("runs"));
                all.extend(told.map(|field| format!("{path}.{field}")));
            }
            None => _ = all.insert(row.to_owned()),
        }
    }
    all
}

/// The paths of an object that was printed, as in `slo[].met`.
pub(crate) fn told(json: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    paths(&serde_json::from_str(json).unwrap(), "", &mut all);
    all
}

fn paths(value: &serde_json::Value, path: &str, all: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(object) => {
            for (key, value) in object {
                let is_figure = key.starts_with('p') && key[1..].parse::<f64>().is_ok();
                let key = if is_figure { "pN" } else { key };
                let dot = if path.is_empty() { "" } else { "." };
                paths(value, &format!("{path}{dot}{key}"), all);
            }
        }
        serde_json::Value::Array(values) if values.iter().any(serde_json::Value::is_object) => {
            values.iter().for_each(|value| paths(value, &format!("{path}[]"), all));
        }
        _ => {
            all.insert(path.to_owned());
        }
    }
}
