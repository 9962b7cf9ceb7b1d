//! What a server wishes of a request (RFC 7030 section 4.5.2, RFC 9908), as our own client reads it.

use vitae::pki::csr_attributes::CsrAttributes;

/// What was read is written in a form that is read the same. Was it read?
pub fn check(der: &[u8]) -> bool {
    let wishes = match CsrAttributes::from_der(der) {
        Ok(wishes) => wishes,
        Err(error) => {
            assert!(!error.to_string().contains(char::is_control), "{error:?}");
            return false;
        }
    };
    let again = wishes.to_der();
    let read = CsrAttributes::from_der(&again).expect("what we write we can read");
    // A template has no place for the signature, and makes the list beside it count for nothing.
    let signature = if read.signature.is_none() { None } else { wishes.signature };
    assert_eq!(read, CsrAttributes { signature, ..wishes.clone() });
    assert_eq!(wishes.is_empty(), again == [0x30, 0x00]);
    assert!(CsrAttributes::from_der(&[der, &[0]].concat()).is_err(), "an octet behind does not count");
    true
}
