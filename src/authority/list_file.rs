//! A revocation list on its way into a file: written, hashed and read in pieces, so that memory does not grow with it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use aws_lc_rs::digest::{Context, SHA256};
use tempfile::SpooledTempFile;

use crate::ids::Digest;
use crate::keys::{Hashed, KeyKind, MessageHash};
use crate::pki::crl::{CrlEntry, Frame, put_entry};

/// Octets that are in memory of one list at a time.
const PIECE: usize = 256 * 1024;
/// Pieces that wait for a slower thread.
const AHEAD: usize = 4;
/// Entries up to here never touch the disk before the list does.
const SHORT: usize = 1024 * 1024;
/// A list up to here is served from memory; a longer one from its file, which is open as long as it is served.
const IN_MEMORY: u64 = 64 * 1024;

/// Rows that are handed over at once.
const BATCH: usize = 4096;

/// Encodes what is found in the record on a thread of its own: finding the next row takes about as long. `find` gives each
/// entry to its argument, until that says that nothing more can be taken.
pub(super) fn encode_beside<T>(
    encode: impl FnMut(&CrlEntry, bool, bool) -> io::Result<()> + Send,
    find: impl FnOnce(&mut dyn FnMut(CrlEntry, bool, bool) -> ControlFlow<()>) -> T,
) -> (T, io::Result<()>) {
    std::thread::scope(|scope| {
        let (rows, arrived) = mpsc::sync_channel::<Vec<(CrlEntry, bool, bool)>>(AHEAD);
        let mut encode = encode;
        let encoding = scope.spawn(move || {
            for (entry, lists, changes) in arrived.iter().flatten() {
                encode(&entry, lists, changes)?;
            }
            Ok(())
        });
        let mut batch = Vec::new();
        let found = find(&mut |entry, lists, changes| {
            batch.push((entry, lists, changes));
            if batch.len() < BATCH {
                return ControlFlow::Continue(());
            }
            // Refused when the encoder has given up, which it tells at the end.
            match rows.send(std::mem::take(&mut batch)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        let _ = rows.send(batch);
        drop(rows);
        let encoded = encoding.join().unwrap_or_else(|_| Err(io::Error::other("encoding panicked")));
        (found, encoded)
    })
}

/// The entries of a list, encoded, before anybody knows how many there will be: DER puts lengths first.
pub(super) struct Entries {
    spool: SpooledTempFile,
    piece: Vec<u8>,
    length: u64,
    pub(super) count: u64,
}

impl Entries {
    /// What does not fit into memory goes to a file without a name in `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        let spool = tempfile::spooled_tempfile_in(SHORT, folder);
        Self { spool, piece: Vec::new(), length: 0, count: 0 }
    }

    pub(super) fn add(&mut self, entry: &CrlEntry) -> io::Result<()> {
        put_entry(&mut self.piece, entry);
        self.count += 1;
        if self.piece.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.length += self.piece.len() as u64;
        self.spool.write_all(&self.piece)?;
        self.piece.clear();
        Ok(())
    }

    /// How many octets they take.
    pub(super) fn finish(&mut self) -> io::Result<u64> {
        self.flush()?;
        Ok(self.length)
    }

    fn each_piece(&mut self, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        self.spool.rewind()?;
        self.piece.resize(PIECE, 0);
        loop {
            match self.spool.read(&mut self.piece)? {
                0 => return Ok(()),
                count => each(&self.piece[..count])?,
            }
        }
    }
}

/// A list that waits for its signature.
pub(super) struct Draft {
    frame: Frame,
    entries: Entries,
    pub(super) hashed: Hashed,
}

impl Draft {
    /// `frame` is made for these entries.
    pub(super) fn new(frame: Frame, mut entries: Entries, kind: KeyKind) -> io::Result<Self> {
        let mut hash = MessageHash::new(kind);
        hash.update(frame.before());
        entries.each_piece(|piece| {
            hash.update(piece);
            Ok(())
        })?;
        hash.update(frame.after());
        Ok(Self { frame, entries, hashed: hash.finish() })
    }

    /// Writes the finished list beside the place where it is to be served; nobody sees it there.
    pub(super) fn write(mut self, to: PathBuf, signature: &[u8]) -> io::Result<Written> {
        let (begin, end) = self.frame.seal(signature).map_err(io::Error::other)?;
        let mut beside = to.as_os_str().to_owned();
        beside.push(".new");
        let beside = Beside(PathBuf::from(beside));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(&beside.0)?;
        let mut bytes = 0;
        // Hashing takes as long as writing, so it has a thread of its own, a few pieces behind.
        let digest = std::thread::scope(|scope| {
            let (pieces, arrived) = mpsc::sync_channel::<Vec<u8>>(AHEAD);
            let hashing = scope.spawn(move || {
                let mut digest = Context::new(&SHA256);
                arrived.iter().for_each(|piece| digest.update(&piece));
                digest_of(digest)
            });
            let mut put = |piece: &[u8]| {
                // Nobody takes it when hashing has panicked, which is told below.
                let _ = pieces.send(piece.to_vec());
                bytes += piece.len() as u64;
                file.write_all(piece)
            };
            put(&[&begin, self.frame.before()].concat())?;
            self.entries.each_piece(&mut put)?;
            put(&[self.frame.after(), &end].concat())?;
            drop(pieces);
            hashing.join().map_err(|_| io::Error::other("its digest could not be made"))
        })?;
        file.sync_all()?;
        Ok(Written { to, beside, file, bytes, digest })
    }
}

fn digest_of(context: Context) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    Digest::from_bytes(out)
}

/// Is removed unless it has become what it was written for.
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        // Gone already when it was renamed; what a full disk keeps is overwritten by the next list.
        let _ = fs::remove_file(&self.0);
    }
}

