//! What a scrape shows of credentials from files, where there are any.

use super::counters;
use super::gauges::{family, gauge, labelled};
use crate::status::CredentialsSeen;
use prometheus::proto::{Counter, Metric, MetricFamily};

pub(super) fn of(all: &[CredentialsSeen]) -> Vec<MetricFamily> {
    if all.is_empty() {
        return Vec::new();
    }
    let reloads = all.iter().flat_map(|seen| {
        [("failed", seen.failures), ("ok", seen.reloads)]
            .map(|(result, count)| counter(seen.key, result, count))
    });
    let valid = all
        .iter()
        .map(|seen| gauge(&[("key", seen.key)], f64::from(u8::from(seen.valid))));
    let mut families = vec![
        counters::family(
            "tenure_credentials_reloads_total",
            "Times that credentials were read anew, by whether they were taken into use.",
            reloads.collect(),
        ),
        family(
            "tenure_credentials_valid",
            "0 where the files that this key names hold what can't be used, and the former are in use still.",
            valid.collect(),
        ),
    ];
    let expiries: Vec<Metric> = all
        .iter()
        .filter(|seen| seen.expiry > 0)
        .map(expiry)
        .collect();
    if !expiries.is_empty() {
        families.push(family(
            "tenure_certificate_expiry_timestamp_seconds",
            "Until when the certificate in use holds, in seconds since 1970.",
            expiries,
        ));
    }
    families
}

fn counter(key: &str, result: &str, count: u64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(count as f64);
    let mut metric = labelled(&[("key", key), ("result", result)]);
    metric.set_counter(counter);
    metric
}

/// Exact up to 2^53, as every number is in Prometheus.
fn expiry(seen: &CredentialsSeen) -> Metric {
    let labels = [
        ("certificate", seen.certificate.as_str()),
        ("key", seen.key),
    ];
    gauge(&labels, seen.expiry as f64)
}
