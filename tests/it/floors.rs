//! Holds the table in `src/lib.rs`: a module uses only what stands on a floor below its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A file that is longer wants to be two.
const LONGEST: usize = 500;

/// Where a module stands: its floor, and the row of the table, which it may share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    floor: u32,
    row: usize,
}

/// Where each module stands, as the table says.
fn floors() -> BTreeMap<String, Place> {
    let text = fs::read_to_string("src/lib.rs").unwrap();
    let mut floors = BTreeMap::new();
    for (row, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["//!", floor, modules, ..] = cells[..] else { continue };
        let Ok(floor) = floor.parse() else { continue };
        for name in modules.split(',') {
            let name = name.trim().trim_matches(['[', ']', '`']).trim_end_matches(".rs");
            let before = floors.insert(name.to_owned(), Place { floor, row });
            assert_eq!(before, None, "{name} stands in two places");
        }
    }
    floors
}

/// A source file and the top-level module it is part of.
struct Source {
    path: PathBuf,
    module: String,
    /// How many names its own module path has below the crate's root.
    depth: usize,
    lines: usize,
    tokens: Vec<Token>,
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(source(path));
            }
        }
    }
    assert!(found.len() > 100, "only {} files were found", found.len());
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn source(path: PathBuf) -> Source {
    let text = fs::read_to_string(&path).unwrap();
    let inside = path.strip_prefix("src").unwrap().with_extension("");
    let mut names: Vec<String> = inside.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
    let module = names[0].clone();
    if names.last().is_some_and(|name| name == "mod" || name == "lib" || name == "main") {
        names.pop();
    }
    Source { module, depth: names.len(), lines: text.lines().count(), tokens: tokens(&text), path }
}

/// A word or a sign of the code, and its line. Comments are gone and literals are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    text: String,
    line: usize,
}

fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    let ahead = |at: usize, what: &str| what.chars().enumerate().all(|(n, c)| chars.get(at + n) == Some(&c));
    while at < chars.len() {
        let begin = at;
        let c = chars[at];
        if ahead(at, "//") {
            at += chars[at..].iter().take_while(|c| **c != '\n').count();
        } else if ahead(at, "/*") {
            let mut open = 1;
            at += 2;
            while open > 0 {
                (open, at) = match (ahead(at, "/*"), ahead(at, "*/")) {
                    (true, _) => (open + 1, at + 2),
                    (_, true) => (open - 1, at + 2),
                    _ => (open, at + 1),
                };
            }
        } else if let Some(hashes) = raw_string(&chars[at..]) {
            let end = format!("\"{}", "#".repeat(hashes));
            at += chars[at..].iter().take_while(|c| **c != '"').count() + 1;
            at += (0..).take_while(|n| !ahead(at + n, &end)).count() + end.len();
        } else if c == '"' {
            at += 1;
            while chars[at] != '"' {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if c == '\'' && (chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'')) {
            // A character; what is left is a lifetime.
            at += if chars[at + 1] == '\\' { 3 } else { 2 };
            at += chars[at..].iter().take_while(|c| **c != '\'').count() + 1;
        } else if c.is_alphanumeric() || c == '_' {
            at += chars[at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
            found.push(Token { text: chars[begin..at].iter().collect(), line });
        } else {
            let sign = if ahead(at, "::") { "::".to_owned() } else { c.to_string() };
            at += sign.len().min(c.len_utf8().max(sign.chars().count()));
            if !c.is_whitespace() {
                found.push(Token { text: sign, line });
            }
        }
        line += chars[begin..at].iter().filter(|c| **c == '\n').count();
    }
    found
}

/// `r"`, `br#"` and the like: the number of hashes.
fn raw_string(rest: &[char]) -> Option<usize> {
    let rest = rest.strip_prefix(&['b']).unwrap_or(rest).strip_prefix(&['r'])?;
    let hashes = rest.iter().take_while(|c| **c == '#').count();
    (rest.get(hashes) == Some(&'"')).then_some(hashes)
}

/// A path from the crate's root: its first two names, where they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Use {
    module: String,
    item: Option<String>,
    line: usize,
}

