//! Candidates, an API server, a network between them, and people who break things. Virtual time, one seed.

#[path = "../simulated/common.rs"]
mod common;

use crate::candidate::{Candidate, Message, Now, Said, Told};
use crate::errand::Request;
use crate::error::Failure;
use crate::foreign::{Foreign, micro_time};
use crate::judge::Judge;
use crate::kind::{FAULTS, Kind};
use crate::record::unheld;
use crate::register::Register;
use crate::simulated::candidate::Clock;
use crate::simulated::outcome::Outcome;
use common::{Course, News, PROMPT};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
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

#[derive(Debug)]
enum Happening {
    To(usize, News),
    /// A message of this host's comes to the API server.
    Arrive {
        from: usize,
        epoch: u64,
        id: u64,
        message: Message,
        is_late: bool,
    },
    ForeignReads(usize),
    ForeignWrites(usize, Box<Lease>),
    Fault,
    Thaw(usize),
    Heal(usize),
    ServerBack,
    Unassign,
    FaultsEnd,
    /// By now somebody leads, and hands over.
    HandOver,
    /// By now it has.
    Close,
}

/// On the connections of that epoch.
#[derive(Debug)]
struct Mail {
    epoch: u64,
    id: u64,
    said: Box<Said>,
}

/// A candidate's host, and its way to the API.
#[derive(Debug)]
struct Host {
    candidate: Candidate,
    clock: Clock,
    /// When the world began, by that clock.
    date: Duration,
    frozen: bool,
    /// Told to shut down.
    stopping: bool,
    /// What came while it was frozen.
    missed: Vec<News>,
    wakes: u64,
    requests_pass: bool,
    answers_pass: bool,
    /// On which the API tells it of changes.
    watch: Option<Stream>,
}

pub(crate) struct World {
    climate: Climate,
    rng: fastrand::Rng,
    course: Course,
    hosts: Vec<Host>,
    foreign: Vec<Foreign>,
    server: Server,
    judge: Judge,
    faulty: bool,
    closed: bool,
    /// Who is to hand over.
    outgoing: Option<usize>,
}

/// The world began then, as people count.
const BEGINNING: Duration = Duration::from_secs(1_700_000_000);

/// The longest that anybody writes for a leaseDuration, in ttls.
const LONGEST: u32 = 2;

