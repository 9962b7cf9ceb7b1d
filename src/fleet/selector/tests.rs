//! Tests of selectors: what is printed is read again, an index finds what a look at everything finds, mistakes have a place.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::select::Source;
use super::*;
use crate::fleet::rows::{self, At, CERTIFICATE, CertificateRow, DEVICE_BY_MODEL, DEVICE_BY_STAGE};
use crate::fleet::{Actor, Der, Event, Fact, Issuance, Proof, apply};
use crate::ids::{Digest, EventNumber, HolderId, Serial};
use crate::store::memory::MemoryRows;
use crate::store::{Range, View};

fn parse(text: &str) -> Result<Selector, SelectorError> {
    Selector::parse(text, &Known::default())
}

#[test]
fn the_example_of_the_contract_is_read() {
    let text = "model=P3 and lot in (L2307, L2308) and stage=clinical-use and not-after<2026-12-01";
    let selector = parse(text).unwrap();
    assert_eq!(selector.to_string(), format!("{text}T00:00:00Z"));
    let Selector::All(parts) = selector else { panic!("one comparison") };
    assert_eq!(parts.len(), 4);
}

#[test]
fn and_binds_tighter_and_parentheses_group() {
    let flat = parse("model=a or model=b and site=c").unwrap();
    assert_eq!(flat, parse("model=a or (model=b and site=c)").unwrap());
    assert_ne!(flat, parse("(model=a or model=b) and site=c").unwrap());
    assert_eq!(
        parse("NOT model=a AND site IN (b)").unwrap(),
        parse("not (model=a) and site in (b)").unwrap()
    );
    assert_eq!(parse("vendor==x").unwrap(), parse("maker=x").unwrap());
    assert_eq!(parse("((((model=a))))").unwrap(), parse("model=a").unwrap());
}

#[test]
fn values_may_be_quoted_and_end_in_a_star() {
    let is = |text: &str| match parse(text).unwrap() {
        Selector::Is(Comparison { test: Test::Is(pattern), .. }) => (pattern.text, pattern.open),
        other => panic!("{other}"),
    };
    assert_eq!(is("owner=\"General Hospital\""), ("General Hospital".to_owned(), false));
    assert_eq!(is("owner=\"a\\\"b\\\\\"*"), ("a\"b\\".to_owned(), true));
    assert_eq!(is("lot=L23*"), ("L23".to_owned(), true));
    assert_eq!(is("lot=\"L23*\""), ("L23*".to_owned(), false));
    assert_eq!(is("lot=*"), (String::new(), true));
    assert_eq!(is("site=\"\""), (String::new(), false));
    assert_eq!(is("site=\"and\""), ("and".to_owned(), false));
    let key = "AB:".repeat(31) + "cd";
    assert_eq!(is(&format!("key={key}")).0, "ab".repeat(31) + "cd");
}

