//! Any bytes on a listener.

use super::cases;
use super::harness::{Fixture, leader_for};
use super::judge::{exchange, first_status, is_request};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Once;
use std::time::Duration;
use tenure::http::Surface;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(3600);
const AT_MOST: Duration = Duration::from_secs(10);

const REQUESTS: &[&str] = &[
    "GET /leader HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /leader?election=payments HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
    "GET http://localhost/status HTTP/1.0\r\n\r\n",
    "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n",
    "GET /fence?token=4711 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
    "POST /resign?cooldown=1s&stopped=true HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
];

const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b":",
    b"\0",
    b"\x7f",
    b"\xff",
    b"%",
    b"%zz",
    b"?election=x",
    b"?token=18446744073709551616",
    b"&",
    b"#",
    b"//",
    b"/../",
    b"*",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"HTTP/1.",
    b"GET ",
    b"get ",
    b"CONNECT a:1 ",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"X: y\r\n",
    b" folded\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Expect: 100-continue\r\n",
    b"Upgrade: h2c\r\n",
    b"/leader",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
];

fn damaged_request() -> impl Strategy<Value = Vec<u8>> {
    let edit = (
        any::<Index>(),
        any::<Index>(),
        0..6,
        select(PIECES),
        any::<u8>(),
    );
    (select(REQUESTS), vec(edit, 0..4)).prop_map(|(request, edits)| {
        let mut bytes = request.as_bytes().to_vec();
        for (at, to, kind, piece, byte) in edits {
            let (at, to) = (at.index(bytes.len() + 1), to.index(bytes.len() + 1));
            let (from, to) = (at.min(to), at.max(to));
            match kind {
                0 => bytes.truncate(at),
                1 => drop(bytes.drain(from..to.min(from + 8))),
                2 => drop(bytes.splice(at..at, vec![byte; 20_000])),
                3 if at < bytes.len() => bytes[at] = byte,
                _ => drop(bytes.splice(at..at, piece.iter().copied())),
            }
        }
        bytes
    })
}

fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => vec(any::<u8>(), 0..300),
        1 => vec(select(PIECES), 0..30).prop_map(|pieces| pieces.concat()),
        4 => damaged_request(),
    ]
}

#[test]
fn any_bytes_leave_a_listener_answering_and_only_a_request_succeeds() {
    let strategy = vec((hostile_bytes(), any::<bool>()), 1..8);
    run(300, &strategy, async |fixture, batch| {
        for (bytes, api) in batch {
            let surface = if api { Surface::Api } else { Surface::Probes };
            let answer = exchange(address(fixture, surface), &bytes).await;
            if let Some(status) = first_status(&answer) {
                let success = (200..300).contains(&status);
                assert!(
                    !success || is_request(&bytes),
                    "{status} for {}",
                    bytes.escape_ascii()
                );
                assert_ne!(status, 500, "{}", bytes.escape_ascii());
            } else {
                assert!(answer.is_empty(), "{}", answer.escape_ascii());
            }
        }
    });
}

#[test]
fn requests_in_any_number_and_any_pieces_are_answered_one_by_one() {
    let asked = select(
        &[
            ("/leader", 200),
            ("/follower", 503),
            ("/none", 404),
            ("/status", 200),
        ][..],
    );
    let strategy = (vec(asked, 1..20), vec(any::<Index>(), 0..20), any::<bool>());
    run(100, &strategy, async |fixture, (asked, cuts, api)| {
        let surface = if api { Surface::Api } else { Surface::Probes };
        let request =
            |(path, _): &(&str, u16)| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let text: String = asked.iter().map(request).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len())).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let mut wire = fixture.connect(surface).await;
        for piece in cuts.windows(2) {
            wire.send(&text[piece[0]..piece[1]]).await;
            tokio::task::yield_now().await;
        }
        for (path, status) in asked {
            assert_eq!(wire.reply(false).await.status, status, "{path}");
        }
    });
}

#[test]
fn the_judge_tells_a_request_from_what_is_none() {
    for request in REQUESTS {
        assert!(is_request(request.as_bytes()), "{request}");
    }
    for none in [
        "",
        "GET /leader",
        "GET /leader HTTP/1.1\r\n",
        "GET  /leader HTTP/1.1\r\n\r\n",
        "GET /leader HTTP/2.0\r\n\r\n",
        "get /leader HTTP/1.1\r\n\r\n",
        "GET /none HTTP/1.1\r\n\r\n",
        "POST /leader HTTP/1.1\r\n\r\n",
        "GET /leader HTTP/1.1\r\nA b: c\r\n\r\n",
        "GET /leader HTTP/1.1\r\nA: b\0\r\n\r\n",
        "GET /leader HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ] {
        assert!(!is_request(none.as_bytes()), "{none}");
    }
}

/// Runs a property against two listeners that outlive all its cases; after each a proper request is answered.
fn run<S: Strategy>(count: u32, strategy: &S, case: impl AsyncFn(&Fixture, S::Value)) {
    count_panics();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let fixture = runtime.block_on(Fixture::start(&["payments"]));
    fixture.publish(0, leader_for(LONG));
    let result = TestRunner::new(cases(count)).run(strategy, |input| {
        runtime.block_on(async {
            timeout(AT_MOST, case(&fixture, input))
                .await
                .expect("it hangs");
            for surface in [Surface::Api, Surface::Probes] {
                let reply = timeout(AT_MOST, fixture.get(surface, "/leader")).await;
                assert_eq!(reply.expect("no answer").status, 200);
            }
            assert_eq!(
                PANICS.get(),
                0,
                "a connection panicked; in production that ends all"
            );
        });
        Ok(())
    });
    PANICS.set(0);
    result.unwrap_or_else(|failure| panic!("{failure}"));
    runtime.block_on(fixture.end());
}

thread_local! {
    /// tokio catches the panic of a task, so it would go unnoticed.
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let in_test = info
                .location()
                .is_some_and(|at| at.file().starts_with("tests/"));
            if !in_test {
                PANICS.set(PANICS.get() + 1);
            }
            usual(info);
        }));
    });
}

fn address(fixture: &Fixture, surface: Surface) -> SocketAddr {
    let url = fixture.url(surface);
    url.strip_prefix("http://").unwrap().parse().unwrap()
}
