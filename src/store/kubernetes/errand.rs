//! What the core wants done about a Lease, as one request after the other: decided from the ledger, the answers and the
//! time. Somebody else sends them, and sees to it that none takes for ever.

use super::error::Failure;
use super::ledger::{Claim, Ledger, Renewal};
use super::record::Record;
use crate::election::{Action, Event, Lease, LeaseId, Standing, Time, Token};
use k8s_openapi::api::coordination::v1::Lease as Object;
use std::time::SystemTime;

/// An action that is being carried out.
#[derive(Debug)]
pub(super) struct Errand {
    id: LeaseId,
    aim: Aim,
    begun_at: Time,
    asked: Asked,
    asked_at: Time,
    /// Whether it may have come to hold the Lease.
    has_tried: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Aim {
    /// Takes the place that is free, or one that is not written.
    Join,
    /// Renews the place if it is written, and otherwise sees that the API is there.
    KeepAlive,
    /// Finds the place; acquires the Lease where that is what it takes to be the first.
    Verify,
    /// Gives the place up, and makes sure that it is.
    Release { in_order: bool },
}

/// A request to the API.
#[derive(Clone, Debug)]
pub(super) enum Request {
    /// What the Lease is now.
    Read,
    /// Make one that nobody holds.
    Create,
    Replace(Box<Object>),
}

/// What an answer is to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asked {
    Nothing,
    Read,
    Create,
    Acquire(Token),
    Renew,
    GiveUp,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Step {
    Ask(Request),
    Done(Event),
}

impl Errand {
    /// None where the action is not for a store.
    pub(super) fn of(action: Action) -> Option<Errand> {
        let (id, aim) = match action {
            Action::Join(id) => (id, Aim::Join),
            Action::KeepAlive(id) => (id, Aim::KeepAlive),
            Action::Verify(id) => (id, Aim::Verify),
            Action::Release(id) => (id, Aim::Release { in_order: false }),
            Action::HandOver(id) => (id, Aim::Release { in_order: true }),
            _ => return None,
        };
        Some(Errand {
            id,
            aim,
            begun_at: Time::ORIGIN,
            asked: Asked::Nothing,
            asked_at: Time::ORIGIN,
            has_tried: false,
        })
    }

    /// Begins, and says what the first step is.
    ///
    /// # Errors
    /// As for [`answered`](Self::answered).
    pub(super) fn set_out(
        &mut self,
        ledger: &mut Ledger,
        now: Time,
        date: SystemTime,
    ) -> Result<Step, Failure> {
        self.begun_at = now;
        if self.aim == Aim::Join {
            ledger.join(self.id);
        }
        match self.aim {
            Aim::Join | Aim::Verify => Ok(self.read(now)),
            Aim::KeepAlive | Aim::Release { .. } => self.proceed(ledger, now, date),
        }
    }

    /// How many requests' time it may take.
    pub(super) fn requests(&self) -> u32 {
        match self.aim {
            Aim::KeepAlive => 1,
            // Longer than one request, shorter than three.
            Aim::Join | Aim::Verify | Aim::Release { .. } => 2,
        }
    }

    /// Takes in the answer to what was asked last, and says what the next step is. A read that finds no Lease is answered
    /// with none.
    ///
    /// # Errors
    /// Where it can't go on.
    pub(super) fn answered(
        &mut self,
        answer: Result<Option<Record>, Failure>,
        ledger: &mut Ledger,
        now: Time,
        date: SystemTime,
    ) -> Result<Step, Failure> {
        let record = match (self.asked, answer) {
            (_, Ok(record)) => record,
            (Asked::Create, Err(Failure::Missing)) => {
                return Err(Failure::Refused(
                    "the namespace does not exist; create it, or set store.kubernetes.namespace"
                        .to_owned(),
                ));
            }
            // Somebody else was faster, or this one was and wasn't told.
            (_, Err(Failure::Conflict | Failure::Missing)) => return Ok(self.read(now)),
            (_, Err(failure)) => return Err(failure),
        };
        match self.asked {
            Asked::Acquire(token) => ledger.acquired(self.id, token, self.asked_at),
            Asked::Renew => {
                // It counts from before anything was asked.
                ledger.renewed(self.id, self.begun_at);
                ledger.answered(record, self.begun_at, now);
                return Ok(Step::Done(self.kept_alive(self.begun_at, ledger)));
            }
            Asked::Nothing | Asked::Read | Asked::Create | Asked::GiveUp => {}
        }
        ledger.answered(record, self.asked_at, now);
        if self.aim == Aim::Join && self.asked == Asked::Read && ledger.record().is_none() {
            return Ok(self.ask(Asked::Create, Request::Create, now));
        }
        self.proceed(ledger, now, date)
    }

