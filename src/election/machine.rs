//! The state machine of one candidate in one election.

use super::backoff::Backoff;
use super::held::Held;
use super::{
    Action, Event, Holder, Lease, LeaseId, Observation, Reason, Role, RoleName, Standing, Time,
    Timing, Transition, View,
};
use std::time::Duration;

/// One candidate in one election.
#[derive(Clone, Debug)]
pub struct Election {
    timing: Timing,
    shutdown_wait: ShutdownWait,
    intent: Intent,
    state: State,
    /// The queue as last seen.
    seen: Option<Observation>,
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

/// What the release waits for on shutdown. On resigning it always waits for the promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownWait {
    /// For the end of the last promise given.
    Promise,
    /// For nothing: the application is gone already.
    None,
    /// For so long, and for the end of the last promise.
    For(Duration),
}

/// What the candidate is after; it decides where to go once nothing is held any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intent {
    Campaign,
    /// For so long, once all is released.
    StayOut(Duration),
    Stop,
}

/// ```text
///                 ┌───────────── failed ──────────────┐
///                 ▼                                    │
///   ┌────────── Out ──────── join ───────────────► Joining
///   │             ▲                                    │ joined
///   │             │                                    ▼
///   │             │◄─ released ─ Releasing ◄─ lost ─ Waiting   behind others, or first
///   │             │                ▲   ▲               │       and not verified yet
///   │ shutdown    │                │   │               │ first, verified by a linearizable
///   │             │                │   └──── lost ──┐  │ read, and still valid
///   │             │  promises over,│                │  ▼
///   │             │  or stopped    │                Leading
///   │             │                │                   │ resign, shutdown
///   │             │                └─ SteppingDown ◄───┘
///   ▼             ▼                   (renewing, says "not leader")
///  Stopped ◄── released, where the intent is to stop
/// ```
/// "Lost" is: the deadline passed without an answer, the lease or the place is gone. Every way out of a
/// held lease leads through `Releasing`, which revokes it: nothing is left behind.
#[derive(Clone, Debug)]
enum State {
    Out {
        until: Time,
    },
    Joining {
        lease: LeaseId,
    },
    Waiting {
        held: Held,
        /// When the own place was first seen to be the first.
        first_since: Option<Time>,
        verify: Verify,
        /// Whether another was ever ahead.
        queued: bool,
    },
    Leading {
        held: Held,
    },
    SteppingDown {
        held: Held,
        /// Unknown until the promises are collected.
        release_at: Option<Time>,
    },
    Releasing {
        lease: LeaseId,
        /// By then the lease has run out by itself.
        gone_by: Time,
        /// When to try again; none while a try is under way.
        retry_at: Option<Time>,
        /// Whether this ends an orderly step-down.
        stepping_down: bool,
    },
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verify {
    NotNeeded,
    Outstanding,
    RetryAt(Time),
}

impl Election {
    /// A candidate that joins at its first step. `seed` varies its delays; give each candidate another.
    pub fn new(timing: Timing, shutdown_wait: ShutdownWait, seed: u64) -> Self {
        Election {
            timing,
            shutdown_wait,
            intent: Intent::Campaign,
            state: State::Out {
                until: Time::ORIGIN,
            },
            seen: None,
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
        }
    }

    /// When [`Event::Tick`] is due, if nothing else happens before.
    pub fn next_timeout(&self) -> Option<Time> {
        match &self.state {
            State::Out { until } => Some(*until),
            State::Joining { .. } | State::Stopped => None,
            State::Waiting { held, verify, .. } => {
                let retry = match verify {
                    Verify::RetryAt(at) => Some(*at),
                    _ => None,
                };
                earliest(self.next_of(held), retry)
            }
            State::Leading { held } => self.next_of(held),
            State::SteppingDown { held, release_at } => earliest(self.next_of(held), *release_at),
            State::Releasing {
                gone_by, retry_at, ..
            } => {
                let give_up = (self.intent == Intent::Stop).then_some(*gone_by);
                earliest(*retry_at, give_up)
            }
        }
    }

