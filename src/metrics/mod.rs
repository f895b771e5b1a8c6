//! What is counted, and what is computed at a scrape.
//!
//! A driver counts through a [`Recorder`] that holds its series ready: counting is an atomic addition, and
//! never waits for a scrape. Whatever depends on the clock is not stored at all: a scrape computes it from
//! the published snapshots and the time, so that it is right even at the first scrape after a freeze.

mod gauges;
mod process;

use crate::election::{Reason, RoleName, Time, Transition};
use crate::status::Board;
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder,
};
use std::time::Duration;

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

/// Everything that a scrape shows.
#[derive(Debug)]
pub struct Metrics {
    board: Board,
    version: &'static str,
    /// When the process started, in seconds since 1970, if the kernel says so.
    started: Option<f64>,
    registry: Registry,
    transitions: IntCounterVec,
    step_downs: IntCounterVec,
    keepalives: IntCounterVec,
    keepalive_duration: HistogramVec,
    takeover_duration: HistogramVec,
}

impl Metrics {
    /// Every series of every election on the board, at zero.
    ///
    /// # Errors
    /// Where the library refuses a name, which no input can cause.
    pub fn new(board: Board, version: &'static str) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let metrics = Metrics {
            transitions: counter(&registry, &TRANSITIONS)?,
            step_downs: counter(&registry, &STEP_DOWNS)?,
            keepalives: counter(&registry, &KEEPALIVES)?,
            keepalive_duration: histogram(&registry, &KEEPALIVE_DURATION)?,
            takeover_duration: histogram(&registry, &TAKEOVER_DURATION)?,
            started: process::started(),
            registry,
            board,
            version,
        };
        for handle in &metrics.board.elections {
            // A series exists from the first time that it is asked for.
            drop(metrics.recorder(handle.status.name()));
        }
        Ok(metrics)
    }

    /// What the driver of `election` counts with.
    pub fn recorder(&self, election: &str) -> Recorder {
        let labelled = |vec: &IntCounterVec, value| vec.with_label_values(&[election, value]);
        Recorder {
            transitions: ROLES.map(|to| (to, labelled(&self.transitions, to.as_str()))),
            step_downs: Reason::STEP_DOWNS
                .map(|reason| (reason, labelled(&self.step_downs, reason.as_str()))),
            keepalives: KeepaliveResult::ALL
                .map(|result| (result, labelled(&self.keepalives, result.as_str()))),
            keepalive_duration: self.keepalive_duration.with_label_values(&[election]),
            takeover_duration: self.takeover_duration.with_label_values(&[election]),
        }
    }

    /// The text that Prometheus reads, as of `now`.
    ///
    /// # Errors
    /// Where the library refuses to encode, which no input can cause.
    pub fn scrape(&self, now: Time) -> prometheus::Result<String> {
        let mut families = self.registry.gather();
        families.extend(gauges::of(&self.board, self.version, now));
        families.extend(process::families(self.started));
        families.sort_by(|a, b| a.name().cmp(b.name()));
        TextEncoder::new().encode_to_string(&families)
    }
}

/// Counts what happens to one election.
#[derive(Clone, Debug)]
pub struct Recorder {
    transitions: [(RoleName, IntCounter); ROLES.len()],
    step_downs: [(Reason, IntCounter); Reason::STEP_DOWNS.len()],
    keepalives: [(KeepaliveResult, IntCounter); KeepaliveResult::ALL.len()],
    keepalive_duration: Histogram,
    takeover_duration: Histogram,
}

impl Recorder {
    /// A role has changed.
    pub fn transition(&self, transition: &Transition) {
        count(&self.transitions, transition.to);
        if transition.from == RoleName::Leader {
            count(&self.step_downs, transition.reason);
        }
    }

    /// A keepalive ended, so long after it was sent.
    pub fn keepalive(&self, result: KeepaliveResult, duration: Duration) {
        count(&self.keepalives, result);
        self.keepalive_duration.observe(duration.as_secs_f64());
    }

    /// This candidate leads, so long after the former leader was gone.
    pub fn took_over(&self, duration: Duration) {
        self.takeover_duration.observe(duration.as_secs_f64());
    }
}

fn count<K: PartialEq>(counters: &[(K, IntCounter)], key: K) {
    if let Some((_, counter)) = counters.iter().find(|(k, _)| *k == key) {
        counter.inc();
    }
}

const ROLES: [RoleName; 5] = [
    RoleName::Starting,
    RoleName::Follower,
    RoleName::Leader,
    RoleName::SteppingDown,
    RoleName::Stopped,
];

/// The name, the help, and the labels.
type CounterSpec = (&'static str, &'static str, &'static [&'static str]);
/// The name, the help, and the upper bounds of the buckets in seconds.
type HistogramSpec = (&'static str, &'static str, &'static [f64]);

const TRANSITIONS: CounterSpec = (
    "tenure_transitions_total",
    "Changes of this candidate's state, by the new state.",
    &["election", "to"],
);
const STEP_DOWNS: CounterSpec = (
    "tenure_step_downs_total",
    "Ends of this candidate's leadership, by reason.",
    &["election", "reason"],
);
const KEEPALIVES: CounterSpec = (
    "tenure_keepalives_total",
    "Keepalives sent, by result.",
    &["election", "result"],
);
const KEEPALIVE_DURATION: HistogramSpec = (
    "tenure_keepalive_duration_seconds",
    "From sending a keepalive to its answer, or to giving up on it.",
    &[
        0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    ],
);
const TAKEOVER_DURATION: HistogramSpec = (
    "tenure_takeover_duration_seconds",
    "From the former leader being gone to this candidate leading.",
    &[
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    ],
);

fn counter(registry: &Registry, spec: &CounterSpec) -> prometheus::Result<IntCounterVec> {
    let (name, help, labels) = spec;
    register(
        registry,
        IntCounterVec::new(Opts::new(*name, *help), labels)?,
    )
}

fn histogram(registry: &Registry, spec: &HistogramSpec) -> prometheus::Result<HistogramVec> {
    let (name, help, buckets) = spec;
    let opts = HistogramOpts::new(*name, *help).buckets(buckets.to_vec());
    register(registry, HistogramVec::new(opts, &["election"])?)
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, c: C) -> prometheus::Result<C> {
    registry.register(Box::new(c.clone()))?;
    Ok(c)
}

#[cfg(test)]
mod tests;
