//! Files that hold a secret: readable by their owner alone, and never overwritten.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use super::KeyError;

/// A key file of any kind is far smaller; more is not read.
const LONGEST_FILE: u64 = 16 * 1024;

/// Reads a file that nobody else can read. `form` is what it should hold, in words.
pub(super) fn read(path: &Path, form: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let unreadable = |reason: String| KeyError::Unreadable { path: path.display().to_string(), reason };
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    // Asked of the open file, so that nobody can swap it in between.
    let metadata = file.metadata().map_err(|error| unreadable(error.to_string()))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::TooOpen { path: path.display().to_string(), mode });
    }
    if !metadata.is_file() || metadata.len() > LONGEST_FILE {
        return Err(unreadable(format!("it is not {form}")));
    }
    // Reserved whole, so that growing leaves no copy of the key behind.
    let mut text = Zeroizing::new(Vec::with_capacity(LONGEST_FILE as usize));
    file.take(LONGEST_FILE).read_to_end(&mut text).map_err(|error| unreadable(error.to_string()))?;
    Ok(text)
}

/// Writes a new file. An existing one is never touched: it may be the only copy of another key.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let unwritable = |reason: String| KeyError::Unwritable { path: path.display().to_string(), reason };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let file = file.map_err(|error| {
        unwritable(match error.kind() {
            io::ErrorKind::AlreadyExists => "it exists already; a key is never overwritten".to_owned(),
            _ => error.to_string(),
        })
    })?;
    write_durably(file, path, bytes).map_err(|error| {
        // Half a key helps nobody and would stand in the way of the next attempt.
        let _ = std::fs::remove_file(path);
        unwritable(error.to_string())
    })
}

/// The directory too: without it the name may be gone after a power cut, though the bytes are there.
fn write_durably(mut file: File, path: &Path, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
