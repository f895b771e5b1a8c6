//! A candidate: the core, the driver's steps, and what the store decides, as they ship. What is modelled is the waiting: one
//! request a lane, a bound on each, and a watch that is opened again and again.

use crate::errand::{Errand, Request, Step};
use crate::error::Failure;
use crate::ledger::Ledger;
use crate::lookout::Lookout;
use crate::record::{Author, Record};
use k8s_openapi::api::coordination::v1::Lease;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use tenure::driver::{self, Surroundings};
use tenure::election::{
    Action, Candidate as Name, Deadline, Election, Event, LeaseId, Policy, Role, Time, Timing,
    Token, Transition, View,
};

/// What a candidate sends.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Ask(Request),
    /// Tell of every change from now on, and of what is there.
    Watch,
}

/// With the number by which the answer is known.
pub(crate) type Outbox = Vec<(u64, Message)>;

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

/// What was promised to an application.
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    pub(crate) identity: String,
    pub(crate) until: Time,
}

/// One candidate on one host. All times are by the host's clock.
#[derive(Debug)]
pub(crate) struct Candidate {
    name: usize,
    timing: Timing,
    policy: Policy,
    /// None while it is crashed, or has ended.
    process: Option<Process>,
    promised_until: Time,
    pub(crate) promises: Vec<Promise>,
    next_id: u64,
}

#[derive(Debug)]
struct Process {
    /// None while it takes a step.
    core: Option<Election>,
    view: View,
    ledger: Ledger,
    lookout: Lookout,
    keepalive: Option<Lane>,
    call: Option<Lane>,
    look: Option<Look>,
    watch: Watch,
    own: Option<LeaseId>,
    /// What it saw last.
    last: Option<Record>,
    knows: Knowledge,
}

/// What a process has seen of others, and of its own former leaderships.
#[derive(Clone, Debug, Default)]
pub(crate) struct Knowledge {
    /// At which version each was last seen to have acquired or renewed the Lease.
    pub(crate) holders: BTreeMap<String, u64>,
    pub(crate) token: Token,
}

/// An errand under way.
#[derive(Debug)]
struct Lane {
    errand: Errand,
    id: u64,
    deadline: Time,
}

