//! Candidates, a store, a network between them, and somebody who breaks things. Virtual time, one seed.

use crate::candidate::{Answer, Candidate, RECONNECT_PAUSE, Request};
use crate::store::{SWEEP_PERIOD, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;
use tenure::election::{
    Application, Event, Hold, LeaseId, Policy, ShutdownWait, Standing, Time, Timing, Token,
};

/// A request that was sent and is not routed yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    pub(crate) from: usize,
    pub(crate) generation: u64,
    pub(crate) id: u64,
    pub(crate) request: Request,
}

/// What candidates send while they are at it.
pub(crate) type Network = Vec<Delivery>;

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

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What is wrong, if anything is.
    pub(crate) crime: Option<String>,
    /// How much of the time somebody led.
    pub(crate) led: Duration,
    pub(crate) lasted: Duration,
    pub(crate) leaderships: usize,
    pub(crate) faults: usize,
    /// How often an application was found running.
    pub(crate) guarded: usize,
    pub(crate) trace: String,
}

#[derive(Debug)]
enum Happening {
    /// A candidate's clock; the number tells the newest from those before.
    Wake(usize, u64),
    Arrive(Delivery),
    Answer {
        to: usize,
        generation: u64,
        id: u64,
        answer: Answer,
    },
    Sweep,
    Fault,
    Thaw(usize),
    Heal(usize),
    Restart(usize),
    Ask(usize),
    Lift(usize),
    StoreBack,
    FaultsEnd,
    Close,
}

/// A candidate's host, and its way to the store.
#[derive(Debug)]
struct Host {
    candidate: Candidate,
    rate: f64,
    offset: u64,
    frozen: bool,
    /// Told to shut down.
    stopping: bool,
    /// What came while it was frozen.
    missed: Vec<Happening>,
    requests_pass: bool,
    answers_pass: bool,
    /// What is stuck in a cut connection.
    stuck: Vec<Happening>,
    /// The connection on which the store tells it of changes.
    watching: Option<u64>,
    wakes: u64,
    /// Nothing was broken for this candidate since then.
    sound_since: Time,
    last_sight: Time,
    token: Option<Token>,
}

pub(crate) struct World {
    climate: Climate,
    rng: fastrand::Rng,
    now: Time,
    agenda: BTreeMap<(Time, u64), Happening>,
    sequence: u64,
    hosts: Vec<Host>,
    store: Store,
    store_rate: f64,
    store_away: bool,
    faulty: bool,
    closed: bool,
    highest_token: Token,
    tampered_at: BTreeMap<LeaseId, Time>,
    /// Whose host asked for each lease.
    owners: BTreeMap<LeaseId, usize>,
    /// Those that were found to be the first when somebody asked.
    verified: BTreeSet<LeaseId>,
    outcome: Outcome,
}

