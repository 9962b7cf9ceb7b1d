//! Tells whoever keeps what was said of a certificate when that is true no more.
//!
//! A [`Watched`] is taken out before the record is read and ended after a commit that changed the certificate's status. So
//! whatever was read before the commit is known to be old from the moment on at which the commit is told to anybody, and
//! what was said of other certificates is not touched.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::fleet::Fact;
use crate::ids::Serial;

/// Parts that lock by themselves; serial numbers end in random bytes, so they fill evenly.
const PARTS: usize = 64;

/// The certificates that somebody keeps an answer about. As large as what is kept, whatever the record holds.
pub(super) struct Watches {
    parts: [Part; PARTS],
}

impl Default for Watches {
    fn default() -> Self {
        Self { parts: std::array::from_fn(|_| Part::default()) }
    }
}

#[derive(Default)]
struct Part(Mutex<HashMap<Serial, Weak<Flag>>>);

struct Flag {
    over: AtomicBool,
    serial: Serial,
    home: Weak<Watches>,
}

/// Current until the status of one certificate changes.
#[derive(Clone)]
pub(super) struct Watched(Arc<Flag>);

impl Watched {
    pub(super) fn is_current(&self) -> bool {
        !self.0.over.load(Ordering::Acquire)
    }
}

/// What an answer rests on. It is true as long as all of it is.
#[derive(Clone, Default)]
pub struct Grounds(Box<[Watched]>);

impl Grounds {
    pub(super) fn new(watched: Vec<Watched>) -> Self {
        Self(watched.into())
    }

    /// Whether the answer would still be the same.
    pub fn are_current(&self) -> bool {
        self.0.iter().all(Watched::is_current)
    }

    /// How many certificates these are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Grounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let serials = self.0.iter().map(|watched| &watched.0.serial);
        f.debug_list().entries(serials).finish()
    }
}

impl Watches {
    /// To be called before the certificate's row is read.
    pub(super) fn watch(self: &Arc<Self>, serial: Serial) -> Watched {
        let mut part = self.part(&serial);
        // One that is over was taken off the list, so what is listed is current.
        if let Some(flag) = part.get(&serial).and_then(Weak::upgrade) {
            return Watched(flag);
        }
        let flag = Arc::new(Flag { over: AtomicBool::new(false), serial, home: Arc::downgrade(self) });
        part.insert(serial, Arc::downgrade(&flag));
        Watched(flag)
    }

    /// To be called after the commit that changed their status, before anybody is told of it.
    pub(super) fn end(&self, serials: &[Serial]) {
        for serial in serials {
            let listed = self.part(serial).remove(serial);
            if let Some(flag) = listed.and_then(|flag| flag.upgrade()) {
                flag.over.store(true, Ordering::Release);
            }
        }
    }

    /// For when nobody knows which have changed.
    pub(super) fn end_all_but(&self, good: &BTreeSet<Serial>) {
        for part in &self.parts {
            let ended: Vec<_> = lock(part).extract_if(|serial, _| !good.contains(serial)).collect();
            // After the lock is given back: whoever drops the last of a flag takes it too.
            for flag in ended.iter().filter_map(|(_, flag)| flag.upgrade()) {
                flag.over.store(true, Ordering::Release);
            }
        }
    }

    /// How many certificates somebody keeps something about.
    #[cfg(test)]
    fn count(&self) -> usize {
        self.parts.iter().map(|part| lock(part).len()).sum()
    }

    fn part(&self, serial: &Serial) -> MutexGuard<'_, HashMap<Serial, Weak<Flag>>> {
        lock(&self.parts[usize::from(serial.as_bytes()[15]) % PARTS])
    }
}

fn lock(part: &Part) -> MutexGuard<'_, HashMap<Serial, Weak<Flag>>> {
    // Each change of the map is whole, so a panic elsewhere leaves it as good as it was.
    part.0.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Flag {
    fn drop(&mut self) {
        let Some(home) = self.home.upgrade() else { return };
        let mut part = home.part(&self.serial);
        // Somebody may have begun to watch the same certificate anew meanwhile.
        if part.get(&self.serial).is_some_and(|listed| listed.strong_count() == 0) {
            part.remove(&self.serial);
        }
    }
}

/// The certificate whose status a fact changes.
pub(super) fn changed_by(fact: &Fact) -> Option<Serial> {
    match fact {
        Fact::CertificateRevoked { serial, .. }
        | Fact::CertificateHeld { serial, .. }
        | Fact::CertificateReleased { serial, .. } => Some(*serial),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serial(number: u8) -> Serial {
        Serial::from_bytes([number; 16])
    }

    #[test]
    fn a_change_ends_what_was_said_of_that_certificate_alone() {
        let watches = Arc::new(Watches::default());
        let before = Grounds::new(vec![watches.watch(serial(1))]);
        let (other, both) = (
            Grounds::new(vec![watches.watch(serial(2))]),
            Grounds::new(vec![watches.watch(serial(2)), watches.watch(serial(1))]),
        );
        watches.end(&[serial(1), serial(9)]);
        assert!(!before.are_current() && other.are_current() && !both.are_current());
        let after = Grounds::new(vec![watches.watch(serial(1))]);
        assert!(after.are_current(), "what is read from now on is new");
    }

    #[test]
    fn all_can_be_ended_but_some() {
        let watches = Arc::new(Watches::default());
        let kept: Vec<_> = (0..100).map(|number| watches.watch(serial(number))).collect();
        watches.end_all_but(&BTreeSet::from([serial(7), serial(200)]));
        let current: Vec<_> = (0..100u8).filter(|number| kept[usize::from(*number)].is_current()).collect();
        assert_eq!((current, watches.count()), (vec![7], 1));
        assert!(watches.watch(serial(8)).is_current(), "what is read from now on is new");
    }

    #[test]
    fn nothing_is_left_of_what_nobody_keeps() {
        let watches = Arc::new(Watches::default());
        let kept: Vec<_> = (0..100).map(|number| watches.watch(serial(number))).collect();
        let again = watches.watch(serial(7));
        assert_eq!(watches.count(), 100);
        drop(kept);
        assert_eq!(watches.count(), 1);
        watches.end(&[serial(7)]);
        // The old flag must not take the new one off the list.
        let new = watches.watch(serial(7));
        drop(again);
        assert_eq!(watches.count(), 1);
        watches.end(&[serial(7)]);
        assert!(!new.is_current());
    }
}
