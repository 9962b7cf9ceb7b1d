//! The fuzz targets for some seconds: every seed, then a fixed number of inputs that are made from seeds.
//!
//! The same bodies that `scripts/fuzz` runs for as long as one likes, but in this binary and without feedback from
//! coverage: an instrumented build takes minutes, and this takes none.

#[allow(unreachable_pub, reason = "they are a library of their own too")]
#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vitae::ids::Digest;

/// Inputs made from seeds, for each target.
const RUNS: usize = 5000;
/// A slow machine runs fewer.
const LONGEST: Duration = Duration::from_secs(10);

type Check = fn(&[u8]) -> bool;

struct Seed {
    name: String,
    bytes: Vec<u8>,
}

fn seeds(target: &str) -> Vec<Seed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut seeds: Vec<Seed> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            Seed { name, bytes: fs::read(entry.path()).unwrap() }
        })
        .collect();
    seeds.sort_by(|a, b| a.name.cmp(&b.name));
    seeds
}

/// Leaves the input of a broken target where `scripts/fuzz` leaves its own, and says how to see it again.
fn run(target: &str, check: Check, input: &[u8]) -> bool {
    catch_unwind(|| check(input)).unwrap_or_else(|_| {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/fuzz/artifacts").join(target);
        let file = folder.join(format!("smoke-{:.16}", Digest::of(input).to_string()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(&file, input).unwrap();
        panic!("{target} broke: replay it by 'scripts/fuzz --replay {target} {}'", file.display());
    })
}

/// Numbers that look like any others and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// What DER, base64 and HTTP turn on.
const TELLING: &[u8] = b"\0\x01\x02\x03\x04\x05\x06\x0c\x13\x16\x17\x18\x30\x31\x7f\x80\x81\x82\x84\xa0\xa1\xa2\xff \t\r\n/%+=:;@";

fn mutated(seeds: &[Seed], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = seeds[numbers.below(seeds.len())].bytes.clone();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        let until = at + numbers.below((bytes.len() - at).min(32) + 1);
        match numbers.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
            1 if at < bytes.len() => bytes[at] = TELLING[numbers.below(TELLING.len())],
            2 => bytes.insert(at, TELLING[numbers.below(TELLING.len())]),
            3 => drop(bytes.drain(at..until)),
            4 => {
                let again = bytes[at..until].to_vec();
                drop(bytes.splice(at..at, again));
            }
            5 => {
                let other = &seeds[numbers.below(seeds.len())].bytes;
                let from = numbers.below(other.len());
                bytes.splice(at..until, other[from..].iter().take(64).copied());
            }
            _ => bytes.truncate(at.max(1)),
        }
    }
    bytes
}

/// B36 and what each target says besides. Seeds tell by their names whether they are to be taken.
fn smoke(target: &str, check: Check) {
    let seeds = seeds(target);
    let (mut good, mut bad) = (0, 0);
    for seed in &seeds {
        let taken = run(target, check, &seed.bytes);
        if seed.name.starts_with("good-") {
            assert!(taken, "{target}: {} is not taken", seed.name);
            good += 1;
        } else if seed.name.starts_with("bad-") {
            assert!(!taken, "{target}: {} is taken", seed.name);
            bad += 1;
        }
    }
    assert!(good > 1 && bad > 0, "{target} has {good} good and {bad} bad seeds");
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let begun = Instant::now();
    let mut taken = 0;
    for _ in 0..RUNS {
        taken += usize::from(run(target, check, &mutated(&seeds, &mut numbers)));
        if begun.elapsed() > LONGEST {
            break;
        }
    }
    assert!(
        taken > 0,
        "{target}: not one changed input was taken, so nothing behind the first check was tried"
    );
}

macro_rules! smokes {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                smoke(stringify!($target), targets::$target::check);
            }
        )*

        /// A target without a test, or seeds without a target, would never be run here.
        #[test]
        fn every_target_is_here() {
            let manifest = fs::read_to_string("fuzz/Cargo.toml").unwrap();
            let bins = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/"));
            let mut bins: Vec<&str> = bins.filter_map(|line| line.strip_suffix(".rs\"")).collect();
            let mut here = vec![$(stringify!($target)),*];
            let folders = fs::read_dir("fuzz/seeds").unwrap();
            let mut folders: Vec<_> =
                folders.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            bins.sort_unstable();
            here.sort_unstable();
            folders.sort_unstable();
            assert_eq!(bins, here);
            assert_eq!(folders, here);
        }
    };
}

smokes! { est_body est_door basic csr csr_attributes cms certificate ocsp_request ocsp_door selector filter }
