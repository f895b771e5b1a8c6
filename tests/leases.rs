//! The core and the kubernetes store's decisions that ship, on a Lease in a world of virtual time where everything breaks and
//! people lay hands on the Lease, judged after every event.
//!
//! What is real: the state machine, the driver's steps, and what the store knows, writes, and makes of every answer (its ledger,
//! records, errands and lookout). What is modelled: the waiting for answers, an API server, clocks that drift, a network that
//! loses and delays, watches that lag, end or say nothing, and client-go's candidates. What is not: TLS, HTTP, the watch's own
//! protocol; `tests/store_contract.rs` and the sidecar's tests have those.
//!
//! A seed that fails is run again by `TENURE_SEED=<seed> cargo test --test leases one_seed -- --nocapture`; a
//! million are run by `TENURE_SEEDS=1000000 cargo test --release --test leases many_seeds -- --nocapture`.

#![allow(clippy::unwrap_used, reason = "a test is to fail by it")]

#[path = "leases/candidate.rs"]
mod candidate;
#[path = "leases/judge.rs"]
mod judge;
#[path = "leases/kind.rs"]
mod kind;
#[path = "leases/register.rs"]
mod register;
#[path = "leases/session.rs"]
mod session;
mod simulated;
#[path = "leases/world.rs"]
mod world;

// The files that ship.
#[path = "../src/store/kubernetes/errand.rs"]
mod errand;
#[path = "../src/store/kubernetes/error.rs"]
#[expect(dead_code, reason = "nobody is told of troubles here")]
mod error;
#[path = "../src/store/kubernetes/ledger.rs"]
mod ledger;
#[path = "../src/store/kubernetes/lookout.rs"]
mod lookout;
#[path = "../src/store/kubernetes/record.rs"]
mod record;

use kind::{CONSEQUENCES, FAULTS};
use simulated::outcome::Outcome;
use simulated::seeds;
use simulated::timings::{tight, usual};
use std::time::Duration;
use tenure::election;
use tenure::kubernetes;
use world::{Climate, World};

/// Each seed has a budget and a company of its own.
fn climate(seed: u64, drift: f64) -> Climate {
    let [short, long] = [4, 10].map(Duration::from_secs);
    Climate {
        candidates: 2 + (seed % 4) as usize,
        foreign: (seed / 4 % 3) as usize,
        drift,
        faulty: Duration::from_secs(100),
        timing: [usual(long), usual(short), tight(short), tight(long)][(seed / 12 % 4) as usize],
    }
}

fn run(seed: u64, drift: f64) -> Outcome {
    World::new(climate(seed, drift), seed).run()
}

#[test]
fn many_seeds_find_nothing_wrong_and_leave_out_nothing() {
    let (seeds, found) = seeds::many();
    let share = found.share();
    assert!(share > 0.3, "a leader only {share:.3} of the time");
    assert!(found.leaderships >= 5 * seeds);
    // Who is told in time of what happened writes nothing in vain, so the latter are rarer.
    for (kinds, once_in) in [(&FAULTS[..], 10), (&CONSEQUENCES[..], 20)] {
        for kind in kinds {
            let count = found.counts.get(kind).copied().unwrap_or(0);
            assert!(
                count >= seeds / once_in,
                "{kind:?} happened only {count} times"
            );
        }
    }
}
