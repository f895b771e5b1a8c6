//! A candidate: the core and the driver's steps that ship, and what an adapter does around them, on a clock of
//! its own.

use crate::application::Guardian;
use crate::simulated::candidate::{Outbox, Promises};
use std::time::Duration;
use tenure::driver::{self, Surroundings};
use tenure::election::{
    Action, Deadline, Election, Event, Lease, LeaseId, Observation, Policy, Role, Standing, Time,
    Timing, Token, Transition, View,
};

/// A request, and the connection that it is sent on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) generation: u64,
    pub(crate) request: Request,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Grant(LeaseId),
    Enter(LeaseId),
    KeepAlive(LeaseId),
    Verify(LeaseId),
    Revoke(LeaseId),
    Observe,
}

/// What the store answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// For so long.
    Granted(Duration),
    Entered(Option<Token>),
    Renewed(Option<Duration>),
    Standing(Standing),
    Revoked,
    Sight(Observation),
}

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug)]
struct Outstanding {
    id: u64,
    request: Request,
    sent_at: Time,
    deadline: Time,
    /// What the lease was granted for, once it was.
    granted: Duration,
}

/// Before the queue is asked for on another connection.
pub(crate) const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// One candidate on one host. All times are by the host's clock.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) name: usize,
    timing: Timing,
    policy: Policy,
    /// None while it is crashed, or has ended.
    core: Option<Election>,
    view: View,
    pub(crate) own: Option<LeaseId>,
    pub(crate) guardian: Guardian,
    pub(crate) promises: Promises,
    pub(crate) generation: u64,
    call: Option<Outstanding>,
    keepalive: Option<Outstanding>,
    observe: Option<Outstanding>,
    /// When to ask for the queue again.
    observe_at: Option<Time>,
    pub(crate) outbox: Outbox<Message>,
}

