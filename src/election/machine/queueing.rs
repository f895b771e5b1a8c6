//! From a lease to leadership: a place in the queue, and a linearizable read before anything is claimed.

use super::Election;
use crate::election::held::Held;
use crate::election::state::{End, Intent, State, Verify};
use crate::election::{Action, Application, Lease, LeaseId, Reason, Standing, Time};
use std::time::Duration;

impl Election {
    /// Compares the last sight of the queue with the place that is held.
    pub(super) fn judge(&mut self, now: Time) {
        let (Some(sight), Some(held)) = (&self.seen, self.state.held()) else {
            return;
        };
        // A sight from before the place was taken says nothing of it.
        if sight.revision < held.lease.token {
            return;
        }
        let first = sight.is_first(held.lease.id);
        if !sight.present {
            return self.lose(now, Reason::KeyGone);
        }
        match &mut self.state {
            State::Waiting {
                first_since,
                verify,
                queued,
                ..
            } => {
                if !first {
                    *queued = true;
                    // Whoever becomes the first again has the whole takeover_delay before it.
                    if let Verify::RetryAt(_) = verify {
                        *verify = Verify::NotNeeded;
                    }
                } else if *verify == Verify::NotNeeded {
                    *first_since = Some(now);
                    let delay = if sight.handed_over {
                        Duration::ZERO
                    } else {
                        self.policy.takeover_delay
                    };
                    *verify = Verify::RetryAt(now + delay);
                }
            }
            // Somebody is ahead of a leader: the store was restored from a backup, or tampered with.
            _ if !first => self.lose(now, Reason::KeyGone),
            State::Leading { .. } => self.heed_holds(now),
            _ => {}
        }
    }

    pub(super) fn joined(&mut self, now: Time, lease: Lease) {
        if !self.state.is_joining(lease.id) {
            return;
        }
        let held = Held::new(lease, &self.timing, &mut self.rng);
        let is_wanted = self.intent == Intent::Campaign && !self.is_held_back();
        if !is_wanted || held.valid_until(&self.timing) <= now {
            return self.release(lease.id, held.gone_by(), End::Lost);
        }
        self.state = State::Waiting {
            held,
            first_since: None,
            verify: Verify::NotNeeded,
            queued: false,
        };
        // The sight of the new place may have come before the answer that it was taken.
        self.judge(now);
    }

    pub(super) fn verified(&mut self, now: Time, lease: LeaseId, standing: Standing) {
        let State::Waiting {
            held,
            first_since,
            queued,
            ..
        } = &self.state
        else {
            return;
        };
        if held.lease.id != lease {
            return;
        }
        match standing {
            Standing::First(token) => {
                if let Some(since) = first_since
                    && *queued
                {
                    self.actions.push(Action::TookOver(now.since(*since)));
                }
                self.reason = Reason::Elected;
                let mut held = held.clone();
                held.lease.token = token;
                // It has just been read who is the first.
                self.blind_since = self.blind_since.map(|_| now);
                if let Application::Supervised(_) = self.policy.application {
                    let (token, deadline) = (held.lease.token, held.deadline(&self.timing));
                    self.actions.push(Action::RunApplication(token, deadline));
                }
                self.state = State::Leading { held };
            }
            Standing::Behind => self.verify_again(lease, now + self.timing.retry_period()),
            Standing::Gone => self.lose(now, Reason::KeyGone),
        }
    }

    pub(super) fn verify_again(&mut self, lease: LeaseId, at: Time) {
        if let State::Waiting { held, verify, .. } = &mut self.state
            && held.lease.id == lease
        {
            let is_first = self
                .seen
                .as_ref()
                .is_some_and(|sight| sight.is_first(lease));
            *verify = if is_first {
                Verify::RetryAt(at)
            } else {
                Verify::NotNeeded
            };
        }
    }

    pub(super) fn leave_queue(&mut self) {
        if let State::Waiting { held, .. } = &self.state {
            let (lease, gone_by) = (held.lease.id, held.gone_by());
            self.release(lease, gone_by, End::Lost);
        }
    }
}
