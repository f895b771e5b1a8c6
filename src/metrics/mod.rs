//! What is counted, and what is computed at a scrape.
//!
//! A driver counts through a [`Recorder`] that holds its series ready: counting is an atomic addition, and
//! never waits for a scrape. Whatever depends on the clock is not stored at all: a scrape computes it from
//! the published snapshots and the time, so that it is right even at the first scrape after a freeze.

mod counters;
mod credentials;
mod gauges;
mod process;

pub use counters::KeepaliveResult;

use crate::election::{Time, Transition};
use crate::status::Board;
use counters::Counters;
use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, HistogramVec, TextEncoder};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Everything that a scrape shows.
#[derive(Debug)]
pub struct Metrics {
    board: Board,
    version: &'static str,
    /// When the process started, in seconds since 1970, if the kernel says so.
    started: Option<f64>,
    /// In the board's order.
    counters: Vec<Arc<Counters>>,
    keepalive_duration: HistogramVec,
    takeover_duration: HistogramVec,
    /// How long the last scrape was, in bytes.
    length: AtomicUsize,
}

impl Metrics {
    /// Every series of every election on the board, at zero.
    ///
    /// # Errors
    /// Where the library refuses a name, which no input can cause.
    pub fn new(board: Board, version: &'static str) -> prometheus::Result<Self> {
        let metrics = Metrics {
            counters: board.elections.iter().map(|_| Arc::default()).collect(),
            keepalive_duration: histogram(&KEEPALIVE_DURATION)?,
            takeover_duration: histogram(&TAKEOVER_DURATION)?,
            started: process::started(),
            board,
            version,
            length: AtomicUsize::new(0),
        };
        // A histogram exists from the first time that it is asked for.
        metrics.recorders().for_each(drop);
        Ok(metrics)
    }

    /// What the drivers count with, in the board's order.
    pub fn recorders(&self) -> impl Iterator<Item = Recorder> {
        self.elections().map(|(election, counters)| Recorder {
            counters: Arc::clone(counters),
            keepalive_duration: self.keepalive_duration.with_label_values(&[election]),
            takeover_duration: self.takeover_duration.with_label_values(&[election]),
        })
    }

    fn elections(&self) -> impl Iterator<Item = (&str, &Arc<Counters>)> {
        let handles = self.board.elections.iter();
        let names = handles.map(|handle| handle.status.name());
        names.zip(&self.counters)
    }

    /// The text that Prometheus reads, as of `now`.
    ///
    /// # Errors
    /// Where the library refuses to encode, which no input can cause.
    pub fn scrape(&self, now: Time) -> prometheus::Result<String> {
        let mut text = String::with_capacity(self.length.load(Ordering::Relaxed));
        let encoder = TextEncoder::new();
        // One part after the other: what they are made of takes more memory than the text.
        encoder.encode_utf8(&gauges::of(&self.board, self.version, now), &mut text)?;
        let counters = self.elections().map(|(name, counters)| (name, &**counters));
        encoder.encode_utf8(&counters::of(counters), &mut text)?;
        encoder.encode_utf8(&self.keepalive_duration.collect(), &mut text)?;
        encoder.encode_utf8(&self.takeover_duration.collect(), &mut text)?;
        let credentials = self.board.credentials.iter().map(|one| one.seen());
        let credentials: Vec<_> = credentials.collect();
        encoder.encode_utf8(&credentials::of(&credentials), &mut text)?;
        encoder.encode_utf8(&process::families(self.started), &mut text)?;
        self.length.store(text.len(), Ordering::Relaxed);
        Ok(text)
    }
}

/// Counts what happens to one election.
#[derive(Clone, Debug)]
pub struct Recorder {
    counters: Arc<Counters>,
    keepalive_duration: Histogram,
    takeover_duration: Histogram,
}

impl Recorder {
    /// A role has changed.
    pub fn transition(&self, transition: &Transition) {
        self.counters.transition(transition);
    }

    /// A keepalive ended, so long after it was sent.
    pub fn keepalive(&self, result: KeepaliveResult, duration: Duration) {
        self.counters.keepalive(result);
        self.keepalive_duration.observe(duration.as_secs_f64());
    }

    /// This candidate leads, so long after the former leader was gone.
    pub fn took_over(&self, duration: Duration) {
        self.takeover_duration.observe(duration.as_secs_f64());
    }
}

/// The name, the help, and the upper bounds of the buckets in seconds.
type HistogramSpec = (&'static str, &'static str, &'static [f64]);

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

fn histogram(spec: &HistogramSpec) -> prometheus::Result<HistogramVec> {
    let (name, help, buckets) = spec;
    let opts = HistogramOpts::new(*name, *help).buckets(buckets.to_vec());
    HistogramVec::new(opts, &["election"])
}

#[cfg(test)]
mod tests;
