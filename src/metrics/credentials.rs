//! What a scrape shows of the credentials for the store, where it takes any.

use super::counters;
use super::gauges::{family, gauge, labelled};
use crate::status::CredentialsSeen;
use prometheus::proto::{Counter, Metric, MetricFamily};

pub(super) fn of(seen: &CredentialsSeen) -> Vec<MetricFamily> {
    let reloads = [("failed", seen.failures), ("ok", seen.reloads)];
    let mut families = vec![
        counters::family(
            "tenure_credentials_reloads_total",
            "Times that credentials were read anew, by whether they were taken into use.",
            reloads.map(|(result, count)| counter(result, count)).into(),
        ),
        family(
            "tenure_credentials_valid",
            "0 where the files with credentials hold what can't be used, and the former are in use still.",
            vec![gauge(&[], f64::from(u8::from(seen.valid)))],
        ),
    ];
    if seen.client_certificate_expiry > 0 {
        // Exact up to 2^53, as every number is in Prometheus.
        let expiry = seen.client_certificate_expiry as f64;
        families.push(family(
            "tenure_certificate_expiry_timestamp_seconds",
            "Until when the certificate in use holds, in seconds since 1970.",
            vec![gauge(&[("certificate", "client")], expiry)],
        ));
    }
    families
}

fn counter(result: &str, count: u64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(count as f64);
    let mut metric = labelled(&[("result", result)]);
    metric.set_counter(counter);
    metric
}
