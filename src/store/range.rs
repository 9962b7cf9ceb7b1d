//! Ways to name the keys of a scan.

use super::{Each, Range, StoreError, Table, View};

impl<'a> Range<'a> {
    /// Every key, first key first.
    pub const ALL: Self = Self { from: &[], to: None, backwards: false };

    /// The same keys, last key first.
    pub fn reversed(self) -> Self {
        Self { backwards: !self.backwards, ..self }
    }

    /// No key lies in it. Asked before a backend is: some panic on a range that ends before it begins.
    pub(super) fn is_empty(&self) -> bool {
        self.to.is_some_and(|to| to <= self.from)
    }
}

/// The first key after all those that begin with `prefix`; `None` when no key lies after them.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// Calls `each(key, value)` for every row whose key begins with `prefix`, in key order, until it breaks.
pub fn scan_prefix(view: &dyn View, table: Table, prefix: &[u8], each: Each<'_>) -> Result<(), StoreError> {
    let end = prefix_end(prefix);
    view.scan(table, Range { from: prefix, to: end.as_deref(), backwards: false }, each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix() {
        for (prefix, end) in [
            (b"".as_slice(), None),
            (b"a", Some(b"b".as_slice())),
            (b"a\xff", Some(b"b")),
            (b"a\xfe\xff", Some(b"a\xff")),
            (b"\xff\xff", None),
            (b"\x00", Some(b"\x01")),
        ] {
            assert_eq!(prefix_end(prefix).as_deref(), end, "{prefix:?}");
        }
    }
}