#[test]
fn a_mistake_is_told_with_its_place() {
    let known = Known::default().with(Field::Stage, ["recall".to_owned(), "retired".to_owned()]);
    for (text, at, word) in [
        ("", 0, "empty"),
        ("  ", 0, "empty"),
        ("model", 5, "compared by ="),
        ("model=", 6, "value of model"),
        ("model=P3 and", 12, "field is expected"),
        ("model=P3 lot=L1", 9, "join comparisons"),
        ("model=P3, lot=L1", 8, "comma stands only"),
        ("colour=red", 0, "no field 'colour'"),
        ("firmware=1.2", 0, "does not hold the firmware"),
        ("model=P3)", 8, "closes none"),
        ("(model=P3", 9, "parenthesis is missing"),
        ("lot in L1", 7, "in parentheses"),
        ("lot in (L1 L2)", 11, "comma or a parenthesis"),
        ("lot in ()", 8, "value of lot"),
        ("lot<L1", 3, "no order"),
        ("not-after=2026-12-01", 9, "nothing exactly"),
        ("not-after in (2026-12-01)", 10, "compared by <"),
        ("not-after<soon", 10, "time or date"),
        ("not-after!=2026-12-01", 9, "compared by <"),
        ("lot=L*3", 6, "only at the end"),
        ("lot=**", 5, "only at the end"),
        ("site=\"SUH", 5, "never closed"),
        ("site=\"S\\UH\"", 5, "backslash"),
        ("site=S;UH", 6, "means nothing"),
        ("key=abcd", 4, "32 bytes in hex"),
        ("serial=0*", 7, "16 bytes in hex"),
        ("status=fine", 7, "good, held, revoked, expired"),
        ("stage=recalled", 6, "known are recall, retired"),
        ("lot=and", 4, "in quotes"),
        ("not", 3, "field is expected"),
        ("model ! P3", 6, "means nothing"),
        ("größe=1", 0, "no field"),
    ] {
        let error = Selector::parse(text, &known).unwrap_err();
        assert!(error.reason().contains(word), "{text}: {error}");
        let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 3, "{error}");
        assert_eq!(lines[2].len(), 2 + at + 1, "{error}");
    }
    assert!(Selector::parse("stage=re*", &known).is_ok());
    assert!(Selector::parse("stage=x*", &known).is_err());
}

/// Length and depth have an end, and a long line is shown around the place alone.
#[test]
fn bombs_are_refused() {
    let deep = "(".repeat(5000) + "model=a" + &")".repeat(5000);
    assert!(parse(&deep).unwrap_err().reason().contains("nested"));
    let deep = "not ".repeat(3000) + "model=a";
    assert!(parse(&deep).unwrap_err().reason().contains("nested"));
    let long = format!("device in ({})", vec!["brannoc.P3.BR000001"; 2000].join(", "));
    assert!(parse(&long).unwrap_err().reason().contains("longer"));
    let error = parse(&format!("model=a {} site=b", "or model=a ".repeat(1000))).unwrap_err();
    assert!(error.to_string().len() < 400, "{error}");
    let mark = error.to_string().lines().nth(2).unwrap().len() - 1;
    assert!(error.to_string().lines().nth(1).unwrap()[mark..].starts_with("site=b"), "{error}");
}

#[test]
fn an_index_is_used_where_there_is_one() {
    let source = |text: &str| Source::of(&parse(text).unwrap());
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(source("model=P3 and site=SUH"), Source::Devices(DEVICE_BY_MODEL, texts(&["P3"])));
    assert_eq!(
        source("site=SUH and stage in (lost, recall)"),
        Source::Devices(DEVICE_BY_STAGE, texts(&["lost", "recall"]))
    );
    assert_eq!(source("model=P3 and device=a.b.c"), Source::Holders(["a.b.c".parse().unwrap()].into()));
    assert_eq!(source("signer=P3-upd"), Source::Holders(["signer.P3-upd".parse().unwrap()].into()));
    assert_eq!(source("ra=ra.line-7 and model=P3"), Source::Delegated(["ra.line-7".parse().unwrap()].into()));
    let noon = "2026-12-01".parse().unwrap();
    assert_eq!(source("not-after<2026-12-01 and site=SUH"), Source::Expiry(Timestamp::EPOCH, noon));
    for text in
        ["model=P* and site=SUH", "model!=P3", "model=P3 or site=SUH", "not (model=P3)", "profile=ldev"]
    {
        assert_eq!(source(text), Source::All, "{text}");
    }
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let text = prop_oneof!["[a-c]{1,2}", "[ -~]{0,6}", "(and|OR|in|not)", "\\PC{0,3}"];
    (text, any::<bool>()).prop_map(|(text, open)| Pattern { text, open })
}

