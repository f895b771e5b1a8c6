//! From leadership to nothing held: in order, once promises and application allow; at once, where what was held is lost.

use super::Election;
use crate::election::backoff::Backoff;
use crate::election::state::{End, Intent, State, Stopping};
use crate::election::{
    Action, Application, LeaseId, Policy, Reason, RoleName, ShutdownWait, Time, Token,
};

impl Election {
    /// In order: leads no more, and goes when promises and application allow. Where the place may be gone there is no time
    /// for the application to stop in.
    pub(super) fn step_down(&mut self, now: Time, reason: Reason) {
        if let State::Leading { held } = &self.state {
            self.reason = reason;
            self.state = State::SteppingDown {
                held: held.clone(),
                release_at: None,
                promises_end: Time::ORIGIN,
                stopping: Stopping::Over { in_order: true },
                deregistered_by: now + self.policy.deregistration,
            };
            self.actions.push(Action::CollectPromises);
            self.stop_application(now, reason == Reason::KeyGone);
        }
    }

    pub(super) fn promised(&mut self, now: Time, until: Time) {
        // The application reads a promise a little later than it was given, on a clock of its own.
        let kept = if until > now {
            until + self.timing.drift_margin()
        } else {
            now
        };
        let wait = match (self.intent, self.policy.shutdown_wait) {
            (Intent::Stop, ShutdownWait::None) => now,
            (Intent::Stop, ShutdownWait::For(time) | ShutdownWait::Application(time)) => {
                kept.max(now + time)
            }
            _ => kept,
        };
        if let State::SteppingDown {
            release_at,
            promises_end,
            ..
        } = &mut self.state
        {
            *promises_end = kept.min(wait);
            *release_at = Some(wait);
        }
    }

    pub(super) fn forget_promises(&mut self) {
        if let State::SteppingDown { release_at, .. } = &mut self.state {
            *release_at = Some(Time::ORIGIN);
        }
    }

    pub(super) fn deregistered(&mut self, token: Token) {
        if let State::SteppingDown {
            held,
            deregistered_by,
            ..
        } = &mut self.state
            && held.lease.token == token
        {
            *deregistered_by = Time::ORIGIN;
        }
    }

    /// What is held can't be relied upon any more.
    pub(super) fn lose(&mut self, now: Time, reason: Reason) {
        let is_gone = matches!(reason, Reason::LeaseGone | Reason::KeyGone);
        match &mut self.state {
            State::Leading { held } if self.policy.application != Application::Unattended => {
                let mut held = held.clone();
                if is_gone {
                    held.stop_renewing();
                }
                self.reason = reason;
                self.state = State::SteppingDown {
                    held,
                    // A promise ends with the deadline; what is gone, keeps none.
                    release_at: Some(Time::ORIGIN),
                    promises_end: Time::ORIGIN,
                    stopping: Stopping::Over { in_order: true },
                    deregistered_by: Time::ORIGIN,
                };
                self.stop_application(now, is_gone);
            }
            State::SteppingDown {
                held,
                release_at,
                stopping: Stopping::Awaited { .. } | Stopping::Failed,
                ..
            } => {
                *release_at = Some(Time::ORIGIN);
                if held.is_renewed() {
                    held.stop_renewing();
                    self.stop_application(now, true);
                }
            }
            state => {
                let Some(held) = state.held() else {
                    return;
                };
                let (lease, gone_by) = (held.lease.id, held.gone_by());
                self.reason = reason;
                self.release(lease, gone_by, End::Lost);
            }
        }
    }

    pub(super) fn release(&mut self, lease: LeaseId, gone_by: Time, end: End) {
        self.unreleased = Backoff::default();
        self.state = State::Releasing {
            lease,
            gone_by,
            retry_at: None,
            end,
        };
        let action = release_action(lease, end, &self.policy);
        self.actions.push(action);
    }

    pub(super) fn released(&mut self, now: Time, id: LeaseId) {
        if !matches!(self.state, State::Releasing { lease, .. } if lease == id) {
            return;
        }
        self.seen.take_if(|sight| sight.is_first(id));
        let until = match self.intent {
            Intent::StayOut(cooldown) => now + cooldown,
            _ => now + self.setbacks.next_delay(&mut self.rng),
        };
        if self.role().name() == RoleName::SteppingDown {
            self.reason = Reason::Released;
        }
        self.state = State::Out { until };
    }
}

/// Whoever waits for something to be handed over in order is told that it was.
pub(super) fn release_action(lease: LeaseId, end: End, policy: &Policy) -> Action {
    if end == End::InOrder && !policy.takeover_delay.is_zero() {
        Action::HandOver(lease)
    } else {
        Action::Release(lease)
    }
}
