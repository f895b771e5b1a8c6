//! What Prometheus scrapes.

use crate::support::etcd::Etcd;
use crate::support::process::{Output, run};
use crate::support::relay::{Mode, Relay};
use crate::support::sidecar::{ROLE_BOUND, Sidecar, Spec, queue_up, wait_for_places};
use crate::support::{eventually, ms};
use std::fs;
use std::process::Command;
use tempfile::TempDir;

const REMEDY: &str = "install it: apt-get install prometheus";

#[test]
fn promtool_finds_no_fault_in_the_metrics_of_a_leader_and_of_a_follower() {
    let etcd = Etcd::started();
    let a = queue_up(&Spec::on_etcd("a", &etcd), &etcd);
    let b = queue_up(&Spec::on_etcd("b", &etcd), &etcd);
    for sidecar in [&a, &b] {
        for metrics in [sidecar.probe("/metrics"), sidecar.ask("/metrics")] {
            let output = promtool(&metrics.body);
            assert_eq!(output.code, Some(0), "{output:?}\n{}", metrics.body);
            assert_eq!(output.stderr, "", "{}", metrics.body);
        }
    }
}

#[test]
fn every_metric_of_the_contract_is_there_from_the_start() {
    let etcd = Etcd::started();
    let a = queue_up(&Spec::on_etcd("a", &etcd), &etcd);
    let metrics = a.probe("/metrics").body;
    for (name, kind) in [
        ("tenure_is_leader", "gauge"),
        ("tenure_fencing_token", "gauge"),
        ("tenure_lease_valid_seconds", "gauge"),
        ("tenure_transitions_total", "counter"),
        ("tenure_step_downs_total", "counter"),
        ("tenure_keepalives_total", "counter"),
        ("tenure_keepalive_duration_seconds", "histogram"),
        ("tenure_takeover_duration_seconds", "histogram"),
        ("tenure_store_connected", "gauge"),
        ("tenure_build_info", "gauge"),
        ("leader_election_master_status", "gauge"),
        ("process_cpu_seconds_total", "counter"),
        ("process_resident_memory_bytes", "gauge"),
        ("process_start_time_seconds", "gauge"),
        ("process_open_fds", "gauge"),
    ] {
        let line = format!("# TYPE {name} {kind}");
        assert!(
            metrics.lines().any(|other| other == line),
            "no {line} in:\n{metrics}"
        );
    }
}

#[test]
fn gauges_tell_the_leader_from_a_follower() {
    let etcd = Etcd::started();
    let a = queue_up(&Spec::on_etcd("a", &etcd), &etcd);
    let b = queue_up(&Spec::on_etcd("b", &etcd), &etcd);
    let token = a.wait_leading(ROLE_BOUND) as f64;
    for (sidecar, leads) in [(&a, 1.0), (&b, 0.0)] {
        let gauge = |name| sidecar.metric(name, &["election=\"payments\""]);
        assert_eq!(gauge("tenure_is_leader"), leads);
        assert_eq!(gauge("tenure_fencing_token"), leads * token);
        let master = sidecar.metric("leader_election_master_status", &["name=\"payments\""]);
        assert_eq!(master, leads);
        assert_eq!(sidecar.metric("tenure_store_connected", &[]), 1.0);
        let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
        let build = sidecar.metric("tenure_build_info", &[&version, "store=\"etcd\""]);
        assert_eq!(build, 1.0);
    }
    let valid = a.metric("tenure_lease_valid_seconds", &[]);
    assert!(valid > 0.0 && valid <= 2.0, "{valid}");
    assert_eq!(b.metric("tenure_lease_valid_seconds", &[]), 0.0);
}

#[test]
fn counters_tell_of_a_hand_over() {
    let etcd = Etcd::started();
    let a = queue_up(&Spec::on_etcd("a", &etcd), &etcd);
    let b = queue_up(&Spec::on_etcd("b", &etcd), &etcd);
    assert_eq!(transitions(&a, "leader"), 1.0);
    assert_eq!(transitions(&b, "leader"), 0.0);
    assert_eq!(
        takeovers(&a) + takeovers(&b),
        0.0,
        "nobody was succeeded yet"
    );

    assert_eq!(a.post("/resign").status, 202);
    b.wait_leading(ROLE_BOUND);
    a.wait_state("follower", ROLE_BOUND);
    assert_eq!(transitions(&b, "leader"), 1.0);
    assert_eq!(transitions(&a, "stepping_down"), 1.0);
    assert_eq!(transitions(&a, "follower"), 1.0);
    assert_eq!(step_downs(&a, "resign"), 1.0);
    assert_eq!(takeovers(&b), 1.0);
    let took = b.metric("tenure_takeover_duration_seconds_sum", &[]);
    assert!(took < 1.0, "{took}");

    let kept = |sidecar: &Sidecar| {
        let histogram = sidecar.metric("tenure_keepalive_duration_seconds_count", &[]);
        (histogram > 1.0).then_some(())
    };
    eventually("keepalives are counted", ROLE_BOUND, || kept(&b));
    let answered: f64 = b
        .probe("/metrics")
        .body
        .lines()
        .filter(|line| line.starts_with("tenure_keepalives_total{"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    assert!(answered > 1.0, "{answered}");
}

#[test]
fn a_step_down_is_counted_by_its_reason() {
    let etcd = Etcd::started();
    let relay = Relay::to(etcd.port());
    let a = queue_up(&Spec::on_endpoints("a", &[relay.endpoint()]), &etcd);
    relay.set(Mode::Silent);
    eventually("a stops", ROLE_BOUND, || (!a.leads()).then_some(()));
    eventually("the deadline is counted", ms(1_000), || {
        (step_downs(&a, "deadline") == 1.0).then_some(())
    });
    eventually("the store is unconnected", ROLE_BOUND, || {
        (a.metric("tenure_store_connected", &[]) == 0.0).then_some(())
    });
    relay.set(Mode::Pass);
    a.wait_leading(ROLE_BOUND);
    assert_eq!(a.metric("tenure_store_connected", &[]), 1.0);

    let place = etcd.ctl().places("/tenure/payments/").remove(0);
    etcd.ctl().run(&["del", &place.key]);
    eventually("the lost key is counted", ROLE_BOUND, || {
        (step_downs(&a, "key_gone") == 1.0).then_some(())
    });
    assert_eq!(step_downs(&a, "deadline"), 1.0);
    a.wait_leading(ROLE_BOUND);
    wait_for_places(&etcd, 1);
}

fn transitions(sidecar: &Sidecar, to: &str) -> f64 {
    let to = format!("to=\"{to}\"");
    sidecar.metric("tenure_transitions_total", &["election=\"payments\"", &to])
}

fn step_downs(sidecar: &Sidecar, reason: &str) -> f64 {
    let reason = format!("reason=\"{reason}\"");
    sidecar.metric(
        "tenure_step_downs_total",
        &["election=\"payments\"", &reason],
    )
}

fn takeovers(sidecar: &Sidecar) -> f64 {
    sidecar.metric(
        "tenure_takeover_duration_seconds_count",
        &["election=\"payments\""],
    )
}

/// `promtool check metrics` reads from standard input.
fn promtool(metrics: &str) -> Output {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("metrics");
    fs::write(&file, metrics).unwrap();
    // It is said to be missing by name, not by the shell.
    run(Command::new("promtool").arg("--version"), REMEDY);
    let script = "exec promtool check metrics < \"$0\"";
    run(Command::new("sh").arg("-c").arg(script).arg(&file), REMEDY)
}
