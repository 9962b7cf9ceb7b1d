//! Whether a selector holds of a certificate, its device, or both.

use super::{Comparison, Field, Selector, Test};
use crate::clock::Timestamp;
use crate::fleet::rows::{CertificateRow, Device, Identity};

/// What identities are called that sign software.
const SIGNER: &str = "signer";

/// What is looked at. What is missing has no fields.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub certificate: Option<&'a CertificateRow>,
    pub device: Option<&'a Device>,
    pub identity: Option<&'a Identity>,
    pub now: Timestamp,
}

impl Selector {
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(subject)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(subject)),
            Self::Not(part) => !part.matches(subject),
            Self::Is(comparison) => comparison.matches(subject),
        }
    }

    /// Whether the holder's record must be read to answer.
    pub(super) fn asks_for_holder(&self) -> bool {
        self.comparisons().iter().any(|comparison| comparison.field.is_of_holder())
    }
}

impl Comparison {
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        match &self.test {
            Test::Is(pattern) => subject.any(self.field, &|value| pattern.fits(value)) == Some(true),
            Test::IsNot(pattern) => subject.any(self.field, &|value| pattern.fits(value)) == Some(false),
            Test::In(patterns) => {
                subject.any(self.field, &|value| patterns.iter().any(|p| p.fits(value))) == Some(true)
            }
            Test::NotIn(patterns) => {
                subject.any(self.field, &|value| patterns.iter().any(|p| p.fits(value))) == Some(false)
            }
            Test::Time(order, limit) => {
                subject.time(self.field).is_some_and(|value| order.holds(value, *limit))
            }
        }
    }
}

impl Subject<'_> {
    fn time(&self, field: Field) -> Option<Timestamp> {
        let certificate = self.certificate?;
        match field {
            Field::Issued => Some(certificate.issued.time),
            Field::NotBefore => Some(certificate.not_before),
            Field::NotAfter => Some(certificate.not_after),
            _ => None,
        }
    }

    /// Whether any value of the field fits; `None` when it has no value.
    fn any(&self, field: Field, fits: &dyn Fn(&str) -> bool) -> Option<bool> {
        let (certificate, device, identity) = (self.certificate, self.device, self.identity);
        let is = |value: &str| Some(fits(value));
        match field {
            Field::Device => match (certificate, device, identity) {
                (Some(certificate), _, _) => is(certificate.holder.as_str()),
                (None, Some(device), _) => is(device.id.as_str()),
                (None, None, Some(identity)) => is(identity.id.as_str()),
                (None, None, None) => None,
            },
            Field::Maker => {
                let maker = device.map(|device| &device.maker);
                is(maker.or_else(|| identity?.maker.as_ref())?.as_str())
            }
            Field::Model => is(&device?.model),
            Field::Lot => is(device?.lot.as_ref()?),
            Field::Site => is(device?.site.as_ref()?),
            Field::Owner => match device {
                Some(device) => is(device.owner.as_ref()?),
                None => is(&identity?.owner),
            },
            Field::Stage => is(device?.stage.as_str()),
            Field::Mark => {
                let marks = &device?.marks;
                (!marks.is_empty()).then(|| marks.iter().any(|mark| fits(mark)))
            }
            Field::Signer => is(&identity.filter(|identity| identity.kind == SIGNER)?.name),
            Field::Profile => is(certificate?.profile.as_ref()?.as_str()),
            Field::Issuer => is(certificate?.ca.as_str()),
            Field::StageAtIssue => is(certificate?.stage.as_ref()?.as_str()),
            Field::OwnerAtIssue => is(certificate?.owner.as_ref()?),
            Field::EnrolledBy => is(certificate?.enrolled_by()?.as_str()),
            Field::Key => is(&certificate?.key.to_string()),
            Field::Serial => is(&certificate?.serial.to_string()),
            Field::Status => is(certificate?.status_at(self.now)),
            Field::Issued | Field::NotBefore | Field::NotAfter => None,
        }
    }
}
