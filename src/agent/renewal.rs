//! When to renew: asked of the server where it knows (draft-ietf-lamps-est-renewal-info-00), by the clock elsewhere.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{HOST, RETRY_AFTER};
use hyper::{Request, StatusCode};

use super::client::{AgentError, Connection};
use crate::clock::{Random, Timestamp};
use crate::pki::certificate::Certificate;
use crate::pki::renewal_info::{CertificateName, RenewalInfo, SuggestedWindow};

/// A server that does not say when it wants to be asked again is asked after this; one that does, within these bounds.
const ASK_AGAIN: Duration = Duration::from_secs(6 * 3600);
const SOONEST: Duration = Duration::from_secs(60);
const LATEST: Duration = Duration::from_secs(24 * 3600);

/// What the server says of one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    pub window: SuggestedWindow,
    pub ask_again: Duration,
}

impl Connection {
    /// `None`: the server has nothing to say of this certificate, or says nothing that makes sense.
    pub async fn renewal_info(
        &mut self,
        label: Option<&str>,
        certificate: &Certificate,
    ) -> Result<Option<Advice>, AgentError> {
        let Some(name) = CertificateName::of(certificate) else { return Ok(None) };
        let label = label.map(|label| format!("{label}/")).unwrap_or_default();
        let request = Request::get(format!("/.well-known/est/{label}renewal-info/{}", name.text()))
            .header(HOST, &self.host)
            .body(Full::new(Bytes::new()))
            .map_err(|error| AgentError::BadAnswer(format!("no request can be made: {error}")))?;
        let response = self.http.send(request).await?;
        match response.status() {
            StatusCode::OK => {}
            // It does not know the draft, or not this certificate.
            StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => return Ok(None),
            status => {
                let text = String::from_utf8_lossy(response.body()).trim().to_owned();
                return Err(AgentError::Refused { status: status.as_u16(), text });
            }
        }
        let seconds =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let ask_again = seconds.map_or(ASK_AGAIN, Duration::from_secs).clamp(SOONEST, LATEST);
        let info = RenewalInfo::from_json(response.body());
        Ok(info.map(|info| Advice { window: info.suggested_window, ask_again }))
    }
}

/// When one certificate is to be renewed, and when to ask for it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    due: Timestamp,
    ask_at: Timestamp,
    /// The window that `due` was chosen from.
    window: Option<SuggestedWindow>,
}

impl Schedule {
    /// Without a word from the server: between 60 and 70 of a hundred of its life, so that a fleet that was enrolled
    /// together does not come back together.
    pub fn by_the_clock(certificate: &Certificate, now: Timestamp, random: &dyn Random) -> Self {
        let life = certificate.not_after().since(certificate.not_before());
        let begin = certificate.not_before() + life / 100 * 60;
        let due = uniformly(begin, begin + life / 10, random);
        Self { due, ask_at: now + ASK_AGAIN, window: None }
    }

    /// By what the server said at `now`. Whoever has chosen a moment keeps it for as long as the window stays.
    pub fn advised(self, advice: &Advice, now: Timestamp, random: &dyn Random) -> Self {
        let window = advice.window;
        let due = match self.window {
            Some(before) if before == window => self.due,
            _ => uniformly(window.start, window.end, random),
        };
        Self { due, ask_at: now + advice.ask_again, window: Some(window) }
    }

    /// After a failure: not before `then`.
    pub fn not_before(self, then: Timestamp) -> Self {
        Self { due: self.due.max(then), ..self }
    }

    /// Nothing was heard; asked again later, by the schedule as it is.
    pub fn unheard(self, now: Timestamp) -> Self {
        Self { ask_at: now + ASK_AGAIN, ..self }
    }

    pub fn due(&self) -> Timestamp {
        self.due
    }

    /// The next moment at which there is something to do.
    pub fn next(&self) -> Timestamp {
        self.due.min(self.ask_at)
    }
}

/// Any moment from `begin` to `end`, all equally likely.
fn uniformly(begin: Timestamp, end: Timestamp, random: &dyn Random) -> Timestamp {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    let length = end.since(begin).as_millis();
    // The high half of the product is below the length.
    let offset = (u128::from(u64::from_be_bytes(bytes)) * length) >> 64;
    begin + Duration::from_millis(u64::try_from(offset).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemRandom;

    const HOUR: Duration = Duration::from_secs(3600);
    const START: Timestamp = Timestamp::EPOCH;

    fn advice(from: u32, to: u32) -> Advice {
        let window = SuggestedWindow { start: START + HOUR * from, end: START + HOUR * to };
        Advice { window, ask_again: HOUR }
    }

    fn fresh() -> Schedule {
        Schedule { due: START + HOUR * 100, ask_at: START, window: None }
    }

    #[test]
    fn a_moment_is_chosen_once_for_each_window() {
        let schedule = fresh().advised(&advice(10, 20), START, &SystemRandom);
        assert!((START + HOUR * 10..START + HOUR * 20).contains(&schedule.due()), "{schedule:?}");
        assert_eq!(schedule.next(), START + HOUR);
        for hours in 1..9 {
            let now = START + HOUR * hours;
            let again = schedule.advised(&advice(10, 20), now, &SystemRandom);
            assert_eq!((again.due(), again.next()), (schedule.due(), now + HOUR));
        }
        // Withdrawn: the window is in the past, and so is the moment.
        let urgent = schedule.advised(&advice(1, 2), START + HOUR * 5, &SystemRandom);
        assert!(urgent.due() < START + HOUR * 2);
        assert_eq!(urgent.not_before(START + HOUR * 6).due(), START + HOUR * 6);
        assert_eq!(schedule.unheard(START).due(), schedule.due());
    }

    /// Into every tenth of the window about as often.
    #[test]
    fn moments_are_evenly_spread() {
        let mut counts = [0_u32; 10];
        for _ in 0..10_000 {
            let due = fresh().advised(&advice(0, 10), START, &SystemRandom).due();
            let tenth = usize::try_from(due.since(START).as_secs() / 3600).unwrap_or(usize::MAX);
            counts[tenth] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}
