//! Real faults: the real binary and a real cluster of etcd, whose processes and links fail all the time.
//!
//! `cargo test --test faults` inflicts 40 faults. The long run:
//! ```sh
//! TENURE_FAULTS=1000 cargo test --test faults -- --nocapture
//! ```
//! takes nine minutes; `TENURE_SEED` chooses another schedule. What happened is written to `target/faults`:
//! `report.md`, `timeline.svg` and `history.jsonl`.
//!
//! A seed fixes which faults come when and for how long. What they meet, who leads for instance, is up to
//! real processes on a real machine: two runs of a seed are alike, and not the same.

#![allow(clippy::unwrap_used, reason = "a test is to fail by it")]

mod support;

#[path = "faults/errand.rs"]
mod errand;
#[path = "faults/judge.rs"]
mod judge;
#[path = "faults/nemesis.rs"]
mod nemesis;
#[path = "faults/record.rs"]
mod record;
#[path = "faults/report.rs"]
mod report;
#[path = "faults/schedule.rs"]
mod schedule;
#[path = "faults/stage.rs"]
mod stage;
#[path = "faults/timeline.rs"]
mod timeline;
#[path = "faults/watch.rs"]
mod watch;

use nemesis::Nemesis;
use record::{History, Record};
use report::Figures;
use schedule::{KINDS, Schedule};
use stage::{Stage, TTL};
use std::sync::Arc;
use std::time::Duration;
use support::process::EXIT_BOUND;
use support::sidecar::{PREFIX, ROLE_BOUND, Sidecar, wait_for_one_leader};
use support::{eventually, let_pass, ms};
use tenure::clock;
use watch::Watch;

/// The short cut: a schedule that has every kind of fault in it, and not too many of the worst.
const FAULTS: usize = 40;
const SEED: u64 = 106_974;
/// Of the long run.
const LONG_SEED: u64 = 1;

/// After the last fault: a lease that runs out, a campaign, and a busy machine.
const LEADER_BOUND: Duration = TTL.saturating_add(ms(5_000));
/// Leases of the killed run out, lengthened perhaps.
const EMPTY_BOUND: Duration = ms(15_000);

#[test]
fn two_never_lead_while_everything_fails_and_one_leads_once_nothing_does() {
    let (count, seed) = match from_environment("TENURE_FAULTS") {
        Some(count) => (count as usize, LONG_SEED),
        None => (FAULTS, SEED),
    };
    let seed = from_environment("TENURE_SEED").unwrap_or(seed);
    let mut stage = Stage::set();
    let sidecars: Vec<&Sidecar> = stage.sidecars.iter().collect();
    wait_for_one_leader(&sidecars, ROLE_BOUND);

    let record = Arc::new(Record::new());
    let watch = Watch::over(&stage.sidecars, &record);
    Nemesis::rage(&mut stage, &record, Schedule::of(seed), count);
    recover(&mut stage, &record);
    watch.end();
    let mut history = Arc::into_inner(record).unwrap().into_history();
    history.ended = clock::now();
    println!("{}", report::write(&history, seed));
    judge(&history, seed);
    leave_nothing(stage);
}

/// Nothing ails anybody any more, and so somebody leads soon. What is wrong goes on record, and the report is written.
fn recover(stage: &mut Stage, record: &Record) {
    for member in &mut stage.cluster.members {
        member.wait_until_healthy();
    }
    let give_up = clock::now() + LEADER_BOUND;
    while record.leader().is_none() {
        if clock::now() > give_up {
            let what = format!("nobody leads {LEADER_BOUND:?} after the last fault");
            return record.offence(what);
        }
        let_pass(ms(10));
    }
}

#[track_caller]
fn judge(history: &History, seed: u64) {
    let violations = history.violations();
    assert!(
        violations.is_empty(),
        "seed {seed}: {violations:#?}\nagain: TENURE_SEED={seed} TENURE_FAULTS={} cargo test --test faults",
        history.inflicted.len()
    );
    let share = Figures::of(history).share();
    // Who is to resign must lead, and some kinds strike rarely: a quarter of what is due comes true in any case.
    for (kind, name, percent) in KINDS {
        let struck = history.inflicted.iter().filter(|fault| fault.kind == kind);
        let (struck, due) = (
            struck.count(),
            history.inflicted.len() * percent as usize / 100,
        );
        assert!(struck >= due / 4, "{name}: only {struck} times");
    }
    assert!(history.leaderships.len() > 2, "hardly anybody ever led");
    assert!(history.promises > 0, "nobody was promised anything");
    assert!(share > 0.1, "a leader only {share:.3} of the time");
}

fn leave_nothing(mut stage: Stage) {
    for sidecar in &mut stage.sidecars {
        sidecar.term();
    }
    for sidecar in &mut stage.sidecars {
        let status = sidecar.wait_exit(EXIT_BOUND);
        assert_eq!(status.code(), Some(0), "{}: {status}", sidecar.id);
    }
    let ctl = stage.ctl();
    eventually("nothing left in etcd", EMPTY_BOUND, || {
        let is_empty = ctl.places(PREFIX).is_empty() && ctl.lease_count() == 0;
        is_empty.then_some(())
    });
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
