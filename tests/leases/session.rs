//! What the kubernetes store does for one candidate, by the parts of it that ship. What is modelled is the waiting: one errand a
//! lane, a bound on each, and a watch that is opened again and again.

use crate::errand::{Errand, Request, Step};
use crate::error::Failure;
use crate::ledger::Ledger;
use crate::lookout::Lookout;
use crate::record::{Author, Record};
use crate::simulated::candidate::{Clock, Outbox};
use k8s_openapi::api::coordination::v1::Lease;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use tenure::election::{Action, Event, Time, Token};

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
        let was_blind = self.lookout.is_blind();
        match said {
            Said::Answer(answer) => {
                let answer = answer.and_then(|lease| lease.map(Record::read).transpose());
                self.answered(now, id, answer, outbox);
            }
            Said::Told(told) if self.watch.id == Some(id) => self.told(now.time, told),
            Said::Told(_) => {}
        }
        if was_blind && !self.lookout.is_blind() {
            self.watch.due = now.time;
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
