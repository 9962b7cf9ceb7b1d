//! Makes a secret that devices and the authority share, to encrypt the keys that are made for them.

use std::path::Path;

use zeroize::Zeroizing;

use super::files;
use crate::clock::Random;
use crate::keys::KeyError;
use crate::keys::shared::{self, BadSecretName};

#[derive(Debug, thiserror::Error)]
pub enum TransportKeyRefused {
    #[error("{dir} holds no authority: run 'vitae init --dir {dir}' first")]
    NotInitialised { dir: String },
    #[error(transparent)]
    BadName(#[from] BadSecretName),
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Keeps 32 random octets as the secret `name` of the authority in `dir`, and gives them in base64. A running server
/// knows it at once.
pub fn add_transport_key(
    dir: &Path,
    name: &str,
    random: &dyn Random,
) -> Result<Zeroizing<String>, TransportKeyRefused> {
    if !files::store(dir).exists() {
        return Err(TransportKeyRefused::NotInitialised { dir: dir.display().to_string() });
    }
    let name = name.parse()?;
    let mut secret = Zeroizing::new([0; 32]);
    random.fill(&mut *secret);
    Ok(shared::add(&files::shared_secrets(dir), &name, &secret)?)
}
