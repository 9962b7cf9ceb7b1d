//! A certificate walked by hand: what a parser smooths over is seen here as it is.

/// One element of DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub tag: u8,
    pub value: &'a [u8],
    pub whole: &'a [u8],
}

/// Takes the first element off `input`.
pub(super) fn take<'a>(input: &mut &'a [u8]) -> Option<Element<'a>> {
    let all = *input;
    let (&tag, rest) = all.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        // No certificate needs more than 3 octets of length.
        if !(1..=3).contains(&count) || count > rest.len() {
            return None;
        }
        let (octets, rest) = rest.split_at(count);
        (octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), rest)
    };
    if length > rest.len() {
        return None;
    }
    let (value, rest) = rest.split_at(length);
    let whole = &all[..all.len() - rest.len()];
    *input = rest;
    Some(Element { tag, value, whole })
}

/// The fields of a certificate of version 3 in the order of RFC 5280 section 4.1.
pub(super) struct RawCertificate<'a> {
    /// The TBSCertificate, header included.
    pub message: &'a [u8],
    /// The value of the version's INTEGER.
    pub version: &'a [u8],
    /// The value of the serial number's INTEGER.
    pub serial: &'a [u8],
    /// The whole AlgorithmIdentifiers, inside and outside.
    pub inner_algorithm: Element<'a>,
    pub outer_algorithm: Element<'a>,
    pub issuer: &'a [u8],
    pub not_before: Element<'a>,
    pub not_after: Element<'a>,
    pub subject: &'a [u8],
    pub spki: &'a [u8],
    /// The value of the BIT STRING.
    pub signature: &'a [u8],
}

impl<'a> RawCertificate<'a> {
    pub(super) fn read(mut der: &'a [u8]) -> Option<Self> {
        let mut outer = take(&mut der)?.value;
        let message = take(&mut outer)?;
        let outer_algorithm = take(&mut outer)?;
        let signature = take(&mut outer)?.value;
        let mut tbs = message.value;
        let mut version: &[u8] = &[0];
        if tbs.first() == Some(&0xa0) {
            let mut explicit = take(&mut tbs)?.value;
            version = take(&mut explicit)?.value;
        }
        let serial = take(&mut tbs)?.value;
        let inner_algorithm = take(&mut tbs)?;
        let issuer = take(&mut tbs)?.whole;
        let mut validity = take(&mut tbs)?.value;
        let not_before = take(&mut validity)?;
        let not_after = take(&mut validity)?;
        let subject = take(&mut tbs)?.whole;
        let spki = take(&mut tbs)?.whole;
        Some(Self {
            message: message.whole,
            version,
            serial,
            inner_algorithm,
            outer_algorithm,
            issuer,
            not_before,
            not_after,
            subject,
            spki,
            signature,
        })
    }
}
