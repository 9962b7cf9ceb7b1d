//! Selectors (`vitae revoke --where`): what is read is what another reading takes for one, and is printed and read again.

use vitae::clock::Timestamp;
use vitae::fleet::selector::{Field, Known, Selector};

/// Was it a selector?
pub fn check(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let read = Selector::parse(text, &Known::default());
    assert_eq!(read.is_ok(), is_selector(text), "{read:?}");
    match read {
        Ok(selector) => {
            let printed = selector.to_string();
            assert_eq!(Selector::parse(&printed, &Known::default()).as_ref(), Ok(&selector), "{printed}");
            assert_eq!(selector.to_string(), printed);
            true
        }
        Err(error) => {
            let told = error.to_string();
            let lines: Vec<&str> = told.split('\n').collect();
            let [_, line, mark] = lines[..] else { panic!("{told}") };
            assert!(mark.trim() == "^" && mark.chars().count() <= line.chars().count() + 1, "{told}");
            assert!(told.len() < 2000, "{told}");
            false
        }
    }
}

/// One word, sign or quoted text; of a value, whether a star follows it.
#[derive(Clone, Debug, PartialEq)]
enum Bit {
    Word(String, bool),
    Quoted(String),
    Sign(&'static str),
}

fn bits(text: &str) -> Option<Vec<Bit>> {
    let mut rest = text.trim_start();
    let mut found = Vec::new();
    while let Some(first) = rest.chars().next() {
        let sign = ["==", "!=", "<=", ">=", "=", "<", ">", "(", ")", ","]
            .into_iter()
            .find(|sign| rest.starts_with(sign));
        if let Some(sign) = sign {
            found.push(Bit::Sign(if sign == "==" { "=" } else { sign }));
            rest = &rest[sign.len()..];
        } else if first == '"' {
            let mut escaped = false;
            let inner = &rest[1..];
            let end = inner.char_indices().find_map(|(at, c)| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends.then_some(at)
            })?;
            let pairs = inner[..end].replace("\\\\", "").replace("\\\"", "");
            if pairs.contains('\\') {
                return None;
            }
            let value = unescaped(&inner[..end]);
            let behind = &inner[end + 1..];
            let open = behind.strip_prefix('*');
            found.push(if open.is_some() { Bit::Word(value, true) } else { Bit::Quoted(value) });
            rest = open.unwrap_or(behind);
        } else {
            let end =
                rest.find(|c: char| !(c.is_alphanumeric() || "-_.:+~/@".contains(c))).unwrap_or(rest.len());
            let open = rest[end..].starts_with('*');
            let after = &rest[end + usize::from(open)..];
            if end == 0 && !open
                || open
                    && after.starts_with(|c: char| c == '*' || c.is_alphanumeric() || "-_.:+~/@".contains(c))
            {
                return None;
            }
            found.push(Bit::Word(rest[..end].to_owned(), open));
            rest = after;
        }
        rest = rest.trim_start();
    }
    Some(found)
}

fn unescaped(text: &str) -> String {
    let mut chars = text.chars();
    let mut out = String::new();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

fn is_selector(text: &str) -> bool {
    let Some(bits) = bits(text).filter(|_| text.len() <= 16 * 1024) else { return false };
    let mut at = &bits[..];
    any(&mut at, 0) && at.is_empty()
}

/// A word that joins, in either case.
fn joins(at: &mut &[Bit], word: &str) -> bool {
    match at {
        [Bit::Word(found, false), rest @ ..] if found.eq_ignore_ascii_case(word) => {
            *at = rest;
            true
        }
        _ => false,
    }
}

fn sign(at: &mut &[Bit], wanted: &str) -> bool {
    match at {
        [Bit::Sign(found), rest @ ..] if *found == wanted => {
            *at = rest;
            true
        }
        _ => false,
    }
}

fn any(at: &mut &[Bit], depth: usize) -> bool {
    // Which word joins makes no difference to what is well formed.
    while part(at, depth) {
        if !joins(at, "and") && !joins(at, "or") {
            return true;
        }
    }
    false
}

fn part(at: &mut &[Bit], depth: usize) -> bool {
    if depth == 32 {
        return false;
    }
    if joins(at, "not") {
        return part(at, depth + 1);
    }
    if sign(at, "(") {
        return any(at, depth + 1) && sign(at, ")");
    }
    let [Bit::Word(name, false), rest @ ..] = at else { return false };
    *at = rest;
    let name = name.to_ascii_lowercase();
    let name = match name.as_str() {
        "vendor" => "maker",
        "ca" => "issuer",
        "ra" => "enrolled-by",
        "spki" => "key",
        "expiry" => "not-after",
        name => name,
    };
    if !Field::ALL.iter().any(|field| field.as_str() == name) {
        return false;
    }
    if ["issued", "not-before", "not-after"].contains(&name) {
        return ["<", "<=", ">", ">="].iter().any(|order| sign(at, order)) && time(at);
    }
    if sign(at, "=") || sign(at, "!=") {
        return value(at, name);
    }
    if joins(at, "not") && !matches!(at, [Bit::Word(word, false), ..] if word.eq_ignore_ascii_case("in")) {
        return false;
    }
    joins(at, "in") && sign(at, "(") && {
        let mut good = value(at, name);
        while good && sign(at, ",") {
            good = value(at, name);
        }
        good && sign(at, ")")
    }
}

fn time(at: &mut &[Bit]) -> bool {
    match at {
        [Bit::Word(text, false) | Bit::Quoted(text), rest @ ..] => {
            *at = rest;
            text.parse::<Timestamp>().is_ok()
        }
        _ => false,
    }
}

fn value(at: &mut &[Bit], name: &str) -> bool {
    let (text, open) = match at {
        [Bit::Word(text, open), ..] => (text.clone(), *open),
        [Bit::Quoted(text), ..] => (text.clone(), false),
        _ => return false,
    };
    let quoted = matches!(at, [Bit::Quoted(_), ..]);
    *at = &at[1..];
    if !quoted && !open && ["and", "or", "not", "in"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return false;
    }
    let bytes = match name {
        "key" => 32,
        "serial" => 16,
        "status" => {
            let all = ["good", "held", "revoked", "expired"];
            return all.iter().any(|status| *status == text || open && status.starts_with(&text));
        }
        _ => return true,
    };
    let digits: Vec<char> = text.chars().filter(|c| *c != ':').collect();
    !open && digits.len() == 2 * bytes && digits.iter().all(char::is_ascii_hexdigit)
}
