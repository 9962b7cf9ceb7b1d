//! Finds the certificates that a selector holds of, by an index where it names what one is in the order of.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::{Field, Order, Selector, Subject, Test};
use crate::clock::Timestamp;
use crate::fleet::rows::{
    self, CERTIFICATE, CERTIFICATE_BY_EXPIRY, CERTIFICATE_BY_HOLDER, CERTIFICATE_BY_RA, CertificateRow,
    DEVICE_BY_MODEL, DEVICE_BY_STAGE, Device, Identity,
};
use crate::ids::{Digest, HolderId, Serial};
use crate::store::{Range, StoreError, Table, View};

/// A certificate that was selected, with what is known about its holder.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    pub certificate: &'a CertificateRow,
    pub device: Option<&'a Device>,
    pub identity: Option<&'a Identity>,
}

/// What is done with each; it may end the search.
type Each<'a> = &'a mut dyn FnMut(Found<'_>) -> Result<ControlFlow<()>, StoreError>;

/// Where to look. Each finds every certificate that the selector can hold of, and none of them twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Serials(BTreeSet<Serial>),
    /// All certificates of a key have one holder.
    Keys(BTreeSet<Digest>),
    Holders(BTreeSet<HolderId>),
    /// Certificates that a registration authority asked for.
    Delegated(BTreeSet<HolderId>),
    /// Devices by the first part of an index's key.
    Devices(Table, BTreeSet<String>),
    /// From this end of validity to that one.
    Expiry(Timestamp, Timestamp),
    All,
}

impl Source {
    /// The fewer it is expected to lead to, the smaller.
    fn rank(&self) -> u8 {
        match self {
            Self::Serials(_) => 0,
            Self::Keys(_) => 1,
            Self::Holders(_) => 2,
            Self::Delegated(_) => 3,
            Self::Devices(table, _) if *table == DEVICE_BY_MODEL => 4,
            Self::Devices(..) => 5,
            Self::Expiry(..) => 6,
            Self::All => 7,
        }
    }

    pub(super) fn of(selector: &Selector) -> Self {
        match selector {
            Selector::All(parts) => parts.iter().map(Self::of).min_by_key(Self::rank).unwrap_or(Self::All),
            Selector::Is(comparison) => Self::of_comparison(comparison.field, &comparison.test),
            // Of several ways it takes all: a certificate would be met twice.
            Selector::Any(_) | Selector::Not(_) => Self::All,
        }
    }

    fn of_comparison(field: Field, test: &Test) -> Self {
        if let (Field::NotAfter, Test::Time(order, limit)) = (field, test) {
            return match order {
                Order::Before | Order::UntilThen => Self::Expiry(Timestamp::EPOCH, *limit),
                Order::After | Order::FromThen => Self::Expiry(*limit, Timestamp::FOREVER),
            };
        }
        let patterns = match test {
            Test::Is(pattern) => std::slice::from_ref(pattern),
            Test::In(patterns) => patterns,
            Test::IsNot(_) | Test::NotIn(_) | Test::Time(..) => return Self::All,
        };
        if patterns.iter().any(|pattern| pattern.open) {
            return Self::All;
        }
        let texts = || patterns.iter().map(|pattern| pattern.text.clone());
        // A text that is no id is nobody's: it needs no look.
        let ids = || texts().filter_map(|text| text.parse().ok()).collect();
        match field {
            Field::Serial => Self::Serials(texts().filter_map(|text| text.parse().ok()).collect()),
            Field::Key => Self::Keys(texts().filter_map(|text| text.parse().ok()).collect()),
            Field::Device => Self::Holders(ids()),
            Field::Signer => Self::Holders(texts().map(|name| HolderId::identity("signer", &name)).collect()),
            Field::EnrolledBy => Self::Delegated(ids()),
            Field::Model => Self::Devices(DEVICE_BY_MODEL, texts().collect()),
            Field::Stage => Self::Devices(DEVICE_BY_STAGE, texts().collect()),
            _ => Self::All,
        }
    }
}

/// Calls `each` for every certificate of the picture that `selector` holds of at `now`, however many: nothing is kept of
/// them. Certificates of CAs are never among them.
pub fn select(
    view: &dyn View,
    selector: &Selector,
    now: Timestamp,
    each: Each<'_>,
) -> Result<(), StoreError> {
    let mut looker =
        Looker { view, selector, now, asks_for_holder: selector.asks_for_holder(), last: None, each };
    match Source::of(selector) {
        Source::Serials(serials) => {
            for serial in serials {
                if looker.at(&serial)?.is_break() {
                    break;
                }
            }
            Ok(())
        }
        Source::Keys(keys) => {
            let mut holders = BTreeSet::new();
            for key in keys {
                holders.extend(rows::key_row(view, &key)?.map(|row| row.holder));
            }
            looker.holders(CERTIFICATE_BY_HOLDER, holders)
        }
        Source::Holders(holders) => looker.holders(CERTIFICATE_BY_HOLDER, holders),
        Source::Delegated(holders) => looker.holders(CERTIFICATE_BY_RA, holders),
        Source::Devices(table, firsts) => looker.devices(table, &firsts),
        Source::Expiry(from, to) => looker.expiry(from, to),
        Source::All => looker.all(),
    }
}

