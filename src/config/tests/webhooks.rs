//! `webhooks.toml`: what is accepted, and each way to spoil it.

use super::*;

const HOOK: &str = r#"
[[webhook]]
name = "gateway"
url = "http://127.0.0.1:7000/vitae?x=1"
types = ["certificate-revoked", "certificate-held"]
timeout = "10s"
retry-first = "1s"
retry-longest = "5m"
"#;

/// The certificate of somebody else's CA, in PEM.
fn anchor() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::default().self_signed(&key).unwrap().pem()
}

fn with(text: &str) -> Spoilt {
    let tree = Spoilt::new();
    tree.write("webhooks.toml", text);
    tree
}

#[test]
fn as_shipped_nobody_is_told_and_the_file_may_be_missing() {
    assert!(load().webhooks().is_empty());
    let tree = Spoilt::new();
    fs::remove_file(tree.0.path().join("webhooks.toml")).unwrap();
    assert!(tree.load().unwrap().webhooks().is_empty());
}

/// The example in the comments is one that can be used: its signs of comment away, it loads.
#[test]
fn the_shipped_example_loads() {
    let text = fs::read_to_string(shipped().join("webhooks.toml")).unwrap();
    let (_, example) = text.split_once("# [[webhook]]").unwrap();
    let tree = with(&format!("[[webhook]]{}", example.replace("\n# ", "\n")));
    tree.write("hospital-ca.pem", &anchor());
    let config = tree.load().unwrap_or_else(|errors| panic!("{errors}"));
    let [hook] = config.webhooks() else { panic!("one webhook") };
    assert_eq!((hook.name().as_str(), hook.url().host()), ("gateway", Some("gateway.hospital.example")));
    assert_eq!(hook.kinds(), ["certificate-revoked", "certificate-held", "certificate-released"]);
    assert_eq!(hook.trust().unwrap().len(), 1);
    assert_eq!((hook.timeout(), hook.retry_first()), (Duration::from_secs(10), Duration::from_secs(1)));
    assert_eq!(hook.retry_longest(), Duration::from_secs(300));
}

/// The comments name every type there is, so that nobody has to read the source.
#[test]
fn the_shipped_file_names_every_type() {
    let text = fs::read_to_string(shipped().join("webhooks.toml")).unwrap();
    for kind in EVENT_KINDS {
        assert!(text.contains(kind), "{kind}");
    }
}

#[test]
fn addresses_that_are_accepted() {
    for url in [
        "http://127.0.0.1:7000",
        "http://[::1]:7000/a",
        "http://localhost/x",
        "https://gateway.example",
        "https://192.0.2.7:8443/a?b=c",
    ] {
        let tree = with(&HOOK.replace("http://127.0.0.1:7000/vitae?x=1", url));
        let config = tree.load().unwrap_or_else(|errors| panic!("{url}: {errors}"));
        assert_eq!(config.webhooks()[0].url(), &url.parse::<hyper::Uri>().unwrap());
    }
    let all = with(&HOOK.replace("[\"certificate-revoked\", \"certificate-held\"]", "[\"*\"]"));
    assert!(all.load().unwrap().webhooks()[0].kinds().is_empty());
}

/// Line, counted within the entry from its `[[webhook]]`, what is replaced, by what, what the reason says.
const EDITS: &[(usize, &str, &str, &str)] = &[
    (2, "\"gateway\"", "\"Gateway 1\"", "name of a webhook"),
    (2, "name", "nome", "unknown field `nome`"),
    (3, "http://127.0.0.1:7000", "http://gateway.example", "write https"),
    (3, "http://127.0.0.1:7000", "http://127.0.0.1.example", "write https"),
    (3, "http://127.0.0.1:7000", "http://192.0.2.1", "write https"),
    (3, "http://127.0.0.1:7000", "ftp://127.0.0.1", "not the URL of a receiver"),
    (3, "http://127.0.0.1:7000", "", "not the URL of a receiver"),
    (3, "http://127.0.0.1:7000", "https://user:word@gateway.example", "without user"),
    (3, "x=1", "x=1#here", "without user"),
    (4, "certificate-held", "certificate-hold", "there is no type 'certificate-hold'"),
    (4, "certificate-held", "*", "write it alone"),
    (4, "\"certificate-revoked\", \"certificate-held\"", "", "is never called"),
    (5, "\"10s\"", "\"0s\"", "no receiver is that fast"),
    (6, "\"1s\"", "\"0s\"", "no receiver is that fast"),
    (7, "\"5m\"", "\"0s\"", "cannot end shorter"),
    (5, "timeout", "trust = \"../x.pem\"\ntimeout", "must lie beside"),
    (5, "timeout", "trust = \"missing.pem\"\ntimeout", "cannot be read"),
    (5, "timeout", "trust = \"roles.toml\"\ntimeout", "is not a certificate in PEM"),
    (
        3,
        "http://127.0.0.1:7000/vitae?x=1\"",
        "http://127.0.0.1:7000\"\ntrust = \"hospital-ca.pem\"",
        "take 'trust' out",
    ),
];

#[test]
fn every_bad_entry_is_refused_with_file_line_and_reason() {
    for (line, old, new, words) in EDITS {
        assert!(HOOK.contains(old), "{old}");
        let tree = with(&HOOK.replacen(old, new, 1));
        tree.write("hospital-ca.pem", &anchor());
        tree.refused("webhooks.toml", line + 1, words);
    }
    with(&format!("{HOOK}{HOOK}")).refused("webhooks.toml", 11, "two webhooks named 'gateway'");
}
