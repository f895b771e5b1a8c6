//! The time budget of a lease: three durations, and the rule that they fit.

use std::fmt;
use std::time::Duration;

/// The shortest retry_period: below it a sidecar would be busy with nothing but keepalives.
const SHORTEST_RETRY_PERIOD: Duration = Duration::from_millis(10);

/// The longest ttl: a day without a leader after a crash is a mistake in the config.
const LONGEST_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// The durations that rule a lease, known to fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    ttl: Duration,
    renew_deadline: Duration,
    retry_period: Duration,
}

impl Timing {
    /// Checks that a leader stops, even with clocks that drift, before the store lets go of its lease.
    ///
    /// # Errors
    /// A [`BudgetError`] that names the numbers and the remedy.
    pub fn new(
        ttl: Duration,
        renew_deadline: Duration,
        retry_period: Duration,
    ) -> Result<Self, BudgetError> {
        let timing = Timing {
            ttl,
            renew_deadline,
            retry_period,
        };
        if ttl > LONGEST_TTL {
            return Err(BudgetError::TtlTooLong { ttl });
        }
        if retry_period < SHORTEST_RETRY_PERIOD {
            return Err(BudgetError::RetryTooShort { retry_period });
        }
        if retry_period >= renew_deadline {
            return Err(BudgetError::NoTimeToRetry {
                retry_period,
                renew_deadline,
            });
        }
        if renew_deadline + drift_margin(ttl) > ttl {
            return Err(BudgetError::StopsTooLate {
                ttl,
                renew_deadline,
                drift_margin: drift_margin(ttl),
            });
        }
        Ok(timing)
    }

    /// How long the store is asked to keep a lease that nobody renews.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// How long after sending its last answered keepalive a leader stops being one.
    pub fn renew_deadline(&self) -> Duration {
        self.renew_deadline
    }

    /// The time between keepalives.
    pub fn retry_period(&self) -> Duration {
        self.retry_period
    }

    /// The part of the ttl that is set aside for clocks that run at different rates.
    pub fn drift_margin(&self) -> Duration {
        drift_margin(self.ttl)
    }

    /// The deadline under a lease that the store granted for `granted`, which need not be what was asked.
    ///
    /// A longer grant does not lengthen it: the configured deadline is a promise to the application.
    pub(super) fn deadline_for(&self, granted: Duration) -> Duration {
        self.renew_deadline.min(self.last_moment_for(granted))
    }

    /// Until when an application may be stopping under such a lease: then another may lead.
    pub(super) fn last_moment_for(&self, granted: Duration) -> Duration {
        granted - drift_margin(granted)
    }

    /// The time between keepalives under such a lease: shorter in proportion where the grant is.
    pub(super) fn retry_for(&self, granted: Duration) -> Duration {
        if granted >= self.ttl {
            return self.retry_period;
        }
        self.retry_period
            .mul_f64(granted.as_secs_f64() / self.ttl.as_secs_f64())
    }
}

/// A twentieth of the ttl: two clocks may each be wrong by 2.4 % in rate, a hundred times more than
/// a clock disciplined by NTP ever is.
fn drift_margin(ttl: Duration) -> Duration {
    ttl / 20
}

/// Why three durations don't make a safe lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetError {
    /// Without a leader for that long after a crash.
    TtlTooLong {
        /// What was configured.
        ttl: Duration,
    },
    /// Keepalives would be all that the sidecar does.
    RetryTooShort {
        /// What was configured.
        retry_period: Duration,
    },
    /// Not one keepalive fits before the deadline.
    NoTimeToRetry {
        /// What was configured.
        retry_period: Duration,
        /// What it must be shorter than.
        renew_deadline: Duration,
    },
    /// The store could hand the lease on while this candidate still leads.
    StopsTooLate {
        /// What was configured.
        ttl: Duration,
        /// What is too long for it.
        renew_deadline: Duration,
        /// What has to fit in as well.
        drift_margin: Duration,
    },
}

impl BudgetError {
    /// The key under `lease` that is to be mended.
    pub fn key(&self) -> &'static str {
        match self {
            BudgetError::TtlTooLong { .. } => "ttl",
            BudgetError::RetryTooShort { .. } | BudgetError::NoTimeToRetry { .. } => "retry_period",
            BudgetError::StopsTooLate { .. } => "renew_deadline",
        }
    }
}

impl fmt::Display for BudgetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            BudgetError::TtlTooLong { ttl } => {
                write!(
                    f,
                    "ttl {ttl:?} is longer than a day; use at most {LONGEST_TTL:?}"
                )
            }
            BudgetError::RetryTooShort { retry_period } => write!(
                f,
                "retry_period {retry_period:?} is too short; use at least {SHORTEST_RETRY_PERIOD:?}"
            ),
            BudgetError::NoTimeToRetry {
                retry_period,
                renew_deadline,
            } => write!(
                f,
                "retry_period {retry_period:?} leaves no time for a keepalive before renew_deadline \
                 {renew_deadline:?}; use less than renew_deadline, a third of it or less survives a lost answer"
            ),
            BudgetError::StopsTooLate {
                ttl,
                renew_deadline,
                drift_margin,
            } => write!(
                f,
                "renew_deadline {renew_deadline:?} + {drift_margin:?} for clock drift (ttl/20) exceeds \
                 ttl {ttl:?}; use a renew_deadline of at most {:?}, or a longer ttl",
                ttl.saturating_sub(drift_margin)
            ),
        }
    }
}

impl std::error::Error for BudgetError {}
