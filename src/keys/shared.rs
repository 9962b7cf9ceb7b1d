//! Secrets that are shared with devices, to encrypt the keys that are made for them (RFC 7030 section 4.4.1.1). Each is
//! a file of its own, `NAME.key`: 16 or 32 octets, an AES key, in base64 on one line.

use std::fmt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{KeyError, file};

/// Octets of the identifier that requests name a secret by.
const LONGEST_NAME: usize = 64;

/// What a secret is called, in its file's name and in requests. Nothing in it can lead to another folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretName(String);

/// The text is no name of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a shared secret has a name of 1 to {LONGEST_NAME} letters, digits, dashes and underscores, and it begins with a letter or digit"
)]
pub struct BadSecretName;

impl FromStr for SecretName {
    type Err = BadSecretName;

    fn from_str(text: &str) -> Result<Self, BadSecretName> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let begins = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if begins && text.len() <= LONGEST_NAME && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadSecretName)
        }
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl SecretName {
    /// Where the secret is kept.
    pub fn file(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.key", self.0))
    }
}

/// Reads a secret. `None`: there is none of this name.
pub fn load(folder: &Path, name: &SecretName) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    let path = name.file(folder);
    if !path.exists() {
        return Ok(None);
    }
    let text = file::read(&path, "a shared secret")?;
    let secret = STANDARD.decode(text.trim_ascii()).map(Zeroizing::new);
    match secret {
        Ok(secret) if [16, 32].contains(&secret.len()) => Ok(Some(secret)),
        _ => Err(KeyError::Unreadable {
            path: path.display().to_string(),
            reason: "it does not hold 16 or 32 octets in base64".to_owned(),
        }),
    }
}

/// Keeps a new secret and gives it in base64, as it is in its file. The folder is made when it is missing.
pub fn add(folder: &Path, name: &SecretName, secret: &[u8; 32]) -> Result<Zeroizing<String>, KeyError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| KeyError::Unwritable {
        path: folder.display().to_string(),
        reason: error.to_string(),
    })?;
    let text = Zeroizing::new(STANDARD.encode(secret));
    file::write_new(&name.file(folder), text.as_bytes())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn name(text: &str) -> SecretName {
        text.parse().unwrap()
    }

    /// No name leads out of the folder or to a file of another kind.
    #[test]
    fn names_are_names_and_not_paths() {
        for good in ["fleet-7", "A", "0_1", &"a".repeat(64)] {
            assert_eq!(name(good).file(Path::new("/x")), Path::new(&format!("/x/{good}.key")));
        }
        let too_long = "a".repeat(65);
        for bad in [
            "",
            ".",
            "..",
            "-a",
            "_a",
            "a.b",
            "a/b",
            "../ca-root",
            "/etc/passwd",
            "a b",
            "é",
            "a\0",
            &too_long,
        ] {
            assert_eq!(bad.parse::<SecretName>(), Err(BadSecretName), "{bad}");
        }
    }

    #[test]
    fn a_secret_comes_back_and_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("transport");
        assert_eq!(load(&folder, &name("fleet-7")).unwrap(), None);
        let text = add(&folder, &name("fleet-7"), &[7; 32]).unwrap();
        assert_eq!(load(&folder, &name("fleet-7")).unwrap().unwrap().as_slice(), [7; 32]);
        assert!(add(&folder, &name("fleet-7"), &[8; 32]).is_err());
        assert_eq!(fs::read_to_string(folder.join("fleet-7.key")).unwrap(), *text);
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(folder.join("fleet-7.key")).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn files_that_are_no_secrets_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        for (content, mode, good) in [
            (STANDARD.encode([1; 16]) + "\n", 0o600, true),
            (STANDARD.encode([1; 32]), 0o400, true),
            (STANDARD.encode([1; 32]), 0o640, false),
            (STANDARD.encode([1; 24]), 0o600, false),
            (String::new(), 0o600, false),
            ("not base64!".to_owned(), 0o600, false),
        ] {
            fs::write(&path, &content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(load(folder.path(), &name("a")).is_ok(), good, "{content} {mode:o}");
            fs::remove_file(&path).unwrap();
        }
    }
}
