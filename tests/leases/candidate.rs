//! A candidate: the core and the driver's steps that ship, and a session with the store.

use crate::errand::{Errand, Request, Step};
use crate::error::Failure;
use crate::ledger::Ledger;
use crate::lookout::Lookout;
use crate::record::{Author, Record};
use crate::simulated::candidate::{Clock, Outbox, Promises};
use k8s_openapi::api::coordination::v1::Lease;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
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

/// What a candidate sends.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Ask(Request),
    /// Tell of every change from now on, and of what is there.
    Watch,
}

/// What is said to it.
#[derive(Debug)]
pub(crate) enum Said {
    Answer(Result<Option<Lease>, Failure>),
    Told(Told),
}

/// What a watch tells.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Opened,
    Is(Lease),
    Deleted(Lease),
    Ended,
}

/// A time, and the date that people see then: nobody's clock says both right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) time: Time,
    pub(crate) date: SystemTime,
}

/// What a process has seen of others, and of its own former leaderships.
#[derive(Clone, Debug, Default)]
pub(crate) struct Knowledge {
    /// At which version each was last seen to have acquired or renewed the Lease.
    pub(crate) holders: BTreeMap<String, u64>,
    pub(crate) token: Token,
}

#[derive(Debug)]
pub(crate) struct Session {
    author: Author,
    bound: Duration,
    ledger: Ledger,
    lookout: Lookout,
    /// Of keepalives, and of all other errands.
    lanes: [Option<Lane>; 2],
    look: Option<Look>,
    watch: Watch,
    own: Option<String>,
    /// What it saw last.
    last: Option<Record>,
    pub(crate) knows: Knowledge,
}

/// An errand under way.
#[derive(Debug)]
struct Lane {
    errand: Errand,
    id: u64,
    deadline: Time,
}

const KEEPALIVES: usize = 0;
const CALLS: usize = 1;

#[derive(Debug)]
struct Look {
    id: u64,
    asked_at: Time,
}

#[derive(Debug)]
struct Watch {
    /// None while none is open.
    id: Option<u64>,
    /// Until it is open.
    opens_by: Option<Time>,
    due: Time,
}

/// As in the store.
const WATCH_KEPT_FOR: Duration = Duration::from_secs(120);

impl Now {
    /// By a clock that was set to this date when the world began.
    pub(crate) fn by(clock: &Clock, date: Duration, now: Time) -> Self {
        Now {
            time: clock.read(now),
            date: SystemTime::UNIX_EPOCH + date + clock.passed(now),
        }
    }
}

impl Session {
    pub(crate) fn new(author: Author, bound: Duration, seed: u64) -> Self {
        Session {
            ledger: Ledger::new(author.clone()),
            author,
            bound,
            lookout: Lookout::new(bound, seed),
            lanes: [None, None],
            look: None,
            watch: Watch {
                id: None,
                opens_by: None,
                due: Time::ORIGIN,
            },
            own: None,
            last: None,
            knows: Knowledge::default(),
        }
    }

    /// When to look again, if nothing happens before.
    pub(crate) fn next_timeout(&self, now: Time) -> Option<Time> {
        let deadlines = self.lanes.iter().flatten().map(|lane| lane.deadline);
        let look = self.look.as_ref().map(|look| look.asked_at + self.bound);
        let others = [self.lookout.due(&self.ledger, now), self.watch.due];
        let others = others.into_iter().chain(self.watch.opens_by);
        deadlines.chain(look).chain(others).min()
    }

    /// The clock says that it is time.
    pub(crate) fn wake(&mut self, now: Time, outbox: &mut Outbox<Message>) {
        for lane in &mut self.lanes {
            if let Some(late) = lane.take_if(|lane| lane.deadline <= now) {
                let failed = late.errand.failed(&self.ledger, now);
                self.lookout.done(failed, &self.ledger, now);
            }
        }
        let look_is_late = |look: &mut Look| look.asked_at + self.bound <= now;
        if self.look.take_if(look_is_late).is_some() {
            self.lookout.go_blind(now);
        }
        if self.watch.opens_by.is_some_and(|by| by <= now) {
            self.watch.close(now + self.bound);
        }
        if self.watch.due <= now {
            self.watch = Watch {
                id: Some(outbox.send(Message::Watch)),
                opens_by: Some(now + self.bound),
                due: now + WATCH_KEPT_FOR + self.bound,
            };
        }
        if self.lookout.take_due(now) {
            self.look = Some(Look {
                id: outbox.send(Message::Ask(Request::Read)),
                asked_at: now,
            });
        }
        self.lookout.see(&self.ledger, now);
    }

