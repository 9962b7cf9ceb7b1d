//! EST over the wire: paths, methods, TLS versions, connections, the shape of answers (RFC 7030 section 3).

use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, NamedGroup, ProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vitae::clock::Clock;
use vitae::pki::certificate::Certificate;
use vitae::pki::ocsp::HashAlg;

use crate::support::csr::{key, request};
use crate::support::wire::{self, Ask, Card};
use crate::support::{DAY, House};

/// E01, E02: every operation with and without a label.
#[tokio::test]
async fn cacerts_is_at_the_well_known_path_with_and_without_label() {
    let house = House::open().await;
    for path in ["cacerts", "ldev/cacerts", "idev/cacerts", "tls/cacerts", "svc/cacerts", "update/cacerts"] {
        let reply = house.ask(None, &Ask::get(&format!("/.well-known/est/{path}"))).await;
        assert!(reply.certificates().len() >= 4, "{path}");
    }
}

/// E03, E04: labels are one segment, compared byte for byte, and never the name of an operation.
#[tokio::test]
async fn paths_that_are_none_are_not_found_and_leave_no_trace() {
    let house = House::open().await;
    let before = house.events();
    let mut wire = house.est(None).await;
    for path in [
        "/",
        "/.well-known/est",
        "/.well-known/est/",
        "/.well-known/est/cacerts/",
        "/.well-known/est//cacerts",
        "/.well-known/est/cacerts/cacerts",
        "/.well-known/est/simpleenroll/cacerts",
        "/.well-known/est/LDEV/cacerts",
        "/.well-known/est/ldev/CACERTS",
        "/.well-known/est/ldev%2Fcacerts",
        "/.well-known/est/ldev/x/cacerts",
        "/.well-known/est/tls/../ldev/cacerts",
        "/.well-known/est/./cacerts",
        "/.well-known/est/nolabel/cacerts",
        "/.well-known/est/server/cacerts",
        "/.well-known/est/ocsp/cacerts",
        "/.well-known/est/admin/cacerts",
        "/.WELL-KNOWN/est/cacerts",
        "/.well-known/est/%63acerts",
    ] {
        let reply = wire.ask(&Ask::get(path)).await.unwrap();
        assert_eq!(reply.status, 404, "{path}: {}", reply.text());
    }
    let long = format!("/.well-known/est/{}/cacerts", "a".repeat(2000));
    let reply = wire.ask(&Ask::get(&long)).await.unwrap();
    assert_eq!(reply.status, 404);
    assert!(reply.body.len() < 256, "what the client wrote comes back cut");
    assert_eq!(house.events(), before);
}

/// E49, B14, B45: fullcmc is not offered, to nobody and with no credential, and that is said before anything is read: no
/// control of a CMC message can be looked at without leave. A client of EST reads the text, not a CMC message.
#[tokio::test]
async fn fullcmc_is_refused_before_anything_is_read() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let before = house.events();
    for label in ["", "ldev/", "idev/"] {
        for card in [None, Some(&card)] {
            let path = format!("/.well-known/est/{label}fullcmc");
            let ask = Ask::new("POST", &path)
                .header("Content-Type", "application/pkcs7-mime; smime-type=CMC-request");
            // The body is announced and never sent.
            let reply = house.ask(card, &ask.clone().header("Content-Length", "100000")).await;
            assert_eq!(reply.status, 404, "{label}");
            assert_eq!(reply.header("content-type"), Some("text/plain"));
            assert_eq!(reply.text(), "this server does not offer fullcmc\n");
            for ask in [Ask::get(&path), ask.body(b"MAMCAQA=".to_vec())] {
                assert_eq!(house.ask(card, &ask).await.status, 404, "{label}");
            }
        }
    }
    assert_eq!(house.events(), before);
}

