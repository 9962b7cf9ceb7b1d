//! `[[registration-authority]]` of `roles.toml`: what is accepted, which entry counts, and each way to spoil one.

use super::*;

const ENTRY: &str = r#"
[[registration-authority]]
name = "ra.line-7"
profiles = ["idev"]
makers = ["brannoc"]
models = ["P3", "S1"]
serials = ["BR000000..BR009999", "PROTO-1"]
quota = 100
per-day = 10
"#;

/// The shipped tree with more at the end of its roles; the line that this begins on.
fn with(text: &str) -> (Spoilt, usize) {
    let tree = Spoilt::new();
    let roles = fs::read_to_string(shipped().join("roles.toml")).unwrap();
    tree.write("roles.toml", &format!("{roles}{text}"));
    (tree, roles.matches('\n').count() + 1)
}

/// What is not listed gets nothing, and as shipped nothing is.
#[test]
fn as_shipped_nobody_is_a_registration_authority() {
    let config = load();
    assert_eq!(config.registration_authorities().iter().count(), 0);
    let ra = config.profiles().get(&profile("ra")).unwrap();
    assert!(ra.is_registration_authority() && ra.renewal().is_some());
    let able = config.profiles().iter().filter(|p| p.is_registration_authority());
    assert_eq!(able.map(|p| p.name().as_str()).collect::<Vec<_>>(), ["ra"]);
    let taking: Vec<&str> = config
        .profiles()
        .iter()
        .filter(|p| p.authenticate_by().contains(&Proof::RegistrationAuthority))
        .map(|p| p.name().as_str())
        .collect();
    assert_eq!(taking, ["idev"]);
}

/// The example in the comments of roles.toml is one that can be used: its signs of comment away, it loads.
#[test]
fn the_shipped_example_loads() {
    let tree = Spoilt::new();
    let roles = fs::read_to_string(shipped().join("roles.toml")).unwrap();
    let (before, example) = roles.split_once("# [[registration-authority]]").unwrap();
    let example = example.replace("\n# ", "\n");
    tree.write("roles.toml", &format!("{before}[[registration-authority]]{example}"));
    let config = tree.load().unwrap_or_else(|errors| panic!("{errors}"));
    let entry = config.registration_authorities().of(&"ra.line-7".parse().unwrap()).unwrap();
    assert_eq!((entry.quota(), entry.per_day()), (10_000, Some(500)));
    assert!(entry.allows_serial("BR004711") && !entry.allows_serial("BR010000"));
    assert!(entry.allows_model("S1") && !entry.allows_model("V8"));
    assert_eq!(entry.profiles(), [profile("idev")]);
}

#[test]
fn the_closest_entry_counts() {
    let wider = ENTRY.replace("ra.line-7", "ra.*").replace("quota = 100", "quota = 50");
    let wide = ENTRY.replace("ra.line-7", "ra.line-*").replace("quota = 100", "quota = 70");
    let (tree, _) = with(&format!("{wider}{wide}{ENTRY}"));
    let config = tree.load().unwrap_or_else(|errors| panic!("{errors}"));
    let quota = |id: &str| {
        config.registration_authorities().of(&id.parse().unwrap()).map(RegistrationAuthority::quota)
    };
    assert_eq!(quota("ra.line-7"), Some(100));
    assert_eq!(quota("ra.line-70"), Some(70));
    assert_eq!(quota("ra.depot"), Some(50));
    assert_eq!(quota("service.line-7"), None);
    assert_eq!(quota("brannoc.P3.ra"), None);
}

