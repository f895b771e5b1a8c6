//! The counters of an election: bare atomics. A series of the library weighs as much as all of them together,
//! since each carries its labels and its description; of thousands of elections that would be most of the memory.

use super::gauges::labelled;
use crate::election::{Reason, RoleName, Transition};
use prometheus::proto::{Counter, Metric, MetricFamily, MetricType};
use std::sync::atomic::{AtomicU64, Ordering};

/// How a keepalive ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepaliveResult {
    /// Answered: the lease is renewed.
    Ok,
    /// Not answered in time, or the connection failed; the lease may live.
    Failed,
    /// The store said that there is no such lease.
    Gone,
}

impl KeepaliveResult {
    const ALL: [KeepaliveResult; 3] = [Self::Ok, Self::Failed, Self::Gone];

    /// As in the label `result`.
    fn as_str(self) -> &'static str {
        match self {
            KeepaliveResult::Ok => "ok",
            KeepaliveResult::Failed => "failed",
            KeepaliveResult::Gone => "gone",
        }
    }
}

const ROLES: [RoleName; 5] = [
    RoleName::Starting,
    RoleName::Follower,
    RoleName::Leader,
    RoleName::SteppingDown,
    RoleName::Stopped,
];

/// What is counted of one election.
#[derive(Debug, Default)]
pub(super) struct Counters {
    transitions: [AtomicU64; ROLES.len()],
    step_downs: [AtomicU64; Reason::STEP_DOWNS.len()],
    keepalives: [AtomicU64; KeepaliveResult::ALL.len()],
}

impl Counters {
    pub(super) fn transition(&self, transition: &Transition) {
        count(&ROLES, &self.transitions, transition.to);
        if transition.from == RoleName::Leader {
            count(&Reason::STEP_DOWNS, &self.step_downs, transition.reason);
        }
    }

    pub(super) fn keepalive(&self, result: KeepaliveResult) {
        count(&KeepaliveResult::ALL, &self.keepalives, result);
    }
}

fn count<K: PartialEq>(keys: &[K], counters: &[AtomicU64], key: K) {
    let counter = keys.iter().zip(counters).find(|(k, _)| **k == key);
    if let Some((_, counter)) = counter {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// All of them, by election.
pub(super) fn of<'a>(
    elections: impl Iterator<Item = (&'a str, &'a Counters)>,
) -> [MetricFamily; 3] {
    let (mut transitions, mut step_downs, mut keepalives) = (vec![], vec![], vec![]);
    for (election, counters) in elections {
        let add = |metrics: &mut Vec<_>, label, value, counter: &AtomicU64| {
            let labels = [("election", election), (label, value)];
            metrics.push(counter_of(&labels, counter));
        };
        for (role, counter) in ROLES.iter().zip(&counters.transitions) {
            add(&mut transitions, "to", role.as_str(), counter);
        }
        for (reason, counter) in Reason::STEP_DOWNS.iter().zip(&counters.step_downs) {
            add(&mut step_downs, "reason", reason.as_str(), counter);
        }
        for (result, counter) in KeepaliveResult::ALL.iter().zip(&counters.keepalives) {
            add(&mut keepalives, "result", result.as_str(), counter);
        }
    }
    [
        family(
            "tenure_transitions_total",
            "Changes of this candidate's state, by the new state.",
            transitions,
        ),
        family(
            "tenure_step_downs_total",
            "Ends of this candidate's leadership, by reason.",
            step_downs,
        ),
        family(
            "tenure_keepalives_total",
            "Keepalives sent, by result.",
            keepalives,
        ),
    ]
}

fn counter_of(labels: &[(&str, &str)], value: &AtomicU64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value.load(Ordering::Relaxed) as f64);
    let mut metric = labelled(labels);
    metric.set_counter(counter);
    metric
}

/// A family of counters.
pub(super) fn family(name: &str, help: &str, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = super::gauges::family(name, help, metrics);
    family.set_field_type(MetricType::COUNTER);
    family
}