/// E05: plain http on the TLS port gets no answer in http.
#[tokio::test]
async fn plain_http_on_the_tls_port_is_not_answered() {
    let house = House::open().await;
    let mut wire = wire::connect(house.addresses.est).await.unwrap();
    wire.send(b"GET /.well-known/est/cacerts HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // A reset is as good an end as a close.
    let _ = wire.stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
}

/// E06, E07: 1.2 and 1.3, and in 1.2 nothing but ECDHE with an AEAD.
#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken() {
    let house = House::open().await;
    for (offered, spoken) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let tls = house.tls_of(None, &[offered]);
        let mut wire = wire::connect_tls(house.addresses.est, tls).await.unwrap();
        let session = wire.stream.get_ref().1;
        assert_eq!(session.protocol_version(), Some(spoken));
        let suite = format!("{:?}", session.negotiated_cipher_suite().unwrap().suite());
        assert!(suite.starts_with("TLS13_") || suite.starts_with("TLS_ECDHE_"), "{suite}");
        assert!(suite.contains("GCM") || suite.contains("POLY1305"), "{suite}");
        assert_eq!(wire.ask(&Ask::get("/.well-known/est/cacerts")).await.unwrap().status, 200);
    }
}

/// The hybrid key exchange is agreed on with a client that knows it, so that what is recorded today stays closed later.
#[tokio::test]
async fn the_hybrid_key_exchange_is_offered() {
    let house = House::open().await;
    let tls = house.tls_of(None, &[&TLS13]);
    let wire = wire::connect_tls(house.addresses.est, tls).await.unwrap();
    let group = wire.stream.get_ref().1.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
}

/// E14: nobody is sent elsewhere, with or without a slash too many.
#[tokio::test]
async fn nothing_is_redirected() {
    let house = House::open().await;
    for path in [
        "/",
        "/.well-known/est",
        "/.well-known/est/",
        "/.well-known/est/cacerts/",
        "//.well-known/est/cacerts",
    ] {
        for method in ["GET", "POST"] {
            let reply = house.ask(None, &Ask::new(method, path)).await;
            assert_eq!(reply.status, 404, "{method} {path}");
        }
    }
}

/// E06, E23: a certificate enrols and renews over both versions.
#[tokio::test]
async fn mutual_tls_works_over_both_versions() {
    let house = House::open().await;
    for (serial, version) in [("BR000001", &TLS12), ("BR000002", &TLS13)] {
        let (_, birth) = house.born(serial).await;
        let tls = house.tls_of(Some(&birth), &[version]);
        let mut wire = wire::connect_tls(house.addresses.est, tls).await.unwrap();
        let key = key();
        let reply = wire.ask(&Ask::est("simpleenroll", &request(&key))).await.unwrap();
        assert_eq!(reply.certificate().spki_der(), rcgen::PublicKeyData::subject_public_key_info(&*key));
    }
}

/// E08: sessions are resumed.
#[tokio::test]
async fn sessions_are_resumed() {
    let house = House::open().await;
    for version in [&TLS12, &TLS13] {
        let tls = house.tls_of(None, &[version]);
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut wire = wire::connect_tls(house.addresses.est, tls.clone()).await.unwrap();
            wire.ask(&Ask::get("/.well-known/est/cacerts")).await.unwrap();
            kinds.push(wire.stream.get_ref().1.handshake_kind());
        }
        assert_ne!(kinds[0], Some(HandshakeKind::Resumed));
        assert_eq!(kinds[1], Some(HandshakeKind::Resumed), "{version:?}");
    }
}

/// E09: the listener's certificate is for servers, names the host, and is renewed without a restart.
#[tokio::test]
async fn the_listeners_certificate_is_renewed_while_it_serves() {
    let house = House::open().await;
    let shown = async || {
        let wire = house.est(None).await;
        wire.stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    };
    let first = shown().await;
    assert_eq!(shown().await, first);
    house.clock.advance(50 * DAY);
    house.authority.upkeep().await.unwrap();
    let second = shown().await;
    assert_ne!(second, first, "past half of its 90 days");
    let second = Certificate::from_der(&second).unwrap();
    assert_eq!(second.extended_key_usages()[0].to_string(), "1.3.6.1.5.5.7.3.1");
}

