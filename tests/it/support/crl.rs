//! Fetches revocation lists as any relying party would, and believes nothing that is not signed.

use vitae::clock::Timestamp;
use vitae::ids::Serial;
use vitae::pki::crl::{self, Scope};

use super::House;
use super::wire::Ask;

/// A list, or all lists of a CA together.
#[derive(Clone, Debug)]
pub(crate) struct List {
    /// The highest.
    pub(crate) number: u64,
    pub(crate) base: Option<u64>,
    /// The last.
    pub(crate) this_update: Timestamp,
    /// The first.
    pub(crate) next_update: Timestamp,
    pub(crate) entries: Vec<(Serial, Timestamp, u8)>,
    pub(crate) scope: Option<Scope>,
    pub(crate) freshest: Vec<String>,
    pub(crate) der: Vec<u8>,
}

impl List {
    /// `None`: not listed.
    pub(crate) fn reason_of(&self, serial: Serial) -> Option<u8> {
        self.entries.iter().find(|entry| entry.0 == serial).map(|entry| entry.2)
    }
}

impl House {
    /// Everything that is published of a CA: the lists of all its shards, each of which names its own URL and is listed
    /// nowhere else.
    pub(crate) async fn crl(&self, ca: &str) -> List {
        let ca_of = self.authority.ca(&ca.parse().unwrap()).unwrap();
        // The template of houses was made with more shards than a policy may say now; those that nobody names run out.
        let is_used = |shard: u32, entries: u64| shard < ca_of.settings().crl_shards() || entries > 0;
        let lists = ca_of.lists();
        let used = lists.iter().filter(|(shard, lists)| is_used(**shard, lists.complete.entries));
        let shards: Vec<u32> = used.map(|(shard, _)| *shard).collect();
        let mut all: Option<List> = None;
        for shard in shards {
            let list = self.shard(ca, shard).await;
            all = Some(match all {
                None => list,
                Some(all) => List {
                    number: all.number.max(list.number),
                    this_update: all.this_update.max(list.this_update),
                    next_update: all.next_update.min(list.next_update),
                    entries: [all.entries, list.entries].concat(),
                    ..list
                },
            });
        }
        all.expect("a CA has a list")
    }

    /// The complete list of one shard.
    pub(crate) async fn shard(&self, ca: &str, shard: u32) -> List {
        let list = self.fetched(ca, &format!("/crl/{ca}/{shard}.crl")).await.expect("there is a list");
        assert_eq!(list.base, None, "C07");
        assert!(list.entries.iter().all(|entry| entry.2 != 8), "C12");
        list
    }

    /// The delta list of one shard.
    pub(crate) async fn delta(&self, ca: &str, shard: u32) -> Option<List> {
        let list = self.fetched(ca, &format!("/crl/{ca}/{shard}-delta.crl")).await?;
        assert!(list.base.is_some() && list.freshest.is_empty(), "C07, C13");
        Some(list)
    }

    async fn fetched(&self, ca: &str, path: &str) -> Option<List> {
        let reply = self.status_door(&Ask::get(path)).await;
        if reply.status == 404 {
            return None;
        }
        assert_eq!(reply.status, 200);
        let der = reply.body;
        crl::verify_signed_by(&der, &self.ca_certificate(ca).public_key().unwrap()).unwrap();
        let mut entries = Vec::new();
        let summary = crl::parse_each(&der, |entry| {
            entries.push((entry.own_serial().unwrap(), entry.revoked_at, entry.reason.unwrap_or(0)));
        })
        .unwrap();
        let config = self.authority.config();
        let url = format!("{}{}", config.server().status_url(), path.replace("-delta", ""));
        match &summary.scope {
            Some(scope) => assert!(scope.names.contains(&url), "C14: {url} is not among {:?}", scope.names),
            None => {
                let settings = config.hierarchy().ca(&ca.parse().unwrap()).unwrap();
                assert_eq!(settings.crl_shards(), 1, "a list that is not the only one names its scope");
            }
        }
        Some(List {
            number: summary.number.unwrap(),
            base: summary.base,
            this_update: summary.this_update,
            next_update: summary.next_update.unwrap(),
            entries,
            scope: summary.scope,
            freshest: summary.freshest,
            der,
        })
    }
}