/// Every path that begins at the crate's root: `crate::a`, `crate::{a, b::c}`, and `super` often enough.
fn uses(tokens: &[Token], depth: usize) -> Vec<Use> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    // The braces that are open: those of an inline module make `super` reach less far.
    let mut open: Vec<bool> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match text(at) {
            "{" => open.push(at >= 2 && text(at - 2) == "mod"),
            "}" => drop(open.pop()),
            "crate" | "vitae" if text(at + 1) == "::" && (at == 0 || text(at - 1) != "::") => {
                collect(tokens, at + 2, &mut found);
            }
            "super" if text(at.wrapping_sub(1)) != "::" => {
                let mut up = 1;
                while text(at + 2 * up) == "super" {
                    up += 1;
                }
                if up >= depth + open.iter().filter(|is_module| **is_module).count() {
                    collect(tokens, at + 2 * up, &mut found);
                }
                at += 2 * (up - 1);
            }
            _ => {}
        }
        at += 1;
    }
    found
}

fn collect(tokens: &[Token], at: usize, found: &mut Vec<Use>) {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut one = |at: usize| {
        let below = text(at + 1) == "::";
        let items: Vec<usize> =
            if below && text(at + 2) == "{" { members(tokens, at + 2) } else { vec![at + 2] };
        for item in items {
            let item = below.then(|| text(item).to_owned());
            found.push(Use { module: text(at).to_owned(), item, line: tokens[at].line });
        }
    };
    if text(at) == "{" {
        members(tokens, at).into_iter().for_each(&mut one);
    } else {
        one(at);
    }
}

/// Where the members of the group begin whose brace is at `at`.
fn members(tokens: &[Token], at: usize) -> Vec<usize> {
    let mut found = Vec::new();
    let mut depth = 0;
    for (n, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        let begins = matches!(tokens[n].text.as_str(), "{" | ",");
        if depth == 1 && begins && tokens[n + 1].text != "}" {
            found.push(n + 1);
        }
    }
    found
}

/// The code without its `#[cfg(test)] mod name { ... }`.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut left = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let begins = |words: &str| {
            words.split(' ').enumerate().all(|(n, word)| tokens.get(at + n).is_some_and(|it| it.text == word))
        };
        if begins("# [ cfg ( test ) ] mod") && tokens.get(at + 9).is_some_and(|it| it.text == "{") {
            let mut depth = 0;
            at += 9;
            loop {
                depth += i32::from(tokens[at].text == "{") - i32::from(tokens[at].text == "}");
                at += 1;
                if depth == 0 {
                    break;
                }
            }
        } else {
            left.push(tokens[at].clone());
            at += 1;
        }
    }
    left
}

fn complain(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_table_names_every_module() {
    let mut named: BTreeSet<String> = floors().into_keys().collect();
    assert!(named.remove("main"));
    let declared: BTreeSet<String> = source("src/lib.rs".into())
        .tokens
        .windows(3)
        .filter(|three| three[0].text == "mod" && three[2].text == ";")
        .map(|three| three[1].text.clone())
        .collect();
    assert_eq!(named, declared);
}

#[test]
fn a_module_uses_only_what_stands_below_it() {
    let floors = floors();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for source in sources().iter().filter(|source| source.module != "lib") {
        let own = floors[&source.module];
        for used in uses(&source.tokens, source.depth) {
            seen += 1;
            let place = format!("{}:{}: {}", source.path.display(), used.line, source.module);
            match floors.get(&used.module) {
                None => wrong.push(format!("{place} uses {}, which is not in the table", used.module)),
                Some(other) if other.row == own.row || other.floor < own.floor => {}
                Some(other) => {
                    let (own, other) = (own.floor, other.floor);
                    wrong.push(format!("{place} (floor {own}) uses {} (floor {other})", used.module));
                }
            }
        }
    }
    assert!(seen > 300, "only {seen} uses were found");
    complain(&wrong);
}

#[test]
fn the_doors_touch_neither_store_nor_keys_and_the_device_shares_nothing_with_its_server() {
    let never: [(&str, &[&str]); 4] = [
        ("est", &["store", "keys"]),
        ("status", &["store", "keys"]),
        ("admin", &["store", "keys"]),
        ("agent", &["est", "server", "authority", "fleet", "store", "keys"]),
    ];
    let mut wrong = Vec::new();
    for source in sources() {
        for (module, others) in never {
            for used in uses(&source.tokens, source.depth) {
                if source.module == module && others.contains(&used.module.as_str()) {
                    wrong.push(format!("{}:{}: uses {}", source.path.display(), used.line, used.module));
                }
            }
        }
    }
    complain(&wrong);
}

#[test]
fn only_the_authority_uses_keys_and_commits() {
    let mut wrong = Vec::new();
    for source in sources() {
        let place = |line: usize| format!("{}:{line}", source.path.display());
        for used in uses(&source.tokens, source.depth).iter().filter(|used| used.module == "keys") {
            let allowed = match source.module.as_str() {
                "authority" | "keys" => true,
                "pki" => used.item.as_deref() == Some("KeyKind"),
                _ => false,
            };
            if !allowed {
                wrong.push(format!("{}: uses {:?} of keys", place(used.line), used.item));
            }
        }
        if !["authority", "store"].contains(&source.module.as_str()) {
            let commits = source
                .tokens
                .windows(3)
                .filter(|t| t[0].text == "." && t[1].text == "commit" && t[2].text == "(");
            wrong.extend(commits.map(|three| format!("{}: commits", place(three[0].line))));
        }
    }
    complain(&wrong);
}

#[test]
fn the_pure_core_does_no_io_and_reads_no_clock() {
    let impure = [
        "tokio",
        "async",
        "await",
        "fs",
        "TcpStream",
        "env",
        "SystemTime",
        "Instant",
        "SystemClock",
        "SystemRandom",
        "println",
        "eprintln",
    ];
    let mut wrong = Vec::new();
    for source in sources() {
        let name = source.path.file_stem().unwrap();
        let pure = ["fleet", "pki", "ledger"].contains(&source.module.as_str());
        if pure && name != "tests" && name != "testing" {
            for token in without_tests(&source.tokens).iter().filter(|it| impure.contains(&it.text.as_str()))
            {
                wrong.push(format!("{}:{}: {}", source.path.display(), token.line, token.text));
            }
        }
    }
    complain(&wrong);
}

#[test]
fn only_the_command_line_ends_the_process() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.module != "cli") {
        for words in source.tokens.windows(3).filter(|t| t[0].text == "process" && t[1].text == "::") {
            if ["exit", "abort"].contains(&words[2].text.as_str()) {
                wrong.push(format!("{}:{}", source.path.display(), words[0].line));
            }
        }
    }
    complain(&wrong);
}

