//! Candidates, an API server, a network between them, and people who break things. Virtual time, one seed.

use crate::candidate::{Candidate, Message, Now, Outbox, Told};
use crate::errand::Request;
use crate::error::Failure;
use crate::foreign::{Foreign, micro_time};
use crate::judge::Judge;
use crate::kind::{Counts, FAULTS, Kind};
use crate::record::unheld;
use crate::register::Register;
use k8s_openapi::api::coordination::v1::Lease;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};
use tenure::election::{Event, Hold, Policy, ShutdownWait, Time, Timing};

/// What kind of world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Climate {
    pub(crate) candidates: usize,
    pub(crate) foreign: usize,
    /// By how much a clock's rate may be wrong, either way.
    pub(crate) drift: f64,
    /// For how long things break.
    pub(crate) faulty: Duration,
    pub(crate) timing: Timing,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What is wrong, if anything is.
    pub(crate) crime: Option<String>,
    /// How much of the time a candidate of ours led.
    pub(crate) led: Duration,
    pub(crate) lasted: Duration,
    pub(crate) leaderships: u64,
    pub(crate) excused: u64,
    pub(crate) counts: Counts,
    pub(crate) trace: String,
}

#[derive(Debug)]
enum Happening {
    /// A candidate's clock; the number tells the newest from those before.
    Wake(usize, u64),
    /// The epoch is that of the connections: the API server's restart ends them all.
    Arrive {
        from: usize,
        epoch: u64,
        id: u64,
        message: Message,
        is_late: bool,
    },
    Answer {
        to: usize,
        epoch: u64,
        id: u64,
        answer: Result<Option<Lease>, Failure>,
    },
    Told {
        to: usize,
        epoch: u64,
        id: u64,
        told: Told,
    },
    ForeignReads(usize),
    ForeignWrites(usize, Box<Lease>),
    Fault,
    Thaw(usize),
    Heal(usize),
    Restart(usize),
    Ask(usize),
    Lift(usize),
    ServerBack,
    Unassign,
    FaultsEnd,
    /// By now somebody leads, and hands over.
    HandOver,
    /// By now it has.
    Close,
}

/// A candidate's host, and its way to the API.
#[derive(Debug)]
struct Host {
    candidate: Candidate,
    clock: Clock,
    frozen: bool,
    /// Told to shut down.
    stopping: bool,
    /// What came while it was frozen.
    missed: Vec<Happening>,
    requests_pass: bool,
    answers_pass: bool,
    /// On which the API tells it of changes.
    watch: Option<Stream>,
    wakes: u64,
}

/// A watch, as the API has it.
#[derive(Debug)]
struct Stream {
    id: u64,
    is_silent: bool,
    lags: Duration,
    /// When what was said last arrives.
    last: Time,
}

/// It runs at a rate of its own, from an origin of its own, and the date is wrong.
#[derive(Debug)]
struct Clock {
    rate: f64,
    origin: u64,
    date: Duration,
}

pub(crate) struct World {
    climate: Climate,
    rng: fastrand::Rng,
    now: Time,
    agenda: BTreeMap<(Time, u64), Happening>,
    sequence: u64,
    hosts: Vec<Host>,
    foreign: Vec<(Foreign, Clock, bool)>,
    register: Register,
    judge: Judge,
    epoch: u64,
    server_away: bool,
    server_busy: bool,
    faulty: bool,
    closed: bool,
    /// Who is to hand over.
    outgoing: Option<usize>,
    outcome: Outcome,
}

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Author {
    Candidate(usize),
    /// Somebody who edits what is there.
    Editor,
    /// Whoever doesn't wait, and leaves nothing that tells of it.
    Usurper,
    /// Whoever brings back what the write of that number made.
    Restorer(u64),
}

/// Long enough for any message that is not held up.
const PROMPT: Duration = Duration::from_millis(50);

/// The world began then, as people count.
const BEGINNING: Duration = Duration::from_secs(1_700_000_000);

/// The longest that anybody writes for a leaseDuration, in ttls.
const LONGEST: u32 = 2;

