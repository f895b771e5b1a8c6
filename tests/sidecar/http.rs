//! The two listeners, as the contract has them.

use crate::support::http::{Client, Events, Question, Response};
use crate::support::sidecar::{RENEW_DEADLINE, RETRY_PERIOD, ROLE_BOUND, Sidecar, Spec};
use crate::support::{eventually, let_pass, ms};
use std::net::TcpStream;
use tempfile::TempDir;

const ON_BOTH: [&str; 8] = [
    "/livez",
    "/readyz",
    "/startupz",
    "/leader",
    "/follower",
    "/status",
    "/",
    "/metrics",
];

#[test]
fn every_answer_is_fresh_and_head_works_wherever_get_does() {
    let (_directory, a, b) = leader_and_follower();
    for port in [a.api, a.probes, b.api, b.probes] {
        for path in ON_BOTH {
            let get = request(port, "GET", path);
            let head = request(port, "HEAD", path);
            assert_eq!(get.status, head.status, "{path}");
            assert_eq!(get.header("cache-control"), Some("no-store"), "{path}");
            assert_eq!(head.header("cache-control"), Some("no-store"), "{path}");
            let kind = get.header("content-type").unwrap();
            assert_eq!(head.header("content-type"), Some(kind), "{path}");
            let expected = if path == "/metrics" {
                "text/plain"
            } else {
                "application/json"
            };
            assert!(kind.starts_with(expected), "{path}: {kind}");
            assert!(head.body.is_empty() && !get.body.is_empty(), "{path}");
        }
    }
}

#[test]
fn connections_leave_files_to_the_election_where_few_may_be_opened() {
    let directory = TempDir::new().unwrap();
    let few_files = ["sh", "-c", "ulimit -n 128 && exec \"$@\"", "sh"];
    let a = Spec::on_files("a", directory.path())
        .launched_by(&few_files)
        .start_leading();
    let connect = |_| TcpStream::connect(("127.0.0.1", a.probes)).unwrap();
    let idle: Vec<TcpStream> = (0..300).map(connect).collect();
    let_pass(RENEW_DEADLINE);
    assert!(a.leads(), "{}", a.log());
    drop(idle);
    let failed = a.metric("tenure_keepalives_total", &["result=\"failed\""]);
    assert_eq!(failed, 0.0, "{}", a.log());
}

#[test]
fn statuses_tell_the_leader_from_a_follower() {
    let (_directory, a, b) = leader_and_follower();
    for (path, of_leader, of_follower) in [
        ("/livez", 200, 200),
        ("/readyz", 200, 200),
        ("/startupz", 200, 200),
        ("/leader", 200, 503),
        ("/leader?election=payments", 200, 503),
        ("/follower", 503, 200),
        ("/leader?election=unknown", 404, 404),
    ] {
        assert_eq!(a.probe(path).status, of_leader, "{path}");
        assert_eq!(a.ask(path).status, of_leader, "{path}");
        assert_eq!(b.probe(path).status, of_follower, "{path}");
        assert_eq!(b.ask(path).status, of_follower, "{path}");
    }
}

#[test]
fn readiness_can_be_that_it_leads() {
    let directory = TempDir::new().unwrap();
    let spec = |id| Spec::on_files(id, directory.path()).with("readiness: leader");
    let a = spec("a").start_leading();
    let b = spec("b").start_following();
    assert_eq!(a.probe("/readyz").status, 200);
    let answer = b.probe("/readyz");
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("payments"), "{}", answer.body);
}

