//! Dates as HTTP writes and reads them (RFC 9110 section 5.6.7).

use time::OffsetDateTime;

use crate::clock::Timestamp;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The one form in which dates are sent: IMF-fixdate.
pub(super) fn http_date(at: Timestamp) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    // A Timestamp lies in the years 1970 to 9999, which this type can hold.
    let time = OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(at.millis());
    let day = DAYS[usize::from(time.weekday().number_days_from_sunday())];
    let month = MONTHS[usize::from(u8::from(time.month())) - 1];
    let (hour, minute, second) = time.to_hms();
    format!("{day}, {:02} {month} {:04} {hour:02}:{minute:02}:{second:02} GMT", time.day(), time.year())
}

/// IMF-fixdate alone: nobody sends the two obsolete forms any more, and a date that is not understood counts as none.
pub(super) fn read_date(text: &str) -> Option<Timestamp> {
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.strip_suffix(" GMT")?.split(' ');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let text = format!("{year}-{month:02}-{day}T{}Z", parts.next()?);
    text.parse().ok().filter(|_| parts.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_as_http_writes_them() {
        assert_eq!(http_date(Timestamp::from_secs(784_111_777)), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(Timestamp::EPOCH), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http_date(Timestamp::FOREVER), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn dates_are_read_as_they_are_written() {
        for secs in [0, 784_111_777, 1_800_000_000] {
            let at = Timestamp::from_secs(secs);
            assert_eq!(read_date(&http_date(at)), Some(at));
        }
        for text in [
            "",
            "GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 99 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(read_date(text), None, "{text}");
        }
    }
}
