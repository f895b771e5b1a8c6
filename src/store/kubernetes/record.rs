//! A Lease object: what it says of an election, and what is written into it.
//!
//! The fields of `spec` are filled in as client-go does, whose candidates read nothing else. What only candidates like
//! this one understand is in annotations. Others leave them behind as they found them, so each says of which holder, or
//! of which moment, it speaks, and counts for no other.

use super::error::Failure;
use crate::election::{Candidate, Holder, LeaseId, Token};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime};

/// Whom the other annotations but the token speak of.
const HOLDER: &str = "tenure.dev/holder";
/// Of the last leadership; the next one's is greater.
const TOKEN: &str = "tenure.dev/fencing-token";
/// Where the holder's application is reached.
const ADVERTISE: &str = "tenure.dev/advertise";
/// The renewTime with which a holder gave the Lease up in order.
const HANDED_OVER: &str = "tenure.dev/handed-over";

/// A Lease as it was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    lease: Lease,
    version: u64,
}

/// Who writes.
#[derive(Clone, Debug)]
pub(super) struct Author {
    pub(super) candidate: Candidate,
    /// In whole seconds.
    pub(super) ttl: Duration,
}

impl Author {
    /// What is written as the holder: nobody else's, whatever the ids are.
    pub(super) fn identity(&self, lease: LeaseId) -> String {
        format!("{}_{lease}", self.candidate.id)
    }
}

/// The Lease of an election that nobody has held.
pub(super) fn unheld(name: &str) -> Lease {
    let mut lease = Lease::default();
    lease.metadata.name = Some(name.to_owned());
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(String::new()),
        ..LeaseSpec::default()
    });
    lease
}

