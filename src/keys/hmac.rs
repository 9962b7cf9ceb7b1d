//! HMAC-SHA256 (RFC 2104): what a receiver who shares the secret can check.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};

/// The code of a message.
pub fn sha256(secret: &[u8], message: &[u8]) -> [u8; 32] {
    let mut code = [0; 32];
    code.copy_from_slice(sign(&Key::new(HMAC_SHA256, secret), message).as_ref());
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::hex;

    /// RFC 4231 test case 2.
    #[test]
    fn the_code_is_that_of_the_rfc() {
        assert_eq!(
            hex(&sha256(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
