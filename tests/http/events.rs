//! The event stream.

use super::harness::{Fixture, follower, holder, leader_for, leader_under, run, stopped};
use super::{LONG, ONE, TWO, with};
use std::time::Duration;
use tenure::config::Readiness;
use tenure::election::{Role, Time, View};
use tenure::http::{Context, Limits, Surface};

#[test]
fn events_tell_the_state_at_once_then_each_change_and_each_renewal_until_stopped() {
    with(ONE, async |fixture| {
        let mut wire = fixture.connect(Surface::Api).await;
        wire.send("GET /events HTTP/1.1\r\n\r\n").await;
        assert_eq!(wire.state().await, ("state".into(), "starting".into()));
        fixture.publish(0, follower(Some(holder("b"))));
        assert_eq!(wire.state().await, ("state".into(), "follower".into()));
        fixture.publish(0, leader_for(LONG));
        let (name, json) = wire.event().await;
        assert_eq!((name.as_str(), &json["state"]), ("state", &"leader".into()));
        assert!(json["valid_for_ms"].is_number());
        fixture.publish(0, leader_for(LONG + LONG));
        let (name, json) = wire.event().await;
        assert_eq!(name, "renewed");
        assert!(json["valid_for_ms"].as_u64().unwrap() > 7_000_000);
        let stepping_down = View {
            held_back: None,
            role: Role::SteppingDown,
            holder: None,
        };
        fixture.publish(0, stepping_down);
        for name in ["stepping_down", "state"] {
            assert_eq!(wire.state().await, (name.into(), "stepping_down".into()));
        }
        fixture.publish(0, stopped());
        assert_eq!(wire.state().await, ("state".into(), "stopped".into()));
        wire.last_chunk().await;
    });
}

#[test]
fn without_a_name_the_events_of_all_elections_are_told() {
    with(TWO, async |fixture| {
        let mut wire = fixture.connect(Surface::Api).await;
        wire.send("GET /events HTTP/1.1\r\n\r\n").await;
        let mut named =
            [wire.event().await, wire.event().await].map(|(_, json)| json["election"].clone());
        named.sort_by_key(|name| name.to_string());
        assert_eq!(named, ["payments", "reports"]);
        fixture.publish(1, leader_for(LONG));
        let (name, json) = wire.event().await;
        assert_eq!(
            (name.as_str(), &json["election"]),
            ("state", &"reports".into())
        );
        fixture.publish(1, stopped());
        assert_eq!(
            wire.state().await,
            ("stepping_down".into(), "stopped".into())
        );
        assert_eq!(wire.state().await, ("state".into(), "stopped".into()));
        fixture.publish(0, follower(Some(holder("b"))));
        let (_, json) = wire.event().await;
        assert_eq!(
            (&json["election"], &json["state"]),
            (&"payments".into(), &"follower".into())
        );
        fixture.publish(0, stopped());
        assert_eq!(wire.state().await.1, "stopped");
        wire.last_chunk().await;
    });
}

#[test]
fn a_leadership_that_is_over_before_it_could_be_told_is_not_told() {
    with(ONE, async |fixture| {
        fixture.publish(0, follower(Some(holder("b"))));
        let mut wire = fixture.connect(Surface::Api).await;
        wire.send("GET /events HTTP/1.1\r\n\r\n").await;
        assert_eq!(wire.state().await.1, "follower");
        // All on one thread: the server does not run between these.
        fixture.publish(0, leader_for(LONG));
        fixture.publish(0, follower(Some(holder("c"))));
        assert_eq!(wire.state().await, ("state".into(), "follower".into()));
        assert_eq!(fixture.promised_until(0), Time::ORIGIN);
    });
}

