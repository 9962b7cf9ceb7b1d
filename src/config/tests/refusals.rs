//! Each way to spoil the shipped tree is refused with file, line and reason.

use std::fs;

use super::*;

/// file, what is replaced, by what, what the reason says. The problem is on the line of the replaced text,
/// counted as many lines further as the replacement has line ends before its `@` mark, which is taken out.
const EDITS: &[(&str, &str, &str, &str)] = &[
    // Keys and types.
    ("vitae.toml", "default-label", "default-lable", "unknown field `default-lable`"),
    ("vitae.toml", "max-body = 65536", "max-body = 65536\n@max-size = 1", "unknown field `max-size`"),
    ("vitae.toml", "max-body = 65536", "max-body = 1024", "at least 65536"),
    ("vitae.toml", "\"30s\"", "\"30 s\"", "not a length of time"),
    ("vitae.toml", "\"127.0.0.1:8443\"", "\"localhost\"", "not the address of a listener"),
    ("vitae.toml", "\"127.0.0.1:8080\"", "\"127.0.0.1:8443\"", "cannot share an address"),
    ("vitae.toml", "\"127.0.0.1:8080\"", "\"0.0.0.0:8080\"", "write status-url"),
    ("vitae.toml", "\"localhost\"", "\"https://localhost\"", "neither a DNS name nor an IP address"),
    ("vitae.toml", "# status-url = \"http:", "status-url = \"https:", "write http://HOST"),
    (
        "vitae.toml",
        "hospital.example\"",
        "hospital.example\"\n@status-url = \"http://x/\"",
        "slash at the end",
    ),
    ("vitae.toml", "\"10s\"", "\"0s\"", "refuses everyone"),
    ("vitae.toml", "approval-expiry = \"7d\"", "approval-expiry = \"7 days\"", "not a length of time"),
    ("vitae.toml", "approval-retry = \"60s\"", "approval-retry = \"0s\"", "never stops asking"),
    (
        "vitae.toml",
        "approval-retry = \"60s\"",
        "approval-retry = \"8d\"",
        "shorter than approval-expiry (7d)",
    ),
    (
        "vitae.toml",
        "approval-retry = \"60s\"",
        "approval-retries = \"60s\"",
        "unknown field `approval-retries`",
    ),
    ("vitae.toml", "max-connections = 4096", "max-connections = 0", "at least 1"),
    ("vitae.toml", "max-connections = 4096", "max-connections = 1000001", "at most 1000000"),
    ("vitae.toml", "max-turned-away = 64", "max-turned-away = 1000001", "at most 1000000"),
    ("vitae.toml", "max-turned-away = 64", "max-turned-away = -1", "invalid value"),
    ("vitae.toml", "max-enrolments = 1024", "max-enrolments = 0", "at least 1"),
    ("vitae.toml", "max-event-streams = 64", "max-event-streams = 0", "at least 1"),
    ("vitae.toml", "event-keep-alive = \"15s\"", "event-keep-alive = \"0s\"", "signs of life"),
    ("vitae.toml", "max-enrolments = 1024", "max-enrolments = 1000001", "at most 1000000"),
    ("vitae.toml", "\"75%\"", "\"100%\"", "not a share"),
    ("vitae.toml", "\"300 per second, burst 10000\"", "\"300/s\"", "'300/s' is not a rate"),
    ("vitae.toml", "\"10 per second, burst 1000\"", "\"0 per second, burst 1\"", "is not a rate"),
    ("vitae.toml", "\"20 per hour, burst 100\"", "20", "invalid type"),
    ("vitae.toml", "\"::1\"]\n# Certificates", "\"localhost\"]\n# Certificates", "not a range of addresses"),
    ("vitae.toml", "[\"127.0.0.0/8\"", "[\"127.0.0.1/8\"", "write 127.0.0.0/8"),
    ("vitae.toml", "\"ldev\"", "\"svc\"", "'svc' is not the label of a device profile"),
    ("vitae.toml", "\"ldev\"", "\"nothing\"", "'nothing' is not the label of a device profile"),
    ("hierarchy.toml", "key = \"p256\"", "key = \"p521\"", "unknown variant `p521`"),
    ("hierarchy.toml", "path-len = 1", "path-length = 1", "unknown field `path-length`"),
    ("profiles/ldev.toml", "[renewal]", "[renewals]", "unknown field `renewals`"),
    ("profiles/ldev.toml", "overlap", "overlapping", "unknown field `overlapping`"),
    ("profiles/ldev.toml", "\"token\"]", "\"password\"]", "unknown variant `password`"),
    ("profiles/ldev.toml", "\"p256\"", "\"rsa-1024\"", "not a kind of key"),
    ("profiles/idev.toml", "{ organization", "{ ward", "unknown variant `ward`"),
    ("profiles/idev.toml", "type =", "kind =", "unknown field `kind`"),
    ("lifecycle.toml", "terminal = true", "final = true", "unknown field `final`"),
    ("lifecycle.toml", "{ hold = [\"ldev\"", "{ freeze = [\"ldev\"", "unknown field `freeze`"),
    ("lifecycle.toml", "move-to =", "moves-to =", "unknown field `moves-to`"),
    ("lifecycle.toml", "lost-key = \"refuse\"", "lost-key = \"ignore\"", "unknown variant `ignore`"),
    ("roles.toml", "permits = [", "permit = [", "unknown field `permit`"),
    ("manufacturers/aerune.toml", "title", "name", "unknown field `name`"),
    // Names that point nowhere.
    (
        "lifecycle.toml",
        "to = [\"clinical-use\"]",
        "to = [\"clinical-usage\"]",
        "no stage named 'clinical-usage'",
    ),
    ("lifecycle.toml", "from = [\"design\"]", "from = [\"desing\"]", "no stage named 'desing'"),
    ("lifecycle.toml", "refurbish = \"issue\"", "refurb = \"issue\"", "no stage named 'refurb'"),
    (
        "lifecycle.toml",
        "first-stage = \"manufacturing\"",
        "first-stage = \"birth\"",
        "no stage named 'birth'",
    ),
    ("lifecycle.toml", "move-to = \"quarantine\"", "move-to = \"prison\"", "no stage named 'prison'"),
    (
        "lifecycle.toml",
        "move-to = \"quarantine\"",
        "move-to = \"retired\"",
        "a suspicion must not end a device's life",
    ),
    ("lifecycle.toml", "move-to = \"quarantine\"", "move-to = \"transfer\"", "neither an owner nor evidence"),
    (
        "lifecycle.toml",
        "move-to = \"quarantine\"",
        "move-to = \"manufacturing\"",
        "no transition leads to stage 'manufacturing' that the authority could make",
    ),
    ("lifecycle.toml", "who = [\"mfr-line\"]", "who = [\"mfr-lines\"]", "no role named 'mfr-lines'"),
    ("lifecycle.toml", "hold = [\"ldev\"", "hold = [\"ldevs\"", "no profile named 'ldevs'"),
    ("lifecycle.toml", "[matrix.maint]", "[matrix.maint]\n@[matrix.mant]", "no profile named 'mant'"),
    (
        "lifecycle.toml",
        "requires = [\"claimed\"]",
        "requires = [\"claim\"]",
        "nothing ever sets the mark 'claim'",
    ),
    (
        "lifecycle.toml",
        "forbids = [\"claimed\"]",
        "forbids = [\"claim\"]",
        "nothing ever sets the mark 'claim'",
    ),
    (
        "lifecycle.toml",
        "\"issue when claimed\"",
        "\"issue when owned\"",
        "nothing ever sets the mark 'owned'",
    ),
    ("lifecycle.toml", "\"issue when claimed\"", "\"issue if claimed\"", "is not a cell"),
    ("lifecycle.toml", "\"issue when claimed\"", "\"issue with approval when claimed\"", "is not a cell"),
    ("lifecycle.toml", "clinical-use = \"renew\"", "clinical-use = \"renew with approval\"", "is not a cell"),
    (
        "lifecycle.toml",
        "\"issue when claimed\"",
        "\"issue when owned with approval\"",
        "nothing ever sets the mark 'owned'",
    ),
    ("lifecycle.toml", "sets = [\"claimed\"]", "sets = [\"Claimed\"]", "is not a mark"),
    ("profiles/ldev.toml", "ca = \"operational\"", "ca = \"operations\"", "no CA named 'operations'"),
    ("hierarchy.toml", "issuer = \"root\"", "issuer = \"rot\"", "no CA named 'rot'"),
    ("roles.toml", "\"device.move\"", "\"device.delete\"", "no permission 'device.delete'"),
    ("roles.toml", "\"vendor-fse\", \"ra-auto\"", "\"vendor-fsee\"", "no role named 'vendor-fsee'"),
    // Lives that cannot be lived.
    (
        "lifecycle.toml",
        "[[stage]]\nname = \"retired\"",
        "[[stage]]\n@name = \"shelf\"\ntitle = \"\"\nterminal = true\n[[stage]]\nname = \"retired\"",
        "no unit can come to stage 'shelf'",
    ),
    (
        "lifecycle.toml",
        "name = \"retired\"\ntitle = \"Out of service for good\"\nterminal = true",
        "@name = \"retired\"\ntitle = \"\"",
        "no transition leads out of stage 'retired'",
    ),
    (
        "lifecycle.toml",
        "from = [\"transfer\"]",
        "from = [\"transfer\", \"retired\"]",
        "'retired' is terminal",
    ),
    (
        "lifecycle.toml",
        "remed]\nquarantine = \"issue\"",
        "remed]\n@retired = \"issue\"",
        "is terminal and is issued nothing",
    ),
    ("lifecycle.toml", "id = \"T2\"", "id = \"T1\"", "an id of its own"),
    ("lifecycle.toml", "name = \"lost\"", "name = \"recall\"", "two stages named 'recall'"),
    (
        "lifecycle.toml",
        "first-stage = \"manufacturing\"",
        "first-stage = \"lost\"",
        "no registration leads to the first stage",
    ),
    ("lifecycle.toml", "from = []\nto = [\n", "@from = [\"design\"]\nto = [\n", "a takeover begins a record"),
    ("lifecycle.toml", "who = [\"hdo-biomed\", \"ra-auto\"]", "who = []", "no one may do it"),
    (
        "lifecycle.toml",
        "reason = \"privilege-withdrawn\"",
        "reason = \"certificate-hold\"",
        "is no reason to revoke",
    ),
    // The matrix.
    ("lifecycle.toml", "[matrix.maint]", "[matrix.svc]", "'svc' is not for devices"),
    (
        "lifecycle.toml",
        "remed]\nquarantine = \"issue\"",
        "remed]\n@quarantine = \"renew\"",
        "'remed' is not renewable",
    ),
    // Lifetimes.
    ("profiles/ldev.toml", "lifetime = \"7d\"", "lifetime = \"0d\"", "ends at once"),
    (
        "profiles/ldev.toml",
        "lifetime = \"7d\"",
        "lifetime = \"11y\"",
        "longer (11y) than its CA 'operational' (10y)",
    ),
    ("profiles/ldev.toml", "P3 = \"30d\"", "P3 = \"11y\"", "longer (11y) than its CA"),
    ("profiles/ldev.toml", "backdate = \"5m\"", "backdate = \"24h\"", "backdate (1d) must be shorter"),
    ("profiles/ocsp.toml", "lifetime = \"30d\"", "lifetime = \"24h\"", "ocsp-lifetime of CA 'root' (1d)"),
    (
        "hierarchy.toml",
        "lifetime = \"36y\"",
        "lifetime = \"41y\"",
        "longer (41y) than its issuer 'root' (40y)",
    ),
    ("hierarchy.toml", "lifetime = \"40y\"", "lifetime = \"0y\"", "end at once"),
    (
        "hierarchy.toml",
        "crl-renew-before = \"10d\"",
        "crl-renew-before = \"30d\"",
        "shorter than crl-lifetime (30d)",
    ),
    ("hierarchy.toml", "ocsp-lifetime = \"24h\"", "ocsp-lifetime = \"0h\"", "end at once"),
    ("hierarchy.toml", "crl-shards = 8", "crl-shards = 0", "a number from 1 to 1024"),
    ("hierarchy.toml", "crl-shards = 8", "crl-shards = 1025", "a number from 1 to 1024"),
    ("hierarchy.toml", "crl-shards = 8", "crl-shards = -1", "invalid value"),
    (
        "hierarchy.toml",
        "delta-lifetime = \"6h\"",
        "delta-lifetime = \"24h\"",
        "shorter than crl-lifetime (1d)",
    ),
    ("hierarchy.toml", "delta-lifetime = \"6h\"", "delta-lifetime = \"9m\"", "not below 10m"),
    // Hierarchies.
    ("hierarchy.toml", "name = \"birth\"", "name = \"root\"", "two CAs named 'root'"),
    ("hierarchy.toml", "name = \"birth\"", "name = \"every\"", "stands for all CAs"),
    (
        "hierarchy.toml",
        "name = \"birth\"\nissuer = \"root\"",
        "name = \"birth\"\n@issuer = \"birth\"",
        "circle of issuers",
    ),
    (
        "hierarchy.toml",
        "name = \"birth\"\nissuer = \"root\"",
        "@name = \"birth\"\nissuer = \"operational\"",
        "path-len of 'birth'",
    ),
    (
        "hierarchy.toml",
        "[[ca]]\nname = \"birth\"",
        "[[ca]]\n@name = \"spare\"\nissuer = \"root\"\ncommon-name = \"x\"\nkey = \"p384\"\nlifetime = \"1y\"\npath-len = 0\ncrl-lifetime = \"2d\"\ncrl-renew-before = \"1d\"\nocsp-lifetime = \"1d\"\n[[ca]]\nname = \"birth\"",
        "CA 'spare' issues nothing",
    ),
    // Profiles.
    ("profiles/ldev.toml", "client-auth", "clientAuth", "not an extended key usage"),
    ("profiles/ldev.toml", "client-auth", "2.5.29.37.0", "do everything"),
    ("profiles/ldev.toml", "client-auth", "ocsp-signing", "only the authority may"),
    ("profiles/ldev.toml", "\"client-auth\"]", "\"client-auth\", @\"client-auth\"]", "is there twice"),
    ("profiles/ldev.toml", "1.3.6.1.4.1.32473.2.2", "1.3.6.1.4.1.32473.x", "is not an OID"),
    (
        "profiles/idev.toml",
        "subject = [\n    { serial-number = \"{serial}\" },\n",
        "subject = [\n",
        "serial-number in its subject too",
    ),
    ("profiles/idev.toml", "type = \"1.3.6.1.4.1.32473.1\"", "type = \"{model}.x\"", "is not an OID"),
    ("profiles/ldev.toml", "{uuid}", "{ward}", "{ward} is not a placeholder"),
    ("profiles/ldev.toml", "{uuid}", "{uuid", "a brace without its partner"),
    ("profiles/ldev.toml", "{uuid}", "{role}", "has nothing for {role}"),
    (
        "profiles/ldev.toml",
        "{ uri = \"urn:dev:ops:32473-{model}-{serial}\" }",
        "\"server-names\"",
        "those of Vitae itself",
    ),
    ("profiles/ldev.toml", "ca = \"operational\"", "ca = \"every\"", "name one CA"),
    ("profiles/ldev.toml", "[\"birth-certificate\", \"token\"]", "[]", "no one can enrol"),
    ("profiles/ldev.toml", "keys = [\"p256\", \"p384\", \"rsa-2048\"]", "keys = []", "no request fits"),
    (
        "profiles/svc.toml",
        "authenticate-by = [\"token\"]",
        "authenticate-by = [\"birth-certificate\"]",
        "only devices have a birth certificate",
    ),
    ("profiles/svc.toml", "identity = \"service\"", "identity = \"A service\"", "is not a kind of identity"),
    ("profiles/svc.toml", "channel-binding", "ocsp-no-check = true\nchannel-binding", "add ocsp-signing"),
    (
        "profiles/svc.toml",
        "holder = { identity = \"service\" }\nlifetime = \"24h\"\nbackdate = \"5m\"\nauthenticate-by = [\"token\"]\nkeys = [\"p256\", \"p384\", \"rsa-2048\"]\nchannel-binding = \"optional\"\n",
        "holder = { identity = \"service\" }\nlifetime = \"24h\"\nbackdate = \"5m\"\nauthenticate-by = [\"token\"]\nkeys = [\"p256\", \"p384\", \"rsa-2048\"]\n",
        "says not whether requests are tied",
    ),
    ("profiles/ldev.toml", "to = \"75%\"", "to = \"60%\"", "ends (60%) before it begins (60%)"),
    ("profiles/ldev.toml", "\"75%\"", "\"100%\"", "not a share"),
    (
        "profiles/ldev.toml",
        "channel-binding",
        "server-key = \"ed25519\"\nchannel-binding",
        "makes no ed25519 keys",
    ),
    (
        "profiles/ldev.toml",
        "channel-binding",
        "server-key = \"rsa-4096\"\nchannel-binding",
        "not among the keys",
    ),
    (
        "profiles/ldev.toml",
        "channel-binding",
        "approval = true\n@server-key = \"p256\"\nchannel-binding",
        "not kept while the request waits for approval",
    ),
    ("profiles/ldev.toml", "channel-binding", "approval = \"yes\"\nchannel-binding", "invalid type"),
    (
        "profiles/ldev.toml",
        "channel-binding",
        "server-key = \"rsa-2500\"\nchannel-binding",
        "makes no RSA keys of 2500 bits",
    ),
    (
        "profiles/admin.toml",
        "backdate",
        "approval = true\nbackdate",
        "no one enrols for a profile of the authority",
    ),
    (
        "profiles/admin.toml",
        "backdate",
        "authenticate-by = [\"token\"]\nbackdate",
        "no one enrols for a profile of the authority",
    ),
    (
        "profiles/admin.toml",
        "extended-key-usage = [\"client-auth\"]",
        "extended-key-usage-critical = true",
        "no extended-key-usage to be critical",
    ),
];

