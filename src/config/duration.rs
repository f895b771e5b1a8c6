//! Durations as people write them: `500ms`, `10s`, `1m30s`.

use std::time::Duration;

/// The units, and their milliseconds; the largest first.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads whole numbers with their units, `1m30s`; and `0`, with or without.
///
/// # Errors
/// What is wrong with it, and how it is written.
pub fn parse_or_zero(text: &str) -> Result<Duration, String> {
    match millis(text) {
        Some(0) => Ok(Duration::ZERO),
        _ if text == "0" => Ok(Duration::ZERO),
        _ => parse(text),
    }
}

/// Reads whole numbers with their units; never zero.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "{text:?} has no unit; write {text}s for seconds or {text}ms for milliseconds"
        ));
    }
    match millis(text) {
        Some(0) => Err(format!(
            "{text:?} is no time at all; write e.g. 500ms or 10s"
        )),
        Some(millis) => Ok(Duration::from_millis(millis)),
        None => Err(format!(
            "{text:?} is not a duration; write whole numbers of h, m, s and ms, e.g. 500ms, 10s or 2m"
        )),
    }
}

/// Writes what [`parse`] reads, for whole milliseconds.
pub(super) fn format(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    let (unit, factor) = UNITS
        .into_iter()
        .find(|(_, factor)| millis.is_multiple_of(u128::from(*factor)))
        .unwrap_or(("ms", 1));
    format!("{}{unit}", millis / u128::from(factor))
}

fn millis(text: &str) -> Option<u64> {
    let mut sum: u64 = 0;
    let mut rest = text;
    loop {
        let number = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (digits, after) = rest.split_at(number);
        let letters = after.len()
            - after
                .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                .len();
        let (unit, after) = after.split_at(letters);
        let (_, factor) = UNITS.into_iter().find(|(known, _)| *known == unit)?;
        sum = sum.checked_add(digits.parse::<u64>().ok()?.checked_mul(factor)?)?;
        if after.is_empty() {
            return Some(sum);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_needs_no_unit() {
        for text in ["0", "0s", "0ms"] {
            assert_eq!(parse_or_zero(text), Ok(Duration::ZERO), "{text}");
        }
        assert!(parse("0").is_err() && parse_or_zero("1").is_err());
    }

    #[test]
    fn durations_are_whole_numbers_with_units() {
        for (text, millis) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1m30s", 90_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["500ms", "1500ms", "10s", "90s", "2m", "61m", "24h"] {
            assert_eq!(parse(text).map(format).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_not_a_positive_duration_is_refused() {
        for text in [
            "",
            "10",
            "s",
            "0s",
            "0h0ms",
            "-1s",
            "+1s",
            "1.5s",
            "10 s",
            " 10s",
            "10S",
            "1d",
            "5us",
            "1e3s",
            "10s!",
            "10sec",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
