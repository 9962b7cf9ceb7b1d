//! Just enough DER to write what no well-behaved encoder would.

use der::asn1::ObjectIdentifier;

pub(crate) const NULL: &[u8] = &[5, 0];

pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u32::try_from(content.len()).unwrap() {
        short @ 0..=0x7f => out.push(u8::try_from(short).unwrap()),
        long => {
            let bytes: Vec<u8> = long.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            out.push(0x80 | u8::try_from(bytes.len()).unwrap());
            out.extend(bytes);
        }
    }
    out.extend_from_slice(content);
    out
}

pub(crate) fn seq(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

pub(crate) fn set(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x31, &parts.concat())
}

pub(crate) fn oid(text: &str) -> Vec<u8> {
    tlv(0x06, ObjectIdentifier::new(text).unwrap().as_bytes())
}

pub(crate) fn octets(content: &[u8]) -> Vec<u8> {
    tlv(0x04, content)
}

pub(crate) fn bits(content: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], content].concat())
}

/// A positive INTEGER.
pub(crate) fn int(content: &[u8]) -> Vec<u8> {
    let zero: &[u8] = if content[0] & 0x80 == 0 { &[] } else { &[0] };
    tlv(0x02, &[zero, content].concat())
}

pub(crate) fn utf8(text: &str) -> Vec<u8> {
    tlv(0x0c, text.as_bytes())
}

/// A Name with one attribute in each RDN.
pub(crate) fn name(attributes: &[(&str, &str)]) -> Vec<u8> {
    let rdns: Vec<Vec<u8>> =
        attributes.iter().map(|(kind, text)| set(&[&seq(&[&oid(kind), &utf8(text)])])).collect();
    tlv(0x30, &rdns.concat())
}

pub(crate) fn extension(kind: &str, value: &[u8]) -> Vec<u8> {
    seq(&[&oid(kind), &octets(value)])
}