/// A clock that was ahead for a while: what was issued then is of no use yet, and is replaced when it is set right.
#[tokio::test]
async fn a_clock_that_was_ahead_leaves_no_useless_certificates() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let now = house.clock.now();
    house.clock.advance(400 * DAY);
    house.authority.upkeep().await.unwrap();
    house.clock.set(now + DAY);
    house.authority.upkeep().await.unwrap();
    let before = house.events();
    house.authority.upkeep().await.unwrap();
    assert_eq!(house.events(), before, "once is enough");
    assert_eq!(house.ask(Some(&card), &Ask::get("/.well-known/est/cacerts")).await.status, 200);
    let question = house.ocsp_request("operational", card.serial().as_bytes(), HashAlg::Sha256, None);
    let answer = house.verified("operational", &house.post_ocsp(&question).await.body);
    let signer = Certificate::from_der(&answer.certs[0]).unwrap();
    assert!(signer.not_before() <= house.clock.now(), "{}", signer.not_before());
}

/// E11: many requests on one connection, and a close when the client asks for one.
#[tokio::test]
async fn connections_are_kept_or_closed_as_asked() {
    let house = House::open().await;
    let mut wire = house.est(None).await;
    let ask = Ask::get("/.well-known/est/cacerts");
    for _ in 0..5 {
        assert_eq!(wire.ask(&ask).await.unwrap().status, 200);
    }
    // An error ends no connection either.
    assert_eq!(wire.ask(&Ask::est("simpleenroll", b"x")).await.unwrap().status, 401);
    assert_eq!(wire.ask(&ask.clone().header("Connection", "close")).await.unwrap().status, 200);
    assert!(wire.is_closed().await);

    let mut old = house.est(None).await;
    let http10 = Ask { line: "GET /.well-known/est/cacerts HTTP/1.0".to_owned(), ..ask };
    assert_eq!(old.ask(&http10).await.unwrap().status, 200);
    assert!(old.is_closed().await);
}

/// E11: whoever closes its side behind the request, as `gnutls-cli <request` does, is answered all the same.
#[tokio::test]
async fn clients_that_have_said_all_are_still_answered() {
    let house = House::open().await;
    for (version, serial) in [(&TLS12, "BR000001"), (&TLS13, "BR000002")] {
        let id = house.register(serial, "deployment").await;
        let token = house.token(&id, "ldev").await;
        let ask = Ask::est("simpleenroll", &request(&key())).basic(id.as_str(), &token);
        let tls = house.tls_of(None, &[version]);
        let mut wire = wire::connect_tls(house.addresses.est, tls).await.unwrap();
        wire.send(&ask.bytes()).await.unwrap();
        wire.stream.shutdown().await.unwrap();
        assert_eq!(wire.reply().await.unwrap().certificates().len(), 1, "{version:?}");
        assert!(wire.is_closed().await);
    }
    let serial = house.ca_certificate("root").serial().unwrap();
    let question = house.ocsp_request("root", serial.as_bytes(), HashAlg::Sha256, None);
    let ask = Ask::new("POST", "/ocsp").header("Content-Type", "application/ocsp-request").body(question);
    // Many at once, as a single answer may be ready before the end is seen.
    let mut wires = Vec::new();
    for _ in 0..64 {
        let mut wire = wire::connect(house.addresses.status).await.unwrap();
        wire.send(&ask.bytes()).await.unwrap();
        wire.stream.shutdown().await.unwrap();
        wires.push(wire);
    }
    for mut wire in wires {
        assert_eq!(wire.reply().await.unwrap().status, 200);
    }
}

