//! The gauges that are computed at a scrape: from the published snapshots and the time, nothing else.

use crate::election::Time;
use crate::status::{Board, Snapshot, valid_claim, validity};
use prometheus::proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// All of them, as of `now`. Those of one election are of the same snapshot, and so agree.
pub(super) fn of(board: &Board, version: &str, now: Time) -> Vec<MetricFamily> {
    let elections: Vec<(&str, Arc<Snapshot>)> = board
        .elections
        .iter()
        .map(|handle| (handle.status.name(), handle.status.snapshot()))
        .collect();
    let each = |name, help, label: &str, value: fn(&Snapshot, Time) -> f64| {
        let gauges = elections
            .iter()
            .map(|(election, snapshot)| gauge(&[(label, election)], value(snapshot, now)));
        family(name, help, gauges.collect())
    };
    let connected = f64::from(u8::from(board.connected.load(Ordering::Relaxed)));
    let labels = board.elections.iter().filter_map(|handle| {
        let synced = handle.status.label_synced()?;
        let election = ("election", handle.status.name());
        Some(gauge(&[election], f64::from(u8::from(synced))))
    });
    let mut families = vec![
        each(
            "leader_election_master_status",
            "1 where this candidate leads the election at the scrape, as Kubernetes components say it.",
            "name",
            is_leader,
        ),
        family(
            "tenure_build_info",
            "Always 1; the labels say which version runs, on which kind of store.",
            vec![gauge(&[("version", version), ("store", board.store)], 1.0)],
        ),
        each(
            "tenure_fencing_token",
            "The fencing token under which this candidate leads; 0 where it does not.",
            "election",
            fencing_token,
        ),
        each(
            "tenure_is_leader",
            "1 where this candidate leads the election at the scrape.",
            "election",
            is_leader,
        ),
        each(
            "tenure_lease_valid_seconds",
            "For how long this candidate still leads if no keepalive is answered any more; 0 where it does not lead.",
            "election",
            |snapshot, now| validity(snapshot, now).as_secs_f64(),
        ),
        family(
            "tenure_store_connected",
            "1 where the store answered the last request.",
            vec![gauge(&[], connected)],
        ),
    ];
    let labels: Vec<Metric> = labels.collect();
    if !labels.is_empty() {
        families.push(family(
            "tenure_pod_label_synced",
            "1 where the pod's label says whether this candidate leads.",
            labels,
        ));
    }
    families
}

fn is_leader(snapshot: &Snapshot, now: Time) -> f64 {
    f64::from(u8::from(valid_claim(snapshot, now).is_some()))
}

/// Exact up to 2^53, as every number is in Prometheus.
fn fencing_token(snapshot: &Snapshot, now: Time) -> f64 {
    valid_claim(snapshot, now).map_or(0.0, |claim| claim.token as f64)
}

/// A family of gauges.
pub(super) fn family(name: &str, help: &str, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(MetricType::GAUGE);
    family.set_metric(metrics);
    family
}

/// One gauge, with its labels.
pub(super) fn gauge(labels: &[(&str, &str)], value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = labelled(labels);
    metric.set_gauge(gauge);
    metric
}

/// A metric that has no value yet.
pub(super) fn labelled(labels: &[(&str, &str)]) -> Metric {
    let pairs = labels.iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    let mut metric = Metric::default();
    metric.set_label(pairs.collect());
    metric
}
