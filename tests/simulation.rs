//! The core that ships, in a world of virtual time where everything breaks, judged after every event.
//!
//! What is real: the state machine, and the driver's steps. What is modelled: the driver's loop and an adapter's books (one
//! request a lane, a bound on each, answers of an old connection ignored), a store that behaves like etcd, clocks that
//! drift, a network that loses, delays, doubles and reorders, and in half of the worlds applications with a guardian that
//! nothing freezes. What is not: threads, sockets, disks, processes; the tests on real parts have those.
//!
//! A seed that fails is run again by `TENURE_SEED=<seed> cargo test --test simulation one_seed -- --nocapture`; a
//! million are run by `TENURE_SEEDS=1000000 cargo test --release --test simulation many_seeds -- --nocapture`.

#![allow(clippy::unwrap_used, reason = "a test is to fail by it")]

#[path = "simulation/application.rs"]
mod application;
#[path = "simulation/candidate.rs"]
mod candidate;
#[path = "simulation/kind.rs"]
mod kind;
mod simulated;
#[path = "simulation/store.rs"]
mod store;
#[path = "simulation/world.rs"]
mod world;

use kind::Kind;
use simulated::outcome::Outcome;
use simulated::seeds;
use simulated::timings::{tight, usual};
use std::time::Duration;
use world::{Climate, World};

/// Each seed has a budget of its own.
fn climate(seed: u64, drift: f64) -> Climate {
    let [short, middling, long] = [4, 5, 10].map(Duration::from_secs);
    let timing = [usual(long), usual(middling), tight(short)][(seed % 3) as usize];
    // Most stores grant what was asked; etcd, more where that is little.
    let granted = timing
        .ttl()
        .mul_f64([1.0, 1.0, 1.5, 0.7][(seed / 3 % 4) as usize]);
    Climate {
        candidates: 2 + (seed % 4) as usize,
        drift,
        faulty: Duration::from_secs(120),
        // A lease, lengthened once, and the time to notice.
        calm: granted * 2 + Duration::from_secs(6),
        timing,
        granted,
    }
}

fn run(seed: u64, drift: f64) -> Outcome {
    World::new(climate(seed, drift), seed).run()
}

#[test]
fn many_seeds_find_nothing_wrong_and_mostly_a_leader() {
    let (seeds, found) = seeds::many();
    let share = found.share();
    assert!(share > 0.7, "a leader only {share:.3} of the time");
    assert!(found.counts[&Kind::Guarded] >= 100 * seeds);
    assert!(found.faults >= 30 * seeds);
    assert!(found.leaderships >= 8 * seeds);
}
