//! A candidate: the core and the driver's steps that ship, and a session with the store.

use crate::record::Author;
use crate::session::{Knowledge, Message, Now, Said, Session};
use crate::simulated::candidate::{Outbox, Promises};
use std::time::Duration;
use tenure::driver::{self, Surroundings};
use tenure::election::{
    Action, Candidate as Name, Deadline, Election, Event, Policy, Role, Time, Timing, Token,
    Transition, View,
};

/// One candidate on one host. All times are by the host's clock.
#[derive(Debug)]
pub(crate) struct Candidate {
    author: Author,
    timing: Timing,
    policy: Policy,
    /// None while it is crashed, or has ended.
    process: Option<Process>,
    promises: Promises,
    pub(crate) outbox: Outbox<Message>,
}

#[derive(Debug)]
struct Process {
    /// None while it takes a step.
    core: Option<Election>,
    view: View,
    session: Session,
}

impl Candidate {
    pub(crate) fn new(name: usize, timing: Timing, policy: Policy) -> Self {
        Candidate {
            author: Author {
                candidate: Name {
                    id: name.to_string(),
                    advertise: None,
                },
                ttl: timing.ttl(),
            },
            timing,
            policy,
            process: None,
            promises: Promises::default(),
            outbox: Outbox::new(),
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    pub(crate) fn start(&mut self, now: Now, seed: u64) {
        let core = Election::new(self.timing, self.policy, seed);
        self.process = Some(Process {
            view: core.view(),
            core: Some(core),
            session: Session::new(self.author.clone(), self.timing.retry_period(), seed),
        });
        self.take_in(now, Event::Tick);
        self.wake(now);
    }

    /// The process is gone. What it promised is not.
    pub(crate) fn crash(&mut self) {
        self.process = None;
        self.promises.until = Time::ORIGIN;
    }

    /// Whom it claims to lead as, and under which token.
    pub(crate) fn claim(&self, now: Now) -> Option<(String, Token)> {
        let claim = self
            .role()
            .claim()
            .filter(|claim| claim.is_valid(now.time))?;
        Some((self.author.identity(claim.lease), claim.token))
    }

    fn role(&self) -> Role {
        let process = self.process.as_ref();
        process.map_or(Role::Stopped, |process| process.view.role)
    }

    /// As whom it promised what holds yet.
    pub(crate) fn promised_as(&mut self, now: Now) -> impl Iterator<Item = String> {
        let (author, leases) = (&self.author, self.promises.hold(now.time));
        leases.map(|lease| author.identity(lease))
    }

    pub(crate) fn knowledge(&self) -> Knowledge {
        let process = self.process.as_ref();
        process.map_or_else(Knowledge::default, |process| process.session.knows.clone())
    }

    /// The application asks whether it may act, and for how long.
    pub(crate) fn ask(&mut self, now: Now) {
        self.promises.ask(self.role(), now.time);
    }

    /// How long until it has to look again, if nothing happens before.
    pub(crate) fn waits(&self, now: Now) -> Option<Duration> {
        let process = self.process.as_ref()?;
        let core = process.core.as_ref().and_then(Election::next_timeout);
        let session = process.session.next_timeout(now.time);
        Some(core.into_iter().chain(session).min()?.since(now.time))
    }

    /// The clock says that it is time.
    pub(crate) fn wake(&mut self, now: Now) {
        if let Some(process) = &mut self.process {
            process.session.wake(now.time, &mut self.outbox);
        }
        self.settle(now);
        self.take_in(now, Event::Tick);
    }

    /// An answer to the request of that number, or what the watch of that number tells.
    pub(crate) fn hear(&mut self, now: Now, id: u64, said: Said) {
        if let Some(process) = &mut self.process {
            process.session.hear(now, id, said, &mut self.outbox);
        }
        self.settle(now);
    }

    /// Tells the core what there is to tell.
    fn settle(&mut self, now: Now) {
        while let Some(process) = &mut self.process
            && let Some(event) = process.session.next_event()
        {
            self.step(now, event);
        }
    }

    pub(crate) fn take_in(&mut self, now: Now, event: Event) {
        self.step(now, event);
        self.settle(now);
    }

    /// By the driver that ships.
    fn step(&mut self, now: Now, event: Event) {
        let process = self.process.as_mut();
        let Some(mut core) = process.and_then(|process| process.core.take()) else {
            return;
        };
        let mut surroundings = Simulated {
            candidate: self,
            now,
        };
        driver::take_in(&mut core, event, &mut surroundings);
        if core.is_stopped() {
            self.crash();
        } else if let Some(process) = &mut self.process {
            process.core = Some(core);
        }
    }
}

/// What surrounds a core in the simulation.
struct Simulated<'a> {
    candidate: &'a mut Candidate,
    now: Now,
}

impl Surroundings for Simulated<'_> {
    fn now(&self) -> Time {
        self.now.time
    }

    fn publish(&mut self, view: View) {
        self.candidate.process.as_mut().unwrap().view = view;
    }

    /// The application asks at the worst moment: right after this was read.
    fn promised_until(&mut self) -> Time {
        let until = self.candidate.promises.until;
        self.candidate.ask(self.now);
        until
    }

    fn begin(&mut self, action: Action) {
        let Candidate {
            process, outbox, ..
        } = &mut *self.candidate;
        let session = &mut process.as_mut().unwrap().session;
        session.begin(self.now, action, outbox);
    }

    fn run(&mut self, _: Token, _: Deadline) {}

    fn extend(&mut self, _: Deadline) {}

    fn stop(&mut self, _: Token, _: bool) {}

    fn report(&mut self, _: &Transition) {}

    fn took_over(&mut self, _: Duration) {}
}
