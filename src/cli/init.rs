//! `vitae init`: makes an authority.

use std::sync::Arc;

use super::arguments::Global;
use super::{Failure, output};
use crate::authority;
use crate::clock::{SystemClock, SystemRandom};
use crate::config::Config;

pub(super) async fn run(global: &Global) -> Result<(), Failure> {
    let config = Arc::new(Config::load(global.config())?);
    authority::init(global.dir(), config, Arc::new(SystemClock), Arc::new(SystemRandom)).await?;
    let dir = global.dir().display();
    if global.json {
        return output::json(&serde_json::json!({ "dir": global.dir() }));
    }
    output::line(format!("Made an authority in {dir}."))?;
    output::line(format!("  {dir}/ca/chain.pem      what clients trust"))?;
    output::line(format!("  {dir}/admin/admin.pem   the first admin credential, with admin.key"))?;
    output::line(format!("  {dir}/keys/             private keys: back them up, show them to nobody"))?;
    let config = match &global.config {
        Some(config) => format!(" --config {}", config.display()),
        None => String::new(),
    };
    output::line(format!("Start it: vitae serve --dir {dir}{config}"))
}
