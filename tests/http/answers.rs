//! What each path answers, on which listener, to which method.

use super::harness::{ACCEPT_HTML, Fixture, follower, holder, leader_for, run};
use super::{BOTH, LONG, ONE, TWO, with};
use serde_json::{Value, json};
use std::time::Duration;
use tenure::clock;
use tenure::config::Readiness;
use tenure::election::Time;
use tenure::http::{Limits, Surface};

#[test]
fn a_leader_is_told_so_with_a_validity_on_api_and_without_one_on_probes() {
    with(ONE, async |fixture| {
        fixture.publish(0, leader_for(LONG));
        let api = fixture.get(Surface::Api, "/leader").await;
        assert_eq!(api.status, 200);
        let json = api.json();
        assert_eq!(json["election"], "payments");
        assert_eq!(json["id"], "a");
        assert_eq!(json["state"], "leader");
        assert_eq!(json["is_leader"], true);
        assert_eq!(json["fencing_token"], 4711);
        let guard = json!({"key": "/tenure/payments/1ab", "create_revision": 4711, "lease": "1ab"});
        assert_eq!(json["guard"], guard);
        assert_eq!(json["leader"]["id"], "a");
        assert_eq!(json["leader"]["advertise"], "http://a:8080");
        assert!(json["valid_for_ms"].as_u64().unwrap() > 3_500_000);
        let probes = fixture.get(Surface::Probes, "/leader").await;
        assert_eq!(probes.status, 200);
        assert!(probes.json()["valid_for_ms"].is_null());
        assert_eq!(probes.json()["guard"], guard);
    });
}

#[test]
fn a_follower_of_a_known_leader_is_one_and_of_an_unknown_one_is_not() {
    with(ONE, async |fixture| {
        fixture.publish(0, follower(None));
        assert_eq!(fixture.get(Surface::Api, "/follower").await.status, 503);
        fixture.publish(0, follower(Some(holder("b"))));
        for surface in BOTH {
            let follows = fixture.get(surface, "/follower").await;
            assert_eq!(follows.status, 200);
            assert_eq!(follows.json()["leader"]["id"], "b");
            assert_eq!(fixture.get(surface, "/leader").await.status, 503);
        }
        fixture.publish(0, leader_for(LONG));
        assert_eq!(fixture.get(Surface::Api, "/follower").await.status, 503);
    });
}

#[test]
fn a_claim_that_has_run_out_never_says_leader_although_nothing_newer_was_published() {
    with(ONE, async |fixture| {
        fixture.publish(0, leader_for(Duration::ZERO));
        for surface in BOTH {
            let reply = fixture.get(surface, "/leader").await;
            assert_eq!(reply.status, 503);
            let json = reply.json();
            assert_eq!(json["state"], "stepping_down");
            assert_eq!(json["is_leader"], false);
            for null in ["fencing_token", "guard", "valid_for_ms"] {
                assert!(json[null].is_null(), "{null}");
            }
            assert_eq!(fixture.get(surface, "/fence?token=4711").await.status, 503);
            let status = fixture.get(surface, "/status").await.json();
            assert_eq!(status["elections"][0]["is_leader"], false);
            let root = fixture.get(surface, "/").await.json();
            assert_eq!(root["name"], "");
            let metrics = fixture.get(surface, "/metrics").await.text();
            assert!(metrics.contains("tenure_is_leader{election=\"payments\"} 0\n"));
        }
        let mut events = fixture.connect(Surface::Api).await;
        events.send("GET /events HTTP/1.1\r\n\r\n").await;
        assert_eq!(events.event().await.1["is_leader"], false);
    });
}

#[test]
fn only_a_get_on_api_is_a_promise() {
    with(ONE, async |fixture| {
        fixture.publish(0, leader_for(LONG));
        let reads = [
            "/leader",
            "/fence?token=4711",
            "/status",
            "/follower",
            "/",
            "/metrics",
            "/readyz",
        ];
        for path in reads {
            fixture.get(Surface::Probes, path).await;
            fixture.head(Surface::Probes, path).await;
            fixture.head(Surface::Api, path).await;
        }
        fixture.head(Surface::Api, "/events").await;
        for path in [
            "/follower",
            "/fence?token=4711",
            "/",
            "/metrics",
            "/livez",
            "/readyz",
            "/nothing",
        ] {
            fixture.get(Surface::Api, path).await;
        }
        assert_eq!(fixture.promised_until(0), Time::ORIGIN);
    });
    for path in ["/leader", "/status"] {
        with(ONE, async |fixture| {
            fixture.publish(0, leader_for(LONG));
            fixture.get(Surface::Api, path).await;
            assert!(fixture.promised_until(0) > clock::now(), "{path}");
        });
    }
    with(ONE, async |fixture| {
        fixture.publish(0, leader_for(LONG));
        let mut events = fixture.connect(Surface::Api).await;
        events.send("GET /events HTTP/1.1\r\n\r\n").await;
        events.event().await;
        assert!(fixture.promised_until(0) > clock::now());
    });
}

