//! Signed OCSP answers, kept until the status of their certificate changes, they grow old, or others need the room.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hyper::body::Bytes;
use hyper::header::HeaderValue;

use crate::authority::Grounds;
use crate::clock::Timestamp;

/// Parts that lock by themselves: several for each core of a large machine.
const PARTS: usize = 64;
/// No client sends this much without a nonce for one certificate; longer requests are answered but not kept.
const LONGEST_REQUEST: usize = 512;
/// What an answer takes beside its bytes and its request: counters, places in the tables, the list of its grounds.
const BESIDE: usize = 400;

/// An answer as it is sent.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) body: Bytes,
    pub(super) cache_control: HeaderValue,
    pub(super) etag: HeaderValue,
    pub(super) last_modified: HeaderValue,
    pub(super) expires: HeaderValue,
    /// When the record last agreed with it, to the second: what If-Modified-Since is held against.
    pub(super) this_update: Timestamp,
    /// Sign anew from here on.
    pub(super) stale_from: Timestamp,
    pub(super) grounds: Grounds,
    /// Asked for since the last search for room.
    pub(super) used: AtomicBool,
}

impl Kept {
    fn is_good(&self, now: Timestamp) -> bool {
        self.grounds.are_current() && now < self.stale_from
    }

    fn weight(&self, request: &[u8]) -> usize {
        self.body.len() + request.len() + BESIDE + 48 * self.grounds.count()
    }
}

/// From the bytes of a request to its answer, in a bounded number of bytes.
#[derive(Debug)]
pub(super) struct Cache {
    parts: Box<[RwLock<Part>]>,
    hasher: RandomState,
    /// Bytes of one part.
    most: usize,
}

#[derive(Debug, Default)]
struct Part {
    answers: HashMap<Arc<[u8]>, Arc<Kept>>,
    /// In the order in which they came or were given another round: the next to go is in front.
    queue: VecDeque<Arc<[u8]>>,
    weight: usize,
}

impl Cache {
    /// `bytes` bounds what all answers take together; 0 keeps none.
    pub(super) fn new(bytes: usize) -> Self {
        let parts = std::iter::repeat_with(RwLock::default).take(PARTS).collect();
        Self { parts, hasher: RandomState::new(), most: bytes / PARTS }
    }

    /// The answer, unless the status of what it speaks of has changed since it was signed (B24) or it is stale.
    pub(super) fn get(&self, request: &[u8], now: Timestamp) -> Option<Arc<Kept>> {
        let kept = read(self.part(request)).answers.get(request).cloned()?;
        if !kept.is_good(now) {
            return None;
        }
        // Written only when it changes: a line that all cores read is not to be taken from them each time.
        if !kept.used.load(Ordering::Relaxed) {
            kept.used.store(true, Ordering::Relaxed);
        }
        Some(kept)
    }

    pub(super) fn put(&self, request: &[u8], answer: Arc<Kept>, now: Timestamp) {
        let weight = answer.weight(request);
        if request.len() > LONGEST_REQUEST || weight > self.most {
            return;
        }
        let mut part = write(self.part(request));
        part.make_room(self.most - weight, now);
        let request: Arc<[u8]> = request.into();
        part.weight += weight;
        match part.answers.insert(Arc::clone(&request), answer) {
            Some(old) => part.weight -= old.weight(&request),
            None => part.queue.push_back(request),
        }
    }

    fn part(&self, request: &[u8]) -> &RwLock<Part> {
        let hash = self.hasher.hash_one(request);
        // The remainder is below the number of parts, which is far below that of any address.
        &self.parts[usize::try_from(hash % PARTS as u64).unwrap_or(0)]
    }

    #[cfg(test)]
    fn weight(&self) -> usize {
        self.parts.iter().map(|part| read(part).weight).sum()
    }
}

impl Part {
    /// Second chance: what was asked for since it was last looked at stays for another round, if it is still good.
    fn make_room(&mut self, most: usize, now: Timestamp) {
        let mut rounds = self.queue.len() * 2;
        while self.weight > most {
            let Some(request) = self.queue.pop_front() else { return };
            let Some(kept) = self.answers.get(&request) else { continue };
            rounds = rounds.saturating_sub(1);
            if rounds > 0 && kept.used.swap(false, Ordering::Relaxed) && kept.is_good(now) {
                self.queue.push_back(request);
                continue;
            }
            self.weight -= kept.weight(&request);
            self.answers.remove(&request);
        }
    }
}

fn read(part: &RwLock<Part>) -> RwLockReadGuard<'_, Part> {
    part.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(part: &RwLock<Part>) -> RwLockWriteGuard<'_, Part> {
    part.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answer(length: usize) -> Arc<Kept> {
        let none = HeaderValue::from_static("");
        Arc::new(Kept {
            body: vec![7; length].into(),
            cache_control: none.clone(),
            etag: none.clone(),
            last_modified: none.clone(),
            expires: none,
            this_update: Timestamp::EPOCH,
            stale_from: Timestamp::EPOCH + Duration::from_secs(60),
            grounds: Grounds::default(),
            used: AtomicBool::new(false),
        })
    }

    fn request(number: u32) -> [u8; 80] {
        let mut request = [0x30; 80];
        request[76..].copy_from_slice(&number.to_be_bytes());
        request
    }

    /// However many are asked for, the bytes stay below the bound, and what is asked for again and again stays.
    #[test]
    fn memory_is_bounded_and_the_popular_stay() {
        let now = Timestamp::EPOCH;
        let cache = Cache::new(1 << 20);
        let popular = request(u32::MAX);
        cache.put(&popular, answer(1000), now);
        for number in 0..20_000 {
            cache.put(&request(number), answer(1000), now);
            assert!(cache.get(&popular, now).is_some(), "{number}");
        }
        assert!(cache.weight() <= 1 << 20, "{}", cache.weight());
        let left = (0..20_000).filter(|number| cache.get(&request(*number), now).is_some()).count();
        assert!((500..1000).contains(&left), "{left}");
    }

    /// When all were asked for, some go all the same.
    #[test]
    fn room_is_found_among_the_popular() {
        let now = Timestamp::EPOCH;
        let cache = Cache::new(1 << 18);
        for number in 0..2000 {
            cache.put(&request(number), answer(900), now);
            cache.get(&request(number), now);
        }
        assert!(cache.weight() <= 1 << 18, "{}", cache.weight());
        assert!(cache.get(&request(1999), now).is_some());
    }

    #[test]
    fn an_answer_takes_the_place_of_the_one_before() {
        let (cache, now) = (Cache::new(1 << 20), Timestamp::EPOCH);
        for length in [100, 1000, 10] {
            cache.put(&request(1), answer(length), now);
            assert_eq!(cache.get(&request(1), now).map(|kept| kept.body.len()), Some(length));
        }
        assert_eq!(cache.weight(), answer(10).weight(&request(1)));
        assert!(cache.get(&request(1), now + Duration::from_secs(60)).is_none(), "it is stale");
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let (cache, now) = (Cache::new(1 << 20), Timestamp::EPOCH);
        cache.put(&[1; LONGEST_REQUEST + 1], answer(10), now);
        cache.put(&request(1), answer(1 << 20), now);
        Cache::new(0).put(&request(1), answer(1), now);
        assert_eq!(cache.weight(), 0);
    }
}
