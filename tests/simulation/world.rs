//! Candidates, a store, a network between them, and somebody who breaks things. Virtual time, one seed.

#[path = "../simulated/common.rs"]
mod common;
#[path = "world/faults.rs"]
mod faults;
#[path = "world/judge.rs"]
mod judge;
#[path = "world/network.rs"]
mod network;

use crate::candidate::{Answer, Candidate, Message};
use crate::simulated::candidate::Clock;
use crate::simulated::outcome::Outcome;
use crate::store::{SWEEP_PERIOD, Store};
use common::{Course, News, PROMPT};
use judge::Judge;
use std::time::Duration;
use tenure::election::{Application, Event, Hold, Policy, ShutdownWait, Time, Timing, Token};

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

    fn local(&self, host: usize) -> Time {
        self.hosts[host].clock.read(self.course.now)
    }

    fn store_now(&self) -> Time {
        self.store_clock.read(self.course.now)
    }
}
