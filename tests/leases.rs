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
#[path = "leases/foreign.rs"]
mod foreign;
#[path = "leases/judge.rs"]
mod judge;
#[path = "leases/kind.rs"]
mod kind;
#[path = "leases/register.rs"]
mod register;
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

use kind::{CONSEQUENCES, Counts, FAULTS};
use std::num::NonZero;
use std::thread;
use std::time::Duration;
use tenure::election::{self, Timing};
use tenure::kubernetes;
use world::{Climate, Outcome, World};

/// By how much a clock may run wrong, in the words of the README.
const PROMISED_DRIFT: f64 = 0.024;

/// What CI runs.
const SEEDS: u64 = 2_000;

/// The tightest that is allowed: the leader stops as late as the margin for drift lets it.
fn tight(ttl: Duration) -> Timing {
    let retry_period = ttl / 8;
    let loose = Timing::new(ttl, ttl / 2, retry_period).unwrap();
    Timing::new(ttl, ttl - loose.drift_margin(), retry_period).unwrap()
}

/// The defaults.
fn usual(ttl: Duration) -> Timing {
    Timing::new(ttl, ttl * 2 / 3, ttl / 5).unwrap()
}

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

#[track_caller]
fn convict(seed: u64, outcome: &Outcome) {
    if let Some(crime) = &outcome.crime {
        let lines: Vec<&str> = outcome.trace.lines().collect();
        let tail = &lines[lines.len().saturating_sub(60)..];
        panic!(
            "seed {seed}: {crime}\n{}\nagain: TENURE_SEED={seed} cargo test --test leases one_seed -- --nocapture",
            tail.join("\n")
        );
    }
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What came of many seeds.
#[derive(Default)]
struct Sums {
    led: f64,
    lasted: f64,
    leaderships: u64,
    excused: u64,
    counts: Counts,
}

impl Sums {
    fn add(&mut self, other: Sums) {
        self.led += other.led;
        self.lasted += other.lasted;
        self.leaderships += other.leaderships;
        self.excused += other.excused;
        for (kind, count) in other.counts {
            *self.counts.entry(kind).or_default() += count;
        }
    }
}

fn run_all(seeds: impl Iterator<Item = u64>) -> Sums {
    let mut sums = Sums::default();
    for seed in seeds {
        let outcome = run(seed, PROMISED_DRIFT);
        convict(seed, &outcome);
        sums.add(Sums {
            led: outcome.led.as_secs_f64(),
            lasted: outcome.lasted.as_secs_f64(),
            leaderships: outcome.leaderships,
            excused: outcome.excused,
            counts: outcome.counts,
        });
    }
    sums
}

#[test]
fn many_seeds_find_nothing_wrong_and_leave_out_nothing() {
    let seeds = from_environment("TENURE_SEEDS").unwrap_or(SEEDS);
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let sums = thread::scope(|scope| {
        let each = |first| scope.spawn(move || run_all((first..seeds).step_by(threads)));
        let running: Vec<_> = (0..threads as u64).map(each).collect();
        let mut sums = Sums::default();
        for thread in running {
            sums.add(thread.join().unwrap());
        }
        sums
    });
    let share = sums.led / sums.lasted;
    let faults: u64 = FAULTS.iter().filter_map(|kind| sums.counts.get(kind)).sum();
    println!(
        "{seeds} seeds: {faults} faults, {} leaderships, a leader {:.1} % of the time, {} pairs let pass\n{:?}",
        sums.leaderships,
        share * 100.0,
        sums.excused,
        sums.counts
    );
    assert!(share > 0.3, "a leader only {share:.3} of the time");
    assert!(sums.leaderships >= 5 * seeds, "{}", sums.leaderships);
    for kind in FAULTS.iter().chain(&CONSEQUENCES) {
        let count = sums.counts.get(kind).copied().unwrap_or(0);
        assert!(count >= seeds / 10, "{kind:?} happened only {count} times");
    }
}

#[test]
fn one_seed_twice_gives_the_same_trace() {
    let [first, second] = [7, 7].map(|seed| run(seed, PROMISED_DRIFT));
    assert!(first.trace.lines().count() > 50);
    assert_eq!(first.trace, second.trace);
}

#[test]
fn one_seed() {
    let seed = from_environment("TENURE_SEED").unwrap_or(1);
    let outcome = run(seed, PROMISED_DRIFT);
    println!("{}", outcome.trace);
    convict(seed, &outcome);
}

/// Shows that the world can be cruel enough: clocks far outside of what is promised break the promise.
#[test]
fn clocks_that_drift_further_than_promised_are_found_out() {
    let crimes = (0..SEEDS).filter_map(|seed| run(seed, 0.4).crime);
    let mut crimes = crimes.filter(|crime| crime.contains(" and "));
    assert!(
        crimes.next().is_some(),
        "no seed notices clocks that are wrong by 40 %"
    );
}