#[test]
fn the_end_of_a_leadership_that_was_told_is_told_first_however_it_ends_and_whatever_was_missed() {
    let stepping_down = View {
        held_back: None,
        role: Role::SteppingDown,
        holder: None,
    };
    for end in [stepping_down, follower(None), stopped()] {
        with(ONE, async |fixture| {
            fixture.publish(0, leader_for(LONG));
            let mut wire = fixture.connect(Surface::Api).await;
            wire.send("GET /events HTTP/1.1\r\n\r\n").await;
            assert_eq!(wire.state().await, ("state".into(), "leader".into()));
            let promised = fixture.promised_until(0);
            fixture.publish(0, end.clone());
            let (name, json) = wire.event().await;
            assert_eq!(name, "stepping_down");
            assert_eq!(json["is_leader"], false);
            assert!(json["valid_for_ms"].is_null(), "{json}");
            assert_eq!(wire.event().await, ("state".into(), json));
            assert_eq!(fixture.promised_until(0), promised);
        });
    }
    with(ONE, async |fixture| {
        fixture.publish(0, leader_for(LONG));
        let mut wire = fixture.connect(Surface::Api).await;
        wire.send("GET /events HTTP/1.1\r\n\r\n").await;
        wire.event().await;
        fixture.publish(0, follower(None));
        for number in 0..100 {
            fixture.publish(0, follower(Some(holder(&format!("b{number}")))));
        }
        // All that is read of it is a leader again, under another token.
        fixture.publish(0, leader_under(4712, LONG));
        assert_eq!(wire.event().await.0, "stepping_down");
        let (name, json) = wire.event().await;
        assert_eq!(name, "state");
        assert_eq!(json["fencing_token"], 4712);
    });
}

#[test]
fn a_reader_that_comes_after_the_end_of_a_leadership_is_told_the_state_only() {
    with(ONE, async |fixture| {
        fixture.publish(0, leader_for(LONG));
        fixture.publish(0, follower(None));
        let mut wire = fixture.connect(Surface::Api).await;
        wire.send("GET /events HTTP/1.1\r\n\r\n").await;
        assert_eq!(wire.state().await, ("state".into(), "follower".into()));
        fixture.publish(0, stopped());
        assert_eq!(wire.state().await, ("state".into(), "stopped".into()));
    });
}

#[test]
fn a_reader_that_missed_changes_is_told_the_newest_state() {
    with(ONE, async |fixture| {
        let mut wire = fixture.connect(Surface::Api).await;
        wire.send("GET /events HTTP/1.1\r\n\r\n").await;
        wire.event().await;
        for number in 0..100 {
            fixture.publish(0, follower(Some(holder(&format!("b{number}")))));
        }
        let (name, json) = wire.event().await;
        assert_eq!(
            (name.as_str(), &json["leader"]["id"]),
            ("state", &"b99".into())
        );
    });
}

#[test]
fn a_quiet_event_stream_is_kept_alive_by_comments() {
    let limits = Limits {
        heartbeat: Duration::from_millis(10),
        ..Limits::default()
    };
    run(async {
        let fixture = Fixture::start_with(ONE, limits, Readiness::Participating).await;
        let mut wire = fixture.connect(Surface::Api).await;
        wire.send("GET /events HTTP/1.1\r\n\r\n").await;
        wire.event().await;
        assert_eq!(wire.block().await, ": ping");
        assert_eq!(wire.block().await, ": ping");
        fixture.end().await;
    });
}

#[test]
fn so_many_event_streams_and_no_more_and_everything_else_goes_on() {
    with(ONE, async |fixture| {
        let mut wires = Vec::new();
        for _ in 0..Context::MAX_STREAMS {
            let mut wire = fixture.connect(Surface::Api).await;
            wire.send("GET /events HTTP/1.1\r\n\r\n").await;
            wire.event().await;
            wires.push(wire);
        }
        assert_eq!(fixture.get(Surface::Api, "/events").await.status, 503);
        assert_eq!(fixture.get(Surface::Api, "/status").await.status, 200);
        // Whoever leaves makes room; the server hears of it in its own time.
        drop(wires);
        while fixture.head_then_get_events().await != 200 {}
    });
}
