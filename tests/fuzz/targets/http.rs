//! Any bytes on a listener: the server that ships, over loopback, with drivers that only reply.
//!
//! The first byte says on which one: `a` (or anything odd) is `http.api`, `p` (or anything even) is `http.probes`.

#![no_main]

#[path = "../../http/harness.rs"]
#[allow(dead_code, reason = "shared with the tests of HTTP")]
mod harness;
#[path = "../../hostile/judge.rs"]
mod judge;

use harness::{Fixture, leader_for};
use judge::{exchange, first_status, is_request};
use libfuzzer_sys::fuzz_target;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tenure::config::Readiness;
use tenure::http::{Limits, Surface};
use tokio::runtime::{Builder, Runtime};

/// Longer than anybody fuzzes.
const LONG: Duration = Duration::from_secs(365 * 24 * 60 * 60);

thread_local! {
    /// Two listeners that outlive all inputs. A panic in one of their tasks ends the process, by libFuzzer's hook.
    static SCENE: (Runtime, Fixture) = {
        // As in a program whose main is Rust's: writing to a peer that has left is an error, and no end.
        signal_hook::flag::register(signal_hook::consts::SIGPIPE, Arc::default()).expect("a handler");
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        // An event stream whose reader has left is noticed when something is written to it.
        let limits = Limits { heartbeat: Duration::from_millis(50), ..Limits::default() };
        let fixture = Fixture::start_with(&["payments"], limits, Readiness::Participating);
        let fixture = runtime.block_on(fixture);
        fixture.publish(0, leader_for(LONG));
        (runtime, fixture)
    };
}

fuzz_target!(|data: &[u8]| {
    let Some((which, bytes)) = data.split_first() else {
        return;
    };
    let surface = if which % 2 == 1 {
        Surface::Api
    } else {
        Surface::Probes
    };
    SCENE.with(|(runtime, fixture)| {
        runtime.block_on(async {
            let answer = exchange(address(fixture, surface), bytes).await;
            check(bytes, &answer);
            let after = fixture.get(surface, "/leader").await;
            assert_eq!(after.status, 200, "after {}", bytes.escape_ascii());
        });
    });
});

/// Nothing but a request succeeds; what is refused is refused properly.
fn check(bytes: &[u8], answer: &[u8]) {
    let Some(status) = first_status(answer) else {
        assert!(answer.is_empty(), "{}", answer.escape_ascii());
        return;
    };
    let success = (200..300).contains(&status);
    assert!(
        !success || is_request(bytes),
        "{status} for {}",
        bytes.escape_ascii()
    );
    assert_ne!(status, 500, "{}", bytes.escape_ascii());
}

fn address(fixture: &Fixture, surface: Surface) -> SocketAddr {
    let url = fixture.url(surface);
    let address = url.strip_prefix("http://").expect("a URL");
    address.parse().expect("an address")
}
