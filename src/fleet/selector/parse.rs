//! Reads a selector. Bounded in length and depth; a mistake is told with its place.

use std::collections::BTreeMap;
use std::fmt;

use super::{Comparison, Field, Kind, Order, Pattern, Selector, Test};
use crate::clock::Timestamp;

/// Room for some hundred device ids.
const LONGEST: usize = 16 * 1024;
/// Parentheses within parentheses.
const DEEPEST: usize = 32;
/// What of a long selector is shown around a mistake, in characters each side.
const SHOWN: usize = 60;

const STATUSES: [&str; 4] = ["good", "held", "revoked", "expired"];

/// The names that fields can have. A field that is not here takes any value.
#[derive(Clone, Debug, Default)]
pub struct Known(BTreeMap<Field, Vec<String>>);

impl Known {
    pub fn with(mut self, field: Field, names: impl IntoIterator<Item = String>) -> Self {
        self.0.insert(field, names.into_iter().collect());
        self
    }

    fn refuses(&self, field: Field, pattern: &Pattern) -> Option<String> {
        let names: Vec<&str> = match (field, self.0.get(&field)) {
            (Field::Status, _) => STATUSES.to_vec(),
            (_, Some(names)) => names.iter().map(String::as_str).collect(),
            (_, None) => return None,
        };
        (!names.iter().any(|name| pattern.fits(name))).then(|| {
            format!("there is no {} '{}': known are {}", field.as_str(), pattern.text, names.join(", "))
        })
    }
}

/// A mistake in a selector. Its text has three lines: what is wrong, the selector, and a mark below the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectorError {
    reason: String,
    line: String,
    column: usize,
}

impl SelectorError {
    fn new(text: &str, at: usize, reason: impl Into<String>) -> Self {
        let before = text.get(..at).unwrap_or(text).chars().count();
        let from = before.saturating_sub(SHOWN);
        let left = if from > 0 { "..." } else { "" };
        let shown: String = text.chars().skip(from).take(2 * SHOWN).collect();
        // A mark below a tab or a line break would stand in the wrong place.
        let shown: String = shown.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let right = if text.chars().count() > from + 2 * SHOWN { "..." } else { "" };
        Self {
            reason: reason.into(),
            line: format!("{left}{shown}{right}"),
            column: before - from + left.len(),
        }
    }

    /// Without the selector and the mark.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  {}\n  {}^", self.reason, self.line, " ".repeat(self.column))
    }
}

impl std::error::Error for SelectorError {}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// A word without quotes; the star at its end is taken off.
    Word(Pattern),
    Quoted(Pattern),
    Equal,
    NotEqual,
    Ordered(Order),
    Open,
    Close,
    Comma,
}

/// Whether a text can stand without quotes.
pub(super) fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_word) && keyword(text).is_none()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || "-_.:+~/@".contains(c)
}

fn keyword(text: &str) -> Option<&'static str> {
    ["and", "or", "not", "in"].into_iter().find(|word| text.eq_ignore_ascii_case(word))
}

pub(super) fn parse(text: &str, known: &Known) -> Result<Selector, SelectorError> {
    if text.len() > LONGEST {
        let reason = format!("the selector is longer than {LONGEST} bytes: select in several steps");
        return Err(SelectorError::new(text, 0, reason));
    }
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Err(SelectorError::new(text, 0, format!("the selector is empty: {}", example())));
    }
    let mut parser = Parser { text, tokens, at: 0, depth: 0, known };
    let selector = parser.any()?;
    match parser.tokens.get(parser.at) {
        None => Ok(selector),
        Some((at, token)) => {
            let at = *at;
            let reason = match token {
                Token::Close => "this parenthesis closes none".to_owned(),
                Token::Comma => {
                    "a comma stands only between the values of 'in (...)': write 'and' or 'or'".to_owned()
                }
                _ => "the selector has ended here: join comparisons by 'and' or 'or'".to_owned(),
            };
            Err(SelectorError::new(text, at, reason))
        }
    }
}