impl World {
    pub(crate) fn new(climate: Climate, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let waits = [
            ShutdownWait::Promise,
            ShutdownWait::For(Duration::from_secs(1)),
        ];
        let takeover_delay = Duration::from_secs(rng.u64(..3) / 2);
        let hosts = (0..climate.candidates).map(|name| Host {
            candidate: {
                let policy = Policy {
                    shutdown_wait: waits[rng.usize(..2)],
                    takeover_delay,
                    keep_when_alone: false,
                    ..Policy::default()
                };
                Candidate::new(name, climate.timing, policy)
            },
            clock: Clock::new(&mut rng, climate.drift),
            frozen: false,
            stopping: false,
            missed: Vec::new(),
            requests_pass: true,
            answers_pass: true,
            watch: None,
            wakes: 0,
        });
        let hosts = hosts.collect();
        let foreign = (0..climate.foreign).map(|name| {
            let duration = climate.timing.ttl() / 2 * (1 + name as u32);
            let foreign = Foreign::new(format!("client-go-{name}"), duration);
            (foreign, Clock::new(&mut rng, climate.drift), false)
        });
        let foreign = foreign.collect();
        World {
            climate,
            rng,
            now: Time::ORIGIN,
            agenda: BTreeMap::new(),
            sequence: 0,
            hosts,
            foreign,
            register: Register::default(),
            judge: Judge::default(),
            epoch: 0,
            server_away: false,
            server_busy: false,
            faulty: true,
            closed: false,
            outgoing: None,
            outcome: Outcome::default(),
        }
    }

    /// From the last fault until somebody leads: whoever was last seen to hold it may have written the longest duration, and
    /// whoever took it next may have crashed. Then one of ours does.
    fn until_led(&self) -> Duration {
        self.by_any_clock(self.climate.timing.ttl() * (LONGEST + 2)) + Duration::from_secs(3)
    }

    /// From the order to hand over until another leads: the last promise, and half a period more than one in case that
    /// nobody is told.
    fn until_handed_over(&self) -> Duration {
        let timing = self.climate.timing;
        let looks = timing.retry_period() + timing.retry_period() / 2;
        self.by_any_clock(timing.ttl() + looks) + PROMPT * 6
    }

    fn by_any_clock(&self, duration: Duration) -> Duration {
        duration.mul_f64(1.0 + 2.0 * self.climate.drift)
    }

