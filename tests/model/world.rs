//! Two candidates and a store: what may happen in a state, and the state after it.

#[path = "world/driver.rs"]
mod driver;
#[path = "world/judge.rs"]
mod judge;
#[path = "world/store.rs"]
mod store;

use crate::canonical::canonical;
use driver::{Candidate, Lane, Request, Stage};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;
use tenure::election::{Election, Event, LeaseId, Policy, Time, Timing, Token};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
const TTL: Duration = Duration::from_secs(3);

fn timing() -> Timing {
    Timing::new(TTL, SECOND * 2, SECOND).unwrap()
}

/// How far to look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) seconds: u64,
    pub(crate) losses: u8,
    pub(crate) freezes: u8,
    pub(crate) resignations: u8,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    now: Time,
    candidates: [Candidate; 2],
    leases: BTreeMap<LeaseId, Time>,
    queue: BTreeMap<Token, LeaseId>,
    revision: u64,
    /// Given up by who sent it, and still on its way.
    stray: Option<Request>,
    highest: Token,
    losses: u8,
    freezes: u8,
    resignations: u8,
}

/// What may happen next. The number is the candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Freeze(usize),
    Thaw(usize),
    Arrive(usize, Lane),
    Deliver(usize, Lane),
    Lose(usize, Lane),
    Resign(usize),
    Stray,
    Sweep,
    Clock,
}

impl World {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let candidate = |seed| Candidate {
            core: Election::new(timing(), Policy::default(), seed),
            own: None,
            call: None,
            keepalive: None,
            seen: 0,
            promised: Time::ORIGIN,
            frozen: false,
        };
        let mut world = World {
            now: Time::ORIGIN + SECOND,
            candidates: [candidate(1), candidate(2)],
            leases: BTreeMap::new(),
            queue: BTreeMap::new(),
            revision: 1,
            stray: None,
            highest: 0,
            losses: bounds.losses,
            freezes: bounds.freezes,
            resignations: bounds.resignations,
        };
        world.settle();
        world
    }

    pub(crate) fn steps(&self, last: Time) -> Vec<Step> {
        let mut steps = Vec::new();
        for (name, candidate) in self.candidates.iter().enumerate() {
            for lane in [Lane::Call, Lane::KeepAlive] {
                let Some(flight) = candidate.flight(lane) else {
                    continue;
                };
                match flight.stage {
                    Stage::Sent => steps.push(Step::Arrive(name, lane)),
                    Stage::Answered(_) if !candidate.frozen => {
                        steps.push(Step::Deliver(name, lane));
                    }
                    _ => {}
                }
                if self.losses > 0 && !matches!(flight.stage, Stage::Lost) {
                    steps.push(Step::Lose(name, lane));
                }
            }
            if candidate.frozen {
                steps.push(Step::Thaw(name));
            } else if self.freezes > 0 {
                steps.push(Step::Freeze(name));
            }
            if self.resignations > 0 && !candidate.frozen && self.claim(name).is_some() {
                steps.push(Step::Resign(name));
            }
        }
        if self.stray.is_some() {
            steps.push(Step::Stray);
        }
        if self.leases.values().any(|expiry| *expiry <= self.now) {
            steps.push(Step::Sweep);
        }
        if self.now < last {
            steps.push(Step::Clock);
        }
        steps
    }

    pub(crate) fn take(&mut self, step: Step) {
        match step {
            Step::Freeze(name) => {
                self.freezes -= 1;
                self.candidates[name].frozen = true;
            }
            Step::Thaw(name) => self.candidates[name].frozen = false,
            Step::Resign(name) => {
                self.resignations -= 1;
                self.feed(name, Event::Resign { cooldown: SECOND });
            }
            Step::Arrive(name, lane) => {
                if let Some(mut flight) = *self.candidates[name].lane(lane) {
                    flight.stage = Stage::Answered(self.serve(flight.request));
                    *self.candidates[name].lane(lane) = Some(flight);
                }
            }
            Step::Deliver(name, lane) => {
                if let Some(flight) = self.candidates[name].lane(lane).take() {
                    self.deliver(name, flight);
                }
            }
            Step::Lose(name, lane) => {
                self.losses -= 1;
                if let Some(flight) = self.candidates[name].lane(lane) {
                    flight.stage = Stage::Lost;
                }
            }
            Step::Stray => {
                if let Some(request) = self.stray.take() {
                    self.serve(request);
                }
            }
            Step::Sweep => {
                let gone: Vec<LeaseId> = self
                    .leases
                    .iter()
                    .filter(|(_, expiry)| **expiry <= self.now)
                    .map(|(lease, _)| *lease)
                    .collect();
                for lease in gone {
                    self.revoke(lease);
                }
            }
            Step::Clock => self.now = self.now + SECOND,
        }
        self.settle();
    }

    /// Candidates that are not frozen do what is due.
    fn settle(&mut self) {
        for name in [0, 1, 0, 1] {
            while !self.candidates[name].frozen && self.does_something(name) {}
        }
        self.candidates[0].promised = match self.claim(0) {
            Some((until, _)) if !self.candidates[0].frozen => until,
            _ => self.candidates[0].promised,
        };
    }

    /// The same for states that differ only in what makes no difference: random numbers, names, fractions of a second.
    pub(crate) fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        canonical(&format!("{self:?}")).hash(&mut hasher);
        hasher.finish()
    }
}