/// A list on the disk, complete and synced, under a name that is not served.
pub(super) struct Written {
    to: PathBuf,
    beside: Beside,
    file: File,
    pub(super) bytes: u64,
    pub(super) digest: Digest,
}

impl Written {
    pub(super) fn read_at(&self, offset: u64, length: usize) -> Option<Vec<u8>> {
        let mut out = vec![0; length];
        self.file.read_exact_at(&mut out, offset).ok().map(|()| out)
    }

    /// Puts it in the place of the one before. Durable once its folder is synced.
    pub(super) fn publish(self) -> io::Result<Content> {
        fs::rename(&self.beside.0, &self.to)?;
        Content::of(self.file, self.bytes)
    }
}

/// The bytes of a list that is served. Whoever has it reads this list to its end, whatever is published meanwhile.
#[derive(Clone, Debug)]
pub enum Content {
    Memory(Arc<[u8]>),
    File(Arc<File>),
}

impl Content {
    fn of(file: File, bytes: u64) -> io::Result<Self> {
        if bytes > IN_MEMORY {
            return Ok(Self::File(Arc::new(file)));
        }
        // At most IN_MEMORY.
        let mut all = vec![0; usize::try_from(bytes).unwrap_or(0)];
        file.read_exact_at(&mut all, 0)?;
        Ok(Self::Memory(all.into()))
    }

    /// The file of the last run, if it is to the byte what the record says: its content and length.
    pub(super) fn load(path: &Path, digest: &Digest) -> io::Result<Option<(Self, u64)>> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let (mut hash, mut bytes, mut piece) = (Context::new(&SHA256), 0, vec![0; PIECE]);
        loop {
            match file.read(&mut piece)? {
                0 => break,
                count => {
                    hash.update(&piece[..count]);
                    bytes += count as u64;
                }
            }
        }
        if digest_of(hash) != *digest {
            return Ok(None);
        }
        Ok(Some((Self::of(file, bytes)?, bytes)))
    }

    /// As many octets as `out` takes, from `offset` on. Waits for the disk.
    pub fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_exact_at(out, offset),
            Self::Memory(bytes) => {
                let begin = usize::try_from(offset).unwrap_or(usize::MAX);
                let piece = bytes.get(begin..).and_then(|rest| rest.get(..out.len()));
                out.copy_from_slice(piece.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }
}

/// Makes renames in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