#[derive(Debug, Default)]
struct Server {
    register: Register,
    /// Of its connections: its restart ends them all.
    epoch: u64,
    is_away: bool,
    is_busy: bool,
}

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Writer {
    Candidate(usize),
    /// Somebody who edits what is there.
    Editor,
    /// Whoever doesn't wait, and leaves nothing that tells of it.
    Usurper,
    /// Whoever brings back what the write of that number made.
    Restorer(u64),
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
            clock: clock(&mut rng, climate.drift),
            date: date(&mut rng),
            frozen: false,
            stopping: false,
            missed: Vec::new(),
            wakes: 0,
            requests_pass: true,
            answers_pass: true,
            watch: None,
        });
        let hosts = hosts.collect();
        let foreign = (0..climate.foreign).map(|name| Foreign::new(name, &climate, &mut rng));
        let foreign = foreign.collect();
        World {
            climate,
            rng,
            course: Course::default(),
            hosts,
            foreign,
            server: Server::default(),
            judge: Judge::default(),
            faulty: true,
            closed: false,
            outgoing: None,
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
        for foreign in 0..self.foreign.len() {
            self.at(Duration::from_secs(1), Happening::ForeignReads(foreign));
        }
        self.at(Duration::from_secs(1), Happening::Fault);
        self.at(self.climate.faulty, Happening::FaultsEnd);
        self.at(hand_over, Happening::HandOver);
        self.at(close, Happening::Close);
        self.play(end);
        if let Some(holder) = self.server.register.holder() {
            let left = format!("{holder} is left behind");
            self.accuse(left);
        }
        let excused = self.judge.excused.len() as u64;
        self.course.outcome.counts.insert(Kind::Excused, excused);
        self.course.outcome
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrive { epoch, .. } | Happening::To(_, News::Mail(Mail { epoch, .. }))
                if epoch != self.server.epoch => {}
            Happening::To(host, news) => self.bring(host, news),
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
            Happening::ServerBack => (self.server.is_away, self.server.is_busy) = (false, false),
            Happening::Unassign => self.edit(|spec| {
                spec.strategy = None;
                spec.preferred_holder = None;
            }),
            Happening::Thaw(host) => self.thaw(host),
            Happening::Heal(host) => self.heal(host),
        }
    }

    /// Something happens to a candidate that is not frozen.
    fn reach(&mut self, to: usize, news: News) {
        let now = self.local(to);
        let seed = self.rng.u64(..);
        let next_ask = Duration::from_millis(self.rng.u64(20..3_000));
        let host = &mut self.hosts[to];
        let candidate = &mut host.candidate;
        match news {
            News::Wake(wake) if wake == host.wakes => candidate.wake(now),
            News::Mail(mail) => candidate.hear(now, mail.id, *mail.said),
            News::Restart if host.stopping && candidate.is_running() => {
                // Whoever starts it waits until it has ended.
                return self.at(PROMPT, Happening::To(to, news));
            }
            News::Restart if !candidate.is_running() && !self.closed => {
                host.stopping = false;
                candidate.start(now, seed);
            }
            News::Lift => candidate.take_in(now, Event::Lift(Hold::Paused)),
            News::Ask if !self.closed => {
                candidate.ask(now);
                self.at(next_ask, Happening::To(to, News::Ask));
            }
            _ => return,
        }
        self.after(to);
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
            let faults_last = (Time::ORIGIN + self.climate.faulty).since(self.course.now);
            delay = held_up.min(faults_last + delay);
        }
        let arrive = Happening::Arrive {
            from,
            epoch: self.server.epoch,
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

    fn answer(&mut self, to: usize, id: u64, answer: Result<Option<Lease>, Failure>) {
        if self.hosts[to].answers_pass {
            let delay = self.delay();
            self.deliver(delay, to, id, Said::Answer(answer));
        }
    }

    fn deliver(&mut self, after: Duration, to: usize, id: u64, said: Said) {
        let mail = Mail {
            epoch: self.server.epoch,
            id,
            said: Box::new(said),
        };
        self.at(after, Happening::To(to, News::Mail(mail)));
    }

    fn watch(&mut self, to: usize, id: u64) {
        self.hosts[to].watch = Some(Stream {
            id,
            is_silent: false,
            lags: Duration::ZERO,
            last: self.course.now,
        });
        self.tell_one(to, Told::Opened);
        if let Some(lease) = self.server.register.read() {
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
        let now = self.course.now;
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
        self.deliver(after, to, id, Said::Told(told));
    }

    fn heal(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        (it.requests_pass, it.answers_pass) = (true, true);
    }

    fn arrive(&mut self, from: usize, id: u64, message: Message, is_late: bool) {
        if self.server.is_away {
            return;
        }
        let request = match message {
            Message::Watch => return self.watch(from, id),
            Message::Ask(request) => request,
        };
        if self.server.is_busy && self.rng.bool() {
            let busy = Failure::Unreachable("too many requests".to_owned());
            return self.answer(from, id, Err(busy));
        }
        let is_write = !matches!(request, Request::Read);
        let answer = self.write(Writer::Candidate(from), |register| match request {
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
    fn write<T>(&mut self, writer: Writer, write: impl FnOnce(&mut Register) -> T) -> T {
        self.server.register.others_write(self.rng.u64(..3));
        let before = self.server.register.holder().map(str::to_owned);
        let version = self.server.register.version().map(str::to_owned);
        let outcome = write(&mut self.server.register);
        if self.server.register.version() == version.as_deref() {
            return outcome;
        }
        let holder = self.server.register.holder().map(str::to_owned);
        if before != holder {
            self.note(&format!("server: {before:?} → {holder:?} by {writer:?}"));
        }
        let lost = before.filter(|before| holder.as_ref() != Some(before));
        match writer {
            Writer::Candidate(_) => {}
            Writer::Editor if !self.server.register.looks_given_up() => self.judge.taken_out(lost),
            Writer::Editor | Writer::Usurper => self.judge.dispossessed(lost),
            Writer::Restorer(earlier) => {
                let numbers = [earlier, self.server.register.last_number()];
                self.judge.restored(numbers, lost, holder);
            }
        }
        if let Some(lease) = self.server.register.read() {
            self.tell(&Told::Is(lease));
        }
        outcome
    }

    fn foreign_reads(&mut self, name: usize) {
        if !self.faulty {
            return;
        }
        let period = self.climate.timing.retry_period();
        let again = period.mul_f64(0.5 + self.rng.f64());
        self.at(again, Happening::ForeignReads(name));
        let foreign = &mut self.foreign[name];
        if self.server.is_away || foreign.is_frozen {
            return;
        }
        let Some(lease) = self.server.register.read() else {
            return;
        };
        let now = Now::by(&foreign.clock, foreign.date, self.course.now);
        let written = if self.rng.u8(..) < 24 {
            foreign.release(&lease, now.date)
        } else {
            foreign.campaign(&lease, now)
        };
        if let Some(written) = written {
            let delay = self.delay();
            self.at(delay, Happening::ForeignWrites(name, Box::new(written)));
        }
    }

    fn foreign_writes(&mut self, name: usize, lease: Lease) {
        if self.server.is_away {
            return;
        }
        let was_own = self.is_held_by_foreign(name);
        let written = self.write(Writer::Usurper, |register| register.replace(lease));
        if written.is_err() {
            return;
        }
        match (was_own, self.is_held_by_foreign(name)) {
            (false, true) => self.count(Kind::ForeignAcquired),
            (true, false) => self.count(Kind::ForeignReleased),
            _ => {}
        }
    }

    fn is_held_by_foreign(&self, name: usize) -> bool {
        self.server.register.holder() == Some(&self.foreign[name].name)
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
            self.course.outcome.faults += 1;
        }
    }

    /// Whether it could be.
    fn bring_about(&mut self, kind: Kind, host: usize, a_while: Duration) -> bool {
        match kind {
            Kind::Freeze => return self.freeze(host, a_while),
            Kind::Crash => {
                let it = &mut self.hosts[host];
                it.candidate.crash();
                it.watch = None;
                self.at(a_while, Happening::To(host, News::Restart));
            }
            Kind::Shutdown => {
                self.at(a_while, Happening::To(host, News::Restart));
                return self.command(host, Event::Shutdown);
            }
            Kind::Resign => {
                let cooldown = a_while / 3;
                return self.command(host, Event::Resign { cooldown });
            }
            Kind::Pause => {
                self.at(a_while, Happening::To(host, News::Lift));
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
                self.hosts[host].date = date;
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
                self.server.is_away = true;
                self.at(a_while, Happening::ServerBack);
            }
            Kind::ServerBusy => {
                self.server.is_busy = true;
                self.at(a_while, Happening::ServerBack);
            }
            Kind::ForeignFreeze => {
                for foreign in &mut self.foreign {
                    foreign.is_frozen = !foreign.is_frozen;
                }
            }
            _ => return !self.server.is_away && self.lay_hands_on_the_lease(kind, a_while),
        }
        true
    }

    fn mend(&mut self) {
        (self.server.is_away, self.server.is_busy) = (false, false);
        self.happen(Happening::Unassign);
    }

    fn lay_hands_on_the_lease(&mut self, kind: Kind, a_while: Duration) -> bool {
        let is_there = self.server.register.read().is_some();
        let ttl = self.climate.timing.ttl();
        let chance = self.rng.u64(..);
        match kind {
            Kind::Deleted => {
                if let Some(lease) = self.write(Writer::Usurper, Register::delete) {
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
                let label = [("at".to_owned(), self.course.now.as_nanos().to_string())];
                self.write(Writer::Editor, |register| {
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
                let moment = self.rng.usize(..self.server.register.moments().max(1));
                if self.server.register.moments() == 0 {
                    return false;
                }
                let writer = Writer::Restorer(self.server.register.number_at(moment));
                return self.write(writer, |register| register.restore_object(moment));
            }
            Kind::ClusterRestored => return self.restore_cluster(),
            _ => return false,
        }
        is_there
    }

    /// The API server starts anew with what there was once; nothing that is under way arrives.
    fn restore_cluster(&mut self) -> bool {
        let moments = self.server.register.moments();
        if moments == 0 {
            return false;
        }
        let moment = self.rng.usize(..moments);
        self.judge.versions_were_set_back();
        self.server.epoch += 1;
        for host in 0..self.hosts.len() {
            self.tell_one(host, Told::Ended);
            self.hosts[host].watch = None;
        }
        let writer = Writer::Restorer(self.server.register.number_at(moment));
        self.write(writer, |register| register.restore_cluster(moment));
        true
    }

    fn edit(&mut self, edit: impl FnOnce(&mut LeaseSpec)) {
        self.write(Writer::Editor, |register| {
            register.edit(|_, spec| edit(spec))
        });
    }

    fn hand_over(&mut self) {
        self.outgoing = self.leader();
        let Some(leader) = self.outgoing else {
            return self.accuse("nobody leads, long after the last fault".to_owned());
        };
        let cooldown = self.climate.timing.ttl() * 4;
        self.command(leader, Event::Resign { cooldown });
    }

    /// Long after the order to hand over, that has been done.
    fn judge_the_calm(&mut self) {
        match self.leader() {
            Some(leader) if Some(leader) != self.outgoing => self.count(Kind::HandedOver),
            leader => {
                let outgoing = self.outgoing;
                self.accuse(format!("handed over by {outgoing:?} to {leader:?}"));
            }
        }
    }

    /// Shows the judge who leads, and who was promised to.
    fn judge(&mut self) {
        let mut active: Vec<(usize, String)> = Vec::new();
        for name in 0..self.hosts.len() {
            let now = self.local(name);
            let candidate = &mut self.hosts[name].candidate;
            active.extend(candidate.promised_as(now).map(|identity| (name, identity)));
            let Some((leader, token)) = candidate.claim(now) else {
                continue;
            };
            if !self.judge.is_known(&leader) {
                self.course.outcome.leaderships += 1;
                let mut knowledge = candidate.knowledge();
                for seen in knowledge.holders.values_mut() {
                    *seen = self.server.register.number_of(*seen);
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

    fn local(&self, host: usize) -> Now {
        let host = &self.hosts[host];
        Now::by(&host.clock, host.date, self.course.now)
    }
}

pub(crate) fn clock(rng: &mut fastrand::Rng, drift: f64) -> Clock {
    Clock::new(rng, drift).begun_at(rng.u64(1_000_000_000..1_000_000_000_000))
}

/// A wrong one, for when the world began.
pub(crate) fn date(rng: &mut fastrand::Rng) -> Duration {
    BEGINNING + Duration::from_secs(rng.u64(..7_200))
}
