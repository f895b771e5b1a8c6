//! `POST /resign`, `/pause` and `/resume`: the calls that change something.

use super::body::Body;
use super::liveness::PATIENCE;
use super::query::Query;
use super::respond::{Refusal, json};
use super::server::Peer;
use crate::clock;
use crate::election::{RoleName, Time};
use crate::status::{Command, ElectionHandle, rfc3339, state};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde::Serialize;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// A body is of no use here, and is read only to keep the connection.
const BODY_BYTES: usize = 64 * 1024;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Resign,
    Pause,
    Resume,
}

/// What will happen, and by when.
#[derive(Serialize)]
struct Accepted<'a> {
    election: &'a str,
    released_in_ms: u64,
    released_at: String,
    #[serde(flatten)]
    then: Then,
}

/// And after that.
#[derive(Serialize)]
#[serde(untagged)]
enum Then {
    Cooldown {
        /// Null where a step-down was under way already: that keeps its own.
        cooldown_ms: Option<u64>,
    },
    Paused {
        paused: bool,
    },
}

/// Does it in the election that the request names.
pub(super) async fn answer(
    call: Call,
    parts: &Parts,
    body: Incoming,
    peer: &Peer,
) -> Result<Response<Body>, Refusal> {
    let query = Query::parse(parts.uri.query())?;
    query.refuse_unknown()?;
    let handle = query.pick(&peer.context.board.elections)?;
    let (cooldown, stopped) = (query.cooldown()?, query.stopped()?);
    if !body.is_end_stream() {
        drain(body, peer).await?;
    }
    match call {
        Call::Resign => resign(handle, cooldown, stopped).await,
        Call::Pause => pause(handle).await,
        Call::Resume => resume(handle).await,
    }
}

async fn resign(
    handle: &ElectionHandle,
    cooldown: Duration,
    stopped: bool,
) -> Result<Response<Body>, Refusal> {
    let led = state(&handle.status.snapshot(), clock::now()) == RoleName::Leader;
    let (reply, answer) = oneshot::channel();
    let command = Command::Resign {
        cooldown,
        stopped,
        reply,
    };
    let Some(released_at) = ask(handle, command, answer).await? else {
        let error = format!("not leader of {}: nothing to resign", handle.status.name());
        return Err(Refusal::new(StatusCode::CONFLICT, error));
    };
    let cooldown_ms = led.then_some(cooldown.as_millis() as u64);
    Ok(accepted(
        handle,
        released_at,
        Then::Cooldown { cooldown_ms },
    ))
}

/// Where it does not lead, there is nothing to wait for.
async fn pause(handle: &ElectionHandle) -> Result<Response<Body>, Refusal> {
    let (reply, answer) = oneshot::channel();
    let released_at = ask(handle, Command::Pause { reply }, answer).await?;
    let released_at = released_at.unwrap_or_else(clock::now);
    Ok(accepted(handle, released_at, Then::Paused { paused: true }))
}

async fn resume(handle: &ElectionHandle) -> Result<Response<Body>, Refusal> {
    #[derive(Serialize)]
    struct Resumed<'a> {
        election: &'a str,
        paused: bool,
    }
    let (reply, answer) = oneshot::channel();
    ask(handle, Command::Resume { reply }, answer).await?;
    let resumed = Resumed {
        election: handle.status.name(),
        paused: false,
    };
    Ok(json(StatusCode::OK, &resumed))
}

fn accepted(handle: &ElectionHandle, released_at: Time, then: Then) -> Response<Body> {
    let wait = released_at.since(clock::now());
    let accepted = Accepted {
        election: handle.status.name(),
        released_in_ms: wait.as_millis() as u64,
        released_at: rfc3339(clock::date() + wait),
        then,
    };
    json(StatusCode::ACCEPTED, &accepted)
}

/// The driver's reply to a command; none where there is no driver any more.
async fn ask<T: Default>(
    handle: &ElectionHandle,
    command: Command,
    reply: oneshot::Receiver<T>,
) -> Result<T, Refusal> {
    let exchange = async {
        handle.commands.send(command).await.ok()?;
        reply.await.ok()
    };
    let answered = timeout(PATIENCE, exchange).await;
    answered.map(Option::unwrap_or_default).map_err(|_| {
        Refusal::unavailable(format!(
            "the election loop does not turn over: {}; once it does, it may still happen",
            handle.status.name()
        ))
    })
}

async fn drain(body: Incoming, peer: &Peer) -> Result<(), Refusal> {
    let collected = timeout(peer.limits.body, Limited::new(body, BODY_BYTES).collect()).await;
    match collected {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(err)) if err.is::<LengthLimitError>() => Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is longer than 64 KiB; none is needed",
        )),
        Ok(Err(_)) => Err(Refusal::bad_request("the body can't be read")),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "the body takes too long; none is needed",
        )),
    }
}