fn example() -> &'static str {
    "write for instance model=P3 and lot in (L2307, L2308) and not-after<2026-12-01"
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, SelectorError> {
    let mut found = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let mut followed_by = |wanted: char| chars.next_if(|(_, c)| *c == wanted).is_some();
        let token = match c {
            c if c.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '=' => {
                // As most programming languages write it.
                followed_by('=');
                Token::Equal
            }
            '!' if followed_by('=') => Token::NotEqual,
            '<' if followed_by('=') => Token::Ordered(Order::UntilThen),
            '<' => Token::Ordered(Order::Before),
            '>' if followed_by('=') => Token::Ordered(Order::FromThen),
            '>' => Token::Ordered(Order::After),
            '"' => {
                let mut value = String::new();
                loop {
                    match chars.next() {
                        Some((_, '"')) => break,
                        Some((_, '\\')) => match chars.next() {
                            Some((_, c @ ('"' | '\\'))) => value.push(c),
                            _ => {
                                let reason = "behind a backslash stands a quote or another backslash";
                                return Err(SelectorError::new(text, at, reason));
                            }
                        },
                        Some((_, c)) => value.push(c),
                        None => return Err(SelectorError::new(text, at, "this quote is never closed")),
                    }
                }
                let open = chars.next_if(|(_, c)| *c == '*').is_some();
                Token::Quoted(Pattern { text: value, open })
            }
            c if is_word(c) || c == '*' => {
                let mut value = String::new();
                let mut open = c == '*';
                if !open {
                    value.push(c);
                    while let Some((_, c)) = chars.next_if(|(_, c)| is_word(*c)) {
                        value.push(c);
                    }
                    open = chars.next_if(|(_, c)| *c == '*').is_some();
                }
                if let Some((at, _)) = chars.peek().filter(|(_, c)| open && (is_word(*c) || *c == '*')) {
                    return Err(SelectorError::new(text, *at, "a star stands only at the end of a value"));
                }
                Token::Word(Pattern { text: value, open })
            }
            _ => {
                let reason =
                    format!("'{}' means nothing here: put values that hold it in quotes", c.escape_default());
                return Err(SelectorError::new(text, at, reason));
            }
        };
        found.push((at, token));
    }
    Ok(found)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
    known: &'a Known,
}

