//! `vitae token`: one-time enrolment tokens.

use serde_json::Value;

use super::Failure;
use super::arguments::{Global, TokenCommand};
use super::client::{Admin, nothing};
use super::output::{self, or_dash};
use crate::admin::{NewTokenBody, TokenBody};
use crate::authority::TokenView;

pub(super) async fn run(global: &Global, command: TokenCommand) -> Result<(), Failure> {
    let mut admin = Admin::connect(global).await?;
    match command {
        TokenCommand::Issue { device, profile, ttl } => {
            let body = NewTokenBody { device, profile, ttl_seconds: Some(ttl.as_secs()) };
            let token: TokenBody = admin.post("/api/v1/tokens", &body).await?;
            if global.json { output::json(&token) } else { output::line(&token.token) }
        }
        TokenCommand::List { device, limit } => {
            let query = device.map(|device| format!("?device={device}")).unwrap_or_default();
            let mut tokens: Vec<TokenView> = admin.get(&format!("/api/v1/tokens{query}")).await?;
            tokens.truncate(limit.unwrap_or(usize::MAX));
            if global.json { output::json(&tokens) } else { list(&tokens) }
        }
        TokenCommand::Cancel { token } => {
            let done: Value = admin.post(&format!("/api/v1/tokens/{token}/cancel"), &nothing()).await?;
            if global.json { output::json(&done) } else { output::line(format!("cancelled {token}")) }
        }
    }
}

fn list(tokens: &[TokenView]) -> Result<(), Failure> {
    let rows: Vec<Vec<String>> = tokens
        .iter()
        .map(|token| {
            vec![
                token.token.to_string(),
                token.device.to_string(),
                token.profile.to_string(),
                token.status.clone(),
                token.expires.to_string(),
                or_dash(token.serial),
            ]
        })
        .collect();
    output::table(&["TOKEN (SHA-256)", "DEVICE", "PROFILE", "STATUS", "EXPIRES", "SPENT ON"], &rows)
}
