//! `vitae transport-key`: secrets that devices and the authority share.

use super::arguments::{Global, TransportKeyCommand};
use super::{Failure, output};
use crate::authority::add_transport_key;
use crate::clock::SystemRandom;

pub(super) fn run(global: &Global, command: &TransportKeyCommand) -> Result<(), Failure> {
    let TransportKeyCommand::Add { name } = command;
    let secret = add_transport_key(global.dir(), name, &SystemRandom)?;
    if global.json {
        return output::json(&serde_json::json!({ "name": name, "secret": *secret }));
    }
    output::line(secret.as_str())
}
