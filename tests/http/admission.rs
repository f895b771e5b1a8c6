//! Who is let in, and who is not.

use super::harness::{ACCEPT_HTML, leader_for};
use super::{BOTH, LONG, ONE, with};
use std::time::Duration;
use tenure::election::Time;
use tenure::http::Surface;

const ON_API: [(&str, &str); 14] = [
    ("GET", "/"),
    ("GET", "/leader"),
    ("GET", "/follower"),
    ("GET", "/status"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/startupz"),
    ("GET", "/metrics"),
    ("GET", "/fence?token=1"),
    ("GET", "/events"),
    ("POST", "/resign"),
    ("POST", "/pause"),
    ("POST", "/resume"),
    ("GET", "/nothing"),
];

#[test]
fn the_api_answers_nobody_who_calls_it_by_a_name_that_may_be_anybodys() {
    with(ONE, async |fixture| {
        fixture.publish(0, leader_for(LONG));
        fixture.release_after(0, Some(Duration::ZERO));
        for (method, path) in ON_API {
            for host in ["evil.example:4040", "127.0.0.1.evil.example", "10.1.2.3"] {
                let header = format!("Host: {host}\r\n");
                let reply = fixture.request(Surface::Api, method, path, &header).await;
                assert_eq!(reply.status, 421, "{method} {path} {host}");
                let error = reply.json()["error"].as_str().unwrap().to_owned();
                assert!(error.contains("ask for it as localhost"), "{error}");
            }
        }
        assert!(fixture.resignations().is_empty());
        assert_eq!(fixture.promised_until(0), Time::ORIGIN);
        // Whoever scrapes it may call it anything, and is told nothing that counts.
        let header = "Host: pod-0.payments.svc\r\n";
        let reply = fixture
            .request(Surface::Probes, "GET", "/leader", header)
            .await;
        assert_eq!(reply.status, 200);
    });
}

#[test]
fn a_request_to_this_host_or_to_none_in_particular_is_answered() {
    with(ONE, async |fixture| {
        fixture.publish(0, leader_for(LONG));
        for header in [
            "",
            "Host: localhost:4040\r\n",
            "Host: 127.0.0.1\r\n",
            "Host: [::1]:4040\r\n",
        ] {
            let reply = fixture
                .request(Surface::Api, "GET", "/leader", header)
                .await;
            assert_eq!(reply.status, 200, "{header}");
        }
        let mut wire = fixture.connect(Surface::Api).await;
        wire.send("GET /leader HTTP/1.0\r\n\r\n").await;
        assert_eq!(wire.reply(false).await.status, 200);
    });
}

#[test]
fn a_page_of_another_site_changes_nothing_and_has_no_promise_given() {
    with(ONE, async |fixture| {
        fixture.publish(0, leader_for(LONG));
        for header in [
            "Sec-Fetch-Site: cross-site\r\n",
            "Sec-Fetch-Site: same-site\r\n",
            "Origin: http://evil.example\r\n",
            "Origin: null\r\nSec-Fetch-Site: none\r\n",
            "Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n",
        ] {
            for (method, path) in ON_API.into_iter().skip(1) {
                let reply = fixture.request(Surface::Api, method, path, header).await;
                assert_eq!(reply.status, 403, "{method} {path} {header}");
            }
            // A link may lead to the page.
            let header = format!("{header}{ACCEPT_HTML}");
            let reply = fixture.request(Surface::Api, "GET", "/", &header).await;
            assert_eq!(reply.status, 200);
        }
        assert!(fixture.resignations().is_empty());
        assert_eq!(fixture.promised_until(0), Time::ORIGIN);
    });
}

#[test]
fn nothing_that_was_asked_comes_back_as_markup() {
    const MARKUP: &str = "<script>alert(1)</script>";
    const ENCODED: &str = "%3Cscript%3Ealert(1)%3C/script%3E";
    with(ONE, async |fixture| {
        for surface in BOTH {
            for (path, header) in [
                (format!("/{ENCODED}"), String::new()),
                (format!("/?election={ENCODED}"), ACCEPT_HTML.to_owned()),
                (format!("/leader?election={ENCODED}"), String::new()),
                (format!("/fence?token={ENCODED}"), String::new()),
                (format!("/leader?{ENCODED}=%"), String::new()),
                ("/leader".to_owned(), format!("Host: {MARKUP}\r\n")),
            ] {
                let reply = fixture.request(surface, "GET", &path, &header).await;
                let is_html = reply.header("content-type").starts_with("text/html");
                assert!(!is_html || !reply.body.contains(MARKUP), "{path}");
                if !reply.body.is_empty() {
                    assert!(!reply.header("content-type").is_empty(), "{path}");
                    assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
                }
            }
        }
    });
}
