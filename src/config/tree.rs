//! Reads the files of a configuration tree, remembers their bytes and collects what is wrong with them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::error::{ConfigError, ConfigErrors};
use crate::ids::Digest;

/// A configuration folder while it is being loaded.
pub(super) struct Tree {
    dir: PathBuf,
    /// Every file that was read, by its path in the folder: the digest covers exactly these.
    read: RefCell<BTreeMap<String, Vec<u8>>>,
    problems: RefCell<Vec<ConfigError>>,
}

/// One TOML file that was read, for pointing at its lines.
pub(super) struct File<'t> {
    tree: &'t Tree,
    relative: String,
    text: String,
}

impl Tree {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), read: RefCell::default(), problems: RefCell::default() }
    }

    /// The file's bytes, or a problem recorded against it.
    pub(super) fn bytes(&self, relative: &str) -> Option<Vec<u8>> {
        match self.try_bytes(relative) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.refuse(
                    relative,
                    1,
                    format!(
                        "cannot be read ({error}): put the file back, or name another folder with --config"
                    ),
                );
                None
            }
        }
    }

    /// The file's bytes, for a caller who can point at the line that asked for them.
    pub(super) fn try_bytes(&self, relative: &str) -> std::io::Result<Vec<u8>> {
        let bytes = fs::read(self.dir.join(relative))?;
        self.read.borrow_mut().insert(relative.to_owned(), bytes.clone());
        Ok(bytes)
    }

    /// Read and parse one file; unknown keys and wrong types are recorded with the line they are on.
    pub(super) fn parse<T: DeserializeOwned>(&self, relative: &str) -> Option<(File<'_>, T)> {
        let Ok(text) = String::from_utf8(self.bytes(relative)?) else {
            self.refuse(relative, 1, "is not UTF-8: save it as UTF-8 text");
            return None;
        };
        let file = File { tree: self, relative: relative.to_owned(), text };
        match toml::from_str(&file.text) {
            Ok(raw) => Some((file, raw)),
            Err(error) => {
                file.refuse(error.span().unwrap_or(0..0), error.message());
                None
            }
        }
    }

    /// Whether there is such a file: for those that a tree may lack.
    pub(super) fn has(&self, relative: &str) -> bool {
        self.dir.join(relative).exists()
    }

    /// The names (without the ending) of the files in a folder that have it, sorted.
    pub(super) fn names(&self, folder: &str, ending: &str) -> Vec<String> {
        let entries = match fs::read_dir(self.dir.join(folder)) {
            Ok(entries) => entries,
            Err(error) => {
                let reason = format!("cannot be listed ({error}): put the folder back");
                self.refuse(folder, 1, reason);
                return Vec::new();
            }
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(ending).map(str::to_owned))
            // Editors leave hidden copies behind.
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names
    }

    pub(super) fn refuse(&self, relative: &str, line: usize, reason: impl Display) {
        let file = self.dir.join(relative).display().to_string();
        // Several lines of reason would break "one problem a line".
        let reason = reason.to_string().replace('\n', " ");
        self.problems.borrow_mut().push(ConfigError::new(file, line, reason));
    }

    /// Err when anything was recorded so far.
    pub(super) fn verdict(&self) -> Result<(), ConfigErrors> {
        let mut problems = self.problems.borrow().clone();
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by(|a, b| (a.file(), a.line()).cmp(&(b.file(), b.line())));
        Err(ConfigErrors::new(problems))
    }

    /// SHA-256 over every file read, in order of path: path, zero byte, length, bytes.
    pub(super) fn digest(&self) -> Digest {
        let mut all = Vec::new();
        for (path, bytes) in self.read.borrow().iter() {
            all.extend_from_slice(path.as_bytes());
            all.push(0);
            all.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
            all.extend_from_slice(bytes);
        }
        Digest::of(&all)
    }
}

impl File<'_> {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Record a problem at the line where `at` begins.
    pub(super) fn refuse(&self, at: Range<usize>, reason: impl Display) {
        let before = self.text.as_bytes().get(..at.start).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        self.tree.refuse(&self.relative, line, reason);
    }
}
