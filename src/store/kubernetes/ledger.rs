//! What is known of an election's Lease, and of the own place in it: decided from answers and the time.
//!
//! Every answer is taken in here, whoever asked. `now` is when it arrived, by this host's clock; nobody else's is
//! looked at.

use super::record::{Author, Record};
use crate::election::{Holder, LeaseId, Observation, Standing, Time, Token};
use k8s_openapi::api::coordination::v1::Lease;
use std::time::{Duration, SystemTime};

/// What is known.
#[derive(Debug)]
pub(super) struct Ledger {
    author: Author,
    seen: Option<Seen>,
    own: Option<Own>,
    /// The greatest token that was ever seen here.
    greatest: Token,
}

/// The Lease as it was last seen.
#[derive(Debug)]
struct Seen {
    /// None where there is no such object.
    record: Option<Record>,
    /// Of the record, or of the last one that there was.
    version: u64,
    arrived: Time,
    /// Since when nobody is known to have renewed it.
    unchanged_since: Time,
    durations: Durations,
    /// A holder that did not give it up, but that it doesn't name any more, may count on it until then.
    ousted_until: Time,
}

/// The durations that were in the last renewals seen of one holder, the latest first.
///
/// What somebody else writes there is not what the holder counts on. It may be seen together with a renewal, but hardly
/// with three in a row.
#[derive(Clone, Copy, Debug)]
struct Durations([Duration; 3]);

/// The own place.
#[derive(Debug)]
struct Own {
    id: LeaseId,
    identity: String,
    written: Option<Written>,
    /// An acquisition whose answer has not come.
    attempted: Option<Attempt>,
}

/// The place is in the Lease, as far as is known.
#[derive(Clone, Copy, Debug)]
struct Written {
    token: Token,
    /// When the last update was sent that is known to have renewed it.
    sent_at: Time,
    /// Whether whoever held it before gave it up in order.
    handed_over: bool,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    /// When the first that may have succeeded was sent.
    sent_at: Time,
    /// The last version that one was conditional on: once another is seen, none can succeed any more.
    version: u64,
    /// That the last would bring: greater than those of the ones before.
    token: Token,
}

/// How a place is to be made the first.
#[derive(Debug)]
pub(super) enum Claim {
    /// There is nothing to do.
    Stands(Standing),
    /// Make this update; it brings that token.
    Write(Box<Lease>, Token),
}

/// How a place is kept.
#[derive(Debug)]
pub(super) enum Renewal {
    Gone,
    /// It is not written, so there is nothing to renew; the last of what may have been counts from then.
    Unwritten {
        not_after: Option<Time>,
    },
    Write(Box<Lease>),
}

impl Durations {
    /// Another renewal has this one.
    fn then(self, next: Duration) -> Durations {
        let Durations([last, before, _]) = self;
        Durations([next, last, before])
    }

    fn longest(self) -> Duration {
        self.0.into_iter().fold(Duration::ZERO, Duration::max)
    }
}

impl Ledger {
    pub(super) fn new(author: Author) -> Self {
        Ledger {
            author,
            seen: None,
            own: None,
            greatest: 0,
        }
    }

    pub(super) fn ttl(&self) -> Duration {
        self.author.ttl
    }

    /// Begins a place that is not written yet.
    pub(super) fn join(&mut self, id: LeaseId) {
        self.own = Some(Own {
            id,
            identity: self.author.identity(id),
            written: None,
            attempted: None,
        });
    }

    /// Takes in an answer to what was asked then: the Lease, or that there is none.
    pub(super) fn answered(&mut self, record: Option<Record>, asked_at: Time, now: Time) {
        let version = record.as_ref().map(Record::version);
        self.take_in(record, version, asked_at, now);
    }

    /// Takes in what a watch tells.
    pub(super) fn told(&mut self, record: Record, now: Time) {
        let version = record.version();
        self.take_in(Some(record), Some(version), Time::ORIGIN, now);
    }

    /// A watch tells that it was deleted, when it was like this.
    pub(super) fn told_of_deletion(&mut self, last: &Record, now: Time) {
        self.take_in(None, Some(last.version()), Time::ORIGIN, now);
    }