    /// To the request of that number, or by the watch.
    pub(crate) fn hear(&mut self, now: Now, id: u64, said: Said, outbox: &mut Outbox<Message>) {
        match said {
            Said::Answer(answer) => {
                let answer = answer.and_then(|lease| lease.map(Record::read).transpose());
                self.answered(now, id, answer, outbox);
            }
            Said::Told(told) if self.watch.id == Some(id) => self.told(now.time, told),
            Said::Told(_) => {}
        }
    }

    fn answered(
        &mut self,
        now: Now,
        id: u64,
        answer: Result<Option<Record>, Failure>,
        outbox: &mut Outbox<Message>,
    ) {
        if let Some(look) = self.look.take_if(|look| look.id == id) {
            match answer {
                Ok(record) => {
                    self.ledger.answered(record, look.asked_at, now.time);
                    self.lookout.has_read(&self.ledger, now.time);
                }
                Err(_) => self.lookout.go_blind(now.time),
            }
            return;
        }
        for lane in [KEEPALIVES, CALLS] {
            if let Some(waits) = self.lanes[lane].as_mut().filter(|lane| lane.id == id) {
                let ledger = &mut self.ledger;
                let step = waits.errand.answered(answer, ledger, now.time, now.date);
                return self.go_on(lane, step, now.time, outbox);
            }
        }
    }

    fn told(&mut self, now: Time, told: Told) {
        match told {
            Told::Opened => self.watch.opens_by = None,
            Told::Is(lease) => self.ledger.told(Record::read(lease).unwrap(), now),
            Told::Deleted(lease) => {
                let record = Record::read(lease).unwrap();
                self.ledger.told_of_deletion(&record, now);
            }
            Told::Ended => self.watch.close(now + self.bound),
        }
        self.lookout.see(&self.ledger, now);
    }

    /// What the core is to be told next. Notes what is known by now.
    pub(crate) fn next_event(&mut self) -> Option<Event> {
        self.learn();
        self.lookout.next()
    }

    /// The core wants something done.
    pub(crate) fn begin(&mut self, now: Now, action: Action, outbox: &mut Outbox<Message>) {
        let mut errand = Errand::of(action).unwrap();
        let mut lane = CALLS;
        match action {
            Action::Join(lease) => {
                self.own = Some(self.author.identity(lease));
                self.lookout.show_anew();
            }
            Action::Release(_) | Action::HandOver(_) => {
                self.lanes[KEEPALIVES] = None;
                self.lookout.show_anew();
            }
            Action::KeepAlive(_) => lane = KEEPALIVES,
            _ => {}
        }
        let step = errand.set_out(&mut self.ledger, now.time, now.date);
        self.lanes[lane] = Some(Lane {
            deadline: now.time + self.bound * errand.requests(),
            errand,
            id: 0,
        });
        self.go_on(lane, step, now.time, outbox);
    }

    /// Sends the next request of an errand, or tells what has come of it.
    fn go_on(
        &mut self,
        lane: usize,
        step: Result<Step, Failure>,
        now: Time,
        outbox: &mut Outbox<Message>,
    ) {
        let Some(under_way) = &mut self.lanes[lane] else {
            return;
        };
        let done = match step {
            Ok(Step::Ask(request)) => {
                under_way.id = outbox.send(Message::Ask(request));
                return;
            }
            Ok(Step::Done(event)) => event,
            Err(_) => under_way.errand.failed(&self.ledger, now),
        };
        self.lanes[lane] = None;
        self.lookout.done(done, &self.ledger, now);
    }

    fn learn(&mut self) {
        let Some(record) = self.ledger.record() else {
            return;
        };
        let last = self.last.as_ref();
        if record.identity() == self.own.as_deref()
            || last.is_some_and(|last| last.version() == record.version())
        {
            return;
        }
        self.knows.token = self.knows.token.max(record.noted_token());
        if let Some(holder) = record.identity()
            && last.is_none_or(|last| !record.is_unchanged_since(last))
        {
            let version = record.version();
            self.knows.holders.insert(holder.to_owned(), version);
        }
        self.last = Some(record.clone());
    }
}

impl Watch {
    fn close(&mut self, due: Time) {
        *self = Watch {
            id: None,
            opens_by: None,
            due,
        };
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