#[test]
fn no_file_is_too_long() {
    let too_long = sources().into_iter().filter(|source| source.lines > LONGEST);
    complain(&too_long.map(|it| format!("{}: {} lines", it.path.display(), it.lines)).collect::<Vec<_>>());
}

/// The reader of imports, on every form that code can have.
#[test]
fn every_form_of_a_use_is_seen() {
    let seen = |text: &str, depth| {
        let uses = uses(&tokens(text), depth).into_iter();
        uses.map(|it| format!("{}:{}:{}", it.line, it.module, it.item.unwrap_or_default()))
            .collect::<Vec<_>>()
    };
    assert_eq!(seen("use crate::a::b;\nuse crate::c;", 1), ["1:a:b", "2:c:"]);
    assert_eq!(seen("use crate::{a, b::{c, d::e}, f::*,};", 1), ["1:a:", "1:b:c", "1:b:d", "1:f:*"]);
    assert_eq!(seen("pub(crate) use crate :: a; fn f(x: &crate::b::C) {}", 1), ["1:a:", "1:b:C"]);
    assert_eq!(seen("// crate::a\n/* crate::b /* */ crate::c */ /// [`crate::d`]\n", 1), [""; 0]);
    assert_eq!(
        seen(r##"("crate::a \" crate::b", r#"crate::"c"#, '"', '\'', b"\\"); crate::d"##, 1),
        ["1:d:"]
    );
    assert_eq!(seen("fn f<'a>(x: &'a str) -> crate::a::B<'a> {}", 1), ["1:a:B"]);
    assert_eq!(
        seen("super::a::b; super::super::c", 1),
        ["1:a:b", "1:c:"],
        "from a/mod.rs, super is the root"
    );
    assert_eq!(seen("super::a; super::super::b::c; self::super::d", 2), ["1:b:c"]);
    assert_eq!(seen("mod t { use super::a; use super::super::b; } use super::c;", 1), ["1:b:", "1:c:"]);
    assert_eq!(seen("vitae::cli::run()", 0), ["1:cli:run"]);
    let code = "a; #[cfg(test)] mod t { use b; { c } } #[cfg(test)] mod e; d";
    let left: Vec<String> = without_tests(&tokens(code)).into_iter().map(|token| token.text).collect();
    assert_eq!(left.join(" "), "a ; # [ cfg ( test ) ] mod e ; d");
}

#[test]
fn the_table_can_be_read() {
    let floors = floors();
    assert_eq!((floors["main"].floor, floors["cli"].floor, floors["clock"].floor), (6, 6, 0));
    assert_eq!(floors["main"].row, floors["cli"].row);
    assert!(floors["authority"].floor > floors["store"].floor);
    assert!(Path::new("src/main.rs").exists() && floors.len() >= 17);
}
