//! What an answer says of how long a leadership lasts.

use super::Surface;
use super::query::Query;
use super::respond::Refusal;
use crate::election::Time;
use crate::status::{Answer, ElectionStatus};
use hyper::Method;

/// What an answer says of how long a leadership lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validity {
    /// For how long at least: a promise, which the next hand-over waits for.
    Promised,
    /// What is left of the lease: for those who only look, and so must not keep a hand-over waiting.
    Seen,
    /// Nothing.
    Untold,
}

impl Validity {
    /// What a request asks for, in a place where it may be had.
    pub(super) fn asked(
        surface: Surface,
        method: &Method,
        query: &Query<'_>,
    ) -> Result<Self, Refusal> {
        let may_be_promised = surface == Surface::Api && method == Method::GET;
        Ok(match query.promise()? {
            false => Validity::Seen,
            true if may_be_promised => Validity::Promised,
            true => Validity::Untold,
        })
    }

    /// What is to be said of an election at `now`.
    pub(super) fn answer(self, election: &ElectionStatus, now: Time) -> Answer {
        match self {
            Validity::Promised => election.promise(now),
            Validity::Seen => election.glance(now),
            Validity::Untold => election.answer(now),
        }
    }
}
