//! Where things lie in the data folder, and how files are written so that a crash leaves the old or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::ids::{CaName, ProfileName, Serial};

pub(super) fn store(dir: &Path) -> PathBuf {
    dir.join("vitae.redb")
}

pub(super) fn ca_key(dir: &Path, ca: &CaName) -> PathBuf {
    dir.join("keys").join(format!("ca-{ca}.key"))
}

/// The key of a certificate that the authority issued to itself.
pub(super) fn own_key(dir: &Path, profile: &ProfileName, ca: &CaName, serial: &Serial) -> PathBuf {
    dir.join("keys").join(format!("{profile}-{ca}-{serial}.key"))
}

pub(super) fn ca_certificate(dir: &Path, ca: &CaName) -> PathBuf {
    dir.join("ca").join(format!("{ca}.pem"))
}

pub(super) fn chain(dir: &Path) -> PathBuf {
    dir.join("ca").join("chain.pem")
}

pub(super) fn admin(dir: &Path, name: &str) -> PathBuf {
    dir.join("admin").join(name)
}

pub(super) fn crl(dir: &Path, ca: &CaName, shard: u32) -> PathBuf {
    dir.join("crl").join(format!("{ca}-{shard}.crl"))
}

/// Replaces `path` by a file that holds exactly `bytes`: written beside it, synced, then renamed.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    // The rename is only durable when the folder is.
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}
