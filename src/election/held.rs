//! A lease in this candidate's hands: until when it is good, and when its next keepalive is due.

use super::backoff::Backoff;
use super::{Claim, Deadline, Lease, Time, Timing};
use std::time::Duration;

/// A lease that is being kept alive, with at most one keepalive outstanding.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) lease: Lease,
    keepalive: Keepalive,
    /// Since the last answer.
    unanswered: Option<Backoff>,
}

#[derive(Clone, Copy, Debug)]
enum Keepalive {
    DueAt(Time),
    Outstanding,
    /// The lease is left to run out.
    Ended,
}

impl Held {
    /// The first keepalive comes somewhere in the first retry_period, the others a period after each other: so
    /// elections that begin together don't go on in step.
    pub(super) fn new(lease: Lease, timing: &Timing, rng: &mut fastrand::Rng) -> Self {
        let period = timing.retry_for(lease.ttl);
        let first = lease.sent_at + period.mul_f64(rng.f64());
        Held {
            lease,
            keepalive: Keepalive::DueAt(on_the_beat(first, period)),
            unanswered: None,
        }
    }

    /// From then on the lease is not relied upon. Counted from sending: the store counts from later.
    pub(super) fn valid_until(&self, timing: &Timing) -> Time {
        self.lease.sent_at + timing.deadline_for(self.lease.ttl)
    }

    /// By then the store has dropped the lease by itself, unless it was down meanwhile.
    pub(super) fn gone_by(&self) -> Time {
        self.lease.sent_at + self.lease.ttl
    }

    pub(super) fn claim(&self, timing: &Timing) -> Claim {
        let retry = timing.retry_for(self.lease.ttl);
        Claim {
            token: self.lease.token,
            lease: self.lease.id,
            valid_until: self.valid_until(timing),
            overdue_from: self.lease.sent_at + retry + retry / 2,
        }
    }

    /// Whether a keepalive is to be sent now; if so, it is taken as sent.
    pub(super) fn take_due(&mut self, now: Time) -> bool {
        let due = matches!(self.keepalive, Keepalive::DueAt(at) if at <= now);
        if due {
            self.keepalive = Keepalive::Outstanding;
        }
        due
    }

    /// The keepalive sent at `sent_at` was answered.
    pub(super) fn answered(
        &mut self,
        sent_at: Time,
        ttl: Duration,
        timing: &Timing,
        rng: &mut fastrand::Rng,
    ) {
        self.lease.sent_at = self.lease.sent_at.max(sent_at);
        self.lease.ttl = ttl;
        let period = timing.retry_for(ttl);
        let due = match self.unanswered.take() {
            None => self.lease.sent_at + period,
            // An outage ends for all elections at once, after which they would go on in step.
            Some(_) => self.lease.sent_at + period.mul_f64(rng.f64()),
        };
        self.next(on_the_beat(due, period));
    }

    /// The keepalive was not answered: another is due soon.
    pub(super) fn not_answered(&mut self, now: Time, rng: &mut fastrand::Rng) {
        let delay = self.unanswered.get_or_insert_default().next_delay(rng);
        self.next(now + delay);
    }

    fn next(&mut self, due: Time) {
        if self.is_renewed() {
            self.keepalive = Keepalive::DueAt(due);
        }
    }

    /// When the next keepalive is due, unless one is outstanding.
    pub(super) fn next_keepalive(&self) -> Option<Time> {
        match self.keepalive {
            Keepalive::DueAt(at) => Some(at),
            Keepalive::Outstanding | Keepalive::Ended => None,
        }
    }

    pub(super) fn stop_renewing(&mut self) {
        self.keepalive = Keepalive::Ended;
    }

    pub(super) fn is_renewed(&self) -> bool {
        !matches!(self.keepalive, Keepalive::Ended)
    }

    /// Until when an application may run by this lease.
    pub(super) fn deadline(&self, timing: &Timing) -> Deadline {
        Deadline {
            stop_at: self.valid_until(timing),
            kill_at: self.lease.sent_at + timing.last_moment_for(self.lease.ttl),
        }
    }
}

/// Slightly earlier, on a beat that all elections of a process share: so those that are due at nearly the same time
/// cost one wake-up, here and in the store.
fn on_the_beat(time: Time, period: Duration) -> Time {
    let beat = u64::try_from(period.as_nanos() / BEATS).unwrap_or(u64::MAX);
    Time::from_nanos(time.as_nanos() - time.as_nanos() % beat.max(1))
}

/// In a retry_period.
const BEATS: u128 = 32;