/// A holder's record: a device, another machine, or neither.
type Holder = (HolderId, Option<Device>, Option<Identity>);

struct Looker<'a, 'e> {
    view: &'a dyn View,
    selector: &'a Selector,
    now: Timestamp,
    asks_for_holder: bool,
    /// Certificates of one holder often come one after the other.
    last: Option<Holder>,
    each: Each<'e>,
}

impl Looker<'_, '_> {
    fn at(&mut self, serial: &Serial) -> Result<ControlFlow<()>, StoreError> {
        match rows::certificate(self.view, serial)? {
            Some(row) => self.look(&row),
            None => Ok(ControlFlow::Continue(())),
        }
    }

    fn look(&mut self, row: &CertificateRow) -> Result<ControlFlow<()>, StoreError> {
        // A CA is revoked by its name, never by the way.
        if row.profile.is_none() {
            return Ok(ControlFlow::Continue(()));
        }
        // The holder is read first only where the answer needs it.
        if !self.asks_for_holder {
            let alone = Subject { certificate: Some(row), device: None, identity: None, now: self.now };
            if !self.selector.matches(&alone) {
                return Ok(ControlFlow::Continue(()));
            }
        }
        let view = self.view;
        if self.last.as_ref().is_none_or(|(id, _, _)| *id != row.holder) {
            let device = rows::device(view, &row.holder)?;
            let identity = if device.is_some() { None } else { rows::identity(view, &row.holder)? };
            self.last = Some((row.holder.clone(), device, identity));
        }
        let (device, identity) = match &self.last {
            Some((_, device, identity)) => (device.as_ref(), identity.as_ref()),
            None => (None, None),
        };
        let subject = Subject { certificate: Some(row), device, identity, now: self.now };
        if self.asks_for_holder && !self.selector.matches(&subject) {
            return Ok(ControlFlow::Continue(()));
        }
        (self.each)(Found { certificate: row, device, identity })
    }

    fn holders(&mut self, table: Table, holders: BTreeSet<HolderId>) -> Result<(), StoreError> {
        for holder in holders {
            let prefix = rows::key(&[holder.as_str().as_bytes(), b""]);
            if self.index(table, &prefix)?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// An index whose keys are `prefix` and then a serial number.
    fn index(&mut self, table: Table, prefix: &[u8]) -> Result<ControlFlow<()>, StoreError> {
        let mut outcome = Ok(ControlFlow::Continue(()));
        rows::scan_prefix(self.view, table, prefix, false, &mut |key, _| {
            outcome = serial_in(table, &key[prefix.len()..]).and_then(|serial| self.at(&serial));
            flow(&outcome)
        })?;
        outcome
    }

    fn devices(&mut self, table: Table, firsts: &BTreeSet<String>) -> Result<(), StoreError> {
        for first in firsts {
            let prefix = rows::key(&[first.as_bytes(), b""]);
            let mut outcome = Ok(ControlFlow::Continue(()));
            rows::scan_prefix(self.view, table, &prefix, false, &mut |key, _| {
                let holder = rows::key(&[&key[prefix.len()..], b""]);
                outcome = self.index(CERTIFICATE_BY_HOLDER, &holder);
                flow(&outcome)
            })?;
            if outcome?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn expiry(&mut self, from: Timestamp, to: Timestamp) -> Result<(), StoreError> {
        let from = from.millis().to_be_bytes();
        // The end itself is included: the selector says whether it counts.
        let to = to.millis().saturating_add(1).to_be_bytes();
        let mut outcome = Ok(ControlFlow::Continue(()));
        let range = Range { from: &from, to: Some(&to), backwards: false };
        self.view.scan(CERTIFICATE_BY_EXPIRY, range, &mut |key, _| {
            let serial = serial_in(CERTIFICATE_BY_EXPIRY, key.get(8..).unwrap_or_default());
            outcome = serial.and_then(|serial| self.at(&serial));
            flow(&outcome)
        })?;
        outcome.map(|_| ())
    }

    fn all(&mut self) -> Result<(), StoreError> {
        let mut outcome = Ok(ControlFlow::Continue(()));
        self.view.scan(CERTIFICATE, Range::ALL, &mut |_, value| {
            outcome = rows::parse(CERTIFICATE, value).and_then(|row| self.look(&row));
            flow(&outcome)
        })?;
        outcome.map(|_| ())
    }
}

fn flow(outcome: &Result<ControlFlow<()>, StoreError>) -> ControlFlow<()> {
    match outcome {
        Ok(ControlFlow::Continue(())) => ControlFlow::Continue(()),
        Ok(ControlFlow::Break(())) | Err(_) => ControlFlow::Break(()),
    }
}

fn serial_in(table: Table, bytes: &[u8]) -> Result<Serial, StoreError> {
    let wrong = || StoreError::Corrupt { table: table.0, reason: "a key has the wrong form".to_owned() };
    <[u8; 16]>::try_from(bytes).map(Serial::from_bytes).map_err(|_| wrong())
}
