//! Budgets of time.

use std::time::Duration;
use tenure::election::Timing;

/// The tightest that is allowed: the leader stops as late as the margin for drift lets it.
pub(crate) fn tight(ttl: Duration) -> Timing {
    let retry_period = ttl / 8;
    let loose = Timing::new(ttl, ttl / 2, retry_period).unwrap();
    Timing::new(ttl, ttl - loose.drift_margin(), retry_period).unwrap()
}

/// The defaults.
pub(crate) fn usual(ttl: Duration) -> Timing {
    Timing::new(ttl, ttl * 2 / 3, ttl / 5).unwrap()
}
