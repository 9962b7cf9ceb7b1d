//! Tells holders when their certificates are to be renewed.

use std::time::Duration;

use super::Authority;
use crate::fleet::rows;
use crate::fleet::window::{self, Window};
use crate::ids::Serial;
use crate::pki::renewal_info::CertificateName;
use crate::store::StoreError;

/// A holder asks again so many times in a certificate's life, within these bounds, so that it learns in time when its
/// certificate was withdrawn.
const TIMES: u32 = 20;
const SOONEST: Duration = Duration::from_secs(60);
const LATEST: Duration = Duration::from_secs(6 * 3600);

/// When a certificate is to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenewalAdvice {
    pub window: Window,
    /// When the holder should ask again whether that still holds.
    pub ask_again: Duration,
}

impl Authority {
    /// `None`: there is no such certificate, or it is not one that is renewed. Everybody may ask, as with OCSP.
    pub fn renewal_advice(&self, name: &CertificateName) -> Result<Option<RenewalAdvice>, StoreError> {
        let serial = <[u8; 16]>::try_from(name.serial.as_slice()).map(Serial::from_bytes);
        let Ok(serial) = serial else { return Ok(None) };
        let Some(row) = rows::certificate(&*self.snapshot()?, &serial)? else { return Ok(None) };
        let by = self.ca(&row.ca).map(|ca| ca.public_key().key_id());
        if by.is_none_or(|key_id| key_id[..] != name.authority_key_id[..]) {
            return Ok(None);
        }
        let profile = row.profile.as_ref().and_then(|name| self.config.profiles().get(name));
        let window = window::advice(&row, profile.and_then(|profile| profile.renewal()));
        let ask_again = (row.not_after.since(row.not_before) / TIMES).clamp(SOONEST, LATEST);
        Ok(window.map(|window| RenewalAdvice { window, ask_again }))
    }
}
