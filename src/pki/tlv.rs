//! A writer of DER: appends one tag, length and value after another to a buffer, and cannot fail.

use crate::clock::Timestamp;

pub(super) const BOOLEAN_TRUE: &[u8] = &[0x01, 0x01, 0xff];
pub(super) const NULL: &[u8] = &[0x05, 0x00];

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const PRINTABLE_STRING: u8 = 0x13;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// `[n]` around other elements: EXPLICIT, or IMPLICIT over a SEQUENCE or SET.
pub(super) const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

/// `[n]` IMPLICIT over a primitive type.
pub(super) const fn primitive(number: u8) -> u8 {
    0x80 | number
}

/// One element whose value is `value`.
pub(super) fn put(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    out.push(tag);
    put_length(out, value.len());
    out.extend_from_slice(value);
}

/// Tag and length of an element whose value is written elsewhere.
pub(super) fn put_header(out: &mut Vec<u8>, tag: u8, length: usize) {
    out.push(tag);
    put_length(out, length);
}

/// One element whose value is what `fill` appends.
pub(super) fn nest(out: &mut Vec<u8>, tag: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    let start = out.len();
    fill(out);
    let (length, count) = length_octets(out.len() - start);
    out.splice(start..start, length.into_iter().take(count));
}

/// The same, on its own.
pub(super) fn nested(tag: u8, fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    nest(&mut out, tag, fill);
    out
}

/// The shortest length form, as DER asks (X.690 section 10.1).
fn put_length(out: &mut Vec<u8>, length: usize) {
    let (octets, count) = length_octets(length);
    out.extend_from_slice(&octets[..count]);
}

/// The octets of a length and how many they are: no allocation, for they are made many times for each answer that is signed.
fn length_octets(length: usize) -> ([u8; 9], usize) {
    let mut octets = [0; 9];
    if let Ok(short) = u8::try_from(length)
        && short < 0x80
    {
        octets[0] = short;
        return (octets, 1);
    }
    let bytes = length.to_be_bytes();
    let bytes = trim_zeros(&bytes);
    // A usize has at most 8 bytes, so the count fits beside the marker bit.
    octets[0] = 0x80 | u8::try_from(bytes.len()).unwrap_or(8);
    octets[1..=bytes.len()].copy_from_slice(bytes);
    (octets, 1 + bytes.len())
}

/// A non-negative INTEGER, given big-endian with or without leading zeros.
pub(super) fn put_unsigned(out: &mut Vec<u8>, big_endian: &[u8]) {
    let bytes = trim_zeros(big_endian);
    if bytes.first().is_some_and(|first| *first < 0x80) {
        put(out, INTEGER, bytes);
    } else {
        // A zero in front keeps the number positive, and is itself the number zero.
        nest(out, INTEGER, |out| {
            out.push(0);
            out.extend_from_slice(bytes);
        });
    }
}

fn trim_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

/// A BIT STRING of whole octets.
pub(super) fn put_bits(out: &mut Vec<u8>, bytes: &[u8]) {
    nest(out, BIT_STRING, |out| {
        out.push(0);
        out.extend_from_slice(bytes);
    });
}

/// A Time of certificates and CRLs: UTCTime to 2049, GeneralizedTime from 2050 (RFC 5280 sections 4.1.2.5, 5.1.2.4).
pub(super) fn put_time(out: &mut Vec<u8>, time: Timestamp) {
    let digits = generalized(time);
    if digits[..4] < b"2050"[..] {
        put(out, UTC_TIME, &digits[2..]);
    } else {
        put(out, GENERALIZED_TIME, &digits);
    }
}

/// GeneralizedTime with seconds, in UTC, without a fraction (RFC 5280 section 4.1.2.5.2).
pub(super) fn put_generalized_time(out: &mut Vec<u8>, time: Timestamp) {
    put(out, GENERALIZED_TIME, &generalized(time));
}

/// `YYYYMMDDHHMMSSZ`.
fn generalized(time: Timestamp) -> [u8; 15] {
    let secs = time.secs();
    let (days, second) = (secs / 86_400, secs % 86_400);
    // Days counted from 0000-03-01, so that the leap day is the last of a year (Hinnant, civil_from_days).
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);

    let mut text = *b"00000000000000Z";
    let mut write = |mut at: usize, digits: usize, mut number: u64| {
        for _ in 0..digits {
            at -= 1;
            text[at] = b"0123456789"[usize::try_from(number % 10).unwrap_or(0)];
            number /= 10;
        }
    };
    write(4, 4, year);
    write(6, 2, month);
    write(8, 2, day);
    write(10, 2, second / 3_600);
    write(12, 2, second / 60 % 60);
    write(14, 2, second % 60);
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::time::Duration;

    use der::asn1::{GeneralizedTime, OctetString, Uint};
    use der::{DateTime, Encode};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_are_written_as_another_encoder_writes_them() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536, 20_000_000] {
            let value = vec![7; length];
            let other = OctetString::new(value.clone()).unwrap().to_der().unwrap();
            let mut out = Vec::new();
            put(&mut out, OCTET_STRING, &value);
            assert!(out == other, "put {length}");
            assert!(nested(OCTET_STRING, |out| out.extend_from_slice(&value)) == other, "nest {length}");
        }
    }

    #[test]
    fn times_change_their_form_in_2050() {
        let cases: [(&str, &[u8]); 5] = [
            ("1970-01-01", b"\x17\x0d700101000000Z"),
            ("2049-12-31T23:59:59.999Z", b"\x17\x0d491231235959Z"),
            ("2050-01-01", b"\x18\x0f20500101000000Z"),
            ("2096-02-29T01:02:03Z", b"\x18\x0f20960229010203Z"),
            ("9999-12-31T23:59:59Z", b"\x18\x0f99991231235959Z"),
        ];
        for (text, der) in cases {
            let mut out = Vec::new();
            put_time(&mut out, text.parse().unwrap());
            assert_eq!(out, der, "{text}");
        }
    }

    proptest! {
        #[test]
        fn times_are_written_as_another_encoder_writes_them(secs in 0u64..253_402_300_800) {
            let other = DateTime::from_unix_duration(Duration::from_secs(secs)).unwrap();
            let other = GeneralizedTime::from_date_time(other).to_der().unwrap();
            let mut out = Vec::new();
            put_generalized_time(&mut out, Timestamp::from_secs(secs));
            prop_assert_eq!(out, other);
        }

        #[test]
        fn numbers_are_written_as_another_encoder_writes_them(bytes in proptest::collection::vec(any::<u8>(), 1..24)) {
            let other = Uint::new(&bytes).unwrap().to_der().unwrap();
            let mut out = Vec::new();
            put_unsigned(&mut out, &bytes);
            prop_assert_eq!(out, other);
        }
    }
}
