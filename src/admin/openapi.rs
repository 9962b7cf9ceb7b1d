//! The API's own description (OpenAPI 3.1), made from the one table of its routes.

use axum::Json;
use serde_json::{Map, Value, json};

/// Every route of the API: method, path, the permission it needs, what it does. A test holds it against the router.
pub const ROUTES: [(&str, &str, Option<&str>, &str); 32] = [
    ("get", "/api/v1/devices", Some("device.read"), "List devices, newest first"),
    ("post", "/api/v1/devices", Some("device.register"), "Register a device"),
    ("get", "/api/v1/devices/{id}", Some("device.read"), "Show a device"),
    ("post", "/api/v1/devices/{id}/move", Some("device.move"), "Move a device to another stage"),
    (
        "get",
        "/api/v1/devices/{id}/history",
        Some("device.read"),
        "A device's whole life, now or as_of a time",
    ),
    ("get", "/api/v1/identities", Some("identity.read"), "List machine identities"),
    ("post", "/api/v1/identities", Some("identity.register"), "Register a machine identity"),
    ("get", "/api/v1/tokens", Some("token.read"), "List enrolment tokens"),
    ("post", "/api/v1/tokens", Some("token.issue"), "Issue a one-time enrolment token"),
    ("post", "/api/v1/tokens/{token}/cancel", Some("token.cancel"), "Cancel a token by its digest"),
    (
        "get",
        "/api/v1/approvals",
        Some("approval.read"),
        "List requests that need an approval, newest first; status and device narrow it",
    ),
    ("post", "/api/v1/approvals/{approval}/grant", Some("approval.decide"), "Approve a request"),
    ("post", "/api/v1/approvals/{approval}/deny", Some("approval.decide"), "Deny a request, with a reason"),
    (
        "post",
        "/api/v1/approvals/{approval}/cancel",
        Some("approval.decide"),
        "Cancel a request: its holder may ask anew",
    ),
    ("get", "/api/v1/certificates", Some("certificate.read"), "List certificates, newest first"),
    ("get", "/api/v1/certificates/{serial}", Some("certificate.read"), "Show a certificate"),
    ("get", "/api/v1/certificates/{serial}/pem", Some("certificate.read"), "The certificate itself, in PEM"),
    (
        "get",
        "/api/v1/certificates/{serial}/trace",
        Some("certificate.read"),
        "A certificate's story, now or as_of a time",
    ),
    ("post", "/api/v1/revocations", Some("certificate.revoke"), "Revoke certificates, all or none"),
    (
        "post",
        "/api/v1/releases",
        Some("certificate.release"),
        "Release certificates from their hold, all or none",
    ),
    ("get", "/api/v1/revocation-jobs", Some("certificate.read"), "List jobs of revocation, last asked first"),
    (
        "post",
        "/api/v1/revocation-jobs",
        Some("certificate.revoke-many"),
        "Revoke all that a selector holds of, once their number is confirmed",
    ),
    (
        "post",
        "/api/v1/revocation-jobs/dry-run",
        Some("certificate.read"),
        "What a selector holds of, and what revoking that would stop",
    ),
    ("get", "/api/v1/revocation-jobs/{job}", Some("certificate.read"), "Show a job of revocation"),
    (
        "get",
        "/api/v1/revocation-jobs/{job}/proof",
        Some("certificate.read"),
        "The signed proof of its effect",
    ),
    ("get", "/api/v1/cas", Some("ca.read"), "List the CAs"),
    (
        "get",
        "/api/v1/crls",
        Some("crl.read"),
        "List the published CRLs, complete ones and deltas, by CA and shard",
    ),
    ("post", "/api/v1/crls/{ca}", Some("crl.publish"), "Publish fresh CRLs of all shards of a CA"),
    (
        "get",
        "/api/v1/events",
        Some("events.read"),
        "Follow the record as server-sent events, from an event on; type, holder and ca narrow it",
    ),
    ("get", "/api/v1/events/hooks", Some("events.read"), "How every webhook goes"),
    ("get", "/api/v1/log", Some("log.read"), "Size and root of the ledger's Merkle tree"),
    ("post", "/api/v1/log/verify", Some("log.verify"), "Recompute the tree and every table"),
];

pub(super) async fn document() -> Json<Value> {
    let mut paths = Map::new();
    for (method, path, permission, summary) in ROUTES {
        let entry = paths.entry(path).or_insert_with(|| Value::Object(Map::new()));
        let parameters: Vec<Value> = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
            .collect();
        let operation = json!({
            "summary": summary,
            "parameters": parameters,
            "x-permission": permission,
            "responses": {
                "2XX": {"description": "Done", "content": {"application/json": {}}},
                "default": {
                    "description": "Refused; nothing was changed",
                    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                },
            },
        });
        if let Value::Object(entry) = entry {
            entry.insert(method.to_owned(), operation);
        }
    }
    let text = json!({"type": "string"});
    Json(json!({
        "openapi": "3.1.0",
        "info": {"title": "Vitae admin API", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {"schemas": {"Problem": {
            "type": "object",
            "description": "RFC 9457",
            "properties": {"type": text, "title": text, "status": {"type": "integer"}, "detail": text},
        }}},
    }))
}