/// E11: an answer that leaves before the body has come is no end of the connection for who still sends it.
#[tokio::test]
async fn clients_that_are_answered_early_may_finish() {
    let house = House::open().await;
    let body = vec![b'A'; 60_000];
    let ask = Ask::est("simpleenroll", b"").body(body.clone()).header("Connection", "close").bytes();
    let mut wire = house.est(None).await;
    wire.send(&ask[..ask.len() - body.len()]).await.unwrap();
    assert_eq!(wire.reply().await.unwrap().status, 401);
    assert!(wire.is_closed().await);
    for piece in body.chunks(1000) {
        wire.send(piece).await.unwrap();
    }
    // TLS that ends as it should, too: no reset.
    wire.stream.shutdown().await.unwrap();
    assert_eq!(wire.stream.get_mut().0.read(&mut [0]).await.unwrap(), 0);
}

/// E12: the body is called for before it is sent, and not at all when it would be refused.
#[tokio::test]
async fn expect_100_continue_is_honoured() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let key = key();
    let ask = Ask::est("simpleenroll", &request(&key)).basic(id.as_str(), &token);
    let ask = ask.header("Expect", "100-continue");
    let bytes = ask.bytes();
    let (head, body) = bytes.split_at(bytes.len() - ask.body.len());
    let mut wire = house.est(None).await;
    wire.send(head).await.unwrap();
    assert_eq!(wire.head().await.unwrap().status, 100);
    wire.send(body).await.unwrap();
    assert_eq!(wire.reply().await.unwrap().certificates().len(), 1);

    let mut stranger = house.est(None).await;
    let ask = Ask::est("simpleenroll", &request(&key)).header("Expect", "100-continue");
    let bytes = ask.bytes();
    stranger.send(&bytes[..bytes.len() - ask.body.len()]).await.unwrap();
    assert_eq!(stranger.reply().await.unwrap().status, 401);
}

/// E13.
#[tokio::test]
async fn a_wrong_method_is_told_the_right_one() {
    let house = House::open().await;
    for (method, path, allowed) in [
        ("POST", "cacerts", "GET, HEAD"),
        ("PUT", "ldev/cacerts", "GET, HEAD"),
        ("DELETE", "cacerts", "GET, HEAD"),
        ("GET", "simpleenroll", "POST"),
        ("PUT", "simpleenroll", "POST"),
        ("GET", "ldev/simplereenroll", "POST"),
        ("OPTIONS", "simplereenroll", "POST"),
    ] {
        let reply = house.ask(None, &Ask::new(method, &format!("/.well-known/est/{path}"))).await;
        assert_eq!(reply.status, 405, "{method} {path}");
        assert!(reply.head.contains(&format!("\r\nAllow: {allowed}\r\n")), "{}", reply.head);
    }
}

/// E22 and what small clients need: Title-Case names, a length and no chunks, the head within 1,024 bytes, and no
/// more than 16 headers.
#[tokio::test]
async fn heads_are_what_small_clients_can_read() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let enroll = Ask::est("simpleenroll", &request(&key()));
    let asks = [
        (200, Ask::get("/.well-known/est/cacerts")),
        (200, enroll.clone().basic(id.as_str(), &token)),
        (401, enroll.clone().header("User-Agent", "curl/8")),
        (401, enroll.clone().basic(id.as_str(), &token)),
        (404, Ask::get("/nothing")),
        (405, Ask::get("/.well-known/est/simpleenroll")),
        (415, enroll.clone().basic("", "vt_x").without("Content-Type")),
    ];
    for (status, ask) in asks {
        let reply = house.ask(None, &ask).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        let head = &reply.head;
        assert!(head.len() < 1024, "{head}");
        assert!(head.lines().count() < 18, "{head}");
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", reply.body.len())), "{head}");
        assert!(!head.to_ascii_lowercase().contains("transfer-encoding: chunked"), "{head}");
        for line in head.lines().skip(1).filter(|line| !line.is_empty()) {
            let name = line.split(':').next().unwrap();
            let title = |part: &str| part == "WWW" || part.starts_with(|c: char| c.is_ascii_uppercase());
            assert!(name.split('-').all(title), "{name}");
        }
        match status {
            200 => {
                let kind = "\r\nContent-Type: application/pkcs7-mime; smime-type=certs-only\r\n";
                assert!(head.contains(kind), "{head}");
                assert!(head.contains("\r\nContent-Transfer-Encoding: base64\r\n"), "{head}");
            }
            // E21.
            _ => {
                assert_eq!(reply.header("content-type"), Some("text/plain"));
                assert!(!reply.text().trim().is_empty());
            }
        }
    }
}

