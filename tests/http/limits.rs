//! What a peer may take of a listener, and how a listener ends.

use super::harness::{Fixture, follower, holder, leader_for, run};
use super::{BOTH, LONG, ONE, TWO, with};
use std::time::Duration;
use tenure::clock;
use tenure::config::Readiness;
use tenure::http::{Limits, Surface};

#[test]
fn head_answers_as_get_does_but_without_a_body() {
    with(ONE, async |fixture| {
        fixture.publish(0, follower(Some(holder("b"))));
        for surface in BOTH {
            for path in [
                "/leader",
                "/follower",
                "/status",
                "/",
                "/livez",
                "/readyz",
                "/startupz",
                "/nothing",
            ] {
                let (get, head) = (
                    fixture.get(surface, path).await,
                    fixture.head(surface, path).await,
                );
                assert_eq!(get.status, head.status, "{path}");
                assert_eq!(get.headers_but_date(), head.headers_but_date(), "{path}");
                assert!(head.body.is_empty() && !get.body.is_empty(), "{path}");
            }
        }
        let events = fixture.head(Surface::Api, "/events").await;
        assert_eq!(events.status, 200);
        assert_eq!(events.header("content-type"), "text/event-stream");
        let metrics = fixture.head(Surface::Api, "/metrics").await;
        assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4");
        assert!(metrics.body.is_empty());
    });
}

#[test]
fn a_flood_of_liveness_probes_is_no_flood_for_the_loops() {
    with(ONE, async |fixture| {
        let began = clock::now();
        let mut wire = fixture.connect(Surface::Probes).await;
        for _ in 0..200 {
            wire.send("GET /livez HTTP/1.1\r\n\r\n").await;
            assert_eq!(wire.reply(false).await.status, 200);
        }
        let rounds = 1 + clock::now().since(began).as_millis() / 250;
        assert!(fixture.pings(0) as u128 <= rounds);
    });
}

#[test]
fn a_body_is_ignored_unless_it_is_too_long_or_too_slow() {
    let limits = Limits {
        body: Duration::from_millis(50),
        ..Limits::default()
    };
    run(async {
        let fixture = Fixture::start_with(ONE, limits, Readiness::Participating).await;
        let body = "x".repeat(64 * 1024 + 1);
        for (length, status) in [(10, 409), (64 * 1024, 409), (64 * 1024 + 1, 413)] {
            let mut wire = fixture.connect(Surface::Api).await;
            let head = format!("POST /resign HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
            wire.send(&head).await;
            wire.send(&body[..length]).await;
            assert_eq!(wire.reply(false).await.status, status, "{length}");
        }
        let mut wire = fixture.connect(Surface::Api).await;
        wire.send("POST /resign HTTP/1.1\r\nContent-Length: 2\r\n\r\nx")
            .await;
        assert_eq!(wire.reply(false).await.status, 408);
        fixture.end().await;
    });
}

#[test]
fn a_client_that_sends_its_head_slowly_or_not_at_all_is_cut_off() {
    let limits = Limits {
        head: Duration::from_millis(50),
        ..Limits::default()
    };
    run(async {
        let fixture = Fixture::start_with(ONE, limits, Readiness::Participating).await;
        for head in ["", "GET /leader HTTP/1.1\r\nX: "] {
            let mut wire = fixture.connect(Surface::Probes).await;
            wire.send(head).await;
            assert!(wire.ends().await, "{head}");
        }
        let mut idle = fixture.connect(Surface::Probes).await;
        idle.send("GET /livez HTTP/1.1\r\n\r\n").await;
        assert_eq!(idle.reply(false).await.status, 200);
        assert!(idle.ends().await);
        fixture.end().await;
    });
}

#[test]
fn a_client_that_reads_nothing_is_cut_off() {
    let limits = Limits {
        stall: Duration::from_millis(50),
        ..Limits::default()
    };
    run(async {
        let fixture = Fixture::start_with(ONE, limits, Readiness::Participating).await;
        let mut wire = fixture.connect(Surface::Probes).await;
        assert!(
            wire.fails_to_send_for_ever("GET /metrics HTTP/1.1\r\n\r\n")
                .await
        );
        assert_eq!(fixture.get(Surface::Probes, "/livez").await.status, 200);
        fixture.end().await;
    });
}

#[test]
fn idle_connections_cannot_lock_a_probe_out() {
    let limits = Limits {
        connections: 4,
        grace: Duration::from_millis(50),
        ..Limits::default()
    };
    run(async {
        let fixture = Fixture::start_with(ONE, limits, Readiness::Participating).await;
        let mut idle = Vec::new();
        for _ in 0..20 {
            let mut wire = fixture.connect(Surface::Probes).await;
            wire.send("GET /startupz HTTP/1.1\r\nX:").await;
            idle.push(wire);
        }
        assert_eq!(fixture.get(Surface::Probes, "/livez").await.status, 200);
        assert!(idle[0].ends().await);
        fixture.end().await;
    });
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    with(ONE, async |fixture| {
        let many: String = (0..101).map(|n| format!("X{n}: y\r\n")).collect();
        let long = format!("X: {}\r\n", "y".repeat(20_000));
        for headers in [many, long] {
            let reply = fixture
                .request(Surface::Probes, "GET", "/leader", &headers)
                .await;
            assert_eq!(reply.status, 431);
        }
        assert_eq!(fixture.get(Surface::Probes, "/livez").await.status, 200);
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    with(ONE, async |fixture| {
        fixture.publish(0, leader_for(LONG));
        let mut wire = fixture.connect(Surface::Api).await;
        wire.send(
            "GET /leader HTTP/1.1\r\n\r\nHEAD /status HTTP/1.1\r\n\r\nGET /nothing HTTP/1.1\r\n\r\nGET /follower HTTP/1.1\r\n\r\n",
        )
        .await;
        let mut statuses = Vec::new();
        for head in [false, true, false, false] {
            statuses.push(wire.reply(head).await.status);
        }
        assert_eq!(statuses, [200, 200, 404, 503]);
    });
}

#[test]
fn a_stop_ends_event_streams_and_idle_connections_at_once_and_lets_open_requests_finish() {
    run(async {
        let fixture = Fixture::start(TWO).await;
        fixture.hang(1);
        let mut events = fixture.connect(Surface::Api).await;
        events
            .send("GET /events?election=payments HTTP/1.1\r\n\r\n")
            .await;
        events.event().await;
        let mut idle = fixture.connect(Surface::Api).await;
        idle.send("GET /status HTTP/1.1\r\n\r\n").await;
        idle.reply(false).await;
        let mut open = fixture.connect(Surface::Api).await;
        open.send("POST /resign?election=reports HTTP/1.1\r\n\r\n")
            .await;
        fixture.resigning(1).await;
        fixture.stop();
        assert!(events.ends().await);
        assert!(idle.ends().await);
        fixture.unhang(1);
        assert_eq!(open.reply(false).await.status, 409);
        fixture.end().await;
    });
}

#[test]
fn a_stop_waits_no_longer_than_its_grace() {
    let limits = Limits {
        grace: Duration::from_millis(50),
        ..Limits::default()
    };
    run(async {
        let fixture = Fixture::start_with(ONE, limits, Readiness::Participating).await;
        fixture.hang(0);
        let mut open = fixture.connect(Surface::Api).await;
        open.send("POST /resign HTTP/1.1\r\n\r\n").await;
        fixture.resigning(0).await;
        let began = clock::now();
        fixture.end().await;
        assert!(clock::now().since(began) < Duration::from_secs(1));
        assert!(open.ends().await);
    });
}