#[test]
fn every_bad_entry_is_refused_with_file_line_and_reason() {
    // What is replaced, by what, what the reason says; the problem is on the replaced line.
    let edits = [
        ("per-day", "per-hour", "unknown field `per-hour`"),
        ("\"ra.line-7\"", "\"ra\"", "is not the id of an identity"),
        ("\"ra.line-7\"", "\"brannoc.P3.BR000001\"", "is not the id of an identity"),
        (
            "\"ra.line-7\"",
            "\"service.line-7\"",
            "no profile for a 'service' gives the extended key usage cmc-ra",
        ),
        ("[\"idev\"]", "[]", "empty list of profiles"),
        ("[\"idev\"]", "[\"idevs\"]", "no profile named 'idevs'"),
        ("[\"idev\"]", "[\"idev\", \"ldev\"]", "'ldev' takes no registration authority"),
        ("[\"idev\"]", "[\"ra\"]", "'ra' is not for devices"),
        ("[\"idev\"]", "[\"svc\"]", "'svc' is not for devices"),
        ("[\"idev\"]", "[\"admin\"]", "'admin' is not for devices"),
        ("[\"brannoc\"]", "[]", "empty list of makers"),
        ("[\"brannoc\"]", "[\"branoc\"]", "no maker 'branoc'"),
        ("[\"P3\", \"S1\"]", "[]", "empty list of models"),
        ("[\"P3\", \"S1\"]", "[\"P*\"]", "'P*' is not a model"),
        ("[\"P3\", \"S1\"]", "[\"\"]", "'' is not a model"),
        ("[\"BR000000..BR009999\", \"PROTO-1\"]", "[]", "empty list of serials"),
        ("BR000000..BR009999", "BR009999..BR000000", "write the lower one first"),
        ("BR000000..BR009999", "BR0..BR9999", "equally long"),
        ("BR000000..BR009999", "BR*", "asterisk stands alone"),
        ("quota = 100", "quota = 0", "issues nothing"),
        ("quota = 100", "quota = -1", "invalid value"),
        ("per-day = 10", "per-day = 101", "between 1 and the quota (100)"),
        ("per-day = 10", "per-day = 0", "between 1 and the quota (100)"),
    ];
    let mut surprises = Vec::new();
    for (old, new, words) in edits {
        let (before, _) = ENTRY.split_once(old).unwrap_or_else(|| panic!("{old}"));
        let (tree, first) = with(&ENTRY.replacen(old, new, 1));
        let line = first + before.matches('\n').count();
        surprises.extend(tree.try_refused("roles.toml", line, words).err());
    }
    // Nothing is left out in silence: every key but per-day must be there.
    for key in ["name", "profiles", "makers", "models", "serials", "quota"] {
        let entry: String =
            ENTRY.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect();
        let (tree, first) = with(&entry);
        surprises.extend(tree.try_refused("roles.toml", first + 1, &format!("missing field `{key}`")).err());
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n\n"));
    with(&ENTRY.replace("per-day = 10\n", "")).0.load().unwrap_or_else(|errors| panic!("{errors}"));
}

#[test]
fn one_name_has_one_entry() {
    let (tree, first) = with(&format!("{ENTRY}{ENTRY}"));
    tree.refused(
        "roles.toml",
        first + ENTRY.matches('\n').count() + 2,
        "two registration authorities 'ra.line-7'",
    );
}

/// The usage is for machine identities alone, and enrolment through one is for devices alone.
#[test]
fn profiles_keep_the_two_apart() {
    for (file, old, new, words) in [
        (
            "profiles/ldev.toml",
            "\"client-auth\"",
            "\"client-auth\", \"cmc-ra\"",
            "has an owner who answers for it",
        ),
        (
            "profiles/admin.toml",
            "\"client-auth\"",
            "\"1.3.6.1.5.5.7.3.28\"",
            "has an owner who answers for it",
        ),
        ("profiles/svc.toml", "[\"token\"]", "[\"registration-authority\"]", "enrols devices alone"),
    ] {
        let tree = Spoilt::new();
        let line = tree.replace(file, old, new);
        tree.refused(file, line, words);
    }
    let (tree, first) = with(ENTRY);
    tree.replace("profiles/ra.toml", ", \"cmc-ra\"", "");
    tree.refused("roles.toml", first + 2, "no profile gives the extended key usage cmc-ra");
}
