//! From a snapshot and the time to an answer: pure functions.

use super::Snapshot;
use crate::election::{Candidate, Claim, Hold, Role, RoleName, Time};
use serde::Serialize;
use std::time::{Duration, SystemTime};

/// An election as JSON says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Its name.
    pub election: String,
    /// This candidate's id.
    pub id: String,
    /// One of the five states.
    pub state: &'static str,
    /// Whether this candidate led at the moment of answering.
    pub is_leader: bool,
    /// Whether a renewal is overdue.
    pub at_risk: bool,
    /// Null where this candidate does not lead.
    pub fencing_token: Option<u64>,
    /// What a transaction in etcd compares; null where this candidate does not lead, or the store isn't etcd.
    pub guard: Option<Guard>,
    /// For how long the application may act; null where nothing is promised.
    pub valid_for_ms: Option<u64>,
    /// What is left of the lease, for people to look at; only where a promise was declined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_valid_ms: Option<u64>,
    /// When the state began.
    pub since: String,
    /// Null where unknown.
    pub leader: Option<Leader>,
    /// Changes of state so far.
    pub transitions: u64,
    /// What keeps this candidate from campaigning: `paused`, `unhealthy`, or null.
    pub held_back: Option<&'static str>,
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leader {
    /// Its id.
    pub id: String,
    /// Where its application is reached.
    pub advertise: Option<String>,
}

/// The key that is there, as it is, for as long as this candidate's place is: where a transaction finds it with this
/// create revision, nobody else has led yet at the moment of committing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Guard {
    /// The candidate's key.
    pub key: String,
    /// The fencing token, by etcd's name for it.
    pub create_revision: u64,
    /// The lease that the key hangs on, in lower-case hex, as in the key and as etcdctl has it.
    pub lease: String,
}

/// The claim in a snapshot, if it is valid at `now`.
pub fn valid_claim(snapshot: &Snapshot, now: Time) -> Option<Claim> {
    match snapshot.view.role {
        Role::Leader(claim) if claim.is_valid(now) => Some(claim),
        _ => None,
    }
}

/// What is to be answered at `now`. A promise, if one was given, ends at `promised`. The keys of candidates begin with
/// `key_prefix`, where the store is etcd.
pub(super) fn answer(
    election: &str,
    candidate: &Candidate,
    key_prefix: Option<&str>,
    snapshot: &Snapshot,
    now: Time,
    promised: Option<Time>,
) -> Answer {
    let claim = valid_claim(snapshot, now);
    Answer {
        election: election.to_owned(),
        id: candidate.id.clone(),
        state: state(snapshot, now).as_str(),
        is_leader: claim.is_some(),
        at_risk: claim.is_some_and(|claim| claim.overdue_from <= now),
        fencing_token: claim.map(|claim| claim.token),
        guard: claim.zip(key_prefix).map(guard),
        valid_for_ms: claim
            .and(promised)
            .map(|until| until.since(now).as_millis() as u64),
        lease_valid_ms: None,
        since: rfc3339(snapshot.since),
        leader: leader(candidate, snapshot, now),
        transitions: snapshot.transitions,
        held_back: snapshot.view.held_back.map(Hold::as_str),
    }
}

fn guard((claim, key_prefix): (Claim, &str)) -> Guard {
    let lease = claim.lease.to_string();
    Guard {
        key: format!("{key_prefix}{lease}"),
        create_revision: claim.token,
        lease,
    }
}

/// The state at `now`: a claim that has run out is being stepped down from, whether or not its driver
/// has got round to saying so.
pub fn state(snapshot: &Snapshot, now: Time) -> RoleName {
    match snapshot.view.role {
        Role::Leader(claim) if !claim.is_valid(now) => RoleName::SteppingDown,
        role => role.name(),
    }
}

/// Who leads at `now`, as far as is known here.
pub fn leader(candidate: &Candidate, snapshot: &Snapshot, now: Time) -> Option<Leader> {
    if valid_claim(snapshot, now).is_some() {
        return Some(Leader {
            id: candidate.id.clone(),
            advertise: candidate.advertise.clone(),
        });
    }
    let holder = snapshot.view.holder.as_ref()?;
    Some(Leader {
        id: holder.id.clone(),
        advertise: holder.advertise.clone(),
    })
}

/// How long the claim in a snapshot is still valid at `now`.
pub fn validity(snapshot: &Snapshot, now: Time) -> Duration {
    valid_claim(snapshot, now).map_or(Duration::ZERO, |claim| claim.valid_until.since(now))
}

/// A date in RFC 3339, UTC, with milliseconds.
pub fn rfc3339(date: SystemTime) -> String {
    humantime::format_rfc3339_millis(date).to_string()
}
