//! The one thing that is read out of a certificate here: until when it holds. Nothing is trusted by it.

use std::time::{Duration, SystemTime};

/// Until when a certificate in DER holds, in seconds since 1970; none where it says nothing that is understood.
pub fn not_after(der: &[u8]) -> Option<u64> {
    let (_, certificate) = value(der)?;
    let (_, mut signed) = value(certificate)?;
    // The version may be left out, and is tagged as what may be.
    if signed.first() == Some(&VERSION) {
        signed = rest(signed)?;
    }
    // The serial number, the algorithm and the issuer come before the validity.
    for _ in 0..3 {
        signed = rest(signed)?;
    }
    let (_, validity) = value(signed)?;
    let (tag, not_after) = value(rest(validity)?)?;
    seconds(tag, std::str::from_utf8(not_after).ok()?)
}

/// For people.
pub fn date(seconds: u64) -> String {
    let date = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(YEAR_9999));
    humantime::format_rfc3339_seconds(date).to_string()
}

const YEAR_9999: u64 = 253_402_300_799;

const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The tag and the content of what comes first.
fn value(der: &[u8]) -> Option<(u8, &[u8])> {
    let (start, end) = bounds(der)?;
    Some((*der.first()?, der.get(start..end)?))
}

/// What comes after what comes first.
fn rest(der: &[u8]) -> Option<&[u8]> {
    let (_, end) = bounds(der)?;
    der.get(end..)
}

/// Where the content of what comes first begins and ends. Lengths of more than two bytes are of no certificate that
/// anybody uses; three are taken.
fn bounds(der: &[u8]) -> Option<(usize, usize)> {
    let first = *der.get(1)?;
    if first < 0x80 {
        return Some((2, 2 + usize::from(first)));
    }
    let bytes = usize::from(first & 0x7f);
    if !(1..=3).contains(&bytes) {
        return None;
    }
    let length = der.get(2..2 + bytes)?;
    let length = length
        .iter()
        .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    Some((2 + bytes, 2 + bytes + length))
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`.
fn seconds(tag: u8, text: &str) -> Option<u64> {
    let long = match tag {
        // By the standard, years below 50 are of this century.
        UTC_TIME if *text.as_bytes().first()? < b'5' => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let at = |range| long.get(range);
    let (year, month, day) = (at(0..4)?, at(4..6)?, at(6..8)?);
    let (hour, minute, second) = (at(8..10)?, at(10..12)?, at(12..14)?);
    let date = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    let date = humantime::parse_rfc3339(&date).ok()?;
    let since = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_write_a_date_are_read() {
        assert_eq!(seconds(UTC_TIME, "700101000010Z"), Some(10));
        assert_eq!(seconds(UTC_TIME, "261126072058Z"), Some(1_795_677_658));
        assert_eq!(seconds(GENERALIZED_TIME, "19700101000010Z"), Some(10));
        assert_eq!(
            seconds(GENERALIZED_TIME, "99991231235959Z"),
            Some(YEAR_9999)
        );
        assert_eq!(seconds(0x04, "19700101000010Z"), None);
        assert_eq!(seconds(UTC_TIME, "70"), None);
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        for der in [
            &b""[..],
            b"\x30",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x03\x30\x01\xa0",
            &[0x30; 64],
            b"garbage",
        ] {
            assert_eq!(not_after(der), None, "{der:?}");
        }
    }
}