    /// An older one than is known is passed over: reads are linearizable, so one that
    /// was asked for after the last answer had come is newer, whatever its version.
    fn take_in(&mut self, record: Option<Record>, version: Option<u64>, asked_at: Time, now: Time) {
        // Never less than a candidate like this would count on: what somebody else has written there instead must not cost a
        // leader its time.
        let duration = record.as_ref().and_then(Record::duration);
        let duration = duration.unwrap_or_default().max(self.author.ttl);
        let mut next = Seen {
            version: version.unwrap_or(0),
            record,
            arrived: now,
            unchanged_since: now,
            durations: Durations([duration; 3]),
            ousted_until: Time::ORIGIN,
        };
        let mut was_set_back = false;
        if let Some(seen) = &self.seen {
            let is_newer = match version {
                Some(version) => version >= seen.version || asked_at > seen.arrived,
                None => asked_at > seen.arrived,
            };
            if !is_newer {
                return;
            }
            // As by the restore of an old backup.
            was_set_back = version.is_some_and(|version| version < seen.version);
            next.version = version.unwrap_or(seen.version);
            next.ousted_until = seen.ousted_until;
            if let (Some(former), Some(record)) = (&seen.record, &next.record) {
                if record.is_unchanged_since(former) {
                    next.unchanged_since = seen.unchanged_since;
                }
                if record.identity() == former.identity() {
                    next.durations = match record.is_renewed_since(former) {
                        true => seen.durations.then(duration),
                        false => seen.durations,
                    };
                }
            }
        }
        if self.ousts(next.record.as_ref(), was_set_back) {
            let former = self.seen.as_ref().map(|seen| seen.durations.longest());
            // It may have been renewed until now.
            let until = now + next.durations.longest().max(former.unwrap_or_default());
            next.ousted_until = next.ousted_until.max(until);
        }
        let noted = next.record.as_ref().map_or(0, Record::noted_token);
        self.greatest = self.greatest.max(noted);
        self.recognize(&next);
        self.seen = Some(next);
    }

    /// Whether somebody who may still count on the Lease isn't named in it any more.
    fn ousts(&self, record: Option<&Record>, was_set_back: bool) -> bool {
        let former = self.record();
        let is_the_holder = |record: &Record| {
            let former = former.and_then(Record::identity);
            former.is_some() && record.identity() == former
        };
        // Whoever came and went since what was restored is known to nobody.
        if was_set_back && !record.is_some_and(is_the_holder) {
            return true;
        }
        match (former.filter(|former| former.identity().is_some()), record) {
            (Some(former), Some(record)) if record.identity() == former.identity() => false,
            (Some(former), Some(record)) => !record.succeeds(former),
            (Some(_), None) => true,
            // Whoever it was came and went unseen.
            (None, Some(record)) => {
                let is_news = former.is_none_or(|former| !record.is_unchanged_since(former));
                is_news && record.was_taken_out()
            }
            (None, None) => false,
        }
    }

    /// Finds out what has become of an acquisition whose answer has not come.
    fn recognize(&mut self, seen: &Seen) {
        let Some(own) = &mut self.own else {
            return;
        };
        let Some(attempt) = own.attempted else {
            return;
        };
        match &seen.record {
            Some(record) if record.names(&own.identity) => {
                own.attempted = None;
                own.written.get_or_insert(Written {
                    token: match record.noted_token() {
                        // Somebody has taken it out.
                        0 => attempt.token,
                        noted => noted,
                    },
                    sent_at: attempt.sent_at,
                    handed_over: false,
                });
            }
            Some(_) if seen.version == attempt.version => {}
            _ => own.attempted = None,
        }
    }

    /// What it takes for the place to be the first.
    pub(super) fn claim(&self, id: LeaseId, now: Time, date: SystemTime) -> Claim {
        let (Some(own), Some(record)) = (self.own_of(id), self.record()) else {
            return Claim::Stands(Standing::Gone);
        };
        if let Some(written) = own.written {
            let stands = self.is_present(now) && !record.is_wanted_by_another(&own.identity);
            return Claim::Stands(if stands {
                Standing::First(written.token)
            } else {
                Standing::Gone
            });
        }
        if !self.is_free(now) {
            return Claim::Stands(Standing::Behind);
        }
        let (lease, token) = record.acquired(&self.author, id, self.greatest, date);
        Claim::Write(Box::new(lease), token)
    }

    /// An acquisition is about to be sent.
    pub(super) fn attempt(&mut self, token: Token, now: Time) {
        let version = self.seen.as_ref().map_or(0, |seen| seen.version);
        if let Some(own) = &mut self.own {
            let sent_at = own.attempted.map_or(now, |attempt| attempt.sent_at);
            own.attempted = Some(Attempt {
                sent_at,
                version,
                token,
            });
        }
    }

    /// The acquisition sent then was answered: the place is written. To be called before its answer is taken in.
    pub(super) fn acquired(&mut self, id: LeaseId, token: Token, sent_at: Time) {
        let handed_over = self.record().is_some_and(Record::was_handed_over);
        if let Some(own) = self.own.as_mut().filter(|own| own.id == id) {
            own.attempted = None;
            let known = own.written.map_or(Time::ORIGIN, |written| written.sent_at);
            own.written = Some(Written {
                token,
                sent_at: known.max(sent_at),
                handed_over,
            });
        }
    }

    /// What it takes to keep the place.
    pub(super) fn renewal(&self, id: LeaseId, now: Time, date: SystemTime) -> Renewal {
        let Some(own) = self.own_of(id) else {
            return Renewal::Gone;
        };
        match (own.written, self.record()) {
            (None, _) => Renewal::Unwritten {
                not_after: own.attempted.map(|attempt| attempt.sent_at),
            },
            (Some(_), Some(record)) if self.is_present(now) => {
                Renewal::Write(Box::new(record.renewed(&self.author, date)))
            }
            (Some(_), _) => Renewal::Gone,
        }
    }

