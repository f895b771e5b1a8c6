//! Candidates, a store, a network between them, and somebody who breaks things. Virtual time, one seed.

#[path = "../simulated/common.rs"]
mod common;

use crate::candidate::{Answer, Candidate, Message, RECONNECT_PAUSE, Request};
use crate::kind::Kind;
use crate::simulated::candidate::Clock;
use crate::simulated::outcome::Outcome;
use crate::store::{SWEEP_PERIOD, Store};
use common::{Course, News, PROMPT};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tenure::election::{
    Application, Event, Hold, LeaseId, Policy, ShutdownWait, Standing, Time, Timing, Token,
};

/// What kind of world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Climate {
    pub(crate) candidates: usize,
    /// By how much a clock's rate may be wrong, either way.
    pub(crate) drift: f64,
    /// For how long things break, and for how long nothing does afterwards.
    pub(crate) faulty: Duration,
    pub(crate) calm: Duration,
    pub(crate) timing: Timing,
    /// What the store grants where that is asked for.
    pub(crate) granted: Duration,
}

#[derive(Debug)]
enum Happening {
    To(usize, News),
    /// A request of this host's comes to the store.
    Arrive {
        from: usize,
        id: u64,
        message: Message,
    },
    Sweep,
    Fault,
    Thaw(usize),
    Heal(usize),
    StoreBack,
    FaultsEnd,
    Close,
}

/// An answer, on the connection of the request.
#[derive(Debug)]
struct Mail {
    generation: u64,
    id: u64,
    answer: Answer,
}

/// A candidate's host, and its way to the store.
#[derive(Debug)]
struct Host {
    candidate: Candidate,
    clock: Clock,
    frozen: bool,
    /// Told to shut down.
    stopping: bool,
    /// What came while it was frozen.
    missed: Vec<News>,
    wakes: u64,
    requests_pass: bool,
    answers_pass: bool,
    /// What is stuck in a cut connection.
    stuck: Vec<Mail>,
    /// The connection on which the store tells it of changes.
    watching: Option<u64>,
    last_sight: Time,
    /// Nothing was broken for this candidate since then.
    sound_since: Time,
    /// What it was last seen to lead with.
    token: Option<Token>,
}

pub(crate) struct World {
    climate: Climate,
    rng: fastrand::Rng,
    course: Course,
    hosts: Vec<Host>,
    store: Store,
    store_clock: Clock,
    store_away: bool,
    faulty: bool,
    closed: bool,
    judge: Judge,
}

#[derive(Debug, Default)]
struct Judge {
    highest_token: Token,
    tampered_at: BTreeMap<LeaseId, Time>,
    /// Whose host asked for each lease.
    owners: BTreeMap<LeaseId, usize>,
    /// Those that were found to be the first when somebody asked.
    verified: BTreeSet<LeaseId>,
}

/// From when nothing holds up a candidate's messages any more until it knows of every change: a request that was lost
/// before times out, is asked anew after a pause, and answered.
fn to_be_told(timing: &Timing) -> Duration {
    timing.retry_period() + RECONNECT_PAUSE + PROMPT * 2
}

impl World {
    pub(crate) fn new(climate: Climate, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let waits = [
            ShutdownWait::Promise,
            ShutdownWait::For(Duration::from_secs(2)),
        ];
        let stop_takes = climate.timing.ttl() / 4;
        // Half of the worlds have applications that run under the candidates' hands.
        let applications = [Application::Unattended, Application::Supervised(stop_takes)];
        let application = applications[rng.usize(..2)];
        let delays = [Duration::ZERO, Duration::ZERO, Duration::from_secs(2)];
        let takeover_delay = delays[rng.usize(..3)];
        // In a third of them those who direct traffic never say that they know.
        let deregistration = climate.timing.retry_period().min(takeover_delay);
        let hosts = (0..climate.candidates)
            .map(|name| Host {
                candidate: {
                    let policy = Policy {
                        shutdown_wait: waits[rng.usize(..2)],
                        application,
                        deregistration,
                        takeover_delay,
                        keep_when_alone: rng.bool(),
                    };
                    Candidate::new(name, climate.timing, policy)
                },
                clock: Clock::new(&mut rng, climate.drift).begun_at(rng.u64(..1_000_000_000_000)),
                frozen: false,
                stopping: false,
                missed: Vec::new(),
                wakes: 0,
                requests_pass: true,
                answers_pass: true,
                stuck: Vec::new(),
                watching: None,
                last_sight: Time::ORIGIN,
                sound_since: Time::ORIGIN,
                token: None,
            })
            .collect();
        World {
            climate,
            store_clock: Clock::new(&mut rng, climate.drift),
            rng,
            course: Course::default(),
            hosts,
            store: Store::new(),
            store_away: false,
            faulty: true,
            closed: false,
            judge: Judge::default(),
        }
    }

