//! The places of one listener: who has one, and who gives it up when there are not enough.
//!
//! A connection that waits for its client gives its place up to a newcomer, the one that has waited longest first: a
//! client that says nothing cannot keep out one that would. A connection on which we are working keeps its place.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// A client in the middle of a handshake or a request has this long before it must make way: it may be far, or slow.
const FIRST_WORDS: Duration = Duration::from_secs(1);

/// When nobody could make way, it is not asked again for so long: with every place taken, looking costs most.
const IN_VAIN: Duration = Duration::from_millis(1);

/// The share of the places that is vacated at once, so that not every newcomer has to look through all of them.
const AT_ONCE: usize = 64;

/// Seconds after which somebody who is turned away should try again, at least; at most twice as many.
const LATER: u64 = 5;

/// What became of somebody who wants to come in.
pub(super) enum Entry {
    Place(Place),
    /// There is no place, but it may hear so.
    TurnedAway(TurnedAway),
    Closed,
}

/// Leave to hear that there is no place, for as long as it is held.
pub(super) struct TurnedAway {
    _permit: OwnedSemaphorePermit,
    /// Seconds after which it should try again: not all at the same time.
    pub(super) later: u64,
}

#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    seats: Mutex<Seats>,
    turned_away: Arc<Semaphore>,
    begun: Instant,
}

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    taken: BTreeMap<u64, Arc<Seat>>,
    looked_in_vain: Option<Instant>,
}

/// What a place knows of its connection.
#[derive(Debug)]
pub(super) struct Seat {
    /// 0: we work for it. Otherwise it waits for its client since this microsecond, counted from 1 at `begun`, twice;
    /// plus 1 when it has nothing to finish.
    waiting: AtomicU64,
    begun: Instant,
    leave: Notify,
}

impl Places {
    pub(super) fn new(most: usize, turned_away: usize, now: Instant) -> Arc<Self> {
        Arc::new(Self {
            most,
            seats: Mutex::default(),
            turned_away: Arc::new(Semaphore::new(turned_away)),
            begun: now,
        })
    }

    /// Lets a newcomer in, if need be in the place of others: how many is the second part.
    pub(super) fn enter(self: &Arc<Self>, now: Instant) -> (Entry, usize) {
        let mut seats = self.lock();
        let mut made_way = 0;
        if seats.taken.len() >= self.most {
            made_way = self.vacate(&mut seats, now);
        }
        if seats.taken.len() >= self.most {
            let entry = match Arc::clone(&self.turned_away).try_acquire_owned() {
                Ok(permit) => {
                    seats.next += 1;
                    Entry::TurnedAway(TurnedAway { _permit: permit, later: LATER + seats.next % LATER })
                }
                Err(_) => Entry::Closed,
            };
            return (entry, made_way);
        }
        let number = seats.next;
        seats.next += 1;
        let seat = Arc::new(Seat { waiting: AtomicU64::new(0), begun: self.begun, leave: Notify::new() });
        seats.taken.insert(number, Arc::clone(&seat));
        (Entry::Place(Place { places: Arc::clone(self), number, seat }), made_way)
    }

    fn vacate(&self, seats: &mut Seats, now: Instant) -> usize {
        if seats.looked_in_vain.is_some_and(|at| now.duration_since(at) < IN_VAIN) {
            return 0;
        }
        let now_micros = micros(self.begun, now);
        let first_words = u64::try_from(FIRST_WORDS.as_micros()).unwrap_or(u64::MAX);
        let waits = |seat: &Seat| {
            let waiting = seat.waiting.load(Ordering::Relaxed);
            let (since, is_idle) = (waiting / 2, waiting % 2 == 1);
            let may_go = waiting != 0 && (is_idle || now_micros >= since + first_words);
            may_go.then_some(since)
        };
        let mut waiting: Vec<(u64, u64)> =
            seats.taken.iter().filter_map(|(number, seat)| Some((waits(seat)?, *number))).collect();
        waiting.sort_unstable();
        waiting.truncate((self.most / AT_ONCE).max(1));
        for (_, number) in &waiting {
            if let Some(seat) = seats.taken.remove(number) {
                seat.leave.notify_one();
            }
        }
        seats.looked_in_vain = waiting.is_empty().then_some(now);
        waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        // Nothing in there can fail half way.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn micros(begun: Instant, now: Instant) -> u64 {
    u64::try_from(now.duration_since(begun).as_micros()).unwrap_or(u64::MAX / 4) + 1
}

impl Seat {
    /// From now on we work for it.
    pub(super) fn busy(&self) {
        self.waiting.store(0, Ordering::Relaxed);
    }

