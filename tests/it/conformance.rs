//! Holds `docs/CONFORMANCE.md`: every number has one row, every test it names exists and cites the number, every
//! client it names has a suite in `interop/`, and what has no test says why.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/CONFORMANCE.md";
/// How a row without a test begins its third column.
const REASONS: [&str; 2] = ["Left: ", "Does not arise: "];

/// The first and last number of each series that the page must have a row for.
const SERIES: [(char, u32, u32); 5] = [('E', 1, 60), ('O', 1, 34), ('C', 1, 25), ('B', 1, 54), ('P', 1, 18)];

struct Row {
    line: usize,
    number: String,
    how: String,
    /// `module::function`, without the backticks.
    tests: Vec<String>,
    clients: Vec<String>,
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(PAGE).unwrap();
    let mut rows = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let is_number = |text: &str| {
            text.len() == 3
                && text.starts_with(|letter: char| SERIES.iter().any(|(series, ..)| *series == letter))
                && text[1..].bytes().all(|b| b.is_ascii_digit())
        };
        if !line.starts_with('|') || !is_number(cells[0]) {
            continue;
        }
        assert_eq!(cells.len(), 5, "{PAGE}:{}: a row has five columns", at + 1);
        let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        rows.push(Row {
            line: at + 1,
            number: cells[0].to_owned(),
            how: cells[2].to_owned(),
            tests: quoted(cells[3]),
            clients: quoted(cells[4]),
        });
    }
    rows
}

/// A test function: its name, and what is written about and in it.
struct Test {
    name: String,
    text: String,
}

/// The tests of each file, by the file's module path: `renewal` for `tests/it/renewal.rs`, `pki::cms` for
/// `src/pki/cms.rs`.
fn tests() -> BTreeMap<String, Vec<Test>> {
    let mut found = BTreeMap::new();
    for root in ["src", "tests/it"] {
        let mut folders = vec![PathBuf::from(root)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    found.insert(module_of(&path, root), tests_in(&fs::read_to_string(&path).unwrap()));
                }
            }
        }
    }
    found
}

fn module_of(path: &Path, root: &str) -> String {
    let inside = path.strip_prefix(root).unwrap().with_extension("");
    let names: Vec<_> = inside.iter().map(|name| name.to_str().unwrap()).collect();
    names.join("::").trim_end_matches("::mod").to_owned()
}

/// Reads lines, not Rust: a test begins with the comments above its attribute and ends before the next one's.
fn tests_in(text: &str) -> Vec<Test> {
    let mut found: Vec<Test> = Vec::new();
    let mut above = String::new();
    let mut is_test = false;
    for line in text.lines() {
        let code = line.trim();
        if code.starts_with("///") || code.starts_with("#[") {
            is_test |= code.starts_with("#[test]") || code.starts_with("#[tokio::test");
            above.push_str(line);
        } else if let Some(rest) = code.strip_prefix("async fn ").or_else(|| code.strip_prefix("fn "))
            && is_test
        {
            let name = rest.split('(').next().unwrap_or_default().to_owned();
            found.push(Test { name, text: std::mem::take(&mut above) + line });
            is_test = false;
        } else {
            if let Some(test) = found.last_mut() {
                test.text.push_str(&above);
                test.text.push_str(line);
            }
            above.clear();
            is_test = false;
        }
    }
    found
}

#[test]
fn every_number_has_one_row() {
    let rows = rows();
    for (letter, first, last) in SERIES {
        for number in first..=last {
            let number = format!("{letter}{number:02}");
            let count = rows.iter().filter(|row| row.number == number).count();
            assert_eq!(count, 1, "{number} has {count} rows in {PAGE}");
        }
    }
}

#[test]
fn every_test_named_exists_and_cites_the_number() {
    let tests = tests();
    assert!(tests.len() > 100, "only {} files were found", tests.len());
    let mut wrong = Vec::new();
    for row in rows() {
        if row.tests.is_empty() && !REASONS.iter().any(|reason| row.how.starts_with(reason)) {
            wrong.push(format!("{PAGE}:{}: {} has neither a test nor a reason", row.line, row.number));
        }
        for name in &row.tests {
            let (module, function) = name.rsplit_once("::").unwrap_or(("", name));
            let test = tests.get(module).and_then(|tests| tests.iter().find(|test| test.name == function));
            match test {
                None => wrong.push(format!("{PAGE}:{}: there is no test {name}", row.line)),
                Some(test) if !test.text.contains(&row.number) => {
                    wrong.push(format!("{PAGE}:{}: {name} does not cite {}", row.line, row.number));
                }
                Some(_) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_client_named_has_a_suite() {
    for row in rows() {
        for client in &row.clients {
            let suite = Path::new("interop").join(client);
            assert!(suite.is_dir(), "{PAGE}:{}: there is no suite {}", row.line, suite.display());
        }
    }
}
