//! A candidate of client-go's, by client-go's rule: the Lease is another's for as long as the duration that is written in it,
//! counted from when it was last seen to change.

use super::server::Writer;
use super::{Climate, Happening, World, clock, date};
use crate::kind::Kind;
use crate::session::Now;
use crate::simulated::candidate::Clock;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use std::time::{Duration, SystemTime};
use tenure::election::Time;

#[derive(Debug)]
pub(super) struct Foreign {
    name: String,
    /// In whole seconds.
    lease_duration: Duration,
    clock: Clock,
    /// When the world began, by that clock.
    date: Duration,
    pub(super) is_frozen: bool,
    observed: Option<LeaseSpec>,
    observed_at: Time,
}

impl Foreign {
    pub(super) fn new(name: usize, climate: &Climate, rng: &mut fastrand::Rng) -> Self {
        Foreign {
            name: format!("client-go-{name}"),
            lease_duration: climate.timing.ttl() / 2 * (1 + name as u32),
            clock: clock(rng, climate.drift),
            date: date(rng),
            is_frozen: false,
            observed: None,
            observed_at: Time::ORIGIN,
        }
    }

    /// What it writes, having read this.
    fn campaign(&mut self, lease: &Lease, now: Now) -> Option<Lease> {
        let spec = lease.spec.clone().unwrap_or_default();
        if self.observed.as_ref() != Some(&spec) {
            self.observed = Some(spec.clone());
            self.observed_at = now.time;
        }
        let holder = spec.holder_identity.as_deref().unwrap_or("");
        let seconds = spec.lease_duration_seconds.unwrap_or(0);
        let valid_for = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let is_own = holder == self.name;
        if !holder.is_empty() && !is_own && now.time < self.observed_at + valid_for {
            return None;
        }
        let mut written = spec;
        let now = micro_time(now.date);
        if !is_own {
            written.acquire_time = Some(now.clone());
            written.lease_transitions = Some(written.lease_transitions.unwrap_or(0) + 1);
        }
        written.holder_identity = Some(self.name.clone());
        written.lease_duration_seconds = i32::try_from(self.lease_duration.as_secs()).ok();
        written.renew_time = Some(now);
        Some(with(lease, written))
    }

    /// What it writes to give up what is its own.
    fn release(&self, lease: &Lease, date: SystemTime) -> Option<Lease> {
        let mut written = lease.spec.clone()?;
        if written.holder_identity.as_ref() != Some(&self.name) {
            return None;
        }
        let now = micro_time(date);
        written.holder_identity = Some(String::new());
        written.lease_duration_seconds = Some(1);
        written.renew_time = Some(now.clone());
        written.acquire_time = Some(now);
        Some(with(lease, written))
    }
}

impl World {
    pub(super) fn foreign_reads(&mut self, name: usize) {
        if !self.faulty {
            return;
        }
        let period = self.climate.timing.retry_period();
        let again = period.mul_f64(0.5 + self.rng.f64());
        self.at(again, Happening::ForeignReads(name));
        let foreign = &mut self.foreign[name];
        if self.server.is_away || foreign.is_frozen {
            return;
        }
        let Some(lease) = self.server.register.read() else {
            return;
        };
        let now = Now::by(&foreign.clock, foreign.date, self.course.now);
        let written = if self.rng.u8(..) < 24 {
            foreign.release(&lease, now.date)
        } else {
            foreign.campaign(&lease, now)
        };
        if let Some(written) = written {
            let delay = self.delay();
            self.at(delay, Happening::ForeignWrites(name, Box::new(written)));
        }
    }

    pub(super) fn foreign_writes(&mut self, name: usize, lease: Lease) {
        if self.server.is_away {
            return;
        }
        let was_own = self.is_held_by_foreign(name);
        let written = self.write(Writer::Usurper, |register| register.replace(lease));
        if written.is_err() {
            return;
        }
        match (was_own, self.is_held_by_foreign(name)) {
            (false, true) => self.count(Kind::ForeignAcquired),
            (true, false) => self.count(Kind::ForeignReleased),
            _ => {}
        }
    }

    fn is_held_by_foreign(&self, name: usize) -> bool {
        self.server.register.holder() == Some(&self.foreign[name].name)
    }
}

fn with(lease: &Lease, spec: LeaseSpec) -> Lease {
    Lease {
        spec: Some(spec),
        ..lease.clone()
    }
}

pub(super) fn micro_time(date: SystemTime) -> MicroTime {
    let since = date
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    MicroTime(Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX))
}