#[test]
fn a_fencing_token_is_vouched_for_by_the_leader_alone_and_an_older_one_refused_by_whoever_knows_better()
 {
    with(ONE, async |fixture| {
        let said = async |token: &str, status: u16, expected: Value| {
            for surface in BOTH {
                let path = format!("/fence?token={token}");
                let reply = fixture.get(surface, &path).await;
                assert_eq!(reply.status, status, "{reply:?}");
                assert_eq!(fixture.head(surface, &path).await.status, status);
                let mut json = reply.json();
                let error = json.as_object_mut().unwrap().remove("error");
                assert_eq!(error.is_some(), status != 200, "{reply:?}");
                assert_eq!(json, expected);
            }
        };
        let body = |token: u64, valid: bool, newest: Option<u64>| json!({"election": "payments", "token": token, "valid": valid, "newest_token": newest});
        said("4711", 503, body(4711, false, None)).await;
        fixture.publish(0, follower(Some(holder("b"))));
        said("11", 409, body(11, false, Some(12))).await;
        said("12", 503, body(12, false, Some(12))).await;
        said("13", 503, body(13, false, Some(12))).await;
        fixture.publish(0, leader_for(LONG));
        said("4711", 200, body(4711, true, Some(4711))).await;
        said("12", 409, body(12, false, Some(4711))).await;
        said("4712", 503, body(4712, false, Some(4711))).await;
        fixture.publish(0, follower(None));
        said("4711", 503, body(4711, false, Some(4711))).await;
        for malformed in [
            "/fence",
            "/fence?token=",
            "/fence?token=-1",
            "/fence?token=x",
        ] {
            let reply = fixture.get(Surface::Api, malformed).await;
            assert_eq!(reply.status, 400, "{malformed}");
            assert!(reply.json()["error"].as_str().unwrap().contains("token"));
        }
    });
}

#[test]
fn every_answer_says_that_it_may_not_be_stored_and_of_what_type_it_is() {
    with(ONE, async |fixture| {
        for surface in BOTH {
            for path in ["/leader", "/status", "/", "/livez", "/nothing", "/metrics"] {
                let reply = fixture.get(surface, path).await;
                assert_eq!(reply.header("cache-control"), "no-store", "{path}");
                let kind = match path {
                    "/metrics" => "text/plain; version=0.0.4",
                    _ => "application/json",
                };
                assert_eq!(reply.header("content-type"), kind, "{path}");
            }
            let page = fixture.request(surface, "GET", "/", ACCEPT_HTML).await;
            assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
            assert_eq!(page.header("cache-control"), "no-store");
        }
    });
}

#[test]
fn a_wrong_method_is_refused_with_the_right_ones_and_an_unknown_path_is_not_found() {
    with(ONE, async |fixture| {
        for surface in BOTH {
            for path in [
                "/leader",
                "/status",
                "/livez",
                "/metrics",
                "/fence?token=1",
                "/",
            ] {
                for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
                    let reply = fixture.request(surface, method, path, "").await;
                    assert_eq!(reply.status, 405, "{method} {path}");
                    assert_eq!(reply.header("allow"), "GET, HEAD");
                    assert!(reply.json()["error"].is_string());
                }
            }
            for path in ["/nothing", "/leader/", "//leader", "/Leader"] {
                assert_eq!(fixture.get(surface, path).await.status, 404, "{path}");
            }
        }
        let resign = fixture.get(Surface::Api, "/resign").await;
        assert_eq!(resign.status, 405);
        assert_eq!(resign.header("allow"), "POST");
        assert_eq!(fixture.post(Surface::Api, "/events").await.status, 405);
        assert_eq!(fixture.post(Surface::Probes, "/resign").await.status, 404);
        assert_eq!(fixture.get(Surface::Probes, "/events").await.status, 404);
        assert!(fixture.resignations().is_empty());
    });
}