    /// When the place will have been released, while stepping down; `None` otherwise.
    pub fn release_at(&self, now: Time) -> Option<Time> {
        match &self.state {
            State::SteppingDown { release_at, .. } => *release_at,
            State::Releasing {
                stepping_down: true,
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
        if let Some(held) = self.state.held()
            && held.valid_until(&self.timing) <= now
        {
            self.seen = None;
            self.lose(Reason::Deadline);
        }
    }

    fn handle(&mut self, now: Time, event: Event) {
        match event {
            Event::Tick => {}
            Event::Observed(observation) => {
                self.seen = Some(observation);
                self.judge(now);
            }
            Event::Blind => {
                if self.state.held().is_none() {
                    self.seen = None;
                }
            }
            Event::Joined(lease) => self.joined(now, lease),
            Event::JoinFailed { lease, gone_by } => {
                if self.state.is_joining(lease) {
                    self.release(lease, gone_by, false);
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
                }
            }
            Event::KeepAliveFailed(lease) => {
                if let Some(held) = self.state.held_mut(lease) {
                    held.not_answered(now, &mut self.rng);
                }
            }
            Event::LeaseGone(lease) => {
                if self.state.held_mut(lease).is_some() {
                    self.lose(Reason::LeaseGone);
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
            Event::Resign { cooldown } => self.resign(cooldown),
            Event::ApplicationStopped => self.application_stopped(),
            Event::Shutdown => self.shutdown(),
        }
    }

    /// Does what is due at `now`, whatever happened.
    fn proceed(&mut self, now: Time) {
        match &mut self.state {
            State::Out { until } if self.intent == Intent::Stop || *until <= now => {
                if self.intent == Intent::Stop {
                    self.stop();
                } else {
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
            } if *at <= now => {
                let (lease, gone_by) = (held.lease.id, held.gone_by());
                self.release(lease, gone_by, true);
            }
            State::Releasing {
                lease,
                gone_by,
                retry_at,
                ..
            } => {
                if self.intent == Intent::Stop && *gone_by <= now {
                    self.stop();
                } else if retry_at.is_some_and(|at| at <= now) {
                    *retry_at = None;
                    self.actions.push(Action::Release(*lease));
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

    /// Compares the last sight of the queue with the place that is held.
    fn judge(&mut self, now: Time) {
        let (Some(sight), Some(held)) = (&self.seen, self.state.held()) else {
            return;
        };
        // A sight from before the place was taken says nothing of it.
        if sight.revision < held.lease.token {
            return;
        }
        let first = sight.is_first(held.lease.id);
        if !sight.present {
            return self.lose(Reason::KeyGone);
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
                } else if *verify == Verify::NotNeeded {
                    *first_since = Some(now);
                    *verify = Verify::RetryAt(now);
                }
            }
            // Somebody is ahead of a leader: the store was restored from a backup, or tampered with.
            _ if !first => self.lose(Reason::KeyGone),
            _ => {}
        }
    }

    fn joined(&mut self, now: Time, lease: Lease) {
        if !self.state.is_joining(lease.id) {
            return;
        }
        let held = Held::new(lease, &self.timing, &mut self.rng);
        if self.intent != Intent::Campaign || held.valid_until(&self.timing) <= now {
            return self.release(lease.id, held.gone_by(), false);
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

    fn verified(&mut self, now: Time, lease: LeaseId, standing: Standing) {
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
            Standing::First => {
                if let Some(since) = first_since
                    && *queued
                {
                    self.actions.push(Action::TookOver(now.since(*since)));
                }
                self.reason = Reason::Elected;
                self.state = State::Leading { held: held.clone() };
            }
            Standing::Behind => self.verify_again(lease, now + self.timing.retry_period()),
            Standing::Gone => self.lose(Reason::KeyGone),
        }
    }

    fn verify_again(&mut self, lease: LeaseId, at: Time) {
        if let State::Waiting { held, verify, .. } = &mut self.state
            && held.lease.id == lease
        {
            *verify = Verify::RetryAt(at);
        }
    }

    fn resign(&mut self, cooldown: Duration) {
        if self.leads() {
            self.intent = Intent::StayOut(cooldown);
            self.reason = Reason::Resign;
            self.step_down();
        }
    }

    fn shutdown(&mut self) {
        self.intent = Intent::Stop;
        self.reason = Reason::Shutdown;
        match &self.state {
            State::Leading { .. } => self.step_down(),
            State::SteppingDown { .. } if self.shutdown_wait == ShutdownWait::None => {
                self.application_stopped();
            }
            State::Waiting { held, .. } => {
                let (lease, gone_by) = (held.lease.id, held.gone_by());
                self.release(lease, gone_by, false);
            }
            _ => {}
        }
    }

    fn step_down(&mut self) {
        if let State::Leading { held } = &self.state {
            self.state = State::SteppingDown {
                held: held.clone(),
                release_at: None,
            };
            self.actions.push(Action::CollectPromises);
        }
    }

    fn promised(&mut self, now: Time, until: Time) {
        // The application reads a promise a little later than it was given, on a clock of its own.
        let kept = if until > now {
            until + self.timing.drift_margin()
        } else {
            now
        };
        let wait = match (self.intent, self.shutdown_wait) {
            (Intent::Stop, ShutdownWait::None) => now,
            (Intent::Stop, ShutdownWait::For(duration)) => kept.max(now + duration),
            _ => kept,
        };
        if let State::SteppingDown { release_at, .. } = &mut self.state {
            *release_at = Some(wait);
        }
    }

    fn application_stopped(&mut self) {
        if let State::SteppingDown { release_at, .. } = &mut self.state {
            *release_at = Some(Time::ORIGIN);
        }
    }

    fn lose(&mut self, reason: Reason) {
        let Some(held) = self.state.held() else {
            return;
        };
        let (lease, gone_by) = (held.lease.id, held.gone_by());
        self.reason = reason;
        self.release(lease, gone_by, false);
    }

    fn release(&mut self, lease: LeaseId, gone_by: Time, stepping_down: bool) {
        self.unreleased = Backoff::default();
        self.state = State::Releasing {
            lease,
            gone_by,
            retry_at: None,
            stepping_down,
        };
        self.actions.push(Action::Release(lease));
    }

    fn released(&mut self, now: Time, id: LeaseId) {
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

    fn stop(&mut self) {
        self.reason = Reason::Shutdown;
        self.state = State::Stopped;
    }

    fn role(&self) -> Role {
        match &self.state {
            State::Leading { held } => Role::Leader(held.claim(&self.timing)),
            State::SteppingDown { .. }
            | State::Releasing {
                stepping_down: true,
                ..
            } => Role::SteppingDown,
            State::Stopped => Role::Stopped,
            _ if self.started || self.other_holder().is_some() => Role::Follower,
            _ => Role::Starting,
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

impl Verify {
    fn is_due(self, now: Time) -> bool {
        matches!(self, Verify::RetryAt(at) if at <= now)
    }
}

impl State {
    fn held(&self) -> Option<&Held> {
        match self {
            State::Waiting { held, .. }
            | State::Leading { held }
            | State::SteppingDown { held, .. } => Some(held),
            _ => None,
        }
    }

    fn is_joining(&self, id: LeaseId) -> bool {
        matches!(self, State::Joining { lease } if *lease == id)
    }

    fn any_held_mut(&mut self) -> Option<&mut Held> {
        match self {
            State::Waiting { held, .. }
            | State::Leading { held }
            | State::SteppingDown { held, .. } => Some(held),
            _ => None,
        }
    }

    /// The held lease, if it is this one: an answer about another comes too late to matter.
    fn held_mut(&mut self, lease: LeaseId) -> Option<&mut Held> {
        self.any_held_mut().filter(|held| held.lease.id == lease)
    }
}

fn earliest(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
