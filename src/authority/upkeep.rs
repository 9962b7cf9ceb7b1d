//! Brings up to date what ends by itself: OCSP signers, the listeners' certificate, the lists, the policy on record.

use super::Authority;
use super::error::{Failed, OpenError};
use super::own::{self, past_half};
use crate::fleet::rows::{CONFIGURATION, parse};
use crate::fleet::{Actor, Fact};
use crate::ids::EventNumber;
use crate::store::Range;

impl Authority {
    /// Does what is due; to be called at start and every minute or so.
    pub async fn upkeep(&self) -> Result<(), Failed<OpenError>> {
        self.record_configuration().await?;
        let now = self.clock.now();
        for ca in self.cas() {
            let due = self.newest(own::OCSP, Some(ca))?.is_none_or(|own| past_half(&own.row, now));
            if due {
                self.renew_ocsp_signer(ca).await?;
            }
        }
        let listener = self.newest(own::SERVER, None)?;
        let current = listener.is_some_and(|own| {
            !past_half(&own.row, now) && self.listener_names_are_current(&own.certificate)
        });
        if !current {
            self.renew_listener().await?;
        }
        for ca in self.cas() {
            self.publish_if_due(ca).await.map_err(|error| Failed::Unavailable(error.to_string()))?;
        }
        Ok(())
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

    /// How many events there are.
    pub(super) fn event_count(
        &self,
        view: &dyn crate::store::View,
    ) -> Result<EventNumber, crate::store::StoreError> {
        Ok(EventNumber(super::projection::frontier(view)?.size()))
    }
}
