//! What the device keeps: one file with key and certificate, replaced as a whole, and the key of a request under way.
//!
//! A request that was sent may have been answered without the device hearing it. The key it was made with is therefore
//! kept until the certificate is: asked again with the same key, the server gives the same certificate. Two programs at
//! work on one folder would ask with two keys, and the device would be taken for two: each locks it first.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::request::{DeviceKey, RequestError};
use crate::http::Identity;
use crate::pki::certificate::{Certificate, ParseError};
use crate::pki::csr_attributes::CsrAttributes;
use crate::pki::pem::{self, PemError};

/// The device's folder.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

/// A certificate in use.
pub struct Enrolled {
    pub identity: Identity,
    pub certificate: Certificate,
}

/// A device's folder, for this program alone. The system gives it back when the program ends, however it ends.
#[derive(Debug)]
pub struct Locked {
    _file: File,
}

#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    #[error("cannot use {path}: {source}")]
    File { path: String, source: io::Error },
    #[error("{path} holds no certificate with its key: {reason}")]
    Unusable { path: String, reason: String },
    #[error("another agent is at work in {path}: two would ask with two keys; let it finish, or end it")]
    InUse { path: String },
    #[error(transparent)]
    Key(#[from] RequestError),
}

impl Home {
    pub fn at(dir: &Path) -> Result<Self, HomeError> {
        fs::create_dir_all(dir).map_err(|source| file_error(dir, source))?;
        Ok(Self(dir.to_owned()))
    }

    /// To be held from before the certificate in use is read until the next one is in use. It does not wait: whoever
    /// has the folder may be waiting for people.
    pub fn lock(&self) -> Result<Locked, HomeError> {
        let path = self.0.join("lock");
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = open.map_err(|source| file_error(&path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Locked { _file: file }),
            Err(TryLockError::WouldBlock) => Err(HomeError::InUse { path: self.0.display().to_string() }),
            Err(TryLockError::Error(source)) => Err(file_error(&path, source)),
        }
    }

    /// Key and certificate, for this agent and for other programs of the device.
    pub fn identity_file(&self) -> PathBuf {
        self.0.join("identity.pem")
    }

    /// The certificate in use; `None` before the first enrolment.
    pub fn enrolled(&self) -> Result<Option<Enrolled>, HomeError> {
        let path = self.identity_file();
        match read(&path) {
            Ok(text) => Ok(Some(parse(&path, &text)?)),
            Err(HomeError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a request is under way, or was when the device stopped.
    pub fn has_next_key(&self) -> bool {
        self.next_key_file().exists()
    }

    /// The key of the next request: that of one under way, or a new one as the server wishes, on disk before it is used.
    pub fn next_key(&self, wishes: &CsrAttributes) -> Result<DeviceKey, HomeError> {
        let path = self.next_key_file();
        let kept = match read(&path) {
            Ok(text) => Some(DeviceKey::from_pem(&text)?),
            Err(HomeError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        // A power cut may come between the two steps of taking a certificate into use: its key is not the next one. A
        // file that cannot be read holds no key in use.
        let used = self.enrolled().ok().flatten().map(|enrolled| enrolled.identity.key);
        if let Some(key) = kept.filter(|key| used != Some(key.to_der())) {
            return Ok(key);
        }
        let key = DeviceKey::wanted(wishes)?;
        replace(&path, key.to_pem().as_bytes())?;
        Ok(key)
    }

    /// Puts the key of the next request aside, because the server takes it no more. Where it is now, for whoever finds
    /// that it was needed after all.
    pub fn put_next_key_aside(&self) -> Result<PathBuf, HomeError> {
        let (path, aside) = (self.next_key_file(), self.0.join("refused.key"));
        fs::rename(&path, &aside).map_err(|source| file_error(&path, source))?;
        Ok(aside)
    }

    /// Takes the certificate into use that was issued for the next key.
    pub fn take_into_use(&self, key: &DeviceKey, certificate: &[u8]) -> Result<(), HomeError> {
        let text = Zeroizing::new(format!("{}{}", *key.to_pem(), pem::encode("CERTIFICATE", certificate)));
        replace(&self.identity_file(), text.as_bytes())?;
        let path = self.next_key_file();
        fs::remove_file(&path).map_err(|source| file_error(&path, source))
    }

    fn next_key_file(&self) -> PathBuf {
        self.0.join("next.key")
    }
}

/// A certificate and its key in one PEM file.
pub fn read_identity(path: &Path) -> Result<Enrolled, HomeError> {
    parse(path, &read(path)?)
}

fn parse(path: &Path, text: &str) -> Result<Enrolled, HomeError> {
    let unusable = |reason: String| HomeError::Unusable { path: path.display().to_string(), reason };
    let chain = pem::certificates(text).map_err(|error: PemError| unusable(error.to_string()))?;
    let leaf = chain.first().ok_or_else(|| unusable("no certificate".to_owned()))?;
    let certificate = Certificate::from_der(leaf).map_err(|error: ParseError| unusable(error.to_string()))?;
    let key = DeviceKey::from_pem(text).map_err(|error| unusable(error.to_string()))?;
    Ok(Enrolled { identity: Identity { chain, key: key.to_der() }, certificate })
}

fn read(path: &Path) -> Result<Zeroizing<String>, HomeError> {
    fs::read_to_string(path).map(Zeroizing::new).map_err(|source| file_error(path, source))
}

/// The old file or the new one, whatever happens in between; readable by its owner alone.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), HomeError> {
    let beside = path.with_extension("new");
    let write = || {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|source| file_error(path, source))
}

fn file_error(path: &Path, source: io::Error) -> HomeError {
    HomeError::File { path: path.display().to_string(), source }
}