    /// Lets it all happen.
    pub(crate) fn run(mut self) -> Outcome {
        let hand_over = self.climate.faulty + self.until_led();
        let close = hand_over + self.until_handed_over();
        let end = Time::ORIGIN + close + self.by_any_clock(self.climate.timing.ttl() * 2);
        for host in 0..self.hosts.len() {
            let start = Duration::from_millis(self.rng.u64(..200));
            self.at(start, Happening::Restart(host));
            self.at(start, Happening::Ask(host));
        }
        for foreign in 0..self.foreign.len() {
            self.at(Duration::from_secs(1), Happening::ForeignReads(foreign));
        }
        self.at(Duration::from_secs(1), Happening::Fault);
        self.at(self.climate.faulty, Happening::FaultsEnd);
        self.at(hand_over, Happening::HandOver);
        self.at(close, Happening::Close);
        while let Some(((time, _), happening)) = self.agenda.pop_first() {
            if time > end || self.outcome.crime.is_some() {
                break;
            }
            if !self.closed {
                let passed = time.since(self.now);
                self.outcome.lasted += passed;
                if self.leader().is_some() {
                    self.outcome.led += passed;
                }
            }
            self.now = time;
            self.happen(happening);
            self.look();
        }
        if let Some(holder) = self.register.holder() {
            let left = format!("{holder} is left behind");
            self.accuse(left);
        }
        self.outcome.excused = self.judge.excused.len() as u64;
        self.outcome
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrive { epoch, .. }
            | Happening::Answer { epoch, .. }
            | Happening::Told { epoch, .. }
                if epoch != self.epoch => {}
            Happening::Arrive {
                from,
                id,
                message,
                is_late,
                ..
            } => self.arrive(from, id, message, is_late),
            Happening::ForeignReads(name) => self.foreign_reads(name),
            Happening::ForeignWrites(name, lease) => self.foreign_writes(name, *lease),
            Happening::Fault => self.fault(),
            Happening::FaultsEnd => self.end_faults(),
            Happening::HandOver => self.hand_over(),
            Happening::Close => self.close(),
            Happening::ServerBack => (self.server_away, self.server_busy) = (false, false),
            Happening::Unassign => self.edit(|spec| {
                spec.strategy = None;
                spec.preferred_holder = None;
            }),
            Happening::Thaw(host) => self.thaw(host),
            Happening::Heal(host) => self.heal(host),
            Happening::Wake(to, _)
            | Happening::Restart(to)
            | Happening::Ask(to)
            | Happening::Lift(to)
            | Happening::Answer { to, .. }
            | Happening::Told { to, .. } => {
                if self.hosts[to].frozen {
                    self.hosts[to].missed.push(happening);
                } else {
                    self.reach(to, happening);
                }
            }
        }
    }

    /// Something happens to a candidate that is not frozen.
    fn reach(&mut self, to: usize, happening: Happening) {
        let mut outbox = Outbox::new();
        let now = self.local(to);
        let seed = self.rng.u64(..);
        let next_ask = Duration::from_millis(self.rng.u64(20..3_000));
        let host = &mut self.hosts[to];
        let candidate = &mut host.candidate;
        match happening {
            Happening::Wake(_, wake) if wake == host.wakes => candidate.wake(now, &mut outbox),
            Happening::Answer { id, answer, .. } => {
                candidate.answered(now, id, answer, &mut outbox);
            }
            Happening::Told { id, told, .. } => candidate.told(now, id, told, &mut outbox),
            Happening::Restart(_) if host.stopping && candidate.is_running() => {
                // Whoever starts it waits until it has ended.
                return self.at(PROMPT, happening);
            }
            Happening::Restart(_) if !candidate.is_running() && !self.closed => {
                host.stopping = false;
                candidate.start(now, seed, &mut outbox);
            }
            Happening::Lift(_) => candidate.take_in(now, Event::Lift(Hold::Paused), &mut outbox),
            Happening::Ask(_) if !self.closed => {
                candidate.ask(now.time);
                self.at(next_ask, Happening::Ask(to));
            }
            _ => return,
        }
        self.after(to, outbox);
    }

    /// Routes what a candidate sent, and sets its alarm.
    fn after(&mut self, host: usize, outbox: Outbox) {
        for (id, message) in outbox {
            self.route(host, id, message);
        }
        let now = self.local(host).time;
        let it = &mut self.hosts[host];
        it.wakes += 1;
        if let Some(timeout) = it.candidate.next_timeout(now) {
            let wait = timeout.since(now).as_secs_f64() / it.clock.rate;
            let wake = Happening::Wake(host, it.wakes);
            // A nanosecond more, so that rounding does not wake it too early.
            self.at(
                Duration::from_secs_f64(wait) + Duration::from_nanos(1),
                wake,
            );
        }
    }

    /// A request gets lost, is held up, or arrives soon.
    fn route(&mut self, from: usize, id: u64, message: Message) {
        let passes = self.hosts[from].requests_pass;
        if !passes && self.rng.bool() {
            return;
        }
        let mut delay = self.delay();
        if !passes {
            // The kernel goes on trying, after the process has given up.
            let held_up = Duration::from_millis(self.rng.u64(500..20_000));
            let faults_last = (Time::ORIGIN + self.climate.faulty).since(self.now);
            delay = held_up.min(faults_last + delay);
        }
        let arrive = Happening::Arrive {
            from,
            epoch: self.epoch,
            id,
            message,
            is_late: delay > self.climate.timing.retry_period(),
        };
        self.at(delay, arrive);
    }

    fn delay(&mut self) -> Duration {
        let slow = self.faulty && self.rng.u8(..) < 8;
        let micros = if slow { 1_500_000 } else { 2_000 };
        Duration::from_micros(self.rng.u64(100..micros))
    }

    fn arrive(&mut self, from: usize, id: u64, message: Message, is_late: bool) {
        if self.server_away {
            return;
        }
        let request = match message {
            Message::Watch => return self.watch(from, id),
            Message::Ask(request) => request,
        };
        if self.server_busy && self.rng.bool() {
            let busy = Failure::Unreachable("too many requests".to_owned());
            return self.answer(from, id, Err(busy));
        }
        let is_write = !matches!(request, Request::Read);
        let answer = self.write(Author::Candidate(from), |register| match request {
            Request::Read => Ok(register.read()),
            Request::Create => register.create(unheld("e")).map(Some),
            Request::Replace(lease) => register.replace(*lease).map(Some),
        });
        match &answer {
            Err(Failure::Conflict) => self.count(Kind::Conflict),
            Err(Failure::Missing) => self.count(Kind::Missing),
            Ok(_) if is_write => {
                if is_late {
                    self.count(Kind::WrittenLate);
                }
                if !self.hosts[from].answers_pass {
                    self.count(Kind::WrittenUnanswered);
                }
            }
            _ => {}
        }
        self.answer(from, id, answer);
    }

    /// Somebody may write. Those who watch are told.
    fn write<T>(&mut self, author: Author, write: impl FnOnce(&mut Register) -> T) -> T {
        self.register.others_write(self.rng.u64(..3));
        let before = self.register.holder().map(str::to_owned);
        let version = self.register.version().map(str::to_owned);
        let outcome = write(&mut self.register);
        if self.register.version() == version.as_deref() {
            return outcome;
        }
        let holder = self.register.holder().map(str::to_owned);
        if before != holder {
            self.note(&format!("server: {before:?} → {holder:?} by {author:?}"));
        }
        let lost = before.filter(|before| holder.as_ref() != Some(before));
        match author {
            Author::Candidate(_) => {}
            Author::Editor if !self.register.looks_given_up() => self.judge.taken_out(lost),
            Author::Editor | Author::Usurper => self.judge.dispossessed(lost),
            Author::Restorer(earlier) => {
                let numbers = [earlier, self.register.last_number()];
                self.judge.restored(numbers, lost, holder);
            }
        }
        if let Some(lease) = self.register.read() {
            self.tell(&Told::Is(lease));
        }
        outcome
    }

    fn answer(&mut self, to: usize, id: u64, answer: Result<Option<Lease>, Failure>) {
        if self.hosts[to].answers_pass {
            let epoch = self.epoch;
            let delay = self.delay();
            let answer = Happening::Answer {
                to,
                epoch,
                id,
                answer,
            };
            self.at(delay, answer);
        }
    }

    fn watch(&mut self, to: usize, id: u64) {
        self.hosts[to].watch = Some(Stream {
            id,
            is_silent: false,
            lags: Duration::ZERO,
            last: self.now,
        });
        self.tell_one(to, Told::Opened);
        if let Some(lease) = self.register.read() {
            self.tell_one(to, Told::Is(lease));
        }
    }

    fn tell(&mut self, told: &Told) {
        for to in 0..self.hosts.len() {
            self.tell_one(to, told.clone());
        }
    }

    /// What a watch says comes late at worst, and in order; or nothing comes any more.
    fn tell_one(&mut self, to: usize, told: Told) {
        let delay = self.delay();
        let (now, epoch) = (self.now, self.epoch);
        let host = &mut self.hosts[to];
        let Some(stream) = &mut host.watch else {
            return;
        };
        stream.is_silent |= !host.answers_pass;
        if stream.is_silent {
            return;
        }
        stream.last = (now + delay + stream.lags).max(stream.last + Duration::from_nanos(1));
        let (id, after) = (stream.id, stream.last.since(now));
        let told = Happening::Told {
            to,
            epoch,
            id,
            told,
        };
        self.at(after, told);
    }

    fn foreign_reads(&mut self, name: usize) {
        if !self.faulty {
            return;
        }
        let period = self.climate.timing.retry_period();
        let again = period.mul_f64(0.5 + self.rng.f64());
        self.at(again, Happening::ForeignReads(name));
        let (foreign, clock, frozen) = &mut self.foreign[name];
        if self.server_away || *frozen {
            return;
        }
        let Some(lease) = self.register.read() else {
            return;
        };
        let now = clock.read(self.now);
        let written = if self.rng.u8(..) < 24 {
            foreign.release(&lease, now.date)
        } else {
            foreign.campaign(&lease, now.time, now.date)
        };
        if let Some(written) = written {
            let delay = self.delay();
            self.at(delay, Happening::ForeignWrites(name, Box::new(written)));
        }
    }

    fn foreign_writes(&mut self, name: usize, lease: Lease) {
        let (was_own, name) = {
            let name = self.foreign[name].0.name.as_str();
            (self.register.holder() == Some(name), name.to_owned())
        };
        if self.server_away
            || self
                .write(Author::Usurper, |register| register.replace(lease))
                .is_err()
        {
            return;
        }
        let is_own = self.register.holder() == Some(name.as_str());
        match (was_own, is_own) {
            (false, true) => self.count(Kind::ForeignAcquired),
            (true, false) => self.count(Kind::ForeignReleased),
            _ => {}
        }
    }

    fn fault(&mut self) {
        if !self.faulty {
            return;
        }
        let next = Duration::from_millis(self.rng.u64(10..4_000));
        self.at(next, Happening::Fault);
        let host = self.rng.usize(..self.hosts.len());
        let a_while = Duration::from_millis(self.rng.u64(50..15_000));
        let kind = FAULTS[self.rng.usize(..FAULTS.len())];
        self.note(&format!("fault {kind:?} on {host} for {a_while:?}"));
        if self.bring_about(kind, host, a_while) {
            self.count(kind);
        }
    }

    /// Whether it could be.
    fn bring_about(&mut self, kind: Kind, host: usize, a_while: Duration) -> bool {
        match kind {
            Kind::Freeze => {
                if self.hosts[host].frozen {
                    return false;
                }
                self.hosts[host].frozen = true;
                self.at(a_while, Happening::Thaw(host));
            }
            Kind::Crash => {
                let it = &mut self.hosts[host];
                it.candidate.crash();
                it.watch = None;
                self.at(a_while, Happening::Restart(host));
            }
            Kind::Shutdown => {
                self.at(a_while, Happening::Restart(host));
                return self.command(host, Event::Shutdown);
            }
            Kind::Resign => {
                let cooldown = a_while / 3;
                return self.command(host, Event::Resign { cooldown });
            }
            Kind::Pause => {
                self.at(a_while, Happening::Lift(host));
                return self.command(host, Event::Hold(Hold::Paused));
            }
            Kind::RequestsCut | Kind::AnswersCut | Kind::BothCut => {
                let it = &mut self.hosts[host];
                it.requests_pass = kind == Kind::AnswersCut;
                it.answers_pass = kind == Kind::RequestsCut;
                self.at(a_while, Happening::Heal(host));
            }
            Kind::DateSet => {
                let date = BEGINNING + a_while * 1_000;
                self.hosts[host].clock.date = date;
            }
            Kind::WatchEnds => self.tell_one(host, Told::Ended),
            Kind::WatchSilent | Kind::WatchLags => {
                let Some(stream) = &mut self.hosts[host].watch else {
                    return false;
                };
                stream.is_silent |= kind == Kind::WatchSilent;
                stream.lags = a_while / 4;
            }
            Kind::ServerAway => {
                self.server_away = true;
                self.at(a_while, Happening::ServerBack);
            }
            Kind::ServerBusy => {
                self.server_busy = true;
                self.at(a_while, Happening::ServerBack);
            }
            Kind::ForeignFreeze => {
                for (_, _, frozen) in &mut self.foreign {
                    *frozen = !*frozen;
                }
            }
            _ => return !self.server_away && self.lay_hands_on_the_lease(kind, a_while),
        }
        true
    }

    fn lay_hands_on_the_lease(&mut self, kind: Kind, a_while: Duration) -> bool {
        let is_there = self.register.read().is_some();
        let ttl = self.climate.timing.ttl();
        let chance = self.rng.u64(..);
        match kind {
            Kind::Deleted => {
                if let Some(lease) = self.write(Author::Usurper, Register::delete) {
                    self.tell(&Told::Deleted(lease));
                }
            }
            // It stays known whose it was.
            Kind::HolderEmptied => {
                self.edit(|spec| spec.holder_identity = Some(String::new()));
            }
            Kind::RenewTimeEdited => {
                let time = micro_time(SystemTime::UNIX_EPOCH + BEGINNING + a_while * 100);
                self.edit(|spec| spec.renew_time = (!chance.is_multiple_of(3)).then_some(time));
            }
            Kind::DurationEdited => {
                let seconds = [1, ttl.as_secs(), ttl.as_secs() * u64::from(LONGEST)];
                let seconds = i32::try_from(seconds[(chance % 3) as usize]).ok();
                self.edit(|spec| spec.lease_duration_seconds = seconds);
            }
            Kind::Labelled => {
                let label = [("at".to_owned(), self.now.as_nanos().to_string())];
                self.write(Author::Editor, |register| {
                    register.edit(|lease, _| lease.metadata.labels = Some(label.into()))
                });
            }
            Kind::Assigned => {
                let preferred = (!chance.is_multiple_of(2)).then(|| "somebody".to_owned());
                self.edit(|spec| {
                    spec.strategy = Some("OldestEmulationVersion".to_owned());
                    spec.preferred_holder = preferred;
                });
                self.at(a_while, Happening::Unassign);
            }
            Kind::LeaseRestored => {
                let moment = self.rng.usize(..self.register.moments().max(1));
                if self.register.moments() == 0 {
                    return false;
                }
                let author = Author::Restorer(self.register.number_at(moment));
                return self.write(author, |register| register.restore_object(moment));
            }
            Kind::ClusterRestored => return self.restore_cluster(),
            _ => return false,
        }
        is_there
    }

    /// The API server starts anew with what there was once; nothing that is under way arrives.
    fn restore_cluster(&mut self) -> bool {
        let moments = self.register.moments();
        if moments == 0 {
            return false;
        }
        let moment = self.rng.usize(..moments);
        self.judge.versions_were_set_back();
        self.epoch += 1;
        for host in 0..self.hosts.len() {
            self.tell_one(host, Told::Ended);
            self.hosts[host].watch = None;
        }
        let author = Author::Restorer(self.register.number_at(moment));
        self.write(author, |register| register.restore_cluster(moment));
        true
    }

    fn edit(&mut self, edit: impl FnOnce(&mut k8s_openapi::api::coordination::v1::LeaseSpec)) {
        self.write(Author::Editor, |register| {
            register.edit(|_, spec| edit(spec))
        });
    }

    fn command(&mut self, host: usize, event: Event) -> bool {
        if self.hosts[host].frozen || !self.hosts[host].candidate.is_running() {
            return false;
        }
        let mut outbox = Outbox::new();
        let now = self.local(host);
        self.hosts[host].stopping |= event == Event::Shutdown;
        self.hosts[host].candidate.take_in(now, event, &mut outbox);
        self.after(host, outbox);
        true
    }

    /// It finds all that came meanwhile, in an order of its own choosing where two queues meet: its clock first,
    /// or its mail.
    fn thaw(&mut self, host: usize) {
        self.hosts[host].frozen = false;
        let mut missed = std::mem::take(&mut self.hosts[host].missed);
        if self.rng.bool() {
            missed.sort_by_key(|happening| !matches!(happening, Happening::Wake(..)));
        }
        for happening in missed {
            self.reach(host, happening);
            self.look();
        }
    }

    fn heal(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        (it.requests_pass, it.answers_pass) = (true, true);
    }

    fn end_faults(&mut self) {
        self.note("faults end");
        self.faulty = false;
        (self.server_away, self.server_busy) = (false, false);
        self.happen(Happening::Unassign);
        for host in 0..self.hosts.len() {
            self.heal(host);
            if self.hosts[host].frozen {
                self.thaw(host);
            }
            self.at(PROMPT, Happening::Restart(host));
            self.at(PROMPT, Happening::Lift(host));
        }
    }

    fn hand_over(&mut self) {
        self.outgoing = self.leader();
        let Some(leader) = self.outgoing else {
            return self.accuse("nobody leads, long after the last fault".to_owned());
        };
        let cooldown = self.climate.timing.ttl() * 4;
        self.command(leader, Event::Resign { cooldown });
    }

    /// Everybody is told to shut down, and leaves nothing behind.
    fn close(&mut self) {
        match self.leader() {
            Some(leader) if Some(leader) != self.outgoing => self.count(Kind::HandedOver),
            leader => self.accuse(format!("handed over by {:?} to {leader:?}", self.outgoing)),
        }
        self.closed = true;
        for host in 0..self.hosts.len() {
            self.command(host, Event::Shutdown);
        }
    }

    /// Shows the judge who leads, and who was promised to.
    fn look(&mut self) {
        let mut active: Vec<(usize, String)> = Vec::new();
        for name in 0..self.hosts.len() {
            let now = self.local(name).time;
            let candidate = &mut self.hosts[name].candidate;
            candidate.promises.retain(|promise| promise.until > now);
            active.extend(
                candidate
                    .promises
                    .iter()
                    .map(|promise| (name, promise.identity.clone())),
            );
            let Some((leader, token)) = candidate.claim(now) else {
                continue;
            };
            if !self.judge.is_known(&leader) {
                self.outcome.leaderships += 1;
                let mut knowledge = candidate.knowledge();
                for seen in knowledge.holders.values_mut() {
                    *seen = self.register.number_of(*seen);
                }
                self.note(&format!("{leader} leads with {token}"));
                if let Some(crime) = self.judge.begins(&leader, token, knowledge) {
                    self.accuse(crime);
                }
            }
            active.push((name, leader));
        }
        for (at, (host, a)) in active.iter().enumerate() {
            for (other, b) in &active[at + 1..] {
                if host != other
                    && let Some(crime) = self.judge.are_two(a, b)
                {
                    self.accuse(crime);
                }
            }
        }
    }

    fn accuse(&mut self, crime: String) {
        self.note(&crime);
        self.outcome.crime.get_or_insert(crime);
    }

    fn leader(&self) -> Option<usize> {
        (0..self.hosts.len()).find(|name| {
            let candidate = &self.hosts[*name].candidate;
            candidate.claim(self.local(*name).time).is_some()
        })
    }

    fn count(&mut self, kind: Kind) {
        *self.outcome.counts.entry(kind).or_default() += 1;
    }

    fn note(&mut self, what: &str) {
        let millis = self.now.as_nanos() / 1_000_000;
        // Writing to a string does not fail.
        let _ = writeln!(self.outcome.trace, "{millis:>7} ms  {what}");
    }

    fn at(&mut self, after: Duration, happening: Happening) {
        self.sequence += 1;
        self.agenda
            .insert((self.now + after, self.sequence), happening);
    }

    fn local(&self, host: usize) -> Now {
        self.hosts[host].clock.read(self.now)
    }
}

impl Clock {
    fn new(rng: &mut fastrand::Rng, drift: f64) -> Self {
        Clock {
            rate: 1.0 + drift * (rng.f64() * 2.0 - 1.0),
            origin: rng.u64(1_000_000_000..1_000_000_000_000),
            date: BEGINNING + Duration::from_secs(rng.u64(..7_200)),
        }
    }

    fn read(&self, now: Time) -> Now {
        let nanos = (now.as_nanos() as f64 * self.rate) as u64;
        Now {
            time: Time::from_nanos(nanos + self.origin),
            date: SystemTime::UNIX_EPOCH + self.date + Duration::from_nanos(nanos),
        }
    }
}
