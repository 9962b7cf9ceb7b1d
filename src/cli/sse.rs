//! Reads server-sent events (WHATWG HTML section 9.2.6), as far as the admin door writes them, in pieces as they come.

use super::Failure;

/// More than any event of the record; a server that goes on without a line end is none of ours.
const LONGEST_LINE: usize = 1024 * 1024;

/// What stands between two empty lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: Option<String>,
    /// `None`: a sign of life, which tells at most how far the server has looked.
    pub(super) data: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Reader {
    line: Vec<u8>,
    message: Message,
}

impl Reader {
    /// The messages that this piece completes.
    pub(super) fn read(&mut self, piece: &[u8]) -> Result<Vec<Message>, Failure> {
        let mut messages = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() > LONGEST_LINE {
                return Err(Failure::Refused("the server sends a line without end".to_owned()));
            }
            if self.line.pop_if(|last| *last == b'\n').is_some() {
                let line = std::mem::take(&mut self.line);
                messages.extend(self.end_of(&String::from_utf8_lossy(&line)));
            }
        }
        Ok(messages)
    }

    fn end_of(&mut self, line: &str) -> Option<Message> {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            let message = std::mem::take(&mut self.message);
            return (message != Message::default()).then_some(message);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match field {
            "id" => self.message.id = Some(value),
            "data" => match &mut self.message.data {
                Some(data) => data.push_str(&format!("\n{value}")),
                none => *none = Some(value),
            },
            // Comments, and what is for browsers.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn message(id: Option<&str>, data: Option<&str>) -> Message {
        Message { id: id.map(str::to_owned), data: data.map(str::to_owned) }
    }

    #[test]
    fn messages_are_read_however_they_are_cut() {
        let stream = "retry: 1000\n: alive\nid: 4\n\nid: 5\nevent: x\ndata: {\"a\": 1}\n\n\n: alive\n\ndata: a\r\ndata:b\r\n\r\nid: 7\ndata: cut o";
        let expected =
            [message(Some("4"), None), message(Some("5"), Some("{\"a\": 1}")), message(None, Some("a\nb"))];
        for size in [1, 2, 7, stream.len()] {
            let mut reader = Reader::default();
            let read = stream.as_bytes().chunks(size).flat_map(|piece| reader.read(piece).unwrap());
            assert_eq!(read.collect::<Vec<_>>(), expected, "{size}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut reader = Reader::default();
        let piece = vec![b'x'; 64 * 1024];
        assert!((0..17).any(|_| reader.read(&piece).is_err()));
    }
}
