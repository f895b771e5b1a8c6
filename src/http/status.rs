//! `/status`: everything, or all of one election.

use super::Context;
use super::body::Body;
use super::query::Query;
use super::respond::{Refusal, json};
use super::validity::Validity;
use crate::election::{Time, Timing};
use crate::status::{Answer, Past};
use hyper::{Response, StatusCode};
use serde::Serialize;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[derive(Serialize)]
struct Status<'a> {
    version: &'a str,
    id: &'a str,
    store: Store<'a>,
    lease: Lease,
    elections: Vec<Answer>,
    /// Of one election: of all of them it would be long.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<Past>>,
}

#[derive(Serialize)]
struct Store<'a> {
    kind: &'a str,
    connected: bool,
}

/// The time budget.
#[derive(Serialize)]
struct Lease {
    ttl_ms: u64,
    renew_deadline_ms: u64,
    retry_period_ms: u64,
    drift_margin_ms: u64,
}

/// The status of the election that is named, or of all.
pub(super) fn answer(
    context: &Context,
    query: &Query<'_>,
    validity: Validity,
    now: Time,
) -> Result<Response<Body>, Refusal> {
    let board = &context.board;
    let picked = query.pick_or_all(&board.elections)?;
    let answers = picked
        .iter()
        .map(|handle| validity.answer(&handle.status, now));
    let history = match picked {
        [only] => Some(only.status.history()),
        _ => None,
    };
    let status = Status {
        version: context.version,
        id: &board.candidate.id,
        store: Store {
            kind: board.store,
            connected: board.connected.load(Ordering::Relaxed),
        },
        lease: Lease::of(&board.timing),
        elections: answers.collect(),
        history,
    };
    Ok(json(StatusCode::OK, &status))
}

impl Lease {
    fn of(timing: &Timing) -> Self {
        let ms = |duration: Duration| duration.as_millis() as u64;
        Lease {
            ttl_ms: ms(timing.ttl()),
            renew_deadline_ms: ms(timing.renew_deadline()),
            retry_period_ms: ms(timing.retry_period()),
            drift_margin_ms: ms(timing.drift_margin()),
        }
    }
}
