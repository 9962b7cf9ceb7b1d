//! Where things lie in the data folder, and how files are written so that a crash leaves the old or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::ids::{CaName, HookName, ProfileName, Serial};

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

/// Removes the keys that the one of `keep` has replaced, and those that a crash left without a certificate.
pub(super) fn remove_older_keys(dir: &Path, profile: &ProfileName, ca: &CaName, keep: &Serial) {
    let prefix = format!("{profile}-{ca}-");
    let kept = format!("{prefix}{keep}.key");
    let Ok(entries) = fs::read_dir(dir.join("keys")) else { return };
    for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        // The rest is the serial number alone: 'update' is no prefix of 'update-root' here.
        let is_serial = name
            .strip_prefix(&prefix)
            .and_then(|rest| rest.strip_suffix(".key"))
            .is_some_and(|serial| serial.parse::<Serial>().is_ok());
        if is_serial && name != kept {
            // A key that stays is of no use to anybody but a thief, and is tried again at the next renewal.
            let _ = fs::remove_file(dir.join("keys").join(&name));
        }
    }
}

/// The secrets that are shared with devices, to encrypt the keys that are made for them.
pub(super) fn shared_secrets(dir: &Path) -> PathBuf {
    dir.join("keys").join("transport")
}

/// The secrets that webhooks are signed with.
pub(super) fn hook_secrets(dir: &Path) -> PathBuf {
    dir.join("keys").join("hooks")
}

/// How far a webhook has been told.
pub(super) fn hook_position(dir: &Path, hook: &HookName) -> PathBuf {
    dir.join("hooks").join(format!("{hook}.json"))
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

/// The folder of the published lists.
pub(super) fn crls(dir: &Path) -> PathBuf {
    dir.join("crl")
}

pub(super) fn crl(dir: &Path, ca: &CaName, shard: u32) -> PathBuf {
    crls(dir).join(format!("{ca}-{shard}.crl"))
}

pub(super) fn delta_crl(dir: &Path, ca: &CaName, shard: u32) -> PathBuf {
    crls(dir).join(format!("{ca}-{shard}-delta.crl"))
}

pub(super) fn filter(dir: &Path, ca: &CaName) -> PathBuf {
    dir.join("crl").join(format!("{ca}.filter"))
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