/// E10, E24: a client certificate is asked for and not demanded. The first challenge is Basic; credentials may come before any challenge and without a user name.
#[tokio::test]
async fn strangers_are_challenged_and_tokens_may_come_unasked() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let enroll = Ask::est("simpleenroll", &request(&key()));
    let reply = house.ask(None, &enroll).await;
    assert_eq!(reply.status, 401);
    // Letter by letter, as libest compares it.
    assert!(reply.head.contains("\r\nWWW-Authenticate: Basic "), "{}", reply.head);
    // Bouncy Castle's client, which sends no User-Agent, breaks off at a challenge that has a text.
    assert!(reply.head.contains("\r\nContent-Length: 0\r\n"), "{}", reply.head);
    for (name, value) in [("User-Agent", "curl/8"), ("Authorization", "Bearer x")] {
        let reply = house.ask(None, &enroll.clone().header(name, value)).await;
        assert_eq!(reply.status, 401);
        assert!(reply.text().contains("one-time token"), "{name}: {}", reply.text());
    }
    let token = house.token(&id, "ldev").await;
    assert_eq!(house.ask(None, &enroll.basic("", &token)).await.certificates().len(), 1);
}

/// The client of this program, as a device uses it: trust, enrol, renew.
#[tokio::test]
async fn the_agent_enrols_and_renews() {
    use vitae::agent::{DeviceKey, EstClient, Identity, Trust};
    use vitae::pki::certificate::Certificate;
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let chain = std::fs::read_to_string(house.dir().join("ca/chain.pem")).unwrap();
    let trust = Trust::from_pem(&chain).unwrap();
    let est = |identity: Option<&Identity>| {
        EstClient::new(house.addresses.est, "localhost", &trust, identity).unwrap()
    };
    let mut anonymous = est(None).connect().await.unwrap();
    assert_eq!(anonymous.cacerts(None).await.unwrap().len(), 4);
    let key = DeviceKey::generate().unwrap();
    let csr = key.request(Some("BR000001")).unwrap();
    let first = anonymous.enroll(None, &csr, Some((id.as_str(), &token))).await.unwrap();
    let identity = Identity { chain: vec![first.clone()], key: key.to_der() };
    let csr = DeviceKey::generate().unwrap().renewal(&Certificate::from_der(&first).unwrap()).unwrap();
    let second = est(Some(&identity)).connect().await.unwrap().reenroll(None, &csr).await.unwrap();
    let second = Certificate::from_der(&second).unwrap();
    assert_eq!(second.subject_der(), Certificate::from_der(&first).unwrap().subject_der());
    assert_eq!(house.certificates_of(&id).len(), 2);
}

/// B18: headers in which proxies tell of client certificates are not believed.
#[tokio::test]
async fn certificates_in_headers_are_not_believed() {
    let house = House::open().await;
    let (_, card): (_, Card) = house.working("BR000001").await;
    let before = house.events();
    let pem = vitae::pki::pem::encode("CERTIFICATE", &card.chain[0]).replace('\n', "");
    for name in
        ["Client-Cert", "X-SSL-Client-Cert", "X-Client-Cert", "X-Forwarded-Client-Cert", "SSL_CLIENT_CERT"]
    {
        let ask = Ask::est("simplereenroll", &request(&key())).header(name, &pem);
        assert_eq!(house.ask(None, &ask).await.status, 401, "{name}");
    }
    assert_eq!(house.events(), before);
}
