//! Which part of a file a client asks for, and whether it has it already (RFC 9110 sections 13 and 14).

use hyper::header::{HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};

/// What is to be sent of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    /// Octets from the first up to and without the second.
    Some(u64, u64),
    /// None of the octets asked for exists.
    Nothing,
}

/// The client has this version. `etag` is strong; `modified` is when it was made, in HTTP's form.
pub(super) fn is_known(headers: &HeaderMap, etag: &str, modified: &str) -> bool {
    let mut tags = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).peekable();
    if tags.peek().is_some() {
        // A weak comparison, as section 13.1.2 asks for; If-Modified-Since is ignored then.
        return tags.flat_map(|tags| tags.split(',')).any(|tag| {
            let tag = tag.trim();
            tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
        });
    }
    // Clients send back the date that they were given; no list has the date of another.
    headers.get(IF_MODIFIED_SINCE).is_some_and(|since| since == modified)
}

/// The part of `length` octets that is asked for. What is not understood, or more than one range, gives the whole, as
/// section 14.2 allows.
pub(super) fn part(headers: &HeaderMap, length: u64, etag: &str, modified: &str) -> Part {
    let mut ranges = headers.get_all(RANGE).iter();
    let (Some(range), None) = (ranges.next(), ranges.next()) else { return Part::Whole };
    // The rest of another version would make a file that never was.
    let same = |version: &HeaderValue| version == etag || version == modified;
    if !headers.get(IF_RANGE).is_none_or(same) {
        return Part::Whole;
    }
    range.to_str().ok().and_then(|text| asked(text, length)).unwrap_or(Part::Whole)
}

fn asked(range: &str, length: u64) -> Option<Part> {
    let (unit, range) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More than fits is beyond every file.
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let part = match (first, last) {
        ("", last) => (length.saturating_sub(number(last)?), length),
        (first, "") => (number(first)?, length),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            (first, length.min(last.saturating_add(1)))
        }
    };
    Some(if part.0 < part.1 { Part::Some(part.0, part.1) } else { Part::Nothing })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: &str = "\"a\"";
    const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn headers(list: &[(hyper::header::HeaderName, &'static str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    /// C22: one range of octets, in its three forms; everything else is answered with the whole.
    #[test]
    fn one_range_of_octets() {
        for (range, wanted) in [
            ("bytes=0-0", Part::Some(0, 1)),
            ("bytes=0-", Part::Some(0, 10)),
            ("bytes=9-", Part::Some(9, 10)),
            ("bytes=3-5", Part::Some(3, 6)),
            ("bytes=3-99999999999999999999999", Part::Some(3, 10)),
            ("Bytes = 3-5", Part::Some(3, 6)),
            ("bytes=-1", Part::Some(9, 10)),
            ("bytes=-100", Part::Some(0, 10)),
            ("bytes=10-", Part::Nothing),
            ("bytes=99999999999999999999999-", Part::Nothing),
            ("bytes=-0", Part::Nothing),
            ("bytes=5-3", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=1", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("", Part::Whole),
        ] {
            assert_eq!(part(&headers(&[(RANGE, range)]), 10, ETAG, MODIFIED), wanted, "{range}");
        }
        assert_eq!(part(&HeaderMap::new(), 10, ETAG, MODIFIED), Part::Whole);
    }

    /// C22: a download is continued only when it is of the same list.
    #[test]
    fn the_rest_of_another_version_is_not_sent() {
        for (version, wanted) in [
            (ETAG, Part::Some(3, 10)),
            (MODIFIED, Part::Some(3, 10)),
            ("\"b\"", Part::Whole),
            ("W/\"a\"", Part::Whole),
            ("Sun, 06 Nov 1994 08:49:38 GMT", Part::Whole),
        ] {
            let headers = headers(&[(RANGE, "bytes=3-"), (IF_RANGE, version)]);
            assert_eq!(part(&headers, 10, ETAG, MODIFIED), wanted, "{version}");
        }
    }

    /// C22: a tag says more than a date.
    #[test]
    fn what_is_known_is_not_sent_again() {
        for (list, wanted) in [
            (vec![], false),
            (vec![(IF_NONE_MATCH, ETAG)], true),
            (vec![(IF_NONE_MATCH, "W/\"a\"")], true),
            (vec![(IF_NONE_MATCH, "\"x\", \"a\"")], true),
            (vec![(IF_NONE_MATCH, "*")], true),
            (vec![(IF_NONE_MATCH, "\"b\"")], false),
            (vec![(IF_MODIFIED_SINCE, MODIFIED)], true),
            (vec![(IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:36 GMT")], false),
            (vec![(IF_MODIFIED_SINCE, MODIFIED), (IF_NONE_MATCH, "\"b\"")], false),
        ] {
            assert_eq!(is_known(&headers(&list), ETAG, MODIFIED), wanted, "{list:?}");
        }
    }
}
