//! Which CA publishes a revocation filter, and how often.

use std::time::Duration;

use toml::Spanned;

use super::duration::Length;
use super::tree::File;

/// A filter covers what was issued until minutes before it was built: made more often, none would cover more.
const SHORTEST: Duration = Duration::from_secs(300);

/// How a CA's revocation filter is kept up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterPolicy {
    lifetime: Duration,
    interval: Duration,
}

impl FilterPolicy {
    /// From thisUpdate to nextUpdate.
    pub fn lifetime(self) -> Duration {
        self.lifetime
    }

    /// From one filter to the next, and so the longest that a revocation is missing from it.
    pub fn interval(self) -> Duration {
        self.interval
    }
}

/// Both lengths or neither; neither: no filter.
pub(super) fn check(
    file: &File,
    lifetime: Option<&Spanned<Length>>,
    interval: Option<&Spanned<Length>>,
) -> Option<FilterPolicy> {
    let (lifetime, interval) = match (lifetime, interval) {
        (None, None) => return None,
        (Some(lifetime), Some(interval)) => (lifetime, interval),
        (Some(alone), None) => {
            file.refuse(
                alone.span(),
                "a filter needs filter-interval too: how often is it to be made, such as 1h?",
            );
            return None;
        }
        (None, Some(alone)) => {
            file.refuse(
                alone.span(),
                "filter-interval without filter-lifetime: add the one, or remove the other and have no filter",
            );
            return None;
        }
    };
    let (longest, length) = (lifetime.get_ref(), interval.get_ref());
    if length.0 < SHORTEST {
        let shortest = Length(SHORTEST);
        file.refuse(interval.span(), format!("filter-interval is {shortest} at least: write a longer one"));
    }
    if length >= longest {
        file.refuse(
            interval.span(),
            format!(
                "filter-interval ({length}) must be shorter than filter-lifetime ({longest}), or every filter ends before the next"
            ),
        );
    }
    Some(FilterPolicy { lifetime: longest.0, interval: length.0 })
}
