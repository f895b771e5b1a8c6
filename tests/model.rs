//! Every way that two candidates and a store can go, as far as a few seconds and a few losses allow, on the core that ships.
//!
//! **Modelled:** time in steps of a second, on one clock for all; requests that arrive at any time, or never, or after they
//! were given up; answers that come at any time, or never; candidates frozen at any point and thawed at any other; leases
//! swept at any time after they ran out; a resignation at any time. A candidate that is not frozen does at once what is
//! due, sees the queue change at once, and the application of one of the two relies on every promise it can get.
//!
//! **Not modelled:** clocks that drift, deleted keys, late watches, crashes, shutdowns, outages and an old etcd leader
//! (`tests/simulation.rs` has those), a queue of more than two, jitter shorter than a second, a loss and a freeze in one
//! way. So it can't see a validity that counts from the answer, nor a missing verification: a second is all the slack there
//! is, and the queue is seen at once. States that differ in random numbers and lease names only are one.
//!
//! Checked in every state: at most one candidate leads or is relied upon to, and tokens only rise. And from every state at
//! which the clock has just moved on, somebody leads soon once nothing is lost or frozen any more.
//!
//! `TENURE_SECONDS=6 cargo test --release --test model -- --nocapture` looks further, and takes its time.

#![allow(clippy::unwrap_used, reason = "a test is to fail by it")]

#[path = "model/canonical.rs"]
mod canonical;
#[path = "model/world.rs"]
mod world;

use std::collections::{HashSet, VecDeque};
use tenure::election::Time;
use world::{Bounds, SECOND, Step, World};

/// Visits every state within the bounds. Returns how many there are, and in how many somebody leads.
fn explore(bounds: Bounds) -> (usize, usize) {
    let last = Time::ORIGIN + SECOND * u32::try_from(bounds.seconds).unwrap();
    let mut known = HashSet::new();
    // How each state was come by: the state before, and the step.
    let mut origins = vec![(0, Step::Clock)];
    let mut open = VecDeque::from([(World::new(bounds), 0)]);
    let mut led = 0;
    while let Some((world, number)) = open.pop_front() {
        for step in world.steps(last) {
            let mut next = world.clone();
            next.take(step);
            let crime = next.crime();
            if !known.insert(next.key()) {
                continue;
            }
            origins.push((number, step));
            let number = origins.len() - 1;
            if let Some(crime) = crime {
                panic!("{crime}, after {:#?}", path(&origins, number));
            }
            if step == Step::Clock && !next.clone().recovers() {
                panic!("nobody leads any more, after {:#?}", path(&origins, number));
            }
            led += usize::from((0..2).any(|name| next.claim(name).is_some()));
            open.push_back((next, number));
        }
    }
    (known.len(), led)
}

fn path(origins: &[(usize, Step)], mut number: usize) -> Vec<Step> {
    let mut path = Vec::new();
    while number != 0 {
        path.push(origins[number].1);
        number = origins[number].0;
    }
    path.reverse();
    path
}

#[test]
fn no_way_leads_to_two_leaders_and_every_way_leads_to_one() {
    let bounds = |seconds, losses, freezes, resignations| Bounds {
        seconds,
        losses,
        freezes,
        resignations,
    };
    // A lease that begins at once runs out at the fourth.
    let seconds = std::env::var("TENURE_SECONDS").map_or(4, |seconds| seconds.parse().unwrap());
    let worlds = [
        bounds(seconds, 1, 0, 0),
        bounds(seconds, 0, 1, 0),
        bounds(seconds, 0, 0, 1),
    ];
    for bounds in worlds {
        let (states, led) = explore(bounds);
        println!("{bounds:?}: {states} states, a leader in {led}");
        assert!(led > 0);
    }
}
