//! The state machine of one candidate in one election.

mod application;
mod leaving;
mod queueing;

use super::backoff::Backoff;
use super::held::Held;
use super::policy::Holds;
use super::state::{End, Intent, State, Stopping, Verify};
use super::{
    Action, Claim, Event, Hold, Holder, LeaseId, Observation, Policy, Reason, Role, RoleName,
    ShutdownWait, Time, Timing, Transition, View,
};

/// One candidate in one election.
#[derive(Clone, Debug)]
pub struct Election {
    timing: Timing,
    policy: Policy,
    intent: Intent,
    holds: Holds,
    state: State,
    /// The queue as last seen.
    seen: Option<Observation>,
    /// Since when the queue can't be seen.
    blind_since: Option<Time>,
    /// Whether anybody was ever known to lead.
    started: bool,
    /// Why the role is what it is.
    reason: Reason,
    /// Delays before joining again, after losses.
    setbacks: Backoff,
    /// Delays between tries to release.
    unreleased: Backoff,
    rng: fastrand::Rng,
    actions: Vec<Action>,
}

impl Election {
    /// A candidate that joins at its first step. `seed` varies its delays; give each candidate another.
    pub fn new(timing: Timing, policy: Policy, seed: u64) -> Self {
        Election {
            timing,
            policy,
            intent: Intent::Campaign,
            holds: Holds::default(),
            state: State::Out {
                until: Time::ORIGIN,
            },
            seen: None,
            blind_since: None,
            started: false,
            reason: Reason::LeaderSeen,
            setbacks: Backoff::default(),
            unreleased: Backoff::default(),
            rng: fastrand::Rng::with_seed(seed),
            actions: Vec::new(),
        }
    }

    /// What others may know.
    pub fn view(&self) -> View {
        View {
            role: self.role(),
            holder: self.other_holder().cloned(),
            held_back: self.holds.first(),
        }
    }

    /// When [`Event::Tick`] is due, if nothing else happens before.
    pub fn next_timeout(&self) -> Option<Time> {
        match &self.state {
            State::Out { .. } if self.is_held_back() => None,
            State::Out { until } => Some(*until),
            State::Joining { .. } | State::Stopped => None,
            State::Waiting { held, verify, .. } => {
                let retry = match verify {
                    Verify::RetryAt(at) => Some(*at),
                    _ => None,
                };
                earliest(self.next_of(held), retry)
            }
            State::Leading { held } => earliest(self.next_of(held), Some(self.leads_until(held))),
            State::SteppingDown {
                held,
                release_at,
                stopping,
                deregistered_by,
                ..
            } => match stopping {
                Stopping::Over { .. } => {
                    let release_at = release_at.map(|at| at.max(*deregistered_by));
                    earliest(self.next_of(held), release_at)
                }
                stopping => earliest(held.next_keepalive(), self.end_of_waiting(held, *stopping)),
            },
            State::Releasing {
                gone_by, retry_at, ..
            } => {
                let give_up = (self.intent == Intent::Stop).then_some(*gone_by);
                earliest(*retry_at, give_up)
            }
        }
    }

    /// When the place will have been released at the latest, while stepping down; `None` otherwise.
    pub fn release_at(&self, now: Time) -> Option<Time> {
        match &self.state {
            State::SteppingDown {
                held,
                release_at,
                stopping,
                deregistered_by,
                ..
            } => {
                let release_at = release_at.map(|at| at.max(*deregistered_by));
                match stopping {
                    Stopping::Over { .. } => release_at,
                    Stopping::Awaited { by } => release_at.map(|at| at.max(*by)),
                    Stopping::Failed => Some(held.gone_by()),
                }
            }
            State::Releasing {
                end: End::Abrupt | End::InOrder,
                ..
            } => Some(now),
            _ => None,
        }
    }

