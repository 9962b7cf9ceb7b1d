//! What the readers of DER here have in common.

use der::{Decode, Header, Reader, SliceReader, Tag, TagNumber};

/// `[number]`, constructed.
pub(super) fn context(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}

/// Reads the value of the next element, which must have this tag and be read to its end.
pub(super) fn within<'a, T>(
    reader: &mut SliceReader<'a>,
    tag: Tag,
    read: impl FnOnce(&mut SliceReader<'a>) -> der::Result<T>,
) -> der::Result<T> {
    let header = Header::decode(reader)?;
    header.tag().assert_eq(tag)?;
    reader.read_nested(header.length(), read)
}

/// Whether there is a next element, and it has this tag.
pub(super) fn next_is(reader: &SliceReader<'_>, tag: Tag) -> bool {
    !reader.is_finished() && Header::peek(reader).is_ok_and(|header| header.tag() == tag)
}

pub(super) fn skip_all(reader: &mut SliceReader<'_>) -> der::Result<()> {
    while !reader.is_finished() {
        reader.tlv_bytes()?;
    }
    Ok(())
}

/// Whether `der` is one SEQUENCE and nothing else, as what is copied into another object must be.
pub(super) fn one_sequence(der: &[u8]) -> der::Result<()> {
    let mut reader = SliceReader::new(der)?;
    Header::peek(&reader)?.tag().assert_eq(Tag::Sequence)?;
    reader.tlv_bytes()?;
    reader.finish()
}