fn comparison() -> impl Strategy<Value = Comparison> {
    let field = prop::sample::select(Field::ALL.to_vec());
    let orders = vec![Order::Before, Order::UntilThen, Order::After, Order::FromThen];
    let time = (prop::sample::select(orders), 0i64..4_000_000_000_000);
    (field, prop::collection::vec(pattern(), 1..3), 0..4u8, time, any::<u8>()).prop_map(
        |(field, mut patterns, kind, (order, millis), byte)| {
            if let Kind::Hex(bytes) = field.kind() {
                patterns = vec![Pattern { text: format!("{byte:02x}").repeat(bytes), open: false }];
            }
            if field == Field::Status {
                patterns = vec![Pattern { text: "held".to_owned(), open: byte > 99 }];
            }
            let first = patterns[0].clone();
            let test = match (field.kind(), kind) {
                (Kind::Time, _) => Test::Time(order, Timestamp::from_millis(millis)),
                (_, 0) => Test::Is(first),
                (_, 1) => Test::IsNot(first),
                (_, 2) => Test::In(patterns),
                _ => Test::NotIn(patterns),
            };
            Comparison { field, test }
        },
    )
}

fn selector_of(leaf: impl Strategy<Value = Comparison> + 'static) -> impl Strategy<Value = Selector> {
    leaf.prop_map(Selector::Is).prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Selector::All),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Selector::Any),
            inner.prop_map(|part| Selector::Not(Box::new(part))),
        ]
    })
}

/// A small fleet, made by events as any other.
fn fleet() -> MemoryRows {
    let mut rows = MemoryRows::default();
    let mut number = 0;
    let mut happen = |fact: Fact| {
        let at = At { event: EventNumber(number), time: Timestamp::from_secs(1_700_000_000 + number) };
        number += 1;
        apply::apply(&mut rows, at, &Event { actor: Actor::System, fact }).unwrap();
    };
    let text = |value: &str| Some(value.to_owned()).filter(|value| !value.is_empty());
    let mut holders = Vec::new();
    for (n, (maker, model, lot, site, stage)) in [
        ("brannoc", "P3", "L1", "SUH", "clinical-use"),
        ("brannoc", "P3", "L2", "", "clinical-use"),
        ("brannoc", "P30", "", "KVG", "recall"),
        ("aerune", "V8", "L1", "SUH", "recall"),
        ("aerune", "P3", "", "", "lost"),
    ]
    .into_iter()
    .enumerate()
    {
        let serial = format!("U{n}");
        let device = HolderId::device(&maker.parse().unwrap(), model, &serial);
        holders.push(device.clone());
        happen(Fact::DeviceRegistered {
            device,
            maker: maker.parse().unwrap(),
            model: model.to_owned(),
            serial,
            udi_di: None,
            site: text(site),
            lot: text(lot),
            owner: text(site),
            stage: stage.parse().unwrap(),
            marks: if n < 2 { ["claimed".to_owned()].into() } else { BTreeSet::new() },
        });
    }
    for (kind, name) in [("signer", "upd"), ("service", "upd")] {
        let identity = HolderId::identity(kind, name);
        holders.push(identity.clone());
        happen(Fact::IdentityRegistered {
            identity,
            identity_kind: kind.to_owned(),
            name: name.to_owned(),
            maker: Some("brannoc".parse().unwrap()),
            owner: "SUH".to_owned(),
            purpose: "x".to_owned(),
        });
    }
    holders.push(HolderId::authority());
    for n in 0..24u8 {
        let holder = holders[usize::from(n) % holders.len()].clone();
        let ra = (n % 5 == 0).then(|| HolderId::identity("ra", "line"));
        let serial = Serial::from_bytes([n; 16]);
        happen(Fact::CertificateIssued(Box::new(Issuance {
            serial,
            ca: if n % 2 == 0 { "operational" } else { "birth" }.parse().unwrap(),
            profile: if n % 2 == 0 { "ldev" } else { "idev" }.parse().unwrap(),
            profile_version: Digest::of(b"1"),
            stage: holder.is_device().then(|| "deployment".parse().unwrap()),
            stage_event: None,
            owner: (n % 3 == 0).then(|| "SUH".to_owned()),
            proof: match ra {
                Some(ra) => Proof::RegistrationAuthority { ra, serial },
                None => Proof::Authority,
            },
            approval: None,
            replaces: None,
            overlap_ends: None,
            after_expiry: None,
            not_before: Timestamp::from_secs(1_700_000_000 + u64::from(n)),
            not_after: Timestamp::from_secs(1_700_000_000 + 10 * u64::from(n)),
            renew: None,
            // Two certificates for each key of a holder.
            key: Digest::of(format!("{holder}{}", n / 16).as_bytes()),
            holder,
            shard: 0,
            source: None,
            server_key: false,
            certificate: Der(vec![n]),
        })));
        if n % 6 == 1 {
            happen(Fact::CertificateHeld { serial, cause: crate::fleet::Cause::Command });
        }
    }
    rows
}

