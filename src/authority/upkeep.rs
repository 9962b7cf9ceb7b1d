//! Brings up to date what ends by itself: OCSP signers, the listeners' certificate, certificates that have a successor, the
//! lists, the policy on record.

use super::Authority;
use super::error::{Failed, OpenError};
use super::own::{self, past_half};
use crate::clock::Timestamp;
use crate::fleet::rows::{CONFIGURATION, parse};
use crate::fleet::{Actor, Fact};
use crate::store::Range;

impl Authority {
    /// Does what is due; to be called at start and every minute or so. What cannot be done for one CA keeps no other
    /// waiting: each is tried, and the first trouble is told.
    pub async fn upkeep(&self) -> Result<(), Failed<OpenError>> {
        let now = self.clock.now();
        let mut outcomes = vec![self.record_configuration().await];
        // A CA that has ended signs no signer any more.
        for ca in self.cas().filter(|ca| now <= ca.not_after()) {
            outcomes.push(self.renew_ocsp_signer_if_due(ca, now).await);
        }
        outcomes.push(self.renew_listener_if_due(now).await);
        outcomes.push(self.end_overlaps().await);
        for ca in self.cas() {
            let published = self.publish_due(ca).await;
            outcomes.push(published.map_err(|error| Failed::Unavailable(format!("{}: {error}", ca.name()))));
        }
        outcomes.into_iter().collect()
    }

    async fn renew_ocsp_signer_if_due(
        &self,
        ca: &super::IssuingCa,
        now: Timestamp,
    ) -> Result<(), Failed<OpenError>> {
        match self.newest(own::OCSP, Some(ca))? {
            Some(own) if !past_half(&own.row, now) => Ok(()),
            _ => self.renew_ocsp_signer(ca).await,
        }
    }

    async fn renew_listener_if_due(&self, now: Timestamp) -> Result<(), Failed<OpenError>> {
        match self.newest(own::SERVER, None)? {
            Some(own) if !past_half(&own.row, now) && self.listener_names_are_current(&own.certificate) => {
                Ok(())
            }
            _ => self.renew_listener().await,
        }
    }

    fn newest(
        &self,
        profile: &str,
        ca: Option<&super::IssuingCa>,
    ) -> Result<Option<own::Own>, Failed<OpenError>> {
        let snapshot = self.snapshot()?;
        self.newest_own(&*snapshot, profile, ca).map_err(|error| Failed::Unavailable(error.to_string()))
    }

    /// A policy that differs from the last recorded one is an event of its own.
    async fn record_configuration(&self) -> Result<(), Failed<OpenError>> {
        let digest = self.config.digest();
        let recorded = {
            let snapshot = self.snapshot()?;
            let mut last = None;
            let all = Range { from: &[], to: None, backwards: true };
            snapshot.scan(CONFIGURATION, all, &mut |_, row| {
                last = Some(row.to_vec());
                std::ops::ControlFlow::Break(())
            })?;
            last.map(|row| parse::<Fact>(CONFIGURATION, &row)).transpose()?
        };
        let now = self.clock.now();
        if recorded != Some(Fact::ConfigurationLoaded { digest }) {
            self.commit(&Actor::System, vec![Fact::ConfigurationLoaded { digest }], Vec::new(), now).await?;
        }
        Ok(())
    }
}