#[test]
fn every_bad_edit_is_refused_with_file_line_and_reason() {
    let mut surprises = Vec::new();
    for (file, old, new, words) in EDITS {
        let tree = Spoilt::new();
        let ahead = new.find('@').map_or(0, |at| new[..at].matches('\n').count());
        let line = tree.replace(file, old, &new.replacen('@', "", 1)) + ahead;
        surprises.extend(tree.try_refused(file, line, words).err());
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n\n"));
}

#[test]
fn a_device_profile_without_a_row_is_refused() {
    let tree = Spoilt::new();
    tree.replace("lifecycle.toml", "[matrix.maint]", "");
    let errors = tree.load().unwrap_err().to_string();
    assert!(errors.contains("write [matrix.maint], empty if it is never issued"), "{errors}");
}

/// What is done about copies is decided, not assumed.
#[test]
fn a_lifecycle_says_what_is_done_about_copies() {
    let clones = "[clones]\nmove-to = \"quarantine\"\nlost-key = \"refuse\"\n";
    for (text, words) in [("", "missing field `clones`"), ("[clones]\n", "missing field `lost-key`")] {
        let tree = Spoilt::new();
        tree.replace("lifecycle.toml", clones, text);
        let errors = tree.load().unwrap_err().to_string();
        assert!(errors.contains(words), "{errors}");
    }
    let tree = Spoilt::new();
    tree.replace("lifecycle.toml", "move-to = \"quarantine\"\n", "");
    assert_eq!(tree.load().unwrap().lifecycle().clones().move_to(), None);
}

#[test]
fn two_transitions_for_one_move_are_told_apart_or_refused() {
    let tree = Spoilt::new();
    let twice = "id = \"T6\"\ntitle = \"\"\nfrom = [\"deployment\"]\nto = [\"clinical-use\"]\nwho = [\"hdo-biomed\"]\nforbids = [\"claimed\"]\n\n[[transition]]\nid = \"T6x\"";
    tree.replace("lifecycle.toml", "id = \"T6\"", twice);
    tree.load().unwrap_or_else(|errors| panic!("{errors}"));
    let line = tree.replace("lifecycle.toml", "id = \"T8\"", "id = \"T8\"");
    tree.replace("lifecycle.toml", "forbids = [\"claimed\"]\n\n", "\n");
    tree.refused("lifecycle.toml", line - 1, "leads the same way as 'T6'");
}

#[test]
fn an_est_operation_is_no_label() {
    for operation in
        ["cacerts", "simpleenroll", "simplereenroll", "csrattrs", "serverkeygen", "fullcmc", "renewal-info"]
    {
        let tree = Spoilt::new();
        let text = fs::read_to_string(shipped().join("profiles/svc.toml")).unwrap();
        let file = format!("profiles/{operation}.toml");
        tree.write(&file, &text);
        tree.refused(&file, 1, "is an EST operation");
    }
}

#[test]
fn a_file_name_that_is_no_name_is_refused() {
    let tree = Spoilt::new();
    tree.write("profiles/My Profile.toml", "");
    tree.refused("profiles/My Profile.toml", 1, "the file's name is used as a name");
}

#[test]
fn missing_files_are_reported_together() {
    let tree = Spoilt::new();
    for file in ["vitae.toml", "roles.toml", "lifecycle.toml"] {
        fs::remove_file(tree.0.path().join(file)).unwrap();
    }
    assert_eq!(tree.load().unwrap_err().iter().count(), 3);
    tree.refused("roles.toml", 1, "cannot be read");
    assert!(Config::load(&tree.0.path().join("nowhere")).is_err());
}

#[test]
fn vitae_needs_its_own_profiles() {
    for name in ["ocsp", "server", "admin"] {
        let tree = Spoilt::new();
        let file = format!("profiles/{name}.toml");
        fs::remove_file(tree.0.path().join(&file)).unwrap();
        tree.refused(&file, 1, "Vitae needs a certificate of it itself");
    }
}

#[test]
fn several_problems_are_reported_at_once() {
    let tree = Spoilt::new();
    tree.replace("profiles/ldev.toml", "ca = \"operational\"", "ca = \"operations\"");
    tree.replace("roles.toml", "\"device.move\"", "\"device.delete\"");
    tree.replace("hierarchy.toml", "\"36y\"", "\"41y\"");
    assert_eq!(tree.load().unwrap_err().iter().count(), 3);
}

#[test]
fn life_supporting_models_are_named_once() {
    let config = load();
    let maker = config.manufacturer(&"brannoc".parse().unwrap()).unwrap();
    assert!(maker.is_life_supporting("P3") && !maker.is_life_supporting("M5"));
    for (list, word) in [("[\"P3\", \"P3\"]", "stands here twice"), ("[\"\"]", "without a name")] {
        let tree = Spoilt::new();
        let file = "manufacturers/brannoc.toml";
        let line =
            tree.replace(file, "life-supporting = [\"P3\", \"S1\"]", &format!("life-supporting = {list}"));
        tree.refused(file, line, word);
    }
}

#[test]
fn anchors_are_certificates_beside_the_maker() {
    use rcgen::{CertificateParams, KeyPair};
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    let tree = Spoilt::new();
    let file = "manufacturers/brannoc.toml";
    let title = "title = \"Brannoc Infusion\"";
    let line = tree.replace(file, title, &format!("{title}\nanchors = [\"brannoc-root.pem\"]")) + 1;
    tree.refused(file, line, "cannot be read");
    for bad in
        [String::new(), "hello".to_owned(), key.serialize_pem(), certificate.pem().replace("MII", "AAA")]
    {
        tree.write("manufacturers/brannoc-root.pem", &bad);
        tree.refused(file, line, "is not a certificate in PEM");
    }
    // Twice, with other text around, as 'openssl x509 -text' writes it.
    let pem = certificate.pem();
    tree.write("manufacturers/brannoc-root.pem", &format!("Certificate:\n{pem}\nand\n{pem}\n"));
    let config = tree.load().unwrap_or_else(|errors| panic!("{errors}"));
    let maker = config.manufacturer(&"brannoc".parse().unwrap()).unwrap();
    assert_eq!(maker.anchors(), [certificate.der().to_vec(), certificate.der().to_vec()]);
    assert_ne!(config.digest(), load().digest());
    for outside in ["../root.pem", "/etc/passwd", ""] {
        let tree = Spoilt::new();
        let line = tree.replace(file, title, &format!("{title}\nanchors = [\"{outside}\"]")) + 1;
        tree.refused(file, line, "must lie beside this file");
    }
}

#[test]
fn two_cas_cannot_issue_each_other() {
    let tree = Spoilt::new();
    let first = tree.replace(
        "hierarchy.toml",
        "name = \"operational\"\nissuer = \"root\"",
        "name = \"operational\"\nissuer = \"service\"",
    );
    let second = tree.replace(
        "hierarchy.toml",
        "name = \"service\"\nissuer = \"root\"",
        "name = \"service\"\nissuer = \"operational\"",
    );
    tree.refused("hierarchy.toml", first + 1, "circle of issuers");
    tree.refused("hierarchy.toml", second + 1, "circle of issuers");
}
