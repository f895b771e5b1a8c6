//! The queue of an election, as an adapter last saw it.

use crate::election::{Candidate, Holder, LeaseId, Observation, Token};
use std::collections::BTreeMap;

/// A candidate's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What it hangs on.
    pub lease: LeaseId,
    /// What the candidate says of itself.
    pub candidate: Candidate,
    /// Whether the candidate said that it is giving the place up in order.
    pub leaving: bool,
}

/// The places by token: the first leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// The revision of the store at which it was so.
    pub revision: u64,
    /// Its places.
    pub places: BTreeMap<Token, Place>,
    /// Whether the place that was the first before is known to have been given up in order.
    pub handed_over: bool,
}

impl Queue {
    /// What the candidate with this lease, if it has one, needs to know.
    pub fn observation(&self, own: Option<LeaseId>) -> Observation {
        let holder = self.places.first_key_value().map(|(token, place)| Holder {
            lease: place.lease,
            token: *token,
            id: place.candidate.id.clone(),
            advertise: place.candidate.advertise.clone(),
        });
        Observation {
            revision: self.revision,
            holder,
            present: own.is_some_and(|own| self.contains(own)),
            contested: self.places.values().any(|place| Some(place.lease) != own),
            handed_over: self.handed_over,
        }
    }

    /// Takes a place out, and keeps in mind how the first of them ended.
    pub fn remove(&mut self, token: Token) {
        let was_first = self
            .places
            .first_key_value()
            .is_some_and(|(first, _)| *first == token);
        if let Some(place) = self.places.remove(&token)
            && was_first
        {
            self.handed_over = place.leaving;
        }
    }

    /// Whether a place hangs on this lease.
    pub fn contains(&self, lease: LeaseId) -> bool {
        self.places.values().any(|place| place.lease == lease)
    }

    /// Whether another candidate goes by the same id. Harmless to the election, confusing to people.
    fn has_namesake(&self, own: LeaseId, id: &str) -> bool {
        self.places
            .values()
            .any(|place| place.lease != own && place.candidate.id == id)
    }
}

/// Warns of candidates with one id.
#[derive(Debug, Default)]
pub struct Namesakes {
    warned: bool,
}

impl Namesakes {
    /// Warns once when it begins. `own` and `id` are this candidate's.
    pub fn warn_of(&mut self, queue: &Queue, own: Option<LeaseId>, id: &str) {
        let has_namesake =
            own.is_some_and(|own| queue.contains(own) && queue.has_namesake(own, id));
        if has_namesake && !self.warned {
            tracing::warn!(
                id,
                "another place in the election has this candidate's id; give each candidate an id of its own, \
                 unless it is what this one held before a restart"
            );
        }
        self.warned = has_namesake;
    }
}