    /// Whether this candidate has left for good.
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, State::Stopped)
    }

    /// Takes in what happened at `now`, and says what to do about it.
    ///
    /// Publish [`view`](Self::view) before carrying out any of it.
    pub fn step(&mut self, now: Time, event: Event) -> Vec<Action> {
        let before = self.role().name();
        self.expire(now);
        self.handle(now, event);
        self.proceed(now);
        self.started |= self.leads() || self.other_holder().is_some();
        let after = self.role().name();
        if before != after {
            if after == RoleName::Follower && before == RoleName::Starting {
                self.reason = Reason::LeaderSeen;
            }
            let report = Action::Report(Transition {
                from: before,
                to: after,
                reason: self.reason,
            });
            self.actions.insert(0, report);
        }
        std::mem::take(&mut self.actions)
    }

    /// The deadline comes before everything else: an answer that comes after it revives nothing.
    fn expire(&mut self, now: Time) {
        let Some(held) = self.state.held() else {
            return;
        };
        let State::SteppingDown {
            stopping: stopping @ (Stopping::Awaited { .. } | Stopping::Failed),
            ..
        } = self.state
        else {
            if held.valid_until(&self.timing) <= now {
                self.seen = None;
                self.lose(now, Reason::Deadline);
            } else if self.leads() && self.leads_until(held) <= now {
                self.lose(now, Reason::Blind);
            }
            return;
        };
        if self
            .end_of_waiting(held, stopping)
            .is_some_and(|end| end <= now)
        {
            self.stop_waiting(stopping);
        }
    }

    fn handle(&mut self, now: Time, event: Event) {
        match event {
            Event::Tick => {}
            Event::Observed(observation) => {
                self.seen = Some(observation);
                self.blind_since = None;
                self.judge(now);
            }
            Event::Blind => {
                self.blind_since.get_or_insert(now);
                if self.state.held().is_none() {
                    self.seen = None;
                }
            }
            Event::Joined(lease) => self.joined(now, lease),
            Event::JoinFailed { lease, gone_by } => {
                if self.state.is_joining(lease) {
                    self.release(lease, gone_by, End::Lost);
                }
            }
            Event::KeptAlive {
                lease,
                sent_at,
                ttl,
            } => {
                let timing = self.timing;
                if let Some(held) = self.state.held_mut(lease) {
                    held.answered(sent_at, ttl, &timing, &mut self.rng);
                    self.setbacks = Backoff::default();
                    self.extend();
                }
            }
            Event::KeepAliveFailed(lease) => {
                if let Some(held) = self.state.held_mut(lease) {
                    held.not_answered(now, &mut self.rng);
                }
            }
            Event::LeaseGone(lease) => {
                if self.state.held_mut(lease).is_some() {
                    self.lose(now, Reason::LeaseGone);
                }
            }
            Event::OutOfSight(lease) => {
                if self.leads() && self.state.held_mut(lease).is_some() {
                    self.step_down(now, Reason::KeyGone);
                }
            }
            Event::Verified(lease, standing) => self.verified(now, lease, standing),
            Event::VerifyFailed(lease) => {
                self.verify_again(lease, now + self.timing.retry_period() / 8)
            }
            Event::Released(lease) => self.released(now, lease),
            Event::ReleaseFailed(id) => {
                if let State::Releasing {
                    lease, retry_at, ..
                } = &mut self.state
                    && *lease == id
                {
                    *retry_at = Some(now + self.unreleased.next_delay(&mut self.rng));
                }
            }
            Event::Promised(until) => self.promised(now, until),
            Event::Resign { cooldown } if self.leads() => {
                self.intent = Intent::StayOut(cooldown);
                self.step_down(now, Reason::Resign);
            }
            // It was being waited for.
            Event::Resign { .. } if self.waits_for_application() => self.application_gone(),
            Event::Resign { .. } => {}
            Event::Hold(hold) => {
                self.holds.set(hold, true);
                self.heed_holds(now);
            }
            Event::Lift(hold) => self.holds.set(hold, false),
            Event::ApplicationSaysItStopped => self.application_says_it_stopped(),
            Event::ApplicationGone if self.waits_for_application() => self.application_gone(),
            Event::ApplicationGone => {}
            Event::ApplicationStopped { token, in_order } => {
                self.application_stopped(now, token, in_order);
            }
            Event::ApplicationEnding(token) => self.application_ending(now, token),
            Event::ApplicationNotStopped(token) => self.application_not_stopped(token),
            Event::ApplicationEnded {
                token,
                leave,
                in_order,
            } => self.application_ended(now, token, leave, in_order),
            Event::Deregistered(token) => self.deregistered(token),
            Event::Shutdown => self.shutdown(now),
        }
    }

    /// Does what is due at `now`, whatever happened.
    fn proceed(&mut self, now: Time) {
        match &mut self.state {
            State::Out { until } => {
                if self.intent == Intent::Stop {
                    self.stop();
                } else if *until <= now && self.holds.first().is_none() {
                    self.intent = Intent::Campaign;
                    let lease = LeaseId((self.rng.u64(..) >> 1).max(1));
                    self.state = State::Joining { lease };
                    self.actions.push(Action::Join(lease));
                }
            }
            State::Waiting { held, verify, .. } if verify.is_due(now) => {
                *verify = Verify::Outstanding;
                self.actions.push(Action::Verify(held.lease.id));
            }
            State::SteppingDown {
                held,
                release_at: Some(at),
                stopping: Stopping::Over { in_order },
                deregistered_by,
                ..
            } if *at <= now && *deregistered_by <= now => {
                let (lease, gone_by) = (held.lease.id, held.gone_by());
                let end = if *in_order { End::InOrder } else { End::Abrupt };
                self.release(lease, gone_by, end);
            }
            State::Releasing {
                lease,
                gone_by,
                retry_at,
                end,
            } => {
                if self.intent == Intent::Stop && *gone_by <= now {
                    self.stop();
                } else if retry_at.is_some_and(|at| at <= now) {
                    *retry_at = None;
                    let action = leaving::release_action(*lease, *end, &self.policy);
                    self.actions.push(action);
                }
            }
            _ => {}
        }
        if let Some(held) = self.state.any_held_mut()
            && held.take_due(now)
        {
            self.actions.push(Action::KeepAlive(held.lease.id));
        }
    }

    fn shutdown(&mut self, now: Time) {
        self.intent = Intent::Stop;
        match &self.state {
            State::Leading { .. } => return self.step_down(now, Reason::Shutdown),
            State::SteppingDown { .. } if self.policy.shutdown_wait == ShutdownWait::None => {
                self.forget_promises();
            }
            // Nothing is promised any more, or what was is lost: only the application or the label is waited for.
            State::SteppingDown {
                release_at: Some(Time::ORIGIN),
                ..
            } => {}
            // There may be more to wait for than before.
            State::SteppingDown { .. } => self.actions.push(Action::CollectPromises),
            State::Waiting { .. } => self.leave_queue(),
            _ => {}
        }
        self.reason = Reason::Shutdown;
    }

    /// Gives up what the holds in force forbid.
    fn heed_holds(&mut self, now: Time) {
        let Some(hold) = self.holds.first() else {
            return;
        };
        let reason = match hold {
            Hold::Paused => Reason::Pause,
            Hold::Unhealthy => Reason::Unhealthy,
        };
        let may_stay =
            hold == Hold::Unhealthy && self.policy.keep_when_alone && !self.is_contested();
        match &self.state {
            State::Leading { .. } if !may_stay => self.step_down(now, reason),
            State::Waiting { .. } => self.leave_queue(),
            _ => {}
        }
    }

    /// Whether another candidate is queued, as far as is known.
    fn is_contested(&self) -> bool {
        self.seen.as_ref().is_some_and(|sight| sight.contested)
    }

    fn is_held_back(&self) -> bool {
        self.intent != Intent::Stop && self.holds.first().is_some()
    }

    fn stop(&mut self) {
        if self.other_holder().is_none() {
            // It may be the own place, which couldn't be released.
            self.seen = None;
        }
        self.reason = Reason::Shutdown;
        self.state = State::Stopped;
    }

    fn role(&self) -> Role {
        match &self.state {
            State::Leading { held } => Role::Leader(Claim {
                valid_until: self.leads_until(held),
                ..held.claim(&self.timing)
            }),
            State::SteppingDown { .. }
            | State::Releasing {
                end: End::Abrupt | End::InOrder,
                ..
            } => Role::SteppingDown,
            State::Stopped => Role::Stopped,
            _ if self.started || self.other_holder().is_some() => Role::Follower,
            _ => Role::Starting,
        }
    }

    /// A place can be taken away while its lease lives on: a leader that can't see its own relies on it no longer than
    /// on a lease that is not renewed.
    fn leads_until(&self, held: &Held) -> Time {
        let sighted = held.valid_until(&self.timing);
        match self.blind_since {
            Some(since) => sighted.min(since + self.timing.renew_deadline()),
            None => sighted,
        }
    }

    fn leads(&self) -> bool {
        matches!(self.state, State::Leading { .. })
    }

    /// The first in the queue, unless that is this candidate's own place, claimed or not.
    fn other_holder(&self) -> Option<&Holder> {
        let own = match &self.state {
            State::Joining { lease } | State::Releasing { lease, .. } => Some(*lease),
            state => state.held().map(|held| held.lease.id),
        };
        let holder = self.seen.as_ref()?.holder.as_ref();
        holder.filter(|holder| Some(holder.lease) != own)
    }

    fn next_of(&self, held: &Held) -> Option<Time> {
        earliest(Some(held.valid_until(&self.timing)), held.next_keepalive())
    }
}

fn earliest(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