impl Record {
    pub(super) fn read(lease: Lease) -> Result<Record, Failure> {
        let version = lease.metadata.resource_version.as_deref().unwrap_or("");
        let version = version.parse().map_err(|_| {
            Failure::Refused(format!(
                "the Lease's resourceVersion {version:?} is no number, so no fencing token can be made of it; use an API \
                 server whose are"
            ))
        })?;
        Ok(Record { lease, version })
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Whose it is, unless it was given up.
    pub(super) fn identity(&self) -> Option<&str> {
        let identity = self.spec()?.holder_identity.as_deref();
        identity.filter(|identity| !identity.is_empty())
    }

    pub(super) fn names(&self, identity: &str) -> bool {
        self.identity() == Some(identity)
    }

    /// How long the holder counts on it.
    pub(super) fn duration(&self) -> Option<Duration> {
        let seconds = self.spec()?.lease_duration_seconds?;
        u64::try_from(seconds).ok().map(Duration::from_secs)
    }

    /// Whether nobody has renewed or acquired it since: what else is in it, anybody may have changed.
    pub(super) fn is_unchanged_since(&self, former: &Record) -> bool {
        self.is_the_object(former) && self.lease.spec == former.lease.spec
    }

    /// Whether its holder has renewed it since; or somebody else has made it look so.
    pub(super) fn is_renewed_since(&self, former: &Record) -> bool {
        let renewed = |record: &Record| record.spec()?.renew_time.clone();
        renewed(self) != renewed(former)
    }

    /// Whether the former's holder need not be waited for: it has given the Lease up, or a candidate like this has held it
    /// since, who has waited. Not where it was deleted and made anew or an old one was restored, nor where others took it: who
    /// knows what they went by.
    pub(super) fn succeeds(&self, former: &Record) -> bool {
        let is_the_leadership = self.noted_token() == former.noted_token()
            && self.transitions() == former.transitions();
        let by_its_holder = is_the_leadership
            && self.was_given_up()
            && (self.is_annotated() || !former.is_annotated());
        let by_one_like_this = self.noted_token() > former.noted_token() && self.is_annotated();
        self.is_the_object(former) && !self.was_taken_out() && (by_its_holder || by_one_like_this)
    }

    /// Whether somebody has only taken the holder out.
    pub(super) fn was_taken_out(&self) -> bool {
        let Some(spec) = self.spec().filter(|_| self.identity().is_none()) else {
            return false;
        };
        let has_times = spec.acquire_time.is_some() || spec.renew_time.is_some();
        (has_times || self.transitions() > 0) && !self.was_given_up()
    }

    /// Whoever gives it up acquires it for nobody, for a second, as client-go does it.
    fn was_given_up(&self) -> bool {
        let Some(spec) = self.spec().filter(|_| self.identity().is_none()) else {
            return false;
        };
        let is_for_a_second = spec.lease_duration_seconds == Some(1);
        is_for_a_second && spec.renew_time.is_some() && spec.acquire_time == spec.renew_time
    }

    /// Whether it was not deleted and made anew since.
    fn is_the_object(&self, former: &Record) -> bool {
        self.lease.metadata.uid == former.lease.metadata.uid
    }

    /// The holder, as others see it. One that is no candidate like this has no token that is known.
    pub(super) fn holder(&self) -> Option<Holder> {
        let identity = self.identity()?;
        let own = identity.rsplit_once('_').filter(|_| self.is_annotated());
        let own = own.and_then(|(id, lease)| {
            let lease = u64::from_str_radix(lease, 16).ok()?;
            Some((id, LeaseId(lease)))
        });
        Some(match own {
            Some((id, lease)) => Holder {
                lease,
                token: self.noted_token(),
                id: id.to_owned(),
                advertise: self.annotation(ADVERTISE).map(str::to_owned),
            },
            None => Holder {
                lease: foreign(identity),
                token: 0,
                id: identity.to_owned(),
                advertise: None,
            },
        })
    }

    /// The token of the last leadership that had one.
    pub(super) fn noted_token(&self) -> Token {
        let noted = self.annotation(TOKEN).and_then(|token| token.parse().ok());
        // After the greatest of all there would be none.
        noted.filter(|token| *token < Token::MAX / 2).unwrap_or(0)
    }

    /// Whether whoever held it last gave it up in order.
    pub(super) fn was_handed_over(&self) -> bool {
        let renewed = self.spec().and_then(|spec| spec.renew_time.as_ref());
        let noted = self.annotation(HANDED_OVER);
        let noted = noted.and_then(|time| time.parse::<Timestamp>().ok());
        self.identity().is_none() && noted.is_some() && noted == renewed.map(|time| time.0)
    }

    /// Whether the cluster's control plane says who leads, and doesn't say that it is this one.
    pub(super) fn is_assigned_to_another(&self, identity: &str) -> bool {
        let Some(spec) = self.spec() else {
            return false;
        };
        let is_set = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        is_set(&spec.strategy) && !self.names(identity) || self.is_wanted_by_another(identity)
    }

    /// Whether the holder is to make way for another.
    pub(super) fn is_wanted_by_another(&self, identity: &str) -> bool {
        let preferred = self
            .spec()
            .and_then(|spec| spec.preferred_holder.as_deref());
        preferred.is_some_and(|preferred| !preferred.is_empty() && preferred != identity)
    }

    /// The update by which it is acquired, and the token that it brings: greater than those before it, and than `greatest`,
    /// which this candidate knows of.
    pub(super) fn acquired(
        &self,
        by: &Author,
        own: LeaseId,
        greatest: Token,
        date: SystemTime,
    ) -> (Lease, Token) {
        let known = self.noted_token().max(greatest);
        let token = self.version.max(known.saturating_add(1));
        let identity = by.identity(own);
        let lease = self.written(date, |lease, spec, now| {
            spec.holder_identity = Some(identity.clone());
            spec.lease_duration_seconds = Some(whole_seconds(by.ttl));
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
            spec.acquire_time = Some(MicroTime(now));
            annotate(lease, HOLDER, Some(identity));
            annotate(lease, TOKEN, Some(token.to_string()));
            annotate(lease, ADVERTISE, by.candidate.advertise.clone());
            annotate(lease, HANDED_OVER, None);
        });
        (lease, token)
    }

    /// The update by which its holder renews it.
    pub(super) fn renewed(&self, by: &Author, date: SystemTime) -> Lease {
        self.written(date, |_, spec, _| {
            spec.lease_duration_seconds = Some(whole_seconds(by.ttl));
        })
    }

    /// The update by which it is given up, as client-go does it.
    pub(super) fn released(&self, in_order: bool, date: SystemTime) -> Lease {
        self.written(date, |lease, spec, now| {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            spec.acquire_time = Some(MicroTime(now));
            annotate(lease, HOLDER, None);
            annotate(lease, ADVERTISE, None);
            annotate(lease, HANDED_OVER, in_order.then(|| now.to_string()));
        })
    }

    /// Conditional on this version, and with another renewTime: that is what others see that it has changed by.
    fn written(
        &self,
        date: SystemTime,
        write: impl FnOnce(&mut Lease, &mut LeaseSpec, Timestamp),
    ) -> Lease {
        let mut lease = self.lease.clone();
        let mut spec = lease.spec.take().unwrap_or_default();
        let former = spec.renew_time.as_ref().map(|time| time.0.as_microsecond());
        let now = date
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        let now = if former == Some(now) { now + 1 } else { now };
        let now = Timestamp::from_microsecond(now).unwrap_or(Timestamp::MAX);
        spec.renew_time = Some(MicroTime(now));
        write(&mut lease, &mut spec, now);
        lease.spec = Some(spec);
        lease
    }

    fn spec(&self) -> Option<&LeaseSpec> {
        self.lease.spec.as_ref()
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        let annotations = self.lease.metadata.annotations.as_ref()?;
        annotations.get(name).map(String::as_str)
    }

    /// How often it has had another holder.
    fn transitions(&self) -> i32 {
        let transitions = self.spec().and_then(|spec| spec.lease_transitions);
        transitions.unwrap_or(0)
    }

    /// Whether the annotations speak of the holder that it has, or of none where it has none.
    fn is_annotated(&self) -> bool {
        self.annotation(HOLDER) == self.identity()
    }
}

fn annotate(lease: &mut Lease, name: &str, value: Option<String>) {
    let annotations = lease.metadata.annotations.get_or_insert_default();
    match value {
        Some(value) => annotations.insert(name.to_owned(), value),
        None => annotations.remove(name),
    };
}

/// A name for the lease of one who has none: never that of a candidate like this, which is positive as a signed number.
fn foreign(identity: &str) -> LeaseId {
    let mut hasher = DefaultHasher::new();
    identity.hash(&mut hasher);
    LeaseId(hasher.finish() | 1 << 63)
}

fn whole_seconds(ttl: Duration) -> i32 {
    i32::try_from(ttl.as_secs()).unwrap_or(i32::MAX)
}

#[cfg(test)]
#[path = "record/tests.rs"]
mod tests;
