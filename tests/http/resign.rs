//! `POST /resign`.

use super::harness::{follower, leader_for};
use super::{ONE, with};
use std::time::Duration;
use tenure::clock;
use tenure::http::Surface;

#[test]
fn resigning_is_accepted_with_the_time_of_the_release_and_passed_on_as_asked() {
    with(ONE, async |fixture| {
        fixture.publish(0, leader_for(Duration::from_secs(60)));
        fixture.release_after(0, Some(Duration::from_secs(60)));
        let reply = fixture.post(Surface::Api, "/resign").await;
        assert_eq!(reply.status, 202);
        let json = reply.json();
        assert_eq!(json["election"], "payments");
        assert_eq!(json["cooldown_ms"], 10_000);
        let wait = json["released_in_ms"].as_u64().unwrap();
        assert!((50_000..=60_000).contains(&wait));
        let at = json["released_at"].as_str().unwrap();
        assert!(humantime::parse_rfc3339(at).unwrap() > clock::date());
        // A step-down that is under way keeps the cooldown that it began with.
        fixture.publish(0, follower(None));
        let path = "/resign?election=payments&cooldown=0s&stopped=true";
        let reply = fixture.post(Surface::Api, path).await;
        assert_eq!(reply.status, 202);
        assert!(reply.json()["cooldown_ms"].is_null());
        assert_eq!(
            fixture.resignations(),
            [
                (Duration::from_secs(10), false),
                (Duration::from_secs(0), true)
            ]
        );
    });
}

#[test]
fn resigning_is_refused_where_it_makes_no_sense() {
    with(ONE, async |fixture| {
        for query in ["cooldown=10", "cooldown=25h", "stopped=yes", "election=%"] {
            let path = format!("/resign?{query}");
            let reply = fixture.post(Surface::Api, &path).await;
            assert_eq!(reply.status, 400, "{query}");
            assert!(reply.json()["error"].is_string());
        }
        for header in [
            "Origin: http://127.0.0.1:4040\r\n",
            "Origin: null\r\n",
            "Sec-Fetch-Site: cross-site\r\n",
            "Sec-Fetch-Site: same-site\r\n",
        ] {
            let reply = fixture
                .request(Surface::Api, "POST", "/resign", header)
                .await;
            assert_eq!(reply.status, 403, "{header}");
        }
        assert!(fixture.resignations().is_empty());
        let reply = fixture.post(Surface::Api, "/resign").await;
        assert_eq!(reply.status, 409);
        assert_eq!(
            reply.json()["error"],
            "not leader of payments: nothing to resign"
        );
    });
}