    /// From now on it waits for its client. One that is idle makes way at once when its place is needed.
    pub(super) fn waits(&self, is_idle: bool, now: Instant) {
        self.waiting.store(micros(self.begun, now) * 2 + u64::from(is_idle), Ordering::Relaxed);
    }

    pub(super) fn is_busy(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0
    }
}

/// A connection's place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    seat: Arc<Seat>,
}

impl Place {
    pub(super) fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }

    /// Ends when the place has gone to somebody else.
    pub(super) async fn lost(&self) {
        self.seat.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    const MOMENT: Duration = Duration::from_millis(5);

    fn place(places: &Arc<Places>, now: Instant) -> Option<Place> {
        match places.enter(now).0 {
            Entry::Place(place) => Some(place),
            _ => None,
        }
    }

    async fn is_lost(place: &Place) -> bool {
        tokio::time::timeout(Duration::ZERO, place.lost()).await.is_ok()
    }

    #[tokio::test]
    async fn who_is_worked_for_keeps_its_place() {
        let now = Instant::now();
        let places = Places::new(2, 1, now);
        let (one, two) = (place(&places, now).unwrap(), place(&places, now).unwrap());
        let (third, made_way) = places.enter(now);
        assert!(matches!(third, Entry::TurnedAway(_)));
        assert_eq!(made_way, 0);
        assert!(matches!(places.enter(now).0, Entry::Closed), "only so many are told");
        drop(third);
        assert!(matches!(places.enter(now).0, Entry::TurnedAway(_)));
        assert!(!is_lost(&one).await && !is_lost(&two).await);
        drop(one);
        assert!(place(&places, now).is_some());
    }

    #[tokio::test]
    async fn who_has_waited_longest_makes_way() {
        let now = Instant::now();
        let places = Places::new(3, 0, now);
        let [one, two, three] = [(); 3].map(|()| place(&places, now).unwrap());
        two.seat().waits(true, now);
        one.seat().waits(true, now + MOMENT);
        let four = place(&places, now + MOMENT).unwrap();
        assert!(is_lost(&two).await && !is_lost(&one).await && !is_lost(&three).await);
        // Gone already: giving it back gives nobody else's away.
        drop(two);
        let five = place(&places, now + MOMENT).unwrap();
        assert!(is_lost(&one).await);
        assert!(place(&places, now + MOMENT).is_none());
        drop((three, four, five));
    }

    #[tokio::test]
    async fn first_words_are_waited_for() {
        let now = Instant::now();
        let places = Places::new(1, 0, now);
        let one = place(&places, now).unwrap();
        one.seat().waits(false, now);
        assert!(place(&places, now + MOMENT).is_none());
        let two = place(&places, now + FIRST_WORDS).unwrap();
        assert!(is_lost(&one).await);
        two.seat().waits(true, now + FIRST_WORDS);
        two.seat().busy();
        assert!(place(&places, now + FIRST_WORDS * 2).is_none());
    }

    #[test]
    fn of_many_that_wait_several_make_way_at_once() {
        let now = Instant::now();
        let places = Places::new(128, 0, now);
        let taken: Vec<_> = (0..128).map(|_| place(&places, now).unwrap()).collect();
        taken.iter().for_each(|place| place.seat().waits(true, now));
        assert_eq!(places.enter(now).1, 2);
    }
}
