//! When two states are one: they differ only in what makes no difference.

use std::collections::BTreeMap;

/// Names leases in the order of their appearance, rounds times up to where they are due, and forgets the random numbers
/// and how many delays there have been.
pub(crate) fn canonical(text: &str) -> String {
    let mut names = BTreeMap::new();
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(digits_at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(digits_at);
        let end = from
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(from.len());
        let (digits, after) = from.split_at(end);
        let number: u64 = digits.parse().unwrap_or(0);
        result.push_str(before);
        let shown = if before.ends_with("LeaseId(") {
            let next = names.len() as u64;
            *names.entry(number).or_insert(next)
        } else if before.ends_with("Time(") {
            number.div_ceil(1_000_000_000)
        } else if before.ends_with("Rng(") || before.ends_with("failures: ") {
            0
        } else {
            number
        };
        result.push_str(&shown.to_string());
        rest = after;
    }
    result + rest
}

#[test]
fn states_that_differ_in_names_and_random_numbers_only_are_one() {
    let one = "LeaseId(77) Rng(5) Time(1200000000) LeaseId(9) token: 3";
    let other = "LeaseId(8) Rng(6) Time(1900000000) LeaseId(77) token: 3";
    assert_eq!(canonical(one), canonical(other));
    assert_ne!(
        canonical(one),
        canonical("LeaseId(8) Rng(6) Time(2900000000) LeaseId(77) token: 3")
    );
    assert_ne!(
        canonical(one),
        canonical("LeaseId(8) Rng(6) Time(1900000000) LeaseId(8) token: 3")
    );
}