const NOW: u64 = 1_700_000_100;

/// A second reading of what a selector means: over the JSON of the rows, without a line of the first.
fn naive(selector: &Selector, row: &Value, holder: &Value) -> bool {
    match selector {
        Selector::All(parts) => !parts.iter().any(|part| !naive(part, row, holder)),
        Selector::Any(parts) => !parts.iter().all(|part| !naive(part, row, holder)),
        Selector::Not(part) => !naive(part, row, holder),
        Selector::Is(Comparison { field, test }) => {
            let status = match row["status"]["is"].as_str().unwrap() {
                "revoked" => "revoked",
                _ if row["not_after"].as_str().unwrap().parse::<Timestamp>().unwrap()
                    < Timestamp::from_secs(NOW) =>
                {
                    "expired"
                }
                other => other,
            };
            let name = field.as_str();
            let value = match name {
                "device" => row["holder"].clone(),
                "maker" | "model" | "lot" | "site" | "owner" | "stage" => holder[name].clone(),
                "mark" => holder["marks"].clone(),
                "signer" if holder["kind"] == "signer" => holder["name"].clone(),
                "signer" => Value::Null,
                "issuer" => row["ca"].clone(),
                "stage-at-issue" => row["stage"].clone(),
                "owner-at-issue" => row["owner"].clone(),
                "enrolled-by" => row["proof"]["ra"].clone(),
                "issued" => row["issued"]["time"].clone(),
                "status" => json!(status),
                _ => row[name.replace('-', "_")].clone(),
            };
            let values: Vec<String> = match value {
                Value::Array(all) => all.iter().map(|value| value.as_str().unwrap().to_owned()).collect(),
                Value::String(text) => vec![text],
                _ => vec![],
            };
            let fits = |p: &Pattern| {
                values
                    .iter()
                    .any(|value| if p.open { value.find(&p.text) == Some(0) } else { *value == p.text })
            };
            !values.is_empty()
                && match test {
                    Test::Is(pattern) => fits(pattern),
                    Test::IsNot(pattern) => !fits(pattern),
                    Test::In(patterns) => patterns.iter().any(fits),
                    Test::NotIn(patterns) => !patterns.iter().any(fits),
                    Test::Time(order, limit) => {
                        let time: Timestamp = values[0].parse().unwrap();
                        match order {
                            Order::Before => time < *limit,
                            Order::UntilThen => time <= *limit,
                            Order::After => time > *limit,
                            Order::FromThen => time >= *limit,
                        }
                    }
                }
        }
    }
}