/// Long enough for any message that is not held up.
const PROMPT: Duration = Duration::from_millis(50);

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
                rate: drifting(&mut rng, climate.drift),
                offset: rng.u64(..1_000_000_000_000),
                frozen: false,
                stopping: false,
                missed: Vec::new(),
                requests_pass: true,
                answers_pass: true,
                stuck: Vec::new(),
                watching: None,
                wakes: 0,
                sound_since: Time::ORIGIN,
                last_sight: Time::ORIGIN,
                token: None,
            })
            .collect();
        World {
            climate,
            store_rate: drifting(&mut rng, climate.drift),
            rng,
            now: Time::ORIGIN,
            agenda: BTreeMap::new(),
            sequence: 0,
            hosts,
            store: Store::new(),
            store_away: false,
            faulty: true,
            closed: false,
            highest_token: 0,
            tampered_at: BTreeMap::new(),
            owners: BTreeMap::new(),
            verified: BTreeSet::new(),
            outcome: Outcome {
                crime: None,
                led: Duration::ZERO,
                lasted: Duration::ZERO,
                leaderships: 0,
                faults: 0,
                guarded: 0,
                trace: String::new(),
            },
        }
    }

    /// Lets it all happen.
    pub(crate) fn run(mut self) -> Outcome {
        let close = self.climate.faulty + self.climate.calm;
        // The last promises, and a little.
        let ttl = self.climate.granted.max(self.climate.timing.ttl());
        let end = Time::ORIGIN + close + ttl + Duration::from_secs(3);
        for host in 0..self.hosts.len() {
            let start = Duration::from_millis(self.rng.u64(..200));
            self.at(start, Happening::Restart(host));
            self.at(start, Happening::Ask(host));
        }
        self.at(SWEEP_PERIOD, Happening::Sweep);
        self.at(Duration::from_secs(1), Happening::Fault);
        self.at(self.climate.faulty, Happening::FaultsEnd);
        self.at(close, Happening::Close);
        while let Some(((time, _), happening)) = self.agenda.pop_first() {
            if time > end || self.outcome.crime.is_some() {
                break;
            }
            if !self.closed {
                self.outcome.lasted += time.since(self.now);
                self.outcome.led += match self.leader() {
                    Some(_) => time.since(self.now),
                    None => Duration::ZERO,
                };
            }
            self.now = time;
            self.happen(happening);
            self.judge();
        }
        if self.outcome.crime.is_none() && !self.store.is_left_in_order() {
            self.accuse("leases are left behind".to_owned());
        }
        self.outcome
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrive(delivery) => return self.arrive(delivery),
            Happening::Sweep => {
                let swept = self.store.sweep(self.store_now());
                if swept {
                    self.note("store: swept");
                    self.tell_watchers();
                }
                return self.at(SWEEP_PERIOD, Happening::Sweep);
            }
            Happening::Fault if self.faulty => return self.fault(),
            Happening::Fault => return,
            Happening::FaultsEnd => return self.end_faults(),
            Happening::Close => return self.close(),
            Happening::StoreBack => self.store_away = false,
            Happening::Thaw(host) => return self.thaw(host),
            Happening::Heal(host) => return self.heal(host),
            _ => {}
        }
        let (Happening::Wake(to, _)
        | Happening::Restart(to)
        | Happening::Ask(to)
        | Happening::Lift(to)
        | Happening::Answer { to, .. }) = happening
        else {
            return;
        };
        if self.hosts[to].frozen {
            return self.hosts[to].missed.push(happening);
        }
        self.reach(to, happening);
    }

    /// Something happens to a candidate that is not frozen.
    fn reach(&mut self, to: usize, happening: Happening) {
        let is_stopping = self.hosts[to].stopping && self.hosts[to].candidate.is_running();
        if matches!(happening, Happening::Restart(_)) && is_stopping && !self.closed {
            // Whoever starts it waits until it has ended.
            return self.at(PROMPT, happening);
        }
        let mut sent = Network::new();
        let now = self.local(to);
        let seed = self.rng.u64(..);
        let next_ask = Duration::from_millis(self.rng.u64(20..3000));
        let host = &mut self.hosts[to];
        let candidate = &mut host.candidate;
        match happening {
            Happening::Wake(_, wake) if wake == host.wakes => candidate.wake(now, &mut sent),
            Happening::Answer {
                generation,
                id,
                answer,
                ..
            } if generation == candidate.generation => {
                candidate.answered(now, id, answer, &mut sent);
            }
            Happening::Restart(_) if !candidate.is_running() && !self.closed => {
                if let Some(lease) = candidate.own {
                    self.store.abandon(lease);
                }
                candidate.start(now, seed, &mut sent);
                self.hosts[to].stopping = false;
            }
            Happening::Lift(_) => {
                for hold in [Hold::Paused, Hold::Unhealthy] {
                    candidate.take_in(now, Event::Lift(hold), &mut sent);
                }
            }
            Happening::Ask(_) if !self.closed => {
                candidate.ask(now);
                self.at(next_ask, Happening::Ask(to));
            }
            _ => return,
        }
        self.after(to, sent);
    }

    /// Routes what a candidate sent, and sets its alarm.
    fn after(&mut self, host: usize, sent: Network) {
        for delivery in sent {
            self.route(delivery);
        }
        let host_now = self.local(host);
        let it = &mut self.hosts[host];
        it.wakes += 1;
        if let Some(timeout) = it.candidate.next_timeout() {
            let wait = timeout.since(host_now).as_secs_f64() / it.rate;
            let wake = Happening::Wake(host, it.wakes);
            // A nanosecond more, so that rounding does not wake it too early.
            self.at(
                Duration::from_secs_f64(wait) + Duration::from_nanos(1),
                wake,
            );
        }
    }

    /// Sends a request off: it arrives soon, late, twice, or never.
    fn route(&mut self, delivery: Delivery) {
        let passes = self.hosts[delivery.from].requests_pass;
        let arrive = Happening::Arrive(delivery);
        if !passes && self.rng.bool() {
            return;
        }
        let delay = self.delay(delivery.from);
        let delay = if passes {
            delay
        } else {
            // The kernel goes on trying, after the process has given up.
            let held_up = Duration::from_millis(self.rng.u64(500..20_000));
            held_up.min(self.faults_last() + delay)
        };
        if self.faulty && self.rng.u8(..) < 3 {
            let again = delay + Duration::from_millis(self.rng.u64(1..5_000));
            self.at(
                again.min(self.faults_last() + delay),
                Happening::Arrive(delivery),
            );
        }
        self.at(delay, arrive);
    }

    /// For how long faults go on: what they hold up arrives soon after.
    fn faults_last(&self) -> Duration {
        (Time::ORIGIN + self.climate.faulty).since(self.now)
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
        let sound_again = self.now + lasts + PROMPT;
        let since = &mut self.hosts[host].sound_since;
        *since = (*since).max(sound_again);
    }

    fn arrive(&mut self, delivery: Delivery) {
        if self.store_away {
            return;
        }
        let now = self.store_now();
        let by_old = self.rng.bool();
        let ttl = self.climate.granted;
        let revision = self.store.observation(None).revision;
        let answer = match delivery.request {
            Request::Grant(lease) => {
                self.store.grant(now, lease, ttl);
                self.owners.insert(lease, delivery.from);
                Answer::Granted(ttl)
            }
            Request::Enter(lease) => Answer::Entered(self.store.enter(lease)),
            Request::KeepAlive(lease) => Answer::Renewed(self.store.keep_alive(now, lease, by_old)),
            Request::Verify(lease) => {
                let standing = self.store.standing(lease);
                if let Standing::First(_) = standing {
                    self.verified.insert(lease);
                }
                Answer::Standing(standing)
            }
            Request::Revoke(lease) => {
                self.store.revoke(lease);
                Answer::Revoked
            }
            Request::Observe => {
                let host = &mut self.hosts[delivery.from];
                // One that comes late is of a connection that nobody listens to.
                host.watching = host.watching.max(Some(delivery.generation));
                Answer::Sight(self.store.observation(host.candidate.own))
            }
        };
        self.note(&format!("store: {:?} → {answer:?}", delivery.request));
        let is_sight = matches!(answer, Answer::Sight(_));
        let answer = Happening::Answer {
            to: delivery.from,
            generation: delivery.generation,
            id: delivery.id,
            answer,
        };
        self.send_back(delivery.from, is_sight, answer);
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
            let answer = Happening::Answer {
                to,
                generation,
                id: 0,
                answer: Answer::Sight(self.store.observation(own)),
            };
            self.send_back(to, true, answer);
        }
    }

    /// Answers get lost; what a watch says comes late at worst, and in order.
    fn send_back(&mut self, to: usize, in_order: bool, answer: Happening) {
        let delay = self.delay(to);
        if !self.hosts[to].answers_pass {
            if in_order {
                self.hosts[to].stuck.push(answer);
            }
            return;
        }
        let mut time = self.now + delay;
        if in_order {
            time = time.max(self.hosts[to].last_sight + Duration::from_nanos(1));
            self.hosts[to].last_sight = time;
        }
        self.at(time.since(self.now), answer);
    }

    fn fault(&mut self) {
        self.outcome.faults += 1;
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
            0..=2 => self.freeze(host, a_while),
            3 => {
                if let Some(lease) = self.hosts[host].candidate.own {
                    self.store.abandon(lease);
                }
                self.hosts[host].candidate.crash();
                self.hosts[host].watching = None;
                self.at(a_while, Happening::Restart(host));
            }
            4 => {
                self.command(host, Event::Shutdown);
                self.at(a_while, Happening::Restart(host));
            }
            5 => self.command(host, Event::Resign { cooldown }),
            6 => {
                self.command(host, Event::Resign { cooldown });
                if !self.hosts[host].frozen {
                    self.hosts[host].candidate.promises.clear();
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
                self.at(a_while, Happening::Lift(host));
            }
            15 => {
                self.hosts[host].candidate.guardian.stop_takes = a_while / 4;
            }
            16 | 17 => self.freeze(host, a_while),
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
                    self.tampered_at.insert(lease, self.now);
                    self.tell_watchers();
                }
            }
        }
        let next = Duration::from_millis(self.rng.u64(10..6_000));
        self.at(next, Happening::Fault);
    }

    fn command(&mut self, host: usize, event: Event) {
        if self.hosts[host].frozen {
            return;
        }
        let mut sent = Network::new();
        let now = self.local(host);
        self.hosts[host].stopping |= event == Event::Shutdown;
        self.hosts[host].candidate.take_in(now, event, &mut sent);
        self.after(host, sent);
    }

    fn freeze(&mut self, host: usize, a_while: Duration) {
        if !self.hosts[host].frozen {
            self.hosts[host].frozen = true;
            self.at(a_while, Happening::Thaw(host));
        }
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
            self.judge();
        }
    }

    fn heal(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        (it.requests_pass, it.answers_pass) = (true, true);
        for answer in std::mem::take(&mut it.stuck) {
            self.send_back(host, true, answer);
        }
    }

    fn end_faults(&mut self) {
        self.note("faults end");
        self.faulty = false;
        self.store_away = false;
        for host in 0..self.hosts.len() {
            self.heal(host);
            if self.hosts[host].frozen {
                self.thaw(host);
            }
            self.at(PROMPT, Happening::Restart(host));
            self.at(PROMPT, Happening::Lift(host));
        }
    }

    /// By now somebody leads. Everybody is told to shut down, and leaves nothing behind.
    fn close(&mut self) {
        if self.leader().is_none() {
            self.accuse("nobody leads, long after the last fault".to_owned());
        }
        for host in &self.hosts {
            let candidate = &host.candidate;
            let queued = candidate.own.map(|lease| self.store.standing(lease));
            if candidate.is_running() && queued.is_none_or(|standing| standing == Standing::Gone) {
                let crime = format!(
                    "{} is not queued, long after the last fault",
                    candidate.name
                );
                return self.accuse(crime);
            }
        }
        self.closed = true;
        for host in 0..self.hosts.len() {
            self.command(host, Event::Shutdown);
        }
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
            let candidate = &self.hosts[name].candidate;
            if let Some(lease) = candidate.guardian.runs()
                && !self.store.was_tampered_with(lease)
            {
                active.insert(name, lease);
                self.outcome.guarded += 1;
            }
            if let Some((lease, token)) = self.hosts[name].candidate.claim(now) {
                self.judge_claim(name, lease, token);
                if !self.store.was_tampered_with(lease) {
                    active.insert(name, lease);
                }
            } else {
                self.hosts[name].token = None;
            }
            let promises = &mut self.hosts[name].candidate.promises;
            promises.retain(|promise| promise.until > now);
            for promise in promises.iter() {
                if !self.store.was_tampered_with(promise.lease) {
                    active.insert(name, promise.lease);
                }
            }
        }
        if active.len() > 1 {
            self.accuse(format!("several lead, or were promised to: {active:?}"));
        }
        let forgotten = self.store.held().find(|lease| {
            let owner = self.owners.get(lease);
            owner.is_none_or(|owner| self.hosts[*owner].candidate.own != Some(*lease))
        });
        if let Some(lease) = forgotten {
            self.accuse(format!("{lease:?} was left without being released"));
        }
    }

    fn judge_claim(&mut self, name: usize, lease: LeaseId, token: Token) {
        if self.hosts[name].token != Some(token) {
            self.hosts[name].token = Some(token);
            self.outcome.leaderships += 1;
            self.note(&format!("{name} leads with {token}"));
            if !self.verified.contains(&lease) {
                self.accuse(format!("{name} leads without having verified that it may"));
            }
            // One whose key was deleted after it was found to be the first hears of both one after the other.
            if token <= self.highest_token && !self.store.was_tampered_with(lease) {
                self.accuse(format!(
                    "{name} leads with {token} after {}",
                    self.highest_token
                ));
            }
            self.highest_token = self.highest_token.max(token);
        }
        let holder = self.store.observation(None).holder;
        // A put that came twice, the second time after somebody had deleted the key, makes it anew.
        let is_own = |held| held == token || self.store.was_tampered_with(lease);
        if holder.is_some_and(|holder| holder.lease == lease && is_own(holder.token)) {
            return;
        }
        match self.tampered_at.get(&lease) {
            None => self.accuse(format!("{name} leads on a place that is not the first")),
            Some(since) => {
                let since = (*since).max(self.hosts[name].sound_since);
                let told =
                    since + to_be_told(&self.climate.timing).mul_f64(1.0 + self.climate.drift);
                if !self.hosts[name].frozen && told < self.now {
                    self.accuse(format!("{name} leads on a key that was deleted long ago"));
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
            candidate.claim(self.local(*name)).is_some()
        })
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

    fn local(&self, host: usize) -> Time {
        let host = &self.hosts[host];
        let nanos = self.now.as_nanos() as f64 * host.rate;
        Time::from_nanos(nanos as u64 + host.offset)
    }

    fn store_now(&self) -> Time {
        Time::from_nanos((self.now.as_nanos() as f64 * self.store_rate) as u64)
    }
}

fn drifting(rng: &mut fastrand::Rng, drift: f64) -> f64 {
    1.0 + drift * (rng.f64() * 2.0 - 1.0)
}
