//! Requests that wait for an operator: what the policy must say about them.

use super::Spoilt;

/// The matrix and the profile together: the key of serverkeygen would be lost while the request waits.
#[test]
fn a_stage_with_approval_goes_with_no_server_key() {
    let tree = Spoilt::new();
    tree.replace("profiles/ldev.toml", "channel-binding", "server-key = \"p256\"\nchannel-binding");
    tree.load().unwrap_or_else(|errors| panic!("{errors}"));
    let line =
        tree.replace("lifecycle.toml", "\"issue when claimed\"", "\"issue when claimed with approval\"");
    tree.refused("lifecycle.toml", line, "has a server-key");
}

#[test]
fn how_long_requests_wait_for_approval_is_written_down() {
    for key in ["approval-expiry", "approval-retry"] {
        let tree = Spoilt::new();
        tree.replace("vitae.toml", &format!("\n{key} ="), &format!("\n# {key} ="));
        let errors = tree.load().unwrap_err().to_string();
        assert!(errors.contains(&format!("missing field `{key}`")), "{errors}");
    }
}
