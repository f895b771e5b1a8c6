//! From a request to its answer.

use super::body::Body;
use super::control::Call;
use super::events::{self, Hold};
use super::query::Query;
use super::respond::{self, Refusal, full, json};
use super::server::Peer;
use super::validity::Validity;
use super::{Surface, control, fence, page, status};
use crate::clock;
use crate::config::Readiness;
use crate::election::Time;
use crate::status::{Answer, ElectionHandle, valid_claim};
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use std::sync::Arc;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Leader,
    Follower,
    Status,
    Livez,
    Readyz,
    Startupz,
    Root,
    Metrics,
    Fence,
    Events,
    Control(Call),
}

impl Route {
    fn of(path: &str, surface: Surface) -> Option<Route> {
        let route = match path {
            "/leader" => Route::Leader,
            "/follower" => Route::Follower,
            "/status" => Route::Status,
            "/livez" => Route::Livez,
            "/readyz" => Route::Readyz,
            "/startupz" => Route::Startupz,
            "/" => Route::Root,
            "/metrics" => Route::Metrics,
            "/fence" => Route::Fence,
            "/events" => Route::Events,
            "/resign" => Route::Control(Call::Resign),
            "/pause" => Route::Control(Call::Pause),
            "/resume" => Route::Control(Call::Resume),
            _ => return None,
        };
        let read_only = !matches!(route, Route::Events | Route::Control(_));
        (read_only || surface == Surface::Api).then_some(route)
    }

    /// Checks the method.
    fn allow(self, method: &Method) -> Result<(), Refusal> {
        match (self, method) {
            (Route::Control(_), &Method::POST) => Ok(()),
            (Route::Control(_), _) => Err(Refusal::method("POST")),
            (_, &Method::GET | &Method::HEAD) => Ok(()),
            (_, _) => Err(Refusal::method("GET, HEAD")),
        }
    }
}

/// The answer to a request.
pub(super) async fn answer(request: Request<Incoming>, peer: Arc<Peer>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    dispatch(parts, body, &peer)
        .await
        .unwrap_or_else(Refusal::into_response)
}

async fn dispatch(parts: Parts, body: Incoming, peer: &Peer) -> Result<Response<Body>, Refusal> {
    let now = clock::now();
    let busy = peer.activity.busy(now);
    if peer.surface == Surface::Api {
        peer.gate.admit(&parts)?;
    }
    let Some(route) = Route::of(parts.uri.path(), peer.surface) else {
        let error = "no such path here; there are /, /leader, /follower, /status, /livez, /readyz, /startupz, /fence, /metrics, and on http.api also /events, /resign, /pause and /resume";
        return Err(Refusal::new(StatusCode::NOT_FOUND, error));
    };
    route.allow(&parts.method)?;
    let context = &*peer.context;
    let elections = &context.board.elections;
    match route {
        Route::Leader | Route::Follower => {
            let query = Query::parse(parts.uri.query())?;
            let handle = query.pick(elections)?;
            Ok(if route == Route::Leader {
                let validity = Validity::asked(peer.surface, &parts.method, &query)?;
                leads(&validity.answer(&handle.status, now))
            } else {
                follows(&handle.status.answer(now))
            })
        }
        Route::Fence => fence::answer(&parts, context, now),
        Route::Status => {
            let query = Query::parse(parts.uri.query())?;
            let validity = Validity::asked(peer.surface, &parts.method, &query)?;
            status::answer(context, &query, validity, now)
        }
        Route::Livez => context
            .liveness
            .check(elections)
            .await
            .map(|()| ok())
            .map_err(Refusal::unavailable),
        Route::Readyz => ready(context.readiness, elections, now).map(|()| ok()),
        Route::Startupz => started(elections).map(|()| ok()),
        Route::Root => Ok(page::answer(&parts, peer.surface, context, now)),
        Route::Metrics => context.metrics.scrape(now).map_or_else(
            |err| {
                Err(Refusal::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    err.to_string(),
                ))
            },
            |text| Ok(full(StatusCode::OK, METRICS, Bytes::from(text))),
        ),
        Route::Events => {
            let query = Query::parse(parts.uri.query())?;
            let validity = Validity::asked(peer.surface, &parts.method, &query)?;
            let picked = query.pick_or_all(elections)?;
            if parts.method == Method::HEAD {
                return Ok(respond::stream(Body::StreamHead));
            }
            let Ok(permit) = Arc::clone(&context.streams).try_acquire_owned() else {
                return Err(Refusal::unavailable(
                    "no more event streams may be open; close some, or ask for /leader",
                ));
            };
            let hold = Hold {
                busy,
                _permit: permit,
            };
            let body = events::body(picked, validity, &peer.limits, peer.stop.clone(), hold);
            Ok(respond::stream(body))
        }
        Route::Control(call) => control::answer(call, &parts, body, peer).await,
    }
}

