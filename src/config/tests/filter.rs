//! `filter-lifetime` and `filter-interval` of `hierarchy.toml`.

use std::time::Duration;

use super::*;

const BOTH: &str = "filter-lifetime = \"24h\"\nfilter-interval = \"1h\"";

#[test]
fn as_shipped_the_cas_of_devices_have_filters() {
    let config = load();
    let with: Vec<&str> = config
        .hierarchy()
        .cas()
        .iter()
        .filter(|ca| ca.filter().is_some())
        .map(|ca| ca.name().as_str())
        .collect();
    assert_eq!(with, ["birth", "operational"]);
    let policy = config.hierarchy().ca(&"operational".parse().unwrap()).unwrap().filter().unwrap();
    assert_eq!(
        (policy.lifetime(), policy.interval()),
        (Duration::from_secs(86_400), Duration::from_secs(3600))
    );
}

#[test]
fn half_a_policy_and_impossible_lengths_are_refused() {
    for (with, further, words) in [
        ("filter-lifetime = \"24h\"", 0, "needs filter-interval too"),
        ("filter-interval = \"1h\"", 0, "filter-interval without filter-lifetime"),
        ("filter-lifetime = \"24h\"\nfilter-interval = \"4m\"", 1, "is 5m at least"),
        ("filter-lifetime = \"24h\"\nfilter-interval = \"0s\"", 1, "is 5m at least"),
        ("filter-lifetime = \"24h\"\nfilter-interval = \"24h\"", 1, "shorter than filter-lifetime (1d)"),
    ] {
        let tree = Spoilt::new();
        let line = tree.replace("hierarchy.toml", BOTH, with) + further;
        tree.refused("hierarchy.toml", line, words);
    }
    let tree = Spoilt::new();
    tree.replace("hierarchy.toml", BOTH, "");
    assert!(tree.load().is_ok(), "no filter is a policy too");
}
