//! Input that means harm: the config, the environment, values in etcd that others wrote, and bytes on a listener.
//! (What is on disk is tested beside the file store itself.)
//!
//! The inputs of a plain run are few and always the same, so that a run tells the same twice. To look for new
//! ones, say how many; then they differ each time, and a failure prints the smallest input that fails:
//!
//! ```text
//! PROPTEST_CASES=1000000 cargo test --release --test hostile -- config http
//! PROPTEST_CASES=1000000 cargo test --release --lib -- whatever
//! ```
//!
//! `tests/fuzz/run` goes by what code an input reaches, and judges as the tests here do.

#![allow(clippy::unwrap_used, reason = "a test is to fail by it")]

mod support;

#[path = "hostile/config.rs"]
mod config;
#[path = "hostile/etcd.rs"]
mod etcd;
#[path = "http/harness.rs"]
#[allow(dead_code, reason = "shared with the tests of HTTP")]
mod harness;
#[path = "hostile/http.rs"]
mod http;
#[path = "hostile/judge.rs"]
mod judge;
#[path = "hostile/said.rs"]
mod said;

use proptest::test_runner::{Config, RngSeed};

/// So many cases, always the same; or as many as the environment says, and others each time.
fn cases(count: u32) -> Config {
    let from_env = Config::default();
    let fuzzing = std::env::var_os("PROPTEST_CASES").is_some();
    Config {
        cases: if fuzzing { from_env.cases } else { count },
        rng_seed: if fuzzing {
            from_env.rng_seed
        } else {
            RngSeed::Fixed(1)
        },
        failure_persistence: None,
        ..from_env
    }
}
