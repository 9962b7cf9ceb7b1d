//! What work costs, so that a busy machine does not count.

use std::fs;
use std::time::Duration;

/// Time on a processor of this thread alone, in steps of some milliseconds. Linux only: elsewhere it is nothing.
pub(crate) fn spent() -> Duration {
    let times = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(times.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}
