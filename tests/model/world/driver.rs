//! A candidate and its driver: one request and one keepalive on their way at most, and a bound on each.

use super::{SECOND, TTL, World};
use tenure::election::{Action, Election, Event, Lease, LeaseId, Standing, Time, Token};

#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) core: Election,
    pub(super) own: Option<LeaseId>,
    pub(super) call: Option<Flight>,
    pub(super) keepalive: Option<Flight>,
    /// The revision of the last sight.
    pub(super) seen: u64,
    pub(super) promised: Time,
    pub(super) frozen: bool,
}

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) request: Request,
    pub(super) sent_at: Time,
    pub(super) stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Join(LeaseId),
    KeepAlive(LeaseId),
    Verify(LeaseId),
    Release(LeaseId),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    Sent,
    Answered(Answer),
    Lost,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Joined(Token),
    Renewed(bool),
    Standing(Standing),
    Released,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Call,
    KeepAlive,
}

impl Candidate {
    pub(super) fn flight(&self, lane: Lane) -> Option<Flight> {
        match lane {
            Lane::Call => self.call,
            Lane::KeepAlive => self.keepalive,
        }
    }

    pub(super) fn lane(&mut self, lane: Lane) -> &mut Option<Flight> {
        match lane {
            Lane::Call => &mut self.call,
            Lane::KeepAlive => &mut self.keepalive,
        }
    }
}

impl World {
    pub(super) fn does_something(&mut self, name: usize) -> bool {
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

    /// The driver: step, then act.
    pub(super) fn feed(&mut self, name: usize, event: Event) {
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

    pub(super) fn deliver(&mut self, name: usize, flight: Flight) {
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
}
