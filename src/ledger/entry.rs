//! The form in which an event is kept for ever.
//!
//! One entry is one JSON object with its fields in this order:
//!
//! ```json
//! {"number":12,"time":"2026-11-23T10:00:00.120Z","event":{"…":"…"}}
//! ```
//!
//! These bytes, exactly as written, are the leaf of the [tree](super::tree). They are stored once, never encoded
//! again, and must still be readable by this program and by others in ten years; JSON is the form that needs no
//! tool of ours to be read. A change of an event's fields may therefore only add what an old entry can lack.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::EventNumber;

/// An event in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry<B> {
    pub number: EventNumber,
    pub time: Timestamp,
    pub event: B,
}

/// The bytes are not an entry that this version can read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a ledger entry: {0}")]
pub struct EntryError(String);

/// The bytes of an entry.
///
/// # Panics
/// When `event` has no JSON form, such as a map whose keys are not text: a mistake in its type, not in its data.
pub fn encode<B: Serialize>(number: EventNumber, at: Timestamp, event: &B) -> Vec<u8> {
    // Writing to memory cannot fail, so only the type of the event can.
    serde_json::to_vec(&Entry { number, time: at, event }).expect("an event's type has a JSON form")
}

/// Reads an entry that [`encode`] wrote, now or years ago.
pub fn decode<B: DeserializeOwned>(bytes: &[u8]) -> Result<Entry<B>, EntryError> {
    serde_json::from_slice(bytes).map_err(|error| EntryError(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type", rename_all = "kebab-case")]
    enum Event {
        DeviceMoved { device: String, to: String },
    }

    fn moved() -> Event {
        Event::DeviceMoved { device: "brannoc.P3.BR000001".into(), to: "in-service".into() }
    }

    /// A change of this text is a change of every proof ever given.
    #[test]
    fn the_bytes_are_these() {
        let at = "2026-11-23T10:00:00.120Z".parse().unwrap();
        assert_eq!(
            String::from_utf8(encode(EventNumber(12), at, &moved())).unwrap(),
            r#"{"number":12,"time":"2026-11-23T10:00:00.120Z","event":{"type":"device-moved","device":"brannoc.P3.BR000001","to":"in-service"}}"#
        );
    }

    #[test]
    fn what_was_written_is_read() {
        let at = Timestamp::from_millis(1_700_000_000_001);
        let entry = decode::<Event>(&encode(EventNumber(u64::MAX), at, &moved())).unwrap();
        assert_eq!(entry, Entry { number: EventNumber(u64::MAX), time: at, event: moved() });
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        let whole = encode(EventNumber(1), Timestamp::EPOCH, &moved());
        for cut in 0..whole.len() {
            assert!(decode::<Event>(&whole[..cut]).is_err(), "cut at {cut}");
        }
        for text in [
            r#"{"number":1,"time":"1970-01-01T00:00:00Z"}"#,
            r#"{"number":-1,"time":"1970-01-01T00:00:00Z","event":{}}"#,
            r#"{"number":1,"time":"yesterday","event":{}}"#,
            r#"{"number":1,"time":"1970-01-01T00:00:00Z","event":{},"more":1}"#,
            r#"{"number":1,"number":2,"time":"1970-01-01T00:00:00Z","event":{}}"#,
            r#"{"number":1,"time":"1970-01-01T00:00:00Z","event":{}} x"#,
        ] {
            assert!(decode::<serde_json::Value>(text.as_bytes()).is_err(), "{text}");
        }
    }
}
