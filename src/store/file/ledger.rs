//! What the operations of a store are here: changes of an election's state, each at one moment or not at all.
//!
//! All of it blocks on the disk, so it runs on a [worker](super::worker)'s thread.

use super::directory::{Directory, Found};
use super::error::FileStoreError;
use super::expiry::{ClockDomain, Sightings};
use super::state::{Entry, State};
use crate::clock;
use crate::election::{Candidate, LeaseId, Standing, Time, Token};
use crate::store::Queue;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// An election as one candidate deals with it.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    directory: Directory,
    candidate: Candidate,
    ttl: Duration,
    clock: Option<ClockDomain>,
    sightings: Sightings,
    /// The greatest revision ever read.
    reached: u64,
}

/// An election at the moment of an operation.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) queue: Queue,
    /// When the first of its places expires unless it is renewed.
    pub(super) next_expiry: Option<Time>,
}

/// Whether anybody still waits for an operation. One that nobody waits for makes no change any more.
#[derive(Clone, Debug, Default)]
pub(super) struct Ticket(Arc<AtomicBool>);

impl Ticket {
    pub(super) fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// How an operation ended: what it found, or nothing, where its ticket was cancelled.
pub(super) type Outcome<T> = Result<Option<(T, Sight)>, FileStoreError>;

impl Ledger {
    pub(super) fn new(
        directory: Directory,
        candidate: Candidate,
        ttl: Duration,
        clock: Option<ClockDomain>,
    ) -> Self {
        Ledger {
            directory,
            candidate,
            ttl,
            clock,
            sightings: Sightings::default(),
            reached: 0,
        }
    }

    pub(super) fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Takes a place at the end of the queue; once, however often it is asked to.
    pub(super) fn join(&mut self, lease: LeaseId, ticket: &Ticket) -> Outcome<Token> {
        let (candidate, clock) = (self.candidate.clone(), self.clock.clone());
        let ttl = self.ttl;
        self.change(ticket, move |state, now| {
            if let Some(entry) = state.entry(lease) {
                return entry.token;
            }
            let token = state.revision;
            state.entries.push(Entry {
                lease: lease.0,
                token,
                id: candidate.id.clone(),
                advertise: candidate.advertise.clone(),
                ttl_ns: (Time::ORIGIN + ttl).as_nanos(),
                expires_at_ns: (now + ttl).as_nanos(),
                clock: clock.as_ref().map(|clock| clock.as_str().to_owned()),
                renewed: token,
            });
            token
        })
    }

    /// Renews a lease; says whether it was there.
    pub(super) fn keep_alive(&mut self, lease: LeaseId, ticket: &Ticket) -> Outcome<bool> {
        self.change(ticket, |state, now| {
            let revision = state.revision;
            let Some(entry) = state.entry_mut(lease) else {
                return false;
            };
            entry.expires_at_ns = (now + entry.ttl()).as_nanos();
            entry.renewed = revision;
            true
        })
    }

    /// Finds a place. Where it is the first, those that expired before it have been removed in writing.
    pub(super) fn verify(&mut self, lease: LeaseId, ticket: &Ticket) -> Outcome<Standing> {
        self.change(ticket, |state, _| match state.entry(lease) {
            None => Standing::Gone,
            Some(place) if state.is_first(lease) => Standing::First(place.token),
            Some(_) => Standing::Behind,
        })
    }

    /// Gives up a place, if it is there.
    pub(super) fn release(
        &mut self,
        lease: LeaseId,
        in_order: bool,
        ticket: &Ticket,
    ) -> Outcome<()> {
        self.change(ticket, |state, _| {
            if state.is_first(lease) {
                state.handed_over = in_order;
            }
            state.entries.retain(|entry| entry.lease != lease.0);
        })
    }

    /// Looks, and removes what has expired.
    pub(super) fn look(&mut self, ticket: &Ticket) -> Outcome<()> {
        self.change(ticket, |_, _| {})
    }

    /// Applies `edit` to the state without what has expired, until nobody else has changed it in between.
    ///
    /// `edit` is given the state at its next revision, and the time. What it changes nothing of is not written.
    fn change<T>(&mut self, ticket: &Ticket, edit: impl Fn(&mut State, Time) -> T) -> Outcome<T> {
        while !ticket.is_cancelled() {
            let found = self.read()?;
            // After reading, see `Sightings`; and before writing: a lease is good from then at the earliest.
            let now = clock::now();
            self.sightings.take_in(&found.state, now);
            let mut next = State {
                revision: next_revision(&found, &self.directory)?,
                ..found.state.clone()
            };
            next.entries.retain(|entry| now < self.expiry(entry, now));
            let first = |state: &State| state.entries.first().map(|entry| entry.lease);
            if first(&next) != first(&found.state) {
                next.handed_over = false;
            }
            let answer = edit(&mut next, now);
            if next.entries == found.state.entries {
                return Ok(Some((answer, self.sight(&found.state, now))));
            }
            if self.replace(&found, &next, ticket)? {
                return Ok(Some((answer, self.sight(&next, now))));
            }
        }
        Ok(None)
    }

    fn read(&mut self) -> Result<Found, FileStoreError> {
        loop {
            let found = self.directory.read()?;
            let revision = found.as_ref().map_or(0, |found| found.head.revision);
            if revision < self.reached {
                return Err(FileStoreError::WentBack {
                    path: self.directory.path().to_owned(),
                    seen: self.reached,
                    found: revision,
                });
            }
            self.reached = revision;
            match found {
                Some(found) => return Ok(found),
                None => self.directory.create()?,
            }
        }
    }

    /// Puts `next` in the place of what was found, unless somebody else has, or nobody waits for it any more.
    pub(super) fn replace(
        &mut self,
        found: &Found,
        next: &State,
        ticket: &Ticket,
    ) -> Result<bool, FileStoreError> {
        let prepared = self.directory.prepare(next)?;
        if ticket.is_cancelled() {
            self.directory.discard(prepared);
            return Ok(false);
        }
        let counts = self.directory.commit(found, prepared)?;
        if counts {
            self.reached = next.revision;
            self.directory.tidy(found, next.revision);
        }
        Ok(counts)
    }

    fn expiry(&self, entry: &Entry, now: Time) -> Time {
        self.sightings.expiry(entry, self.clock.as_ref(), now)
    }

    fn sight(&mut self, state: &State, now: Time) -> Sight {
        self.sightings.take_in(state, now);
        let expiries = state.entries.iter().map(|entry| self.expiry(entry, now));
        Sight {
            next_expiry: expiries.min(),
            queue: state.queue(),
        }
    }
}

fn next_revision(found: &Found, directory: &Directory) -> Result<u64, FileStoreError> {
    found.head.revision.checked_add(1).ok_or_else(|| {
        FileStoreError::corrupt(
            directory.path(),
            "its revision is the greatest there can be",
        )
    })
}
