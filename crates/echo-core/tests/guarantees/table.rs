//! The table in the crate's documentation names tests that exist, for every guarantee.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

#[test]
fn every_guarantee_names_tests_that_exist() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(home.join("src/docs/guarantees.md")).unwrap();
    let tests = tests_in(&[home.join("tests"), home.join("src")]);
    let mut guarantees = Vec::new();
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let Ok(number) = cells[1].parse::<usize>() else { continue };
        guarantees.push(number);
        let named: Vec<_> = cells[3].split('`').map(str::trim).filter(|s| !s.is_empty()).collect();
        assert!(!named.is_empty(), "guarantee {number} has no test");
        for name in named {
            assert!(tests.contains_key(name), "guarantee {number}: there is no test `{name}`");
        }
    }
    assert_eq!(guarantees, (1..=16).collect::<Vec<_>>());
}

/// Nothing that is proved goes unmentioned: the suites are there for the table.
#[test]
fn every_test_of_the_suites_is_in_the_table() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(home.join("src/docs/guarantees.md")).unwrap();
    let named: BTreeSet<_> = page.split('`').collect();
    // Of the wire formats, the guide's echo loop, and this page itself; and a macro.
    let elsewhere = ["codecs.rs", "echo.rs", "table.rs", "mod.rs"];
    let suites = tests_in(&[home.join("tests/guarantees"), home.join("tests/bounds.rs")]);
    for (test, file) in suites {
        let file = file.file_name().unwrap().to_str().unwrap();
        let mentioned = named.contains(&test[..]) || elsewhere.contains(&file);
        assert!(mentioned, "`{test}` in {file} stands for no guarantee");
    }
}

/// Every test function, by name: marked as a test itself, or made one for every driver.
fn tests_in(places: &[PathBuf]) -> BTreeMap<String, PathBuf> {
    let mut tests = BTreeMap::new();
    for place in places {
        if place.is_dir() {
            let entries: Vec<_> = fs::read_dir(place).unwrap().map(|e| e.unwrap().path()).collect();
            tests.extend(tests_in(&entries));
        } else if place.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(place).unwrap();
            let lines: Vec<_> = text.lines().map(str::trim).collect();
            let on_drivers = text.rsplit_once("on_every_driver!(").map_or("", |(_, list)| list);
            let on_drivers: BTreeSet<_> =
                on_drivers.split([',', '\n', ')']).map(str::trim).collect();
            for (i, line) in lines.iter().enumerate() {
                let Some(name) = function(line) else { continue };
                let attributes = lines[..i].iter().rev().take_while(|line| line.starts_with("#["));
                let is_test = attributes
                    .into_iter()
                    .any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"));
                if is_test || on_drivers.contains(name) {
                    tests.insert(name.to_owned(), place.clone());
                }
            }
        }
    }
    tests
}

fn function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.strip_prefix("fn ")?.split(['(', '<']).next()
}
