//! `GET /fence`: whether a fencing token is the one under which this candidate leads, at this moment.
//!
//! For those who are about to act on another's behalf, and were sent the token. It promises nothing: it may be over
//! when the answer arrives.

use super::Context;
use super::body::Body;
use super::query::Query;
use super::respond::{Refusal, json};
use crate::election::{Time, Token};
use crate::status::{Fence, fence};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde::Serialize;

#[derive(Serialize)]
struct Answer<'a> {
    election: &'a str,
    token: Token,
    valid: bool,
    /// The newest that is known of; null where none is.
    newest_token: Option<Token>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

/// What can be said of the token that the request names.
pub(super) fn answer(
    parts: &Parts,
    context: &Context,
    now: Time,
) -> Result<Response<Body>, Refusal> {
    let query = Query::parse(parts.uri.query())?;
    let election = &query.pick(&context.board.elections)?.status;
    let token = query.token()?;
    let snapshot = election.snapshot();
    let fence = fence(&snapshot, now, token);
    let (status, error) = verdict(fence);
    let answer = Answer {
        election: election.name(),
        token,
        valid: fence == Fence::Valid,
        newest_token: snapshot.newest_token,
        error,
    };
    Ok(json(status, &answer))
}

fn verdict(fence: Fence) -> (StatusCode, Option<&'static str>) {
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    match fence {
        Fence::Valid => (StatusCode::OK, None),
        Fence::Outdated => (
            StatusCode::CONFLICT,
            Some("a newer token is known; whoever has this one must not act on it"),
        ),
        Fence::Former => (
            unavailable,
            Some("this candidate does not lead under it any more; who leads now is not known here"),
        ),
        Fence::Anothers => (
            unavailable,
            Some(
                "another candidate led under it when last heard of; only its own sidecar can vouch for it",
            ),
        ),
        Fence::Unknown => (
            unavailable,
            Some(
                "it is newer than any that is known here; ask the sidecar of the candidate that leads under it",
            ),
        ),
    }
}
