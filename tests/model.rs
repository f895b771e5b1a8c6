//! Every way that two candidates and a store can go, as far as a few seconds and a few losses allow, on the core that ships.
//!
//! **Modelled:** time in steps of a second, on one clock for all; requests that arrive at any time, or never, or after they
//! were given up; answers that come at any time, or never; candidates frozen at any point and thawed at any other; leases
//! swept at any time after they ran out; a resignation at any time. A candidate that is not frozen does at once what is
//! due, sees the queue change at once, and the application of one of the two relies on every promise it can get.
//!
//! **Not modelled:** clocks that drift, deleted keys, late watches, crashes, shutdowns, outages and an old etcd leader
//! (`tests/simulation.rs` has those), a queue of more than two, jitter shorter than a second, a loss and a freeze in one
//! way. So it can't see a validity that counts from the answer, nor a missing verification: a second is all the slack there
//! is, and the queue is seen at once. States that differ in random numbers and lease names only are one.
//!
//! Checked in every state: at most one candidate leads or is relied upon to, and tokens only rise. And from every state at
//! which the clock has just moved on, somebody leads soon once nothing is lost or frozen any more.
//!
//! `TENURE_SECONDS=6 cargo test --release --test model -- --nocapture` looks further, and takes its time.

#![allow(clippy::unwrap_used, reason = "a test is to fail by it")]

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;
use tenure::election::{
    Action, Election, Event, Holder, Lease, LeaseId, Observation, Policy, Role, Standing, Time,
    Timing, Token,
};

const SECOND: Duration = Duration::from_secs(1);
const TTL: Duration = Duration::from_secs(3);

fn timing() -> Timing {
    Timing::new(TTL, SECOND * 2, SECOND).unwrap()
}

/// How far to look.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    seconds: u64,
    losses: u8,
    freezes: u8,
    resignations: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Join(LeaseId),
    KeepAlive(LeaseId),
    Verify(LeaseId),
    Release(LeaseId),
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Sent,
    Answered(Answer),
    Lost,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Joined(Token),
    Renewed(bool),
    Standing(Standing),
    Released,
}

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug)]
struct Flight {
    request: Request,
    sent_at: Time,
    stage: Stage,
}

#[derive(Clone, Debug)]
struct Candidate {
    core: Election,
    own: Option<LeaseId>,
    call: Option<Flight>,
    keepalive: Option<Flight>,
    /// The revision of the last sight.
    seen: u64,
    promised: Time,
    frozen: bool,
}

