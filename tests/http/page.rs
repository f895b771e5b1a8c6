//! What `/` answers to whom, and what the page may do.

use super::harness::{ACCEPT_HTML, Reply, follower, holder, leader_for};
use super::{BOTH, LONG, ONE, TWO, with};
use std::io::Write;
use std::process::{Command, Stdio};
use tenure::election::Time;
use tenure::http::Surface;

#[test]
fn the_root_names_the_leader_to_programs_and_is_a_page_to_browsers() {
    with(ONE, async |fixture| {
        assert_eq!(fixture.get(Surface::Api, "/").await.json()["name"], "");
        fixture.publish(0, follower(Some(holder("<b>"))));
        for surface in BOTH {
            let name = fixture.get(surface, "/").await;
            assert_eq!(name.json()["name"], "<b>");
            let page = fixture.request(surface, "GET", "/", ACCEPT_HTML).await;
            assert_eq!(page.status, 200);
            assert!(page.text().starts_with("<!doctype html>"));
            let head = fixture.request(surface, "HEAD", "/", ACCEPT_HTML).await;
            assert_eq!(head.headers_but_date(), page.headers_but_date());
            for reply in [&name, &page] {
                assert_eq!(reply.header("vary"), "Accept");
                assert_eq!(reply.header("x-content-type-options"), "nosniff");
            }
        }
    });
}

#[test]
fn the_page_is_the_same_for_all_but_for_where_it_was_got_from_and_what_is_shown_without_a_script() {
    with(TWO, async |fixture| {
        fixture.publish(0, follower(Some(holder("<b>'\"&"))));
        let page = async |surface, path| fixture.request(surface, "GET", path, ACCEPT_HTML).await;
        let api = page(Surface::Api, "/").await;
        let probes = page(Surface::Probes, "/").await;
        let swapped = |page: &Reply| {
            page.body
                .replace("data-surface=\"api\"", "data-surface=\"probes\"")
        };
        assert_ne!(api.body, probes.body);
        assert_eq!(swapped(&api), probes.body);
        assert!(
            plain(&api)
                .contains("<td>payments</td><td>follower</td><td>&lt;b&gt;&#39;&quot;&amp; </td>")
        );
        assert!(plain(&api).contains("reports"));

        let named = page(Surface::Api, "/?election=reports&x=%3Cscript%3E").await;
        assert!(plain(&named).contains("reports") && !plain(&named).contains("payments"));
        assert_eq!(without_plain(&named), without_plain(&api));
        let unknown = page(Surface::Api, "/?election=%3Cscript%3E").await;
        assert_eq!(unknown.status, 404);
        assert_eq!(unknown.header("content-type"), "application/json");
    });
}

fn plain(page: &Reply) -> &str {
    let (_, rest) = page.body.split_once("<noscript>").unwrap();
    rest.split_once("</noscript>").unwrap().0
}

fn without_plain(page: &Reply) -> String {
    page.body.replace(plain(page), "")
}

#[test]
fn the_page_runs_and_styles_itself_with_what_is_in_it_and_asks_nobody_else() {
    with(ONE, async |fixture| {
        let page = fixture
            .request(Surface::Probes, "GET", "/", ACCEPT_HTML)
            .await;
        let expected = format!(
            "default-src 'none'; style-src '{}'; script-src '{}'; connect-src 'self'; img-src data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types 'none'",
            hash(&page, "style"),
            hash(&page, "script"),
        );
        let policy = page.header("content-security-policy");
        assert_eq!(policy, expected, "the policy in src/http/page.rs");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        let text = without_plain(&page);
        assert!(text.len() <= 20 * 1024, "{} bytes", text.len());
        for address in text.split("http").skip(1) {
            assert!(address.starts_with("://www.w3.org/"), "{address:.40}");
        }
    });
}

/// What a policy has to say of the only element of this kind.
fn hash(page: &Reply, element: &str) -> String {
    let (_, rest) = page.body.split_once(&format!("<{element}>")).unwrap();
    let (text, rest) = rest.split_once(&format!("</{element}>")).unwrap();
    assert!(!rest.contains(&format!("<{element}")), "two of {element}");
    let command = "openssl dgst -sha256 -binary | openssl base64";
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let hash = String::from_utf8(output.stdout).unwrap();
    assert!(!hash.is_empty(), "openssl is missing; run .ci/install test");
    format!("sha256-{}", hash.trim())
}

#[test]
fn whoever_declines_promises_is_given_none_and_sees_what_is_left() {
    with(ONE, async |fixture| {
        fixture.publish(0, leader_for(LONG));
        let seen = |election: &serde_json::Value| {
            assert!(election["valid_for_ms"].is_null(), "{election}");
            assert!(
                election["lease_valid_ms"].as_u64().unwrap() > 3_500_000,
                "{election}"
            );
        };
        for surface in BOTH {
            let leader = fixture.get(surface, "/leader?promise=false").await;
            assert_eq!(leader.status, 200);
            seen(&leader.json());
            let status = fixture.get(surface, "/status?promise=false").await;
            seen(&status.json()["elections"][0]);
        }
        let mut events = fixture.connect(Surface::Api).await;
        events
            .send("GET /events?promise=false HTTP/1.1\r\n\r\n")
            .await;
        seen(&events.event().await.1);
        fixture.publish(0, leader_for(LONG + LONG));
        let (name, renewed) = events.event().await;
        assert_eq!(name, "renewed");
        seen(&renewed);
        fixture.publish(0, follower(Some(holder("b"))));
        assert_eq!(events.event().await.0, "stepping_down");
        let state = events.event().await.1;
        assert!(state.get("lease_valid_ms").is_none(), "{state}");
        assert_eq!(fixture.promised_until(0), Time::ORIGIN);

        for path in ["/leader", "/status", "/events"] {
            let path = format!("{path}?promise=no");
            assert_eq!(fixture.get(Surface::Api, &path).await.status, 400);
        }
        let plain = fixture.get(Surface::Api, "/leader").await.json();
        assert!(plain.get("lease_valid_ms").is_none());
    });
}

#[test]
fn status_has_the_time_budget_and_of_one_election_its_history() {
    with(TWO, async |fixture| {
        fixture.publish(1, leader_for(LONG));
        for surface in BOTH {
            let all = fixture.get(surface, "/status?promise=false").await.json();
            let budget = serde_json::json!({"ttl_ms": 10_000, "renew_deadline_ms": 6_000, "retry_period_ms": 2_000, "drift_margin_ms": 500});
            assert_eq!(all["lease"], budget);
            assert!(all.get("history").is_none());
            let path = "/status?promise=false&election=reports";
            let one = fixture.get(surface, path).await.json();
            assert_eq!(one["elections"].as_array().unwrap().len(), 1);
            assert_eq!(one["elections"][0]["election"], "reports");
            assert_eq!(one["history"], serde_json::json!([]));
        }
        let unknown = fixture.get(Surface::Api, "/status?election=none").await;
        assert_eq!(unknown.status, 404);
    });
}
