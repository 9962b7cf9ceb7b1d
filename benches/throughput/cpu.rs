//! Which threads used the processor, by the names of the threads. Linux only; elsewhere the column stays empty.

use std::collections::BTreeMap;
use std::fs;

/// Nanoseconds on a processor so far, by name of thread.
pub(crate) type Spent = BTreeMap<String, u64>;

pub(crate) fn spent() -> Spent {
    let mut spent = Spent::new();
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return spent };
    for task in tasks.flatten() {
        let name = fs::read_to_string(task.path().join("comm"));
        let times = fs::read_to_string(task.path().join("schedstat"));
        let (Ok(name), Ok(times)) = (name, times) else { continue };
        let nanos = times.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok());
        *spent.entry(name.trim().to_owned()).or_default() += nanos.unwrap_or(0);
    }
    spent
}

pub(crate) fn since(before: &Spent) -> Spent {
    let mut now = spent();
    for (name, nanos) in &mut now {
        *nanos = nanos.saturating_sub(before.get(name).copied().unwrap_or(0));
    }
    now
}

pub(crate) fn model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name"));
    line.and_then(|line| line.split_once(": ")).map_or("unknown processor", |(_, name)| name).to_owned()
}