    /// Lets it all happen.
    pub(crate) fn run(mut self) -> Outcome {
        let close = self.climate.faulty + self.climate.calm;
        // The last promises, and a little.
        let ttl = self.climate.granted.max(self.climate.timing.ttl());
        let end = Time::ORIGIN + close + ttl + Duration::from_secs(3);
        self.at(SWEEP_PERIOD, Happening::Sweep);
        self.at(Duration::from_secs(1), Happening::Fault);
        self.at(self.climate.faulty, Happening::FaultsEnd);
        self.at(close, Happening::Close);
        self.play(end);
        if self.course.outcome.crime.is_none() && !self.store.is_left_in_order() {
            self.accuse("leases are left behind".to_owned());
        }
        self.course.outcome
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::To(host, news) => self.bring(host, news),
            Happening::Arrive { from, id, message } => self.arrive(from, id, message),
            Happening::Sweep => {
                if self.store.sweep(self.store_now()) {
                    self.note("store: swept");
                    self.tell_watchers();
                }
                self.at(SWEEP_PERIOD, Happening::Sweep);
            }
            Happening::Fault => self.fault(),
            Happening::FaultsEnd => self.end_faults(),
            Happening::Close => self.close(),
            Happening::StoreBack => self.store_away = false,
            Happening::Thaw(host) => self.thaw(host),
            Happening::Heal(host) => self.heal(host),
        }
    }

    /// Something happens to a candidate that is not frozen.
    fn reach(&mut self, to: usize, news: News) {
        let is_stopping = self.hosts[to].stopping && self.hosts[to].candidate.is_running();
        if matches!(news, News::Restart) && is_stopping && !self.closed {
            // Whoever starts it waits until it has ended.
            return self.at(PROMPT, Happening::To(to, news));
        }
        let now = self.local(to);
        let seed = self.rng.u64(..);
        let next_ask = Duration::from_millis(self.rng.u64(20..3000));
        let host = &mut self.hosts[to];
        let candidate = &mut host.candidate;
        match news {
            News::Wake(wake) if wake == host.wakes => candidate.wake(now),
            News::Mail(mail) if mail.generation == candidate.generation => {
                candidate.answered(now, mail.id, mail.answer);
            }
            News::Restart if !candidate.is_running() && !self.closed => {
                if let Some(lease) = candidate.own {
                    self.store.abandon(lease);
                }
                candidate.start(now, seed);
                host.stopping = false;
            }
            News::Lift => {
                for hold in [Hold::Paused, Hold::Unhealthy] {
                    candidate.take_in(now, Event::Lift(hold));
                }
            }
            News::Ask if !self.closed => {
                candidate.ask(now);
                self.at(next_ask, Happening::To(to, News::Ask));
            }
            _ => return,
        }
        self.after(to);
    }

    /// Sends a request off: it arrives soon, late, twice, or never.
    fn route(&mut self, from: usize, id: u64, message: Message) {
        let passes = self.hosts[from].requests_pass;
        let arrive = || Happening::Arrive { from, id, message };
        if !passes && self.rng.bool() {
            return;
        }
        let delay = self.delay(from);
        let delay = if passes {
            delay
        } else {
            // The kernel goes on trying, after the process has given up.
            let held_up = Duration::from_millis(self.rng.u64(500..20_000));
            held_up.min(self.faults_last() + delay)
        };
        if self.faulty && self.rng.u8(..) < 3 {
            let again = delay + Duration::from_millis(self.rng.u64(1..5_000));
            self.at(again.min(self.faults_last() + delay), arrive());
        }
        self.at(delay, arrive());
    }

    /// For how long faults go on: what they hold up arrives soon after.
    fn faults_last(&self) -> Duration {
        (Time::ORIGIN + self.climate.faulty).since(self.course.now)
    }

    /// Of a message from or to this host.
    fn delay(&mut self, host: usize) -> Duration {
        let slow = self.faulty && self.rng.u8(..) < 8;
        let micros = if slow { 1_500_000 } else { 2_000 };
        let delay = Duration::from_micros(self.rng.u64(100..micros));
        if slow {
            self.ails(host, delay);
        }
        delay
    }

    /// Something holds up what this host is told, for so long.
    fn ails(&mut self, host: usize, lasts: Duration) {
        let sound_again = self.course.now + lasts + PROMPT;
        let since = &mut self.hosts[host].sound_since;
        *since = (*since).max(sound_again);
    }

    fn arrive(&mut self, from: usize, id: u64, message: Message) {
        if self.store_away {
            return;
        }
        let now = self.store_now();
        let by_old = self.rng.bool();
        let ttl = self.climate.granted;
        let revision = self.store.observation(None).revision;
        let Message {
            generation,
            request,
        } = message;
        let answer = match request {
            Request::Grant(lease) => {
                self.store.grant(now, lease, ttl);
                self.judge.owners.insert(lease, from);
                Answer::Granted(ttl)
            }
            Request::Enter(lease) => Answer::Entered(self.store.enter(lease)),
            Request::KeepAlive(lease) => Answer::Renewed(self.store.keep_alive(now, lease, by_old)),
            Request::Verify(lease) => {
                let standing = self.store.standing(lease);
                if let Standing::First(_) = standing {
                    self.judge.verified.insert(lease);
                }
                Answer::Standing(standing)
            }
            Request::Revoke(lease) => {
                self.store.revoke(lease);
                Answer::Revoked
            }
            Request::Observe => {
                let host = &mut self.hosts[from];
                // One that comes late is of a connection that nobody listens to.
                host.watching = host.watching.max(Some(generation));
                Answer::Sight(self.store.observation(host.candidate.own))
            }
        };
        self.note(&format!("store: {request:?} → {answer:?}"));
        let is_sight = matches!(answer, Answer::Sight(_));
        let mail = Mail {
            generation,
            id,
            answer,
        };
        self.send_back(from, is_sight, mail);
        if self.store.observation(None).revision != revision {
            self.tell_watchers();
        }
    }

    fn tell_watchers(&mut self) {
        for to in 0..self.hosts.len() {
            let Some(generation) = self.hosts[to].watching else {
                continue;
            };
            let own = self.hosts[to].candidate.own;
            let mail = Mail {
                generation,
                id: 0,
                answer: Answer::Sight(self.store.observation(own)),
            };
            self.send_back(to, true, mail);
        }
    }

    /// Answers get lost; what a watch says comes late at worst, and in order.
    fn send_back(&mut self, to: usize, in_order: bool, mail: Mail) {
        let delay = self.delay(to);
        if !self.hosts[to].answers_pass {
            if in_order {
                self.hosts[to].stuck.push(mail);
            }
            return;
        }
        let mut time = self.course.now + delay;
        if in_order {
            time = time.max(self.hosts[to].last_sight + Duration::from_nanos(1));
            self.hosts[to].last_sight = time;
        }
        let after = time.since(self.course.now);
        self.at(after, Happening::To(to, News::Mail(mail)));
    }

    fn heal(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        (it.requests_pass, it.answers_pass) = (true, true);
        for mail in std::mem::take(&mut it.stuck) {
            self.send_back(host, true, mail);
        }
    }

    fn fault(&mut self) {
        if !self.faulty {
            return;
        }
        self.course.outcome.faults += 1;
        let host = self.rng.usize(..self.hosts.len());
        let a_while = Duration::from_millis(self.rng.u64(50..15_000));
        // It begins when all is released, which may be after the last fault: a leader is due all the same.
        let cooldown = a_while / 3;
        let kind = self.rng.u8(..18);
        self.note(&format!("fault {kind} on {host} for {a_while:?}"));
        if !(10..=15).contains(&kind) {
            self.ails(host, a_while);
        }
        match kind {
            0..=2 | 16 | 17 => {
                self.freeze(host, a_while);
            }
            3 => {
                if let Some(lease) = self.hosts[host].candidate.own {
                    self.store.abandon(lease);
                }
                self.hosts[host].candidate.crash();
                self.hosts[host].watching = None;
                self.at(a_while, Happening::To(host, News::Restart));
            }
            4 => {
                self.command(host, Event::Shutdown);
                self.at(a_while, Happening::To(host, News::Restart));
            }
            5 => {
                self.command(host, Event::Resign { cooldown });
            }
            6 => {
                self.command(host, Event::Resign { cooldown });
                if !self.hosts[host].frozen {
                    self.hosts[host].candidate.promises.given.clear();
                }
                self.command(host, Event::ApplicationSaysItStopped);
            }
            7..=9 => {
                let it = &mut self.hosts[host];
                (it.requests_pass, it.answers_pass) =
                    [(false, true), (true, false), (false, false)][usize::from(kind) - 7];
                self.at(a_while, Happening::Heal(host));
            }
            14 => {
                let hold = [Hold::Paused, Hold::Unhealthy][self.rng.usize(..2)];
                self.command(host, Event::Hold(hold));
                self.at(a_while, Happening::To(host, News::Lift));
            }
            15 => {
                self.hosts[host].candidate.guardian.stop_takes = a_while / 4;
            }
            10 => self.store.change_leader(self.store_now()),
            11 => {
                self.store_away = true;
                for host in 0..self.hosts.len() {
                    self.ails(host, a_while);
                }
                self.at(a_while, Happening::StoreBack);
            }
            _ => {
                if let Some(lease) = self.store.tamper(kind == 12) {
                    self.judge.tampered_at.insert(lease, self.course.now);
                    self.tell_watchers();
                }
            }
        }
        let next = Duration::from_millis(self.rng.u64(10..6_000));
        self.at(next, Happening::Fault);
    }

    fn mend(&mut self) {
        self.store_away = false;
    }

    /// Holds what is against what must be.
    fn judge(&mut self) {
        let mut active: BTreeMap<usize, LeaseId> = BTreeMap::new();
        for name in 0..self.hosts.len() {
            let now = self.local(name);
            let candidate = &mut self.hosts[name].candidate;
            candidate.guard(now);
            if let Some(lease) = candidate.guardian.outrun.take()
                && !self.store.was_tampered_with(lease)
            {
                self.accuse(format!("two applications of {name} run at once"));
            }
            if let Some(lease) = self.hosts[name].candidate.guardian.runs()
                && !self.store.was_tampered_with(lease)
            {
                active.insert(name, lease);
                self.count(Kind::Guarded);
            }
            if let Some((lease, token)) = self.hosts[name].candidate.claim(now) {
                self.judge_claim(name, lease, token);
                if !self.store.was_tampered_with(lease) {
                    active.insert(name, lease);
                }
            } else {
                self.hosts[name].token = None;
            }
            for lease in self.hosts[name].candidate.promises.hold(now) {
                if !self.store.was_tampered_with(lease) {
                    active.insert(name, lease);
                }
            }
        }
        if active.len() > 1 {
            self.accuse(format!("several lead, or were promised to: {active:?}"));
        }
        let forgotten = self.store.held().find(|lease| {
            let owner = self.judge.owners.get(lease);
            owner.is_none_or(|owner| self.hosts[*owner].candidate.own != Some(*lease))
        });
        if let Some(lease) = forgotten {
            self.accuse(format!("{lease:?} was left without being released"));
        }
    }

    /// Long after the last fault somebody leads, and everybody is queued.
    fn judge_the_calm(&mut self) {
        if self.leader().is_none() {
            self.accuse("nobody leads, long after the last fault".to_owned());
        }
        let left_out = self.hosts.iter().find(|host| {
            let queued = host.candidate.own.map(|lease| self.store.standing(lease));
            host.candidate.is_running() && queued.is_none_or(|standing| standing == Standing::Gone)
        });
        if let Some(host) = left_out {
            let name = host.candidate.name;
            self.accuse(format!("{name} is not queued, long after the last fault"));
        }
    }

    fn judge_claim(&mut self, name: usize, lease: LeaseId, token: Token) {
        if self.hosts[name].token != Some(token) {
            self.hosts[name].token = Some(token);
            self.course.outcome.leaderships += 1;
            self.note(&format!("{name} leads with {token}"));
            if !self.judge.verified.contains(&lease) {
                self.accuse(format!("{name} leads without having verified that it may"));
            }
            // One whose key was deleted after it was found to be the first hears of both one after the other.
            if token <= self.judge.highest_token && !self.store.was_tampered_with(lease) {
                self.accuse(format!(
                    "{name} leads with {token} after {}",
                    self.judge.highest_token
                ));
            }
            self.judge.highest_token = self.judge.highest_token.max(token);
        }
        let holder = self.store.observation(None).holder;
        // A put that came twice, the second time after somebody had deleted the key, makes it anew.
        let is_own = |held| held == token || self.store.was_tampered_with(lease);
        if holder.is_some_and(|holder| holder.lease == lease && is_own(holder.token)) {
            return;
        }
        match self.judge.tampered_at.get(&lease) {
            None => self.accuse(format!("{name} leads on a place that is not the first")),
            Some(since) => {
                let since = (*since).max(self.hosts[name].sound_since);
                let told =
                    since + to_be_told(&self.climate.timing).mul_f64(1.0 + self.climate.drift);
                if !self.hosts[name].frozen && told < self.course.now {
                    self.accuse(format!("{name} leads on a key that was deleted long ago"));
                }
            }
        }
    }

    fn local(&self, host: usize) -> Time {
        self.hosts[host].clock.read(self.course.now)
    }

    fn store_now(&self) -> Time {
        self.store_clock.read(self.course.now)
    }
}
