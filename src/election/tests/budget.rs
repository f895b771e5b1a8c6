//! Which durations make a budget.

use super::*;

#[test]
fn budgets_that_do_not_fit_are_refused_with_the_numbers_and_the_remedy() {
    let table = [
        ((10_000, 9_500, 2_000), None),
        ((10_000, 9_501, 2_000), Some("at most 9.5s")),
        ((10_000, 6_000, 6_000), Some("less than renew_deadline")),
        ((10_000, 6_000, 9), Some("at least 10ms")),
        ((86_400_001, 6_000, 2_000), Some("longer than a day")),
    ];
    for ((ttl, deadline, retry), expected) in table {
        let result = Timing::new(ms(ttl), ms(deadline), ms(retry));
        match expected {
            None => assert!(result.is_ok(), "{result:?}"),
            Some(remedy) => {
                let message = result.unwrap_err().to_string();
                assert!(message.contains(remedy), "{message}");
            }
        }
    }
}
