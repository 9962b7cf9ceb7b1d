//! The base64 of EST bodies (RFC 8951 section 3).

use vitae::pki::body::{decode_base64, encode_base64};

use super::by_hand;

/// The input as octets to be carried by a body, and as a body: was it read?
pub fn check(data: &[u8]) -> bool {
    as_content(data);
    as_body(data)
}

/// What is read is what another reader reads once white space is gone, and is written again as it stood.
fn as_body(body: &[u8]) -> bool {
    let digits: Vec<u8> = body.iter().copied().filter(|byte| !b" \t\r\n".contains(byte)).collect();
    let expected = by_hand::decode_base64(&digits).filter(|octets| !octets.is_empty());
    let decoded = decode_base64(body);
    assert_eq!(decoded.as_ref().ok(), expected.as_ref(), "{decoded:?}");
    match &decoded {
        Ok(octets) => assert_eq!(encode_base64(octets).as_bytes(), digits),
        // The text is shown to the client: one line, and nothing of the body in it.
        Err(error) => assert!(error.to_string().chars().all(|c| (' '..='~').contains(&c))),
    }
    decoded.is_ok()
}

/// Whatever is carried comes out again, however it is laid out.
fn as_content(octets: &[u8]) {
    let Some((width, octets)) = octets.split_first().filter(|(_, octets)| !octets.is_empty()) else { return };
    let text = encode_base64(octets);
    assert_eq!(text, by_hand::encode_base64(octets));
    assert_eq!(decode_base64(text.as_bytes()).as_deref(), Ok(octets));
    let space: &[u8] = [b"\n".as_slice(), b"\r\n", b" ", b"\t\r"][usize::from(width & 3)];
    let lines: Vec<&[u8]> = text.as_bytes().chunks(1 + usize::from(width >> 2)).collect();
    let laid_out = [&lines.join(space), space].concat();
    assert_eq!(decode_base64(&laid_out).as_deref(), Ok(octets));
}
