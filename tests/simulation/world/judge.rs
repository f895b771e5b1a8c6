//! What must never be, looked for after everything that happens.

use super::World;
use super::common::PROMPT;
use crate::candidate::RECONNECT_PAUSE;
use crate::kind::Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tenure::election::{LeaseId, Standing, Time, Timing, Token};

#[derive(Debug, Default)]
pub(super) struct Judge {
    highest_token: Token,
    pub(super) tampered_at: BTreeMap<LeaseId, Time>,
    /// Whose host asked for each lease.
    pub(super) owners: BTreeMap<LeaseId, usize>,
    /// Those that were found to be the first when somebody asked.
    pub(super) verified: BTreeSet<LeaseId>,
}

impl World {
    /// Holds what is against what must be.
    pub(super) fn judge(&mut self) {
        let mut active: BTreeMap<usize, LeaseId> = BTreeMap::new();
        for name in 0..self.hosts.len() {
            let now = self.local(name);
            let candidate = &mut self.hosts[name].candidate;
            candidate.guard(now);
            if let Some(lease) = candidate.guardian.outrun.take()
                && !self.store.was_tampered_with(lease)
            {
                self.accuse(format!("two applications of {name} run at once"));
            }
            if let Some(lease) = self.hosts[name].candidate.guardian.runs()
                && !self.store.was_tampered_with(lease)
            {
                active.insert(name, lease);
                self.count(Kind::Guarded);
            }
            if let Some((lease, token)) = self.hosts[name].candidate.claim(now) {
                self.judge_claim(name, lease, token);
                if !self.store.was_tampered_with(lease) {
                    active.insert(name, lease);
                }
            } else {
                self.hosts[name].token = None;
            }
            for lease in self.hosts[name].candidate.promises.hold(now) {
                if !self.store.was_tampered_with(lease) {
                    active.insert(name, lease);
                }
            }
        }
        if active.len() > 1 {
            self.accuse(format!("several lead, or were promised to: {active:?}"));
        }
        let forgotten = self.store.held().find(|lease| {
            let owner = self.judge.owners.get(lease);
            owner.is_none_or(|owner| self.hosts[*owner].candidate.own != Some(*lease))
        });
        if let Some(lease) = forgotten {
            self.accuse(format!("{lease:?} was left without being released"));
        }
    }

    /// Long after the last fault somebody leads, and everybody is queued.
    pub(super) fn judge_the_calm(&mut self) {
        if self.leader().is_none() {
            self.accuse("nobody leads, long after the last fault".to_owned());
        }
        let left_out = self.hosts.iter().find(|host| {
            let queued = host.candidate.own.map(|lease| self.store.standing(lease));
            host.candidate.is_running() && queued.is_none_or(|standing| standing == Standing::Gone)
        });
        if let Some(host) = left_out {
            let name = host.candidate.name;
            self.accuse(format!("{name} is not queued, long after the last fault"));
        }
    }

    fn judge_claim(&mut self, name: usize, lease: LeaseId, token: Token) {
        if self.hosts[name].token != Some(token) {
            self.hosts[name].token = Some(token);
            self.course.outcome.leaderships += 1;
            self.note(&format!("{name} leads with {token}"));
            if !self.judge.verified.contains(&lease) {
                self.accuse(format!("{name} leads without having verified that it may"));
            }
            // One whose key was deleted after it was found to be the first hears of both one after the other.
            if token <= self.judge.highest_token && !self.store.was_tampered_with(lease) {
                self.accuse(format!(
                    "{name} leads with {token} after {}",
                    self.judge.highest_token
                ));
            }
            self.judge.highest_token = self.judge.highest_token.max(token);
        }
        let holder = self.store.observation(None).holder;
        // A put that came twice, the second time after somebody had deleted the key, makes it anew.
        let is_own = |held| held == token || self.store.was_tampered_with(lease);
        if holder.is_some_and(|holder| holder.lease == lease && is_own(holder.token)) {
            return;
        }
        match self.judge.tampered_at.get(&lease) {
            None => self.accuse(format!("{name} leads on a place that is not the first")),
            Some(since) => {
                let since = (*since).max(self.hosts[name].sound_since);
                let told =
                    since + to_be_told(&self.climate.timing).mul_f64(1.0 + self.climate.drift);
                if !self.hosts[name].frozen && told < self.course.now {
                    self.accuse(format!("{name} leads on a key that was deleted long ago"));
                }
            }
        }
    }
}

/// From when nothing holds up a candidate's messages any more until it knows of every change: a request that was lost
/// before times out, is asked anew after a pause, and answered.
fn to_be_told(timing: &Timing) -> Duration {
    timing.retry_period() + RECONNECT_PAUSE + PROMPT * 2
}
