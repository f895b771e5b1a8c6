//! How long to wait before trying again.

use std::time::Duration;

/// Short enough that there is a leader again within a second of the store's return.
const LONGEST: Duration = Duration::from_millis(400);
const SHORTEST: Duration = Duration::from_millis(10);

/// Delays that double from 10 ms to 400 ms, each varied by a quarter either way so that candidates who
/// failed together don't try together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Counts one more failure, and says how long to wait after it.
    pub fn next_delay(&mut self, rng: &mut fastrand::Rng) -> Duration {
        let full = SHORTEST
            .saturating_mul(1 << self.failures.min(6))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        full.mul_f64(0.75 + rng.f64() / 2.0)
    }
}