impl Candidate {
    pub(crate) fn new(name: usize, timing: Timing, policy: Policy) -> Self {
        Candidate {
            name,
            timing,
            policy,
            guardian: Guardian::new(),
            core: None,
            view: View {
                held_back: None,
                role: Role::Stopped,
                holder: None,
            },
            own: None,
            promises: Promises::default(),
            generation: 0,
            call: None,
            keepalive: None,
            observe: None,
            observe_at: None,
            outbox: Outbox::new(),
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.core.is_some()
    }

    pub(crate) fn start(&mut self, now: Time, seed: u64) {
        self.core = Some(Election::new(self.timing, self.policy, seed));
        self.generation += 1;
        self.observe_at = Some(now);
        self.take_in(now, Event::Tick);
    }

    /// The guardian's work at `now`; nothing of it depends on the candidate.
    pub(crate) fn guard(&mut self, now: Time) {
        if self.guardian.work(now) {
            // It was the one that relied on them.
            self.promises.given.clear();
        }
    }

    /// The process is gone. What it promised is not.
    pub(crate) fn crash(&mut self) {
        self.guardian.left_alone();
        self.core = None;
        self.view.role = Role::Stopped;
        self.call = None;
        self.keepalive = None;
        self.observe = None;
        self.observe_at = None;
        self.promises.until = Time::ORIGIN;
        self.generation += 1;
    }

    /// The lease and the token that it claims to lead with.
    pub(crate) fn claim(&self, now: Time) -> Option<(LeaseId, Token)> {
        let claim = self.view.role.claim().filter(|claim| claim.is_valid(now))?;
        Some((claim.lease, claim.token))
    }

    /// The application asks whether it may act, and for how long.
    pub(crate) fn ask(&mut self, now: Time) {
        self.promises.ask(self.view.role, now);
    }

    /// How long until it has to look again, if nothing happens before.
    pub(crate) fn waits(&self, now: Time) -> Option<Duration> {
        let core = self.core.as_ref()?.next_timeout();
        let lanes = [self.call, self.keepalive, self.observe];
        let deadlines = lanes
            .iter()
            .flatten()
            .map(|outstanding| outstanding.deadline);
        let others = [self.observe_at, self.guardian.next_timeout()];
        let others = others.into_iter().flatten();
        Some(deadlines.chain(core).chain(others).min()?.since(now))
    }

    /// The clock says that it is time.
    pub(crate) fn wake(&mut self, now: Time) {
        if self.keepalive.is_some_and(|waits| waits.deadline <= now) {
            self.fail_keepalive(now);
        }
        if self.call.is_some_and(|waits| waits.deadline <= now) {
            self.fail_call(now);
        }
        if self.observe.is_some_and(|waits| waits.deadline <= now) {
            self.observe = None;
            self.reconnect(now);
        }
        if self.observe_at.is_some_and(|at| at <= now) && self.is_running() {
            self.observe_at = None;
            self.observe = Some(self.send(now, Request::Observe));
        }
        self.take_in(now, Event::Tick);
        self.hear_of_application(now);
    }

    /// The guardian says that the application is gone.
    fn hear_of_application(&mut self, now: Time) {
        self.guard(now);
        if let Some(token) = self.guardian.end_to_tell() {
            let in_order = true;
            self.take_in(now, Event::ApplicationStopped { token, in_order });
        }
    }

    /// An answer to the request of that number, on the connection in use.
    pub(crate) fn answered(&mut self, now: Time, id: u64, answer: Answer) {
        match answer {
            Answer::Sight(sight) => {
                self.observe.take_if(|waits| waits.id == id);
                self.take_in(now, Event::Observed(sight));
            }
            Answer::Renewed(renewed) => {
                if let Some(waits) = self.keepalive.take_if(|waits| waits.id == id) {
                    self.renewed(now, waits, renewed);
                }
            }
            answer => {
                if let Some(waits) = self.call.take_if(|waits| waits.id == id) {
                    self.call_answered(now, waits, answer);
                }
            }
        }
    }

    fn renewed(&mut self, now: Time, waits: Outstanding, renewed: Option<Duration>) {
        let Request::KeepAlive(lease) = waits.request else {
            return;
        };
        let event = match renewed {
            Some(ttl) => Event::KeptAlive {
                lease,
                sent_at: waits.sent_at,
                ttl,
            },
            None => Event::LeaseGone(lease),
        };
        self.take_in(now, event);
    }

    fn call_answered(&mut self, now: Time, waits: Outstanding, answer: Answer) {
        let event = match (waits.request, answer) {
            (Request::Grant(lease), Answer::Granted(granted)) => {
                let enter = self.send(now, Request::Enter(lease));
                // Both steps have one deadline, and the lease counts from before the first.
                self.call = Some(Outstanding {
                    sent_at: waits.sent_at,
                    deadline: waits.deadline,
                    granted,
                    ..enter
                });
                return;
            }
            (Request::Enter(id), Answer::Entered(Some(token))) => Event::Joined(Lease {
                id,
                token,
                ttl: waits.granted,
                sent_at: waits.sent_at,
            }),
            (Request::Enter(lease), Answer::Entered(None)) => self.join_failed(now, lease),
            (Request::Verify(lease), Answer::Standing(standing)) => {
                Event::Verified(lease, standing)
            }
            (Request::Revoke(lease), Answer::Revoked) => Event::Released(lease),
            (request, answer) => panic!("{answer:?} answers {request:?}"),
        };
        self.take_in(now, event);
    }

    fn fail_keepalive(&mut self, now: Time) {
        if let Some(Request::KeepAlive(lease)) = self.keepalive.take().map(|waits| waits.request) {
            self.reconnect(now);
            self.take_in(now, Event::KeepAliveFailed(lease));
        }
    }

    fn fail_call(&mut self, now: Time) {
        let event = match self.call.take().map(|waits| waits.request) {
            Some(Request::Grant(lease) | Request::Enter(lease)) => self.join_failed(now, lease),
            Some(Request::Verify(lease)) => Event::VerifyFailed(lease),
            Some(Request::Revoke(lease)) => Event::ReleaseFailed(lease),
            _ => return,
        };
        self.reconnect(now);
        self.take_in(now, event);
    }

    fn join_failed(&self, now: Time, lease: LeaseId) -> Event {
        Event::JoinFailed {
            lease,
            gone_by: now + self.timing.ttl(),
        }
    }

    /// Nothing that comes on the old connection counts any more.
    fn reconnect(&mut self, now: Time) {
        self.generation += 1;
        self.observe = None;
        self.observe_at = Some(now + RECONNECT_PAUSE);
        self.take_in(now, Event::Blind);
    }

    /// By the driver that ships.
    pub(crate) fn take_in(&mut self, now: Time, event: Event) {
        let Some(mut core) = self.core.take() else {
            return;
        };
        let mut surroundings = Simulated {
            candidate: self,
            now,
        };
        driver::take_in(&mut core, event, &mut surroundings);
        if core.is_stopped() {
            self.crash();
        } else {
            self.core = Some(core);
        }
    }

    fn send(&mut self, now: Time, request: Request) -> Outstanding {
        let generation = self.generation;
        Outstanding {
            id: self.outbox.send(Message {
                generation,
                request,
            }),
            request,
            sent_at: now,
            deadline: now + self.timing.retry_period(),
            granted: Duration::ZERO,
        }
    }
}

/// What surrounds a core in the simulation.
struct Simulated<'a> {
    candidate: &'a mut Candidate,
    now: Time,
}

impl Surroundings for Simulated<'_> {
    fn now(&self) -> Time {
        self.now
    }

    fn publish(&mut self, view: View) {
        self.candidate.view = view;
    }

    /// The application asks at the worst moment: right after this was read.
    fn promised_until(&mut self) -> Time {
        let until = self.candidate.promises.until;
        self.candidate.ask(self.now);
        until
    }

    fn run(&mut self, token: Token, deadline: Deadline) {
        self.candidate.guard(self.now);
        let lease = self.candidate.own.unwrap();
        self.candidate.guardian.run(lease, token, deadline);
        self.candidate.guard(self.now);
    }

    fn extend(&mut self, deadline: Deadline) {
        self.candidate.guard(self.now);
        self.candidate.guardian.extend(deadline);
    }

    fn stop(&mut self, _: Token, at_once: bool) {
        self.candidate.guardian.stop(self.now, at_once);
    }

    fn begin(&mut self, action: Action) {
        let (request, is_keepalive) = match action {
            Action::Join(lease) => {
                self.candidate.own = Some(lease);
                (Request::Grant(lease), false)
            }
            Action::Verify(lease) => (Request::Verify(lease), false),
            Action::Release(lease) | Action::HandOver(lease) => {
                self.candidate.keepalive = None;
                (Request::Revoke(lease), false)
            }
            Action::KeepAlive(lease) => (Request::KeepAlive(lease), true),
            action => panic!("{action:?} is no request"),
        };
        let sent = self.candidate.send(self.now, request);
        if is_keepalive {
            self.candidate.keepalive = Some(sent);
        } else {
            self.candidate.call = Some(sent);
        }
    }

    fn report(&mut self, _: &Transition) {}

    fn took_over(&mut self, _: Duration) {}
}
