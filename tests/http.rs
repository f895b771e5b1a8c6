//! Both listeners over real TCP, with elections that are published by hand and drivers that only reply.
#![cfg(test)]

#[path = "http/admission.rs"]
mod admission;
#[path = "http/answers.rs"]
mod answers;
#[path = "http/events.rs"]
mod events;
#[path = "http/harness.rs"]
mod harness;
#[path = "http/limits.rs"]
mod limits;
#[path = "http/page.rs"]
mod page;
#[path = "http/resign.rs"]
mod resign;
#[path = "http/verbs.rs"]
mod verbs;

use harness::{Fixture, Reply, Wire, run};
use std::time::Duration;
use tenure::http::Surface;

const BOTH: [Surface; 2] = [Surface::Api, Surface::Probes];
const ONE: &[&str] = &["payments"];
const TWO: &[&str] = &["payments", "reports"];
const LONG: Duration = Duration::from_secs(3600);

/// Runs a test against both listeners, with the usual limits, and ends them.
fn with(elections: &'static [&'static str], test: impl AsyncFnOnce(&Fixture)) {
    run(async {
        let fixture = Fixture::start(elections).await;
        test(&fixture).await;
        fixture.end().await;
    });
}

#[test]
fn the_harness_reads_replies_to_their_end() {
    let reply = Reply::parse("HTTP/1.1 503 x\r\nA: b\r\n\r\n").unwrap();
    assert_eq!((reply.status, reply.header("a")), (503, "b"));
    assert!(Wire::complete("HTTP/1.1 200 OK\r\n\r\n").is_some());
    assert!(Wire::complete("HTTP/1.1 200 OK\r\n").is_none());
}
