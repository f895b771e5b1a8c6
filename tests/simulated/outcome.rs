//! What came of a world.

use crate::kind::Kind;
use std::collections::BTreeMap;
use std::time::Duration;

/// Of one seed, or of many.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What is wrong, if anything is.
    pub(crate) crime: Option<String>,
    pub(crate) trace: String,
    /// How much of the time somebody led.
    pub(crate) led: Duration,
    pub(crate) lasted: Duration,
    pub(crate) leaderships: u64,
    pub(crate) faults: u64,
    pub(crate) counts: BTreeMap<Kind, u64>,
}

impl Outcome {
    /// The figures of both: neither has a crime, and nobody reads so many traces.
    pub(crate) fn and(mut self, other: Outcome) -> Outcome {
        self.led += other.led;
        self.lasted += other.lasted;
        self.leaderships += other.leaderships;
        self.faults += other.faults;
        for (kind, count) in other.counts {
            *self.counts.entry(kind).or_default() += count;
        }
        self
    }

    /// Of the time, with a leader.
    pub(crate) fn share(&self) -> f64 {
        self.led.as_secs_f64() / self.lasted.as_secs_f64()
    }
}
