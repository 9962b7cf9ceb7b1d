//! Ranges of IP addresses as configuration writes them: `192.0.2.7`, `10.0.0.0/8`, `2001:db8::/32`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::text::deserialize_from_str;

/// All addresses that begin with the same bits (RFC 4632).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    first: IpAddr,
    bits: u8,
}

impl AddressRange {
    /// An IPv4 address in the form of an IPv6 one counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && cut(address, self.bits) == self.first
    }
}

/// The first address of the range that `address` is in.
fn cut(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

impl FromStr for AddressRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, bits) = match text.split_once('/') {
            None => (text, None),
            Some((address, bits)) => (address, Some(bits)),
        };
        let parse = || {
            let first: IpAddr = address.parse().ok()?;
            let most = if first.is_ipv4() { 32 } else { 128 };
            let bits = match bits {
                None => most,
                Some(bits) => {
                    let digits = Some(bits).filter(|bits| bits.bytes().all(|b| b.is_ascii_digit()))?;
                    digits.parse().ok().filter(|bits| *bits <= most)?
                }
            };
            Some(Self { first, bits })
        };
        let range = parse().ok_or_else(|| {
            format!("'{text}' is not a range of addresses: write one such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32")
        })?;
        let first = cut(range.first, range.bits);
        if first != range.first {
            return Err(format!("'{text}' is not where its range begins: write {first}/{}", range.bits));
        }
        Ok(range)
    }
}

deserialize_from_str!(AddressRange);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn range(text: &str) -> AddressRange {
        text.parse().unwrap()
    }

    #[test]
    fn a_range_holds_what_begins_like_it() {
        for (text, inside, outside) in [
            ("127.0.0.0/8", "127.255.0.1", "128.0.0.1"),
            ("127.0.0.0/8", "::ffff:127.0.0.1", "::1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("10.1.2.128/25", "10.1.2.200", "10.1.2.100"),
            ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
            ("::1", "::1", "::2"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
        ] {
            assert!(range(text).contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(!range(text).contains(outside.parse().unwrap()), "{text} {outside}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "localhost", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "10.0.0.0/8/8"]
        {
            assert!(text.parse::<AddressRange>().unwrap_err().contains("is not a range"), "{text}");
        }
        let said = "10.1.2.3/8".parse::<AddressRange>().unwrap_err();
        assert!(said.contains("write 10.0.0.0/8"), "{said}");
    }
}
