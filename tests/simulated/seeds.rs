//! Many seeds, on all cores; one, to be looked at; and how whoever finds something wrong runs it again.

use super::outcome::Outcome;
use crate::run;
use std::num::NonZero;
use std::thread;

/// By how much a clock may run wrong, in the words of the README.
const PROMISED_DRIFT: f64 = 0.024;

/// What CI runs.
const SEEDS: u64 = 2_000;

/// How many they were, and what came of all.
pub(crate) fn many() -> (u64, Outcome) {
    let seeds = from_environment("TENURE_SEEDS").unwrap_or(SEEDS);
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let found = thread::scope(|scope| {
        let each = |first| scope.spawn(move || all((first..seeds).step_by(threads)));
        let running: Vec<_> = (0..threads as u64).map(each).collect();
        let ended = running.into_iter().map(|thread| thread.join().unwrap());
        ended.fold(Outcome::default(), Outcome::and)
    });
    println!(
        "{seeds} seeds: {} faults, {} leaderships, a leader {:.1} % of the time\n{:?}",
        found.faults,
        found.leaderships,
        found.share() * 100.0,
        found.counts
    );
    (seeds, found)
}

fn all(seeds: impl Iterator<Item = u64>) -> Outcome {
    let outcomes = seeds.map(|seed| convict(seed, run(seed, PROMISED_DRIFT)));
    outcomes.fold(Outcome::default(), Outcome::and)
}

/// Unless it is innocent.
#[track_caller]
fn convict(seed: u64, outcome: Outcome) -> Outcome {
    if let Some(crime) = &outcome.crime {
        let lines: Vec<&str> = outcome.trace.lines().collect();
        let tail = &lines[lines.len().saturating_sub(60)..];
        panic!(
            "seed {seed}: {crime}\n{}\nagain: TENURE_SEED={seed} cargo test --test {} one_seed -- --nocapture",
            tail.join("\n"),
            env!("CARGO_CRATE_NAME")
        );
    }
    outcome
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn one_seed_twice_gives_the_same_trace() {
    let [first, second] = [7, 7].map(|seed| run(seed, PROMISED_DRIFT).trace);
    assert!(first.lines().count() > 50);
    assert_eq!(first, second);
}

#[test]
fn one_seed() {
    let seed = from_environment("TENURE_SEED").unwrap_or(1);
    let outcome = run(seed, PROMISED_DRIFT);
    println!("{}", outcome.trace);
    convict(seed, outcome);
}

/// Shows that a world can be cruel enough: clocks far outside of what is promised break the promise.
#[test]
fn clocks_that_drift_further_than_promised_are_found_out() {
    let mut crimes = (0..SEEDS).filter_map(|seed| run(seed, 0.4).crime);
    assert!(
        crimes.any(|crime| crime.contains("lead, or were promised to")),
        "no seed notices clocks that are wrong by 40 %"
    );
}