    /// A renewal sent then, or later, was answered.
    pub(super) fn renewed(&mut self, id: LeaseId, sent_at: Time) {
        let own = self.own.as_mut().filter(|own| own.id == id);
        if let Some(written) = own.and_then(|own| own.written.as_mut()) {
            written.sent_at = written.sent_at.max(sent_at);
        }
    }

    /// The update that gives the place up; none where there is nothing to give up any more. Where an acquisition may be on
    /// its way, the update takes away what that is conditional on.
    pub(super) fn release(
        &mut self,
        id: LeaseId,
        in_order: bool,
        date: SystemTime,
    ) -> Option<Lease> {
        let own = self.own_of(id)?;
        match self.record() {
            Some(record) if own.attempted.is_some() || record.names(&own.identity) => {
                Some(record.released(in_order, date))
            }
            _ => {
                self.own = None;
                None
            }
        }
    }

    /// Whether the place is written, and the holder is to make way for another.
    pub(super) fn is_to_hand_over(&self) -> Option<LeaseId> {
        let (own, record) = (self.own.as_ref()?, self.record()?);
        let is_written = own.written.is_some() && record.names(&own.identity);
        (is_written && record.is_wanted_by_another(&own.identity)).then_some(own.id)
    }

    /// Whether the cluster's control plane says who leads, and doesn't say this one.
    pub(super) fn is_assigned(&self) -> bool {
        let identity = self.own.as_ref().map_or("", |own| own.identity.as_str());
        self.record()
            .is_some_and(|record| record.is_assigned_to_another(identity))
    }

    /// What the core needs to know.
    pub(super) fn observation(&self, now: Time) -> Option<Observation> {
        let seen = self.seen.as_ref()?;
        let written = self.own.as_ref().and_then(|own| own.written);
        let present = self.is_present(now);
        let holder = match (&self.own, &seen.record) {
            (Some(own), Some(record)) if record.names(&own.identity) => present.then(|| {
                let token = written.map_or(record.noted_token(), |written| written.token);
                self.own_holder(own, token)
            }),
            (Some(own), Some(_)) if present && self.is_free(now) => Some(self.own_holder(own, 0)),
            (_, Some(record)) if !self.is_expired(now) => record.holder(),
            _ => None,
        };
        let was_handed_over = seen.record.as_ref().is_some_and(Record::was_handed_over);
        Some(Observation {
            revision: seen.version.max(written.map_or(0, |written| written.token)),
            holder,
            present,
            // Nobody knows who waits, so somebody may.
            contested: true,
            handed_over: written.map_or(was_handed_over, |written| written.handed_over),
        })
    }

    /// When the observation changes by the passing of time.
    pub(super) fn next_change(&self, now: Time) -> Option<Time> {
        let seen = self.seen.as_ref()?;
        let own_end = self.own.as_ref().and_then(|own| own.written);
        let own_end = own_end.map(|written| written.sent_at + self.author.ttl);
        let ends = [own_end, self.expiry(), Some(seen.ousted_until)];
        ends.into_iter().flatten().filter(|end| *end > now).min()
    }

    /// Whether the own place is there. One that is not written is, as long as nothing contradicts it.
    fn is_present(&self, now: Time) -> bool {
        let Some(own) = &self.own else {
            return false;
        };
        self.record().is_some_and(|record| match own.written {
            None => true,
            Some(written) => record.names(&own.identity) && now < written.sent_at + self.author.ttl,
        })
    }

    /// Whether it may be acquired: it was given up, or nobody has renewed it for as long as its holder counts on it.
    fn is_free(&self, now: Time) -> bool {
        let (Some(seen), Some(record)) = (&self.seen, self.record()) else {
            return false;
        };
        let is_over = record.identity().is_none() || self.is_expired(now);
        is_over && seen.ousted_until <= now && !self.is_assigned()
    }

    fn is_expired(&self, now: Time) -> bool {
        self.expiry().is_some_and(|expiry| expiry <= now)
    }

    /// When the holder's lease is over, unless somebody renews it.
    fn expiry(&self) -> Option<Time> {
        let seen = self.seen.as_ref()?;
        seen.record.as_ref()?.identity()?;
        Some(seen.unchanged_since + seen.durations.longest())
    }

    fn own_of(&self, id: LeaseId) -> Option<&Own> {
        self.own.as_ref().filter(|own| own.id == id)
    }

    fn own_holder(&self, own: &Own, token: Token) -> Holder {
        let candidate = &self.author.candidate;
        Holder {
            lease: own.id,
            token,
            id: candidate.id.clone(),
            advertise: candidate.advertise.clone(),
        }
    }

    pub(super) fn record(&self) -> Option<&Record> {
        self.seen.as_ref()?.record.as_ref()
    }
}

#[cfg(test)]
#[path = "ledger/tests.rs"]
mod tests;