const METRICS: &str = prometheus::TEXT_FORMAT;

fn ok() -> Response<Body> {
    respond::fixed_json(r#"{"status":"ok"}"#)
}

fn leads(answer: &Answer) -> Response<Body> {
    json(ok_if(answer.is_leader), answer)
}

fn follows(answer: &Answer) -> Response<Body> {
    let follows = answer.state == "follower" && answer.leader.is_some();
    json(ok_if(follows), answer)
}

fn ok_if(holds: bool) -> StatusCode {
    if holds {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

fn ready(readiness: Readiness, elections: &[ElectionHandle], now: Time) -> Result<(), Refusal> {
    match readiness {
        Readiness::Participating => started(elections),
        Readiness::Leader => all(elections, "not leader of", |handle| {
            valid_claim(&handle.status.snapshot(), now).is_some()
        }),
    }
}

fn started(elections: &[ElectionHandle]) -> Result<(), Refusal> {
    all(elections, "nothing is known yet of", |handle| {
        handle.status.has_started()
    })
}

/// Refuses with the names of those elections of which it does not hold.
fn all(
    elections: &[ElectionHandle],
    otherwise: &str,
    holds: impl Fn(&ElectionHandle) -> bool,
) -> Result<(), Refusal> {
    let names = elections.iter().filter(|handle| !holds(handle));
    let names: Vec<&str> = names.map(|handle| handle.status.name()).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(Refusal::unavailable(format!(
        "{otherwise} {}",
        names.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::election::{Candidate, Claim, Holder, LeaseId, Role, View};
    use crate::status::ElectionStatus;
    use std::time::SystemTime;
    use tokio::sync::mpsc;

    const END: Time = Time::from_nanos(10_000_000_000);
    const BEFORE_END: Time = Time::from_nanos(9_999_999_999);

    fn election(role: Role, holder: Option<&str>) -> ElectionHandle {
        let candidate = Candidate {
            id: "a".into(),
            advertise: None,
        };
        let status = ElectionStatus::new("payments", &candidate, SystemTime::UNIX_EPOCH);
        let holder = holder.map(|id| Holder {
            lease: LeaseId(7),
            token: 12,
            id: id.into(),
            advertise: None,
        });
        status.publish(
            View {
                role,
                holder,
                held_back: None,
            },
            SystemTime::UNIX_EPOCH,
        );
        ElectionHandle {
            status: Arc::new(status),
            commands: mpsc::channel(1).0,
        }
    }

    fn leader() -> ElectionHandle {
        let claim = Claim {
            token: 4711,
            lease: LeaseId(7),
            valid_until: END,
            overdue_from: END,
        };
        election(Role::Leader(claim), None)
    }

    #[test]
    fn leader_is_said_before_the_end_of_the_claim_and_not_at_it() {
        for validity in [Validity::Promised, Validity::Seen, Validity::Untold] {
            let asked = |now| validity.answer(&leader().status, now);
            assert_eq!(leads(&asked(BEFORE_END)).status(), StatusCode::OK);
            assert_eq!(leads(&asked(END)).status(), StatusCode::SERVICE_UNAVAILABLE);
        }
    }

    #[test]
    fn an_answer_says_how_long_it_holds_or_what_is_left_or_neither() {
        let said = |validity: Validity| {
            let answer = validity.answer(&leader().status, BEFORE_END);
            (answer.valid_for_ms, answer.lease_valid_ms)
        };
        assert_eq!(said(Validity::Promised), (Some(0), None));
        assert_eq!(said(Validity::Seen), (None, Some(0)));
        assert_eq!(said(Validity::Untold), (None, None));
    }

    #[test]
    fn only_a_follower_of_a_known_leader_follows() {
        let follows = |election: ElectionHandle| {
            super::follows(&election.status.answer(BEFORE_END)).status() == StatusCode::OK
        };
        assert!(follows(election(Role::Follower, Some("b"))));
        assert!(!follows(election(Role::Follower, None)));
        assert!(!follows(election(Role::SteppingDown, Some("b"))));
        assert!(!follows(election(Role::Starting, None)));
        assert!(!follows(leader()));
    }

    #[test]
    fn ready_as_a_leader_ends_with_the_claim_and_ready_as_a_participant_does_not() {
        let ready = |readiness, now| ready(readiness, &[leader()], now).is_ok();
        assert!(ready(Readiness::Leader, BEFORE_END));
        assert!(!ready(Readiness::Leader, END));
        assert!(ready(Readiness::Participating, END));
    }

    #[test]
    fn what_changes_something_is_not_on_probes() {
        for path in ["/events", "/resign"] {
            assert!(Route::of(path, Surface::Api).is_some());
            assert!(Route::of(path, Surface::Probes).is_none());
        }
    }
}