#[test]
fn refusals_are_json_with_a_fitting_status() {
    let (_directory, a, b) = leader_and_follower();
    let refused = |port, method, path, status: u16| {
        let answer = request(port, method, path);
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert!(answer.json()["error"].is_string(), "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        answer
    };
    refused(a.api, "GET", "/nowhere", 404);
    refused(a.probes, "GET", "/nowhere", 404);
    refused(a.api, "GET", "/leader?election=unknown", 404);
    let answer = refused(a.api, "POST", "/leader", 405);
    assert!(
        answer
            .header("allow")
            .is_some_and(|allow| allow.contains("GET"))
    );
    let answer = refused(a.api, "GET", "/resign", 405);
    assert_eq!(answer.header("allow"), Some("POST"));
    refused(a.api, "POST", "/resign?cooldown=soon", 400);
    refused(b.api, "POST", "/resign", 409);
    assert!(a.leads());
}

#[test]
fn probes_are_read_only() {
    let (_directory, a, _b) = leader_and_follower();
    for (method, path) in [
        ("POST", "/resign"),
        ("POST", "/resign?stopped=true"),
        ("GET", "/events"),
    ] {
        let answer = request(a.probes, method, path);
        assert!(
            matches!(answer.status, 404 | 405),
            "{method} {path}: {answer:?}"
        );
    }
    let_pass(RETRY_PERIOD);
    assert!(a.leads());
}

#[test]
fn the_root_names_the_leader_or_shows_browsers_a_page() {
    let (_directory, a, b) = leader_and_follower();
    for sidecar in [&a, &b] {
        assert_eq!(sidecar.probe("/").json(), serde_json::json!({"name": "a"}));
        let accept = [("Accept", "text/html,application/xhtml+xml")];
        let page = Client::new(sidecar.api, ms(5_000))
            .request("GET", "/", &accept)
            .unwrap();
        assert_eq!(page.status, 200);
        assert!(
            page.header("content-type")
                .unwrap()
                .starts_with("text/html")
        );
        assert!(page.body.contains("payments"), "{}", page.body);
    }
}

#[test]
fn events_tell_the_state_at_once_every_change_and_every_renewal() {
    let (_directory, mut a, b) = leader_and_follower();
    let mut of_leader = Events::subscribe(a.api, "/events", ROLE_BOUND).unwrap();
    let mut of_follower =
        Events::subscribe(b.api, "/events?election=payments", ROLE_BOUND).unwrap();
    let (name, election) = of_follower.next_event().unwrap();
    assert_eq!(
        (name.as_str(), &election["state"]),
        ("state", &"follower".into())
    );
    let (name, election) = of_leader.next_event().unwrap();
    assert_eq!(
        (name.as_str(), &election["state"]),
        ("state", &"leader".into())
    );
    for _ in 0..3 {
        let (name, election) = of_leader.next_event().unwrap();
        assert_eq!(
            (name.as_str(), &election["is_leader"]),
            ("renewed", &true.into())
        );
    }
    a.end_well();
    let states: Vec<String> = std::iter::from_fn(|| of_leader.next_event().ok())
        .filter(|(name, _)| name == "state")
        .filter_map(|(_, election)| Some(election["state"].as_str()?.to_owned()))
        .collect();
    assert_eq!(
        states.first().map(String::as_str),
        Some("stepping_down"),
        "{states:?}"
    );
    let leads = std::iter::from_fn(|| of_follower.next_event().ok())
        .find(|(name, election)| name == "state" && election["is_leader"] == true);
    assert!(leads.is_some());
}

#[test]
fn nonsense_and_slow_requests_keep_nobody_from_being_answered() {
    let (_directory, a, _b) = leader_and_follower();
    let idle: Vec<Question> = (0..50)
        .map(|i| {
            let mut question = Question::connect(a.probes, ms(5_000)).unwrap();
            let begun: &[u8] = if i % 2 == 0 { b"GET /leader HT" } else { b"" };
            question.send(begun).unwrap();
            question
        })
        .collect();
    let mut question = Question::connect(a.api, ms(5_000)).unwrap();
    question
        .send(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        .unwrap();
    if let Ok(answer) = question.answer() {
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    let long = "x".repeat(100_000);
    if let Ok(answer) = Client::new(a.api, ms(5_000)).get(&format!("/{long}")) {
        assert!((400..500).contains(&answer.status), "{}", answer.status);
    }
    assert_eq!(a.probe("/leader").status, 200);
    assert_eq!(a.ask("/leader").status, 200);
    drop(idle);
}

#[test]
fn many_questions_fit_on_one_connection() {
    let (_directory, a, _b) = leader_and_follower();
    let mut question = Question::connect(a.probes, ms(5_000)).unwrap();
    for path in ON_BOTH.iter().cycle().take(100) {
        question.ask("GET", path, &[]).unwrap();
        question.answer().unwrap();
    }
}

#[test]
fn since_and_transitions_tell_of_the_last_change() {
    let (_directory, mut a, b) = leader_and_follower();
    let before = b.probe_leader().unwrap();
    a.end_well();
    b.wait_leading(ROLE_BOUND);
    let after = b.probe_leader().unwrap();
    let count = |election: &serde_json::Value| election["transitions"].as_u64().unwrap();
    assert_eq!(count(&after), count(&before) + 1);
    let since = |election: &serde_json::Value| election["since"].as_str().unwrap().to_owned();
    // RFC 3339 in UTC sorts as text.
    assert!(since(&after) > since(&before));
    assert!(
        since(&after).ends_with('Z') && since(&after).len() == "2026-11-22T17:40:00.123Z".len()
    );
}

fn request(port: u16, method: &str, path: &str) -> Response {
    Client::new(port, ms(5_000))
        .request(method, path, &[])
        .unwrap()
}

#[track_caller]
fn leader_and_follower() -> (TempDir, Sidecar, Sidecar) {
    let directory = TempDir::new().unwrap();
    let a = Spec::on_files("a", directory.path()).start_leading();
    let b = Spec::on_files("b", directory.path()).start_following();
    eventually("b knows a", ROLE_BOUND, || {
        (b.probe_leader()?["leader"]["id"] == "a").then_some(())
    });
    let_pass(RETRY_PERIOD);
    (directory, a, b)
}