impl Parser<'_> {
    fn wrong<T>(&self, reason: impl Into<String>) -> Result<T, SelectorError> {
        let at = self.tokens.get(self.at).map_or(self.text.len(), |(at, _)| *at);
        Err(SelectorError::new(self.text, at, reason))
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn take(&mut self, wanted: &Token) -> bool {
        let there = self.peek() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    fn is_keyword(&self, at: usize, wanted: &str) -> bool {
        matches!(self.tokens.get(at), Some((_, Token::Word(word))) if !word.open && keyword(&word.text) == Some(wanted))
    }

    fn keyword(&mut self, wanted: &str) -> bool {
        let there = self.is_keyword(self.at, wanted);
        self.at += usize::from(there);
        there
    }

    fn any(&mut self) -> Result<Selector, SelectorError> {
        let mut parts = vec![self.all()?];
        while self.keyword("or") {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Selector::Any))
    }

    fn all(&mut self) -> Result<Selector, SelectorError> {
        let mut parts = vec![self.part()?];
        while self.keyword("and") {
            parts.push(self.part()?);
        }
        Ok(one_or(parts, Selector::All))
    }

    fn part(&mut self) -> Result<Selector, SelectorError> {
        if self.depth == DEEPEST {
            return self.wrong(format!("it is nested more than {DEEPEST} deep: write it flatter"));
        }
        self.depth += 1;
        let part = if self.keyword("not") {
            Selector::Not(Box::new(self.part()?))
        } else if self.take(&Token::Open) {
            let inside = self.any()?;
            if !self.take(&Token::Close) {
                return self.wrong("a parenthesis is missing here: ')', 'and' or 'or'");
            }
            inside
        } else {
            Selector::Is(self.comparison()?)
        };
        self.depth -= 1;
        Ok(part)
    }

    fn comparison(&mut self) -> Result<Comparison, SelectorError> {
        let fields = || Field::ALL.map(Field::as_str).join(", ");
        let name = match self.peek() {
            Some(Token::Word(word)) if !word.open && keyword(&word.text).is_none() => {
                word.text.to_ascii_lowercase()
            }
            _ => return self.wrong(format!("a field is expected here: {}", fields())),
        };
        if name == "firmware" {
            return self
                .wrong("the record does not hold the firmware of devices: select by model, lot or device");
        }
        let Some(field) = Field::named(&name) else {
            return self.wrong(format!("there is no field '{name}': known are {}", fields()));
        };
        self.at += 1;
        let test = match self.peek() {
            Some(Token::Equal) if field.kind() == Kind::Time => {
                return self.wrong(format!(
                    "a moment is hit by nothing exactly: compare {} by <, <=, > or >=",
                    field.as_str()
                ));
            }
            Some(Token::Ordered(_)) if field.kind() != Kind::Time => {
                return self.wrong(format!(
                    "{} has no order: compare it by =, != or in; times are issued, not-before, not-after",
                    field.as_str()
                ));
            }
            Some(Token::Equal) => {
                self.at += 1;
                Test::Is(self.value(field)?)
            }
            Some(Token::NotEqual) if field.kind() != Kind::Time => {
                self.at += 1;
                Test::IsNot(self.value(field)?)
            }
            Some(Token::Ordered(order)) => {
                let order = *order;
                self.at += 1;
                Test::Time(order, self.time()?)
            }
            _ if field.kind() == Kind::Time => {
                return self.wrong(format!("{} is compared by <, <=, > or >=", field.as_str()));
            }
            _ if self.is_keyword(self.at, "in") => {
                self.at += 1;
                Test::In(self.values(field)?)
            }
            _ if self.is_keyword(self.at, "not") && self.is_keyword(self.at + 1, "in") => {
                self.at += 2;
                Test::NotIn(self.values(field)?)
            }
            _ => {
                return self
                    .wrong(format!("{} is compared by =, !=, in (...) or not in (...)", field.as_str()));
            }
        };
        Ok(Comparison { field, test })
    }

    fn values(&mut self, field: Field) -> Result<Vec<Pattern>, SelectorError> {
        if !self.take(&Token::Open) {
            return self.wrong("behind 'in' stand values in parentheses: in (L2307, L2308)");
        }
        let mut values = vec![self.value(field)?];
        while self.take(&Token::Comma) {
            values.push(self.value(field)?);
        }
        if !self.take(&Token::Close) {
            return self.wrong("a comma or a parenthesis is missing here");
        }
        Ok(values)
    }

    fn value(&mut self, field: Field) -> Result<Pattern, SelectorError> {
        let pattern = match self.peek() {
            Some(Token::Word(word)) if !word.open && keyword(&word.text).is_some() => {
                return self
                    .wrong(format!("a value is expected here; '{}' itself is written in quotes", word.text));
            }
            Some(Token::Word(pattern) | Token::Quoted(pattern)) => pattern.clone(),
            _ => return self.wrong(format!("a value of {} is expected here", field.as_str())),
        };
        let pattern = match field.kind() {
            Kind::Hex(bytes) => match hex_of(&pattern, bytes) {
                Some(text) => Pattern { text, open: false },
                None => return self.wrong(format!("{} is {bytes} bytes in hex, whole", field.as_str())),
            },
            Kind::Text | Kind::Time => pattern,
        };
        if let Some(reason) = self.known.refuses(field, &pattern) {
            return self.wrong(reason);
        }
        self.at += 1;
        Ok(pattern)
    }

    fn time(&mut self) -> Result<Timestamp, SelectorError> {
        let time = match self.peek() {
            Some(Token::Word(text) | Token::Quoted(text)) if !text.open => text.text.parse().ok(),
            _ => None,
        };
        let Some(time) = time else {
            return self.wrong("a time or date is expected here, as 2026-12-01 or 2026-12-01T10:00:00Z");
        };
        self.at += 1;
        Ok(time)
    }
}

fn one_or(mut parts: Vec<Selector>, more: impl FnOnce(Vec<Selector>) -> Selector) -> Selector {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            more(parts)
        }
    }
}

/// Hex as other tools print it, to hex as the record writes it.
fn hex_of(pattern: &Pattern, bytes: usize) -> Option<String> {
    let digits: String = pattern.text.chars().filter(|c| *c != ':').map(|c| c.to_ascii_lowercase()).collect();
    let whole = digits.len() == 2 * bytes && digits.bytes().all(|b| b.is_ascii_hexdigit());
    (whole && !pattern.open).then_some(digits)
}