#[derive(Clone, Debug)]
struct World {
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
enum Step {
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    Call,
    KeepAlive,
}

impl World {
    fn new(bounds: Bounds) -> Self {
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

    fn steps(&self, last: Time) -> Vec<Step> {
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

    fn take(&mut self, step: Step) {
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

    fn does_something(&mut self, name: usize) -> bool {
        let candidate = &mut self.candidates[name];
        for lane in [Lane::Call, Lane::KeepAlive] {
            let overdue = |flight: &mut Flight| flight.sent_at + SECOND <= self.now;
            if let Some(flight) = candidate.lane(lane).take_if(overdue) {
                // An answer that has come is found before the time is.
                match flight.stage {
                    Stage::Answered(_) => self.deliver(name, flight),
                    _ => self.give_up(name, flight),
                }
                return true;
            }
        }
        if candidate
            .core
            .next_timeout()
            .is_some_and(|at| at <= self.now)
        {
            self.feed(name, Event::Tick);
            return true;
        }
        if candidate.seen < self.revision {
            candidate.seen = self.revision;
            let sight = self.sight(name);
            self.feed(name, Event::Observed(sight));
            return true;
        }
        false
    }

    fn serve(&mut self, request: Request) -> Answer {
        match request {
            Request::Join(lease) => {
                self.revision += 1;
                self.leases.insert(lease, self.now + TTL);
                self.queue.insert(self.revision, lease);
                Answer::Joined(self.revision)
            }
            Request::KeepAlive(lease) => {
                let now = self.now;
                let known = self
                    .leases
                    .get_mut(&lease)
                    .map(|expiry| *expiry = now + TTL);
                Answer::Renewed(known.is_some())
            }
            Request::Verify(lease) => Answer::Standing(self.standing(lease)),
            Request::Release(lease) => {
                self.revoke(lease);
                Answer::Released
            }
        }
    }

    fn revoke(&mut self, lease: LeaseId) {
        if self.leases.remove(&lease).is_some() {
            self.revision += 1;
            self.queue.retain(|_, place| *place != lease);
        }
    }

    fn standing(&self, lease: LeaseId) -> Standing {
        let mut places = self.queue.iter().enumerate();
        match places.find(|(_, (_, place))| **place == lease) {
            Some((0, (token, _))) => Standing::First(*token),
            Some(_) => Standing::Behind,
            None => Standing::Gone,
        }
    }

    fn deliver(&mut self, name: usize, flight: Flight) {
        let sent_at = flight.sent_at;
        let event = match (flight.request, flight.stage) {
            (Request::Join(id), Stage::Answered(Answer::Joined(token))) => Event::Joined(Lease {
                id,
                token,
                ttl: TTL,
                sent_at,
            }),
            (Request::KeepAlive(lease), Stage::Answered(Answer::Renewed(true))) => {
                Event::KeptAlive {
                    lease,
                    sent_at,
                    ttl: TTL,
                }
            }
            (Request::KeepAlive(lease), Stage::Answered(_)) => Event::LeaseGone(lease),
            (Request::Verify(lease), Stage::Answered(Answer::Standing(standing))) => {
                Event::Verified(lease, standing)
            }
            (Request::Release(lease), Stage::Answered(_)) => Event::Released(lease),
            (request, stage) => panic!("{request:?} {stage:?}"),
        };
        self.feed(name, event);
    }

    fn give_up(&mut self, name: usize, flight: Flight) {
        if let Stage::Sent = flight.stage {
            self.stray = Some(flight.request);
        }
        let event = match flight.request {
            Request::Join(lease) => Event::JoinFailed {
                lease,
                gone_by: self.now + TTL,
            },
            Request::KeepAlive(lease) => Event::KeepAliveFailed(lease),
            Request::Verify(lease) => Event::VerifyFailed(lease),
            Request::Release(lease) => Event::ReleaseFailed(lease),
        };
        self.feed(name, event);
    }

    /// The driver: step, then act.
    fn feed(&mut self, name: usize, event: Event) {
        let now = self.now;
        let candidate = &mut self.candidates[name];
        let mut next = Some(event);
        while let Some(event) = next.take() {
            for action in candidate.core.step(now, event) {
                let request = match action {
                    Action::Join(lease) => {
                        candidate.own = Some(lease);
                        // A sight of before says nothing of the new place.
                        candidate.seen = 0;
                        Request::Join(lease)
                    }
                    Action::Verify(lease) => Request::Verify(lease),
                    Action::KeepAlive(lease) => Request::KeepAlive(lease),
                    Action::Release(lease) => {
                        candidate.keepalive = None;
                        Request::Release(lease)
                    }
                    Action::CollectPromises => {
                        next = Some(Event::Promised(candidate.promised));
                        continue;
                    }
                    _ => continue,
                };
                let flight = Flight {
                    request,
                    sent_at: now,
                    stage: Stage::Sent,
                };
                match request {
                    Request::KeepAlive(_) => candidate.keepalive = Some(flight),
                    _ => candidate.call = Some(flight),
                }
            }
        }
    }

    fn sight(&self, name: usize) -> Observation {
        let own = self.candidates[name].own;
        Observation {
            revision: self.revision,
            holder: self.queue.iter().next().map(|(token, lease)| Holder {
                lease: *lease,
                token: *token,
                id: String::new(),
                advertise: None,
            }),
            present: own.is_some_and(|own| self.standing(own) != Standing::Gone),
            contested: self.queue.values().any(|place| Some(*place) != own),
            handed_over: false,
        }
    }

    /// Until when a candidate leads, and with which token.
    fn claim(&self, name: usize) -> Option<(Time, Token)> {
        match self.candidates[name].core.view().role {
            Role::Leader(claim) if claim.is_valid(self.now) => {
                Some((claim.valid_until, claim.token))
            }
            _ => None,
        }
    }

    /// What is wrong with this state, if anything is.
    fn crime(&mut self) -> Option<String> {
        let claims = [0, 1].map(|name| self.claim(name));
        let relied_on =
            [0, 1].map(|name| claims[name].is_some() || self.candidates[name].promised > self.now);
        if relied_on == [true, true] {
            return Some(format!("both lead, or were promised to: {claims:?}"));
        }
        for (_, token) in claims.into_iter().flatten() {
            if token < self.highest {
                return Some(format!("{token} leads after {}", self.highest));
            }
            self.highest = token;
        }
        None
    }

    /// Whether somebody leads soon, where all goes well from here on.
    fn recovers(mut self) -> bool {
        let last = self.now + TTL * 3;
        (self.losses, self.freezes, self.resignations) = (0, 0, 0);
        while !(0..2).any(|name| self.claim(name).is_some()) {
            // The clock comes last, when nothing else is left to do.
            match self.steps(last).first() {
                Some(step) => self.take(*step),
                None => return false,
            }
        }
        true
    }

    /// The same for states that differ only in what makes no difference: random numbers, names, fractions of a second.
    fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        canonical(&format!("{self:?}")).hash(&mut hasher);
        hasher.finish()
    }
}

impl Candidate {
    fn flight(&self, lane: Lane) -> Option<Flight> {
        match lane {
            Lane::Call => self.call,
            Lane::KeepAlive => self.keepalive,
        }
    }

    fn lane(&mut self, lane: Lane) -> &mut Option<Flight> {
        match lane {
            Lane::Call => &mut self.call,
            Lane::KeepAlive => &mut self.keepalive,
        }
    }
}

/// Names leases in the order of their appearance, rounds times up to where they are due, and forgets the random numbers
/// and how many delays there have been.
fn canonical(text: &str) -> String {
    let mut names = BTreeMap::new();
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(digits_at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(digits_at);
        let end = from
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(from.len());
        let (digits, after) = from.split_at(end);
        let number: u64 = digits.parse().unwrap_or(0);
        result.push_str(before);
        let shown = if before.ends_with("LeaseId(") {
            let next = names.len() as u64;
            *names.entry(number).or_insert(next)
        } else if before.ends_with("Time(") {
            number.div_ceil(1_000_000_000)
        } else if before.ends_with("Rng(") || before.ends_with("failures: ") {
            0
        } else {
            number
        };
        result.push_str(&shown.to_string());
        rest = after;
    }
    result + rest
}

/// Visits every state within the bounds. Returns how many there are, and in how many somebody leads.
fn explore(bounds: Bounds) -> (usize, usize) {
    let last = Time::ORIGIN + SECOND * u32::try_from(bounds.seconds).unwrap();
    let mut known = HashSet::new();
    // How each state was come by: the state before, and the step.
    let mut origins = vec![(0, Step::Clock)];
    let mut open = VecDeque::from([(World::new(bounds), 0)]);
    let mut led = 0;
    while let Some((world, number)) = open.pop_front() {
        for step in world.steps(last) {
            let mut next = world.clone();
            next.take(step);
            let crime = next.crime();
            if !known.insert(next.key()) {
                continue;
            }
            origins.push((number, step));
            let number = origins.len() - 1;
            if let Some(crime) = crime {
                panic!("{crime}, after {:#?}", path(&origins, number));
            }
            if step == Step::Clock && !next.clone().recovers() {
                panic!("nobody leads any more, after {:#?}", path(&origins, number));
            }
            led += usize::from((0..2).any(|name| next.claim(name).is_some()));
            open.push_back((next, number));
        }
    }
    (known.len(), led)
}

fn path(origins: &[(usize, Step)], mut number: usize) -> Vec<Step> {
    let mut path = Vec::new();
    while number != 0 {
        path.push(origins[number].1);
        number = origins[number].0;
    }
    path.reverse();
    path
}

#[test]
fn no_way_leads_to_two_leaders_and_every_way_leads_to_one() {
    let bounds = |seconds, losses, freezes, resignations| Bounds {
        seconds,
        losses,
        freezes,
        resignations,
    };
    // A lease that begins at once runs out at the fourth.
    let seconds = std::env::var("TENURE_SECONDS").map_or(4, |seconds| seconds.parse().unwrap());
    let worlds = [
        bounds(seconds, 1, 0, 0),
        bounds(seconds, 0, 1, 0),
        bounds(seconds, 0, 0, 1),
    ];
    for bounds in worlds {
        let (states, led) = explore(bounds);
        println!("{bounds:?}: {states} states, a leader in {led}");
        assert!(led > 0);
    }
}

#[test]
fn states_that_differ_in_names_and_random_numbers_only_are_one() {
    let one = "LeaseId(77) Rng(5) Time(1200000000) LeaseId(9) token: 3";
    let other = "LeaseId(8) Rng(6) Time(1900000000) LeaseId(77) token: 3";
    assert_eq!(canonical(one), canonical(other));
    assert_ne!(
        canonical(one),
        canonical("LeaseId(8) Rng(6) Time(2900000000) LeaseId(77) token: 3")
    );
    assert_ne!(
        canonical(one),
        canonical("LeaseId(8) Rng(6) Time(1900000000) LeaseId(8) token: 3")
    );
}