#[derive(Debug)]
struct Look {
    id: u64,
    asked_at: Time,
    deadline: Time,
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

impl Candidate {
    pub(crate) fn new(name: usize, timing: Timing, policy: Policy) -> Self {
        Candidate {
            name,
            timing,
            policy,
            process: None,
            promised_until: Time::ORIGIN,
            promises: Vec::new(),
            next_id: 0,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    pub(crate) fn start(&mut self, now: Now, seed: u64, outbox: &mut Outbox) {
        let author = Author {
            candidate: Name {
                id: self.name.to_string(),
                advertise: None,
            },
            ttl: self.timing.ttl(),
        };
        let core = Election::new(self.timing, self.policy, seed);
        self.process = Some(Process {
            view: core.view(),
            core: Some(core),
            ledger: Ledger::new(author),
            lookout: Lookout::new(self.timing.retry_period(), seed),
            keepalive: None,
            call: None,
            look: None,
            watch: Watch {
                id: None,
                opens_by: None,
                due: Time::ORIGIN,
            },
            own: None,
            last: None,
            knows: Knowledge::default(),
        });
        self.take_in(now, Event::Tick, outbox);
        self.wake(now, outbox);
    }

    /// The process is gone. What it promised is not.
    pub(crate) fn crash(&mut self) {
        self.process = None;
        self.promised_until = Time::ORIGIN;
    }

    /// Whom it claims to lead as, and under which token.
    pub(crate) fn claim(&self, now: Time) -> Option<(String, Token)> {
        match self.process.as_ref()?.view.role {
            Role::Leader(claim) if claim.is_valid(now) => {
                Some((self.identity(claim.lease), claim.token))
            }
            _ => None,
        }
    }

    fn identity(&self, lease: LeaseId) -> String {
        format!("{}_{lease}", self.name)
    }

    pub(crate) fn knowledge(&self) -> Knowledge {
        let process = self.process.as_ref();
        process.map_or_else(Knowledge::default, |process| process.knows.clone())
    }

    /// The application asks whether it may act, and for how long.
    pub(crate) fn ask(&mut self, now: Time) {
        let Some(Role::Leader(claim)) = self.process.as_ref().map(|process| process.view.role)
        else {
            return;
        };
        if claim.is_valid(now) {
            self.promised_until = self.promised_until.max(claim.valid_until);
            self.promises.push(Promise {
                identity: self.identity(claim.lease),
                until: claim.valid_until,
            });
        }
    }

    /// When to look again, if nothing happens before.
    pub(crate) fn next_timeout(&self, now: Time) -> Option<Time> {
        let process = self.process.as_ref()?;
        let core = process.core.as_ref().and_then(Election::next_timeout);
        let lanes = [&process.keepalive, &process.call];
        let deadlines = lanes.into_iter().flatten().map(|lane| lane.deadline);
        let look = process.look.as_ref().map(|look| look.deadline);
        let others = [process.lookout.due(&process.ledger, now), process.watch.due];
        let others = others.into_iter().chain(process.watch.opens_by);
        deadlines.chain(core).chain(look).chain(others).min()
    }

    /// The clock says that it is time.
    pub(crate) fn wake(&mut self, now: Now, outbox: &mut Outbox) {
        let bound = self.timing.retry_period();
        let time = now.time;
        let Some(process) = &mut self.process else {
            return;
        };
        for lane in [&mut process.keepalive, &mut process.call] {
            if let Some(late) = lane.take_if(|lane| lane.deadline <= time) {
                let failed = late.errand.failed(&process.ledger, time);
                process.lookout.done(failed, &process.ledger, time);
            }
        }
        if process.look.take_if(|look| look.deadline <= time).is_some() {
            process.lookout.go_blind(time);
        }
        if process.watch.opens_by.is_some_and(|by| by <= time) {
            process.watch.close(time + bound);
        }
        if process.watch.due <= time {
            self.next_id += 1;
            outbox.push((self.next_id, Message::Watch));
            process.watch = Watch {
                id: Some(self.next_id),
                opens_by: Some(time + bound),
                due: time + WATCH_KEPT_FOR + bound,
            };
        }
        if process.lookout.take_due(time) {
            self.next_id += 1;
            outbox.push((self.next_id, Message::Ask(Request::Read)));
            process.look = Some(Look {
                id: self.next_id,
                asked_at: time,
                deadline: time + bound,
            });
        }
        process.lookout.see(&process.ledger, time);
        self.settle(now, outbox);
        self.take_in(now, Event::Tick, outbox);
    }

    /// An answer to the request of that number.
    pub(crate) fn answered(
        &mut self,
        now: Now,
        id: u64,
        answer: Result<Option<Lease>, Failure>,
        outbox: &mut Outbox,
    ) {
        let answer = answer.and_then(|lease| lease.map(Record::read).transpose());
        let Some(process) = &mut self.process else {
            return;
        };
        if let Some(look) = process.look.take_if(|look| look.id == id) {
            match answer {
                Ok(record) => {
                    process.ledger.answered(record, look.asked_at, now.time);
                    process.lookout.has_read(&process.ledger, now.time);
                }
                Err(_) => process.lookout.go_blind(now.time),
            }
        } else {
            let lanes = [&mut process.keepalive, &mut process.call];
            let Some(lane) = lanes
                .into_iter()
                .find(|lane| lane.as_ref().is_some_and(|lane| lane.id == id))
            else {
                return;
            };
            let step = lane.as_mut().unwrap().errand.answered(
                answer,
                &mut process.ledger,
                now.time,
                now.date,
            );
            go_on(
                lane,
                step,
                now.time,
                &process.ledger,
                &mut process.lookout,
                &mut self.next_id,
                outbox,
            );
        }
        self.settle(now, outbox);
    }

    /// The watch of that number tells something.
    pub(crate) fn told(&mut self, now: Now, id: u64, told: Told, outbox: &mut Outbox) {
        let bound = self.timing.retry_period();
        let Some(process) = &mut self.process else {
            return;
        };
        if process.watch.id != Some(id) {
            return;
        }
        match told {
            Told::Opened => process.watch.opens_by = None,
            Told::Is(lease) => process.ledger.told(Record::read(lease).unwrap(), now.time),
            Told::Deleted(lease) => process
                .ledger
                .told_of_deletion(&Record::read(lease).unwrap(), now.time),
            Told::Ended => process.watch.close(now.time + bound),
        }
        process.lookout.see(&process.ledger, now.time);
        self.settle(now, outbox);
    }

    /// Tells the core what there is to tell, and notes what is known by now.
    fn settle(&mut self, now: Now, outbox: &mut Outbox) {
        while let Some(process) = &mut self.process {
            let own = process.own.map(|own| format!("{}_{own}", self.name));
            process.learn(own.as_deref());
            let Some(event) = process.lookout.next() else {
                return;
            };
            self.step(now, event, outbox);
        }
    }

    pub(crate) fn take_in(&mut self, now: Now, event: Event, outbox: &mut Outbox) {
        self.step(now, event, outbox);
        self.settle(now, outbox);
    }

    /// By the driver that ships.
    fn step(&mut self, now: Now, event: Event, outbox: &mut Outbox) {
        let Some(mut core) = self
            .process
            .as_mut()
            .and_then(|process| process.core.take())
        else {
            return;
        };
        let mut surroundings = Simulated {
            candidate: self,
            now,
            outbox,
        };
        driver::take_in(&mut core, event, &mut surroundings);
        if core.is_stopped() {
            self.crash();
        } else if let Some(process) = &mut self.process {
            process.core = Some(core);
        }
    }
}

impl Process {
    fn learn(&mut self, own: Option<&str>) {
        let Some(record) = self.ledger.record() else {
            return;
        };
        let last = self.last.as_ref();
        if record.identity() == own || last.is_some_and(|last| last.version() == record.version()) {
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

/// Sends the next request of an errand, or tells what has come of it.
fn go_on(
    lane: &mut Option<Lane>,
    step: Result<Step, Failure>,
    now: Time,
    ledger: &Ledger,
    lookout: &mut Lookout,
    next_id: &mut u64,
    outbox: &mut Outbox,
) {
    let Some(under_way) = lane else {
        return;
    };
    let done = match step {
        Ok(Step::Ask(request)) => {
            *next_id += 1;
            under_way.id = *next_id;
            return outbox.push((*next_id, Message::Ask(request)));
        }
        Ok(Step::Done(event)) => event,
        Err(_) => under_way.errand.failed(ledger, now),
    };
    *lane = None;
    lookout.done(done, ledger, now);
}

/// What surrounds a core in the simulation.
struct Simulated<'a> {
    candidate: &'a mut Candidate,
    now: Now,
    outbox: &'a mut Outbox,
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
        let until = self.candidate.promised_until;
        self.candidate.ask(self.now.time);
        until
    }

    fn begin(&mut self, action: Action) {
        let bound = self.candidate.timing.retry_period();
        let Candidate {
            process, next_id, ..
        } = &mut *self.candidate;
        let process = process.as_mut().unwrap();
        let (now, mut errand) = (self.now, Errand::of(action).unwrap());
        if let Action::Release(_) | Action::HandOver(_) = action {
            process.keepalive = None;
        }
        if let Action::Join(lease) = action {
            process.own = Some(lease);
        }
        if let Action::Join(_) | Action::Release(_) | Action::HandOver(_) = action {
            process.lookout.show_anew();
        }
        let step = errand.set_out(&mut process.ledger, now.time, now.date);
        let deadline = now.time + bound * errand.requests();
        let lane = if let Action::KeepAlive(_) = action {
            &mut process.keepalive
        } else {
            &mut process.call
        };
        *lane = Some(Lane {
            errand,
            id: 0,
            deadline,
        });
        let (ledger, lookout) = (&process.ledger, &mut process.lookout);
        go_on(lane, step, now.time, ledger, lookout, next_id, self.outbox);
    }

    fn run(&mut self, _: Token, _: Deadline) {}

    fn extend(&mut self, _: Deadline) {}

    fn stop(&mut self, _: Token, _: bool) {}

    fn report(&mut self, _: &Transition) {}

    fn took_over(&mut self, _: Duration) {}
}
