//! Candidates, an API server, a network between them, and people who break things. Virtual time, one seed.

#[path = "../simulated/common.rs"]
mod common;
#[path = "world/faults.rs"]
mod faults;
#[path = "world/foreign.rs"]
mod foreign;
#[path = "world/network.rs"]
mod network;
#[path = "world/people.rs"]
mod people;
#[path = "world/server.rs"]
mod server;

use crate::candidate::Candidate;
use crate::judge::Judge;
use crate::kind::Kind;
use crate::session::{Message, Now, Said};
use crate::simulated::candidate::Clock;
use crate::simulated::outcome::Outcome;
use common::{Course, News, PROMPT};
use foreign::Foreign;
use k8s_openapi::api::coordination::v1::Lease;
use network::Stream;
use server::Server;
use std::time::Duration;
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

fn clock(rng: &mut fastrand::Rng, drift: f64) -> Clock {
    Clock::new(rng, drift).begun_at(rng.u64(1_000_000_000..1_000_000_000_000))
}

/// A wrong one, for when the world began.
fn date(rng: &mut fastrand::Rng) -> Duration {
    BEGINNING + Duration::from_secs(rng.u64(..7_200))
}