    /// What comes of it where an answer is an error, or doesn't come in time.
    pub(super) fn failed(&self, ledger: &Ledger, now: Time) -> Event {
        match self.aim {
            Aim::Join => Event::JoinFailed {
                lease: self.id,
                gone_by: match self.has_tried {
                    true => now + ledger.ttl(),
                    false => now,
                },
            },
            Aim::KeepAlive => Event::KeepAliveFailed(self.id),
            Aim::Verify => Event::VerifyFailed(self.id),
            Aim::Release { .. } => Event::ReleaseFailed(self.id),
        }
    }

    /// What is to be done by what is known.
    fn proceed(
        &mut self,
        ledger: &mut Ledger,
        now: Time,
        date: SystemTime,
    ) -> Result<Step, Failure> {
        Ok(match self.aim {
            Aim::Join | Aim::Verify => match ledger.claim(self.id, now, date) {
                Claim::Write(lease, token) => {
                    ledger.attempt(token, now);
                    self.ask(Asked::Acquire(token), Request::Replace(lease), now)
                }
                // Deleted again already.
                Claim::Stands(Standing::Gone) if self.aim == Aim::Join => {
                    return Err(Failure::Missing);
                }
                Claim::Stands(standing) => Step::Done(self.found(standing, ledger)),
            },
            Aim::KeepAlive => match ledger.renewal(self.id, now, date) {
                Renewal::Write(lease) => self.ask(Asked::Renew, Request::Replace(lease), now),
                Renewal::Gone => Step::Done(Event::LeaseGone(self.id)),
                Renewal::Unwritten { .. } if self.asked == Asked::Nothing => self.read(now),
                // An acquisition that is under way counts from when it was sent, not from when this was.
                Renewal::Unwritten { not_after } => {
                    let since = not_after.unwrap_or(self.begun_at).min(self.begun_at);
                    Step::Done(self.kept_alive(since, ledger))
                }
            },
            Aim::Release { in_order } => match ledger.release(self.id, in_order, date) {
                Some(lease) => self.ask(Asked::GiveUp, Request::Replace(Box::new(lease)), now),
                None => Step::Done(Event::Released(self.id)),
            },
        })
    }

    fn read(&mut self, now: Time) -> Step {
        self.ask(Asked::Read, Request::Read, now)
    }

    fn ask(&mut self, asked: Asked, request: Request, now: Time) -> Step {
        self.has_tried |= matches!(asked, Asked::Acquire(_));
        self.asked = asked;
        self.asked_at = now;
        Step::Ask(request)
    }

    fn found(&self, standing: Standing, ledger: &Ledger) -> Event {
        if self.aim == Aim::Verify {
            return Event::Verified(self.id, standing);
        }
        Event::Joined(Lease {
            id: self.id,
            token: match standing {
                Standing::First(token) => token,
                Standing::Behind | Standing::Gone => 0,
            },
            ttl: ledger.ttl(),
            sent_at: self.begun_at,
        })
    }

    fn kept_alive(&self, sent_at: Time, ledger: &Ledger) -> Event {
        Event::KeptAlive {
            lease: self.id,
            sent_at,
            ttl: ledger.ttl(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Author, unheld};
    use super::*;
    use crate::election::Candidate;
    use std::time::Duration;

    #[test]
    fn a_join_that_failed_may_hold_the_lease_once_it_has_tried_to_and_not_before() {
        let (now, date) = (Time::ORIGIN, SystemTime::UNIX_EPOCH);
        let ttl = Duration::from_secs(10);
        let candidate = Candidate {
            id: "a".to_owned(),
            advertise: None,
        };
        let mut ledger = Ledger::new(Author { candidate, ttl });
        let mut join = Errand::of(Action::Join(LeaseId(7))).unwrap();
        let gone_by = |join: &Errand, ledger: &Ledger| match join.failed(ledger, now) {
            Event::JoinFailed { gone_by, .. } => gone_by,
            event => panic!("{event:?}"),
        };
        join.set_out(&mut ledger, now, date).unwrap();
        assert_eq!(gone_by(&join, &ledger), now);

        let mut object = unheld("e");
        object.metadata.uid = Some("one".to_owned());
        object.metadata.resource_version = Some("1".to_owned());
        let free = Record::read(object).unwrap();
        let step = join.answered(Ok(Some(free)), &mut ledger, now, date);
        assert!(matches!(step, Ok(Step::Ask(Request::Replace(_)))));
        assert_eq!(gone_by(&join, &ledger), now + ttl);

        // It may be its own doing.
        let step = join.answered(Err(Failure::Conflict), &mut ledger, now, date);
        assert!(matches!(step, Ok(Step::Ask(Request::Read))));
        assert_eq!(gone_by(&join, &ledger), now + ttl);
    }
}
