//! A lease in this candidate's hands: until when it is good, and when its next keepalive is due.

use super::backoff::Backoff;
use super::{Claim, Lease, Time, Timing};
use std::time::Duration;

/// A lease that is being kept alive, with at most one keepalive outstanding.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) lease: Lease,
    keepalive: Keepalive,
    unanswered: Backoff,
}

#[derive(Clone, Copy, Debug)]
enum Keepalive {
    DueAt(Time),
    Outstanding,
}

impl Held {
    /// The first keepalive comes somewhere in the first retry_period, the others a period after each other: so
    /// elections that begin together don't go on in step.
    pub(super) fn new(lease: Lease, timing: &Timing, rng: &mut fastrand::Rng) -> Self {
        let first = timing.retry_for(lease.ttl).mul_f64(rng.f64());
        Held {
            lease,
            keepalive: Keepalive::DueAt(lease.sent_at + first),
            unanswered: Backoff::default(),
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
    pub(super) fn answered(&mut self, sent_at: Time, ttl: Duration, timing: &Timing) {
        self.lease.sent_at = self.lease.sent_at.max(sent_at);
        self.lease.ttl = ttl;
        self.unanswered = Backoff::default();
        self.keepalive = Keepalive::DueAt(self.lease.sent_at + timing.retry_for(ttl));
    }

    /// The keepalive was not answered: another is due soon.
    pub(super) fn not_answered(&mut self, now: Time, rng: &mut fastrand::Rng) {
        self.keepalive = Keepalive::DueAt(now + self.unanswered.next_delay(rng));
    }

    /// When the next keepalive is due, unless one is outstanding.
    pub(super) fn next_keepalive(&self) -> Option<Time> {
        match self.keepalive {
            Keepalive::DueAt(at) => Some(at),
            Keepalive::Outstanding => None,
        }
    }
}