fn by_hand(view: &dyn View, selector: &Selector) -> BTreeSet<Serial> {
    let mut found = BTreeSet::new();
    view.scan(CERTIFICATE, Range::ALL, &mut |_, value| {
        let row: CertificateRow = rows::parse(CERTIFICATE, value).unwrap();
        let device = rows::device(view, &row.holder).unwrap().map(|it| serde_json::to_value(it).unwrap());
        let identity = rows::identity(view, &row.holder).unwrap().map(|it| serde_json::to_value(it).unwrap());
        let holder = device.or(identity).unwrap_or(Value::Null);
        if naive(selector, &serde_json::to_value(&row).unwrap(), &holder) {
            found.insert(row.serial);
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

/// Comparisons that hold of some of that fleet and not of others.
fn telling() -> impl Strategy<Value = Comparison> {
    let values = prop::sample::select(vec![
        (Field::Device, vec!["brannoc.P3.U0", "signer.upd", "vitae", "brannoc"]),
        (Field::Maker, vec!["brannoc", "aerune"]),
        (Field::Model, vec!["P3", "P30", "V8", "X"]),
        (Field::Lot, vec!["L1", "L2", ""]),
        (Field::Site, vec!["SUH", "KVG"]),
        (Field::Owner, vec!["SUH", "KVG"]),
        (Field::Stage, vec!["clinical-use", "recall", "lost"]),
        (Field::Mark, vec!["claimed", "recalled"]),
        (Field::Signer, vec!["upd"]),
        (Field::Profile, vec!["ldev", "idev"]),
        (Field::Issuer, vec!["operational", "birth"]),
        (Field::StageAtIssue, vec!["deployment"]),
        (Field::OwnerAtIssue, vec!["SUH"]),
        (Field::EnrolledBy, vec!["ra.line", "ra.other"]),
        (Field::Status, vec!["good", "held", "expired"]),
        (Field::Issued, vec![]),
        (Field::NotBefore, vec![]),
        (Field::NotAfter, vec![]),
        (Field::Serial, vec!["05050505050505050505050505050505", "06060606060606060606060606060606"]),
        (Field::Key, vec![]),
    ]);
    let order = prop::sample::select(vec![Order::Before, Order::UntilThen, Order::After, Order::FromThen]);
    (values, any::<[prop::sample::Index; 2]>(), 0..4u8, any::<bool>(), order, 0..240u64).prop_map(
        |((field, values), at, kind, open, order, second)| {
            let one = |at: &prop::sample::Index| match field {
                Field::Key => {
                    let holder = ["brannoc.P3.U0", "signer.upd", "nobody"][at.index(3)];
                    Pattern { text: Digest::of(format!("{holder}0").as_bytes()).to_string(), open: false }
                }
                _ => Pattern {
                    text: values[at.index(values.len())].to_owned(),
                    open: open && field.kind() == Kind::Text,
                },
            };
            let test = match (field.kind(), kind) {
                (Kind::Time, _) => Test::Time(order, Timestamp::from_secs(1_700_000_000 + second)),
                (_, 0) => Test::Is(one(&at[0])),
                (_, 1) => Test::IsNot(one(&at[0])),
                (_, 2) => Test::In(at.iter().map(one).collect()),
                _ => Test::NotIn(at.iter().map(one).collect()),
            };
            Comparison { field, test }
        },
    )
}

proptest! {
    #[test]
    fn what_is_printed_is_read_again(selector in selector_of(comparison())) {
        let text = selector.to_string();
        prop_assert_eq!(parse(&text).map_err(|error| TestCaseError::fail(error.to_string()))?, selector, "{}", text);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,60}", words in prop::collection::vec("model|=|!=|and|or|not|in|\\(|\\)|,|\"|P3|\\*| |<|not-after|2026-12-01", 0..20)) {
        for text in [text, words.concat(), words.join(" ")] {
            match parse(&text) {
                Ok(selector) => prop_assert_eq!(parse(&selector.to_string()).unwrap(), selector),
                Err(error) => prop_assert!(error.to_string().lines().count() == 3, "{}", error),
            }
        }
    }

    /// Whatever index is used, the same certificates are found as by a look at each of them, and none twice.
    #[test]
    fn the_index_finds_what_a_look_at_everything_finds(selector in selector_of(telling())) {
        let rows = fleet();
        let mut found = Vec::new();
        select(&rows, &selector, Timestamp::from_secs(NOW), &mut |it| {
            found.push(it.certificate.serial);
            Ok(ControlFlow::Continue(()))
        }).unwrap();
        let set: BTreeSet<Serial> = found.iter().copied().collect();
        prop_assert_eq!(set.len(), found.len(), "{} finds one twice", &selector);
        prop_assert_eq!(set, by_hand(&rows, &selector), "{}", &selector);
    }
}
