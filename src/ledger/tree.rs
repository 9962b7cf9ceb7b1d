//! The Merkle tree of RFC 6962 section 2.1 over SHA-256, kept as its frontier: what an append needs and no more.

use aws_lc_rs::digest::{Context, SHA256};

use crate::ids::Digest;

/// The hash of one entry: SHA-256 of a zero byte and the entry.
pub fn leaf_hash(entry: &[u8]) -> Digest {
    hash(&[&[0x00], entry])
}

/// The hash of two subtrees: SHA-256 of a one byte and both; the first byte keeps a node from passing for a leaf.
fn node_hash(left: &Digest, right: &Digest) -> Digest {
    hash(&[&[0x01], left.as_bytes(), right.as_bytes()])
}

fn hash(parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    Digest::from_bytes(out)
}

/// The right edge of a tree: the roots of its complete subtrees, the largest first.
///
/// There is one for each bit set in `size`, so a tree of a thousand million entries is at most 30 digests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Digest>,
}

impl Frontier {
    /// How many entries the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn append(&mut self, leaf: Digest) {
        let mut peak = leaf;
        // Each bit that the increment carries over is a pair of equal subtrees that become one.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                peak = node_hash(&left, &peak);
            }
        }
        self.peaks.push(peak);
        self.size += 1;
    }

    /// The root of the whole tree; without entries, the SHA-256 of nothing.
    pub fn root(&self) -> Digest {
        let smallest_first = self.peaks.iter().rev().copied();
        smallest_first.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(|| Digest::of(b""))
    }

    /// The stored form: the size (8 bytes, big-endian), then the peaks.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.size.to_be_bytes().to_vec();
        for peak in &self.peaks {
            out.extend_from_slice(peak.as_bytes());
        }
        out
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadFrontier> {
        let (size, rest) = bytes.split_first_chunk::<8>().ok_or(BadFrontier(bytes.len()))?;
        let size = u64::from_be_bytes(*size);
        let (peaks, odd) = rest.as_chunks::<32>();
        if !odd.is_empty() || peaks.len() != size.count_ones() as usize {
            return Err(BadFrontier(bytes.len()));
        }
        Ok(Self { size, peaks: peaks.iter().copied().map(Digest::from_bytes).collect() })
    }
}

/// The bytes are not the stored form of a frontier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes are not the frontier of a tree: a size and one digest for each of its set bits")]
pub struct BadFrontier(usize);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use proptest::prelude::*;
    use sha2::Sha256;

    use super::*;

    /// The entries and roots that the reference implementation of Certificate Transparency tests itself with.
    const ENTRIES: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn the_published_roots_come_out() {
        let mut tree = Frontier::default();
        assert_eq!(
            tree.root().to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        for (entry, root) in ENTRIES.iter().zip(ROOTS) {
            tree.append(leaf_hash(entry));
            assert_eq!(tree.root().to_string(), root, "after {} entries", tree.size());
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let mut tree = Frontier::default();
        (0..5).for_each(|n| tree.append(leaf_hash(&[n])));
        let good = tree.to_bytes();
        for cut in 0..good.len() {
            assert!(Frontier::from_bytes(&good[..cut]).is_err(), "cut at {cut}");
        }
        assert!(Frontier::from_bytes(&[good.as_slice(), &[0; 32]].concat()).is_err());
        assert!(Frontier::from_bytes(&[good.as_slice(), &[0]].concat()).is_err());
        assert!(Frontier::from_bytes(&[0; 8]).is_ok());
        assert!(Frontier::from_bytes(&[0xff; 8]).is_err());
    }

    proptest! {
        #[test]
        fn agrees_with_another_implementation(entries in prop::collection::vec(any::<Vec<u8>>(), 0..200)) {
            let mut ours = Frontier::default();
            let mut oracle = MemoryBackedTree::<Sha256, Vec<u8>>::new();
            for entry in entries {
                ours.append(leaf_hash(&entry));
                oracle.push(entry);
                prop_assert_eq!(ours.root().as_bytes().to_vec(), oracle.root().as_bytes().to_vec());
            }
            prop_assert_eq!(ours.size(), oracle.len());
        }

        /// Storing and loading between any two appends changes nothing, so neither does the grouping of commits.
        #[test]
        fn pauses_do_not_matter(pauses in prop::collection::vec(any::<bool>(), 0..300)) {
            let mut steady = Frontier::default();
            let mut paused = Frontier::default();
            for (n, pause) in pauses.into_iter().enumerate() {
                let leaf = leaf_hash(&n.to_be_bytes());
                steady.append(leaf);
                paused.append(leaf);
                if pause {
                    paused = Frontier::from_bytes(&paused.to_bytes()).unwrap();
                }
            }
            prop_assert_eq!(steady.root(), paused.root());
            prop_assert_eq!(steady, paused);
        }
    }
}
