//! What every candidate has: a clock, an outbox, and promises that it gave.

use std::time::Duration;
use tenure::election::{LeaseId, Role, Time};

/// A host's clock: it runs at a rate of its own, from an origin of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    rate: f64,
    origin: Time,
}

/// What was sent since somebody looked, with the numbers by which the answers are known.
#[derive(Debug)]
pub(crate) struct Outbox<Message> {
    pub(crate) sent: Vec<(u64, Message)>,
    last_id: u64,
}

/// What an application was told that it may rely on. That outlives the process that said so.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    /// As far as the process knows.
    pub(crate) until: Time,
    pub(crate) given: Vec<(LeaseId, Time)>,
}

impl Clock {
    /// With a rate that is wrong by `drift` at most, either way.
    pub(crate) fn new(rng: &mut fastrand::Rng, drift: f64) -> Self {
        Clock {
            rate: 1.0 + drift * (rng.f64() * 2.0 - 1.0),
            origin: Time::ORIGIN,
        }
    }

    pub(crate) fn begun_at(self, origin: u64) -> Self {
        let origin = Time::from_nanos(origin);
        Clock { origin, ..self }
    }

    pub(crate) fn read(&self, now: Time) -> Time {
        self.origin + self.passed(now)
    }

    /// What it has counted since the world began.
    pub(crate) fn passed(&self, now: Time) -> Duration {
        Duration::from_nanos((now.as_nanos() as f64 * self.rate) as u64)
    }

    /// How long it takes to count so much: a nanosecond more, so that rounding wakes nobody too early.
    pub(crate) fn takes_to_count(&self, duration: Duration) -> Duration {
        Duration::from_secs_f64(duration.as_secs_f64() / self.rate) + Duration::from_nanos(1)
    }
}

impl<Message> Outbox<Message> {
    pub(crate) fn new() -> Self {
        Outbox {
            sent: Vec::new(),
            last_id: 0,
        }
    }

    pub(crate) fn send(&mut self, message: Message) -> u64 {
        self.last_id += 1;
        self.sent.push((self.last_id, message));
        self.last_id
    }
}

impl Promises {
    /// The application asks whether it may act, and for how long.
    pub(crate) fn ask(&mut self, role: Role, now: Time) {
        if let Some(claim) = role.claim().filter(|claim| claim.is_valid(now)) {
            self.until = self.until.max(claim.valid_until);
            self.given.push((claim.lease, claim.valid_until));
        }
    }

    /// The leases of those that hold.
    pub(crate) fn hold(&mut self, now: Time) -> impl Iterator<Item = LeaseId> {
        self.given.retain(|(_, until)| *until > now);
        self.given.iter().map(|(lease, _)| *lease)
    }
}