#[test]
fn of_several_elections_one_has_to_be_named_and_has_to_exist() {
    with(TWO, async |fixture| {
        fixture.publish(0, follower(Some(holder("b"))));
        fixture.publish(1, leader_for(LONG));
        for path in ["/leader", "/follower", "/events", "/"] {
            if path != "/events" {
                assert_eq!(fixture.get(Surface::Api, path).await.status, 400, "{path}");
            }
            let malformed = format!("{path}?election=%zz");
            assert_eq!(fixture.get(Surface::Api, &malformed).await.status, 400);
            let unknown = format!("{path}?election=%3Cb%3E{}", "x".repeat(2000));
            let reply = fixture.get(Surface::Api, &unknown).await;
            assert_eq!(reply.status, 404, "{path}");
            assert!(reply.body.len() < 200, "{path}");
        }
        assert_eq!(fixture.post(Surface::Api, "/resign").await.status, 400);
        assert_eq!(
            fixture
                .post(Surface::Api, "/resign?election=other")
                .await
                .status,
            404
        );
        for surface in BOTH {
            let get = async |path| fixture.get(surface, path).await;
            assert_eq!(get("/leader?election=payments").await.status, 503);
            assert_eq!(get("/leader?election=report%73&x=%ff").await.status, 400);
            let reports = get("/leader?x=1&election=report%73").await;
            assert_eq!(reports.status, 200);
            assert_eq!(reports.json()["election"], "reports");
            assert_eq!(get("/follower?election=payments").await.status, 200);
            assert_eq!(get("/fence?token=4711").await.status, 400);
            assert_eq!(get("/fence?token=4711&election=none").await.status, 404);
            let fence = get("/fence?token=4711&election=reports").await;
            assert_eq!(fence.status, 200);
            assert_eq!(fence.json()["election"], "reports");
            assert_eq!(get("/?election=payments").await.json()["name"], "b");
        }
    });
}

#[test]
fn status_shows_the_candidate_the_store_and_every_election() {
    with(TWO, async |fixture| {
        fixture.publish(1, leader_for(LONG));
        for surface in BOTH {
            let json = fixture.get(surface, "/status").await.json();
            assert_eq!(json["version"], "0.1.0");
            assert_eq!(json["id"], "a");
            assert_eq!(json["store"]["kind"], "file");
            assert_eq!(json["store"]["connected"], true);
            assert_eq!(json["elections"][0]["state"], "starting");
            assert_eq!(json["elections"][1]["state"], "leader");
            let promised = json["elections"][1]["valid_for_ms"].is_number();
            assert_eq!(promised, surface == Surface::Api);
        }
    });
}

#[test]
fn readiness_and_startup_come_with_the_first_known_state_and_stay() {
    with(TWO, async |fixture| {
        for path in ["/readyz", "/startupz"] {
            let reply = fixture.get(Surface::Probes, path).await;
            assert_eq!(reply.status, 503);
            let error = reply.json()["error"].as_str().unwrap().to_owned();
            assert!(error.contains("payments, reports"), "{error}");
        }
        fixture.publish(0, follower(Some(holder("b"))));
        let half = fixture.get(Surface::Probes, "/readyz").await.text();
        assert!(half.contains("reports") && !half.contains("payments"));
        fixture.publish(1, leader_for(Duration::ZERO));
        fixture.publish(0, follower(None));
        for path in ["/readyz", "/startupz"] {
            let reply = fixture.get(Surface::Probes, path).await;
            assert_eq!(reply.status, 200);
            assert_eq!(reply.text(), r#"{"status":"ok"}"#);
        }
    });
}

#[test]
fn where_ready_means_leader_a_candidate_is_ready_while_it_leads_everything() {
    run(async {
        let fixture = Fixture::start_with(TWO, Limits::default(), Readiness::Leader).await;
        fixture.publish(0, leader_for(LONG));
        fixture.publish(1, follower(Some(holder("b"))));
        let reply = fixture.get(Surface::Probes, "/readyz").await;
        assert_eq!(reply.status, 503);
        assert_eq!(reply.json()["error"], "not leader of reports");
        fixture.publish(1, leader_for(LONG));
        assert_eq!(fixture.get(Surface::Probes, "/readyz").await.status, 200);
        fixture.publish(1, leader_for(Duration::ZERO));
        assert_eq!(fixture.get(Surface::Probes, "/readyz").await.status, 503);
        fixture.end().await;
    });
}

#[test]
fn a_sidecar_is_alive_while_its_loops_turn_over_and_a_stuck_one_is_named() {
    with(TWO, async |fixture| {
        for surface in BOTH {
            assert_eq!(fixture.get(surface, "/livez").await.status, 200);
        }
    });
    with(TWO, async |fixture| {
        fixture.hang(1);
        let reply = fixture.get(Surface::Probes, "/livez").await;
        assert_eq!(reply.status, 503);
        assert_eq!(
            reply.json()["error"],
            "the election loop does not turn over: reports"
        );
    });
}
