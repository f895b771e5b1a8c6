//! Several endpoints, of which some are dead, slow, or not to be found.

use crate::support::certificates::Certificates;
use crate::support::etcd::Etcd;
use crate::support::relay::{Mode, Relay};
use crate::support::sidecar::{RENEW_DEADLINE, ROLE_BOUND, Sidecar, Spec};
use crate::support::witness::Witnesses;
use crate::support::{eventually, free_port, let_pass, ms, skip};
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

#[test]
fn endpoints_that_are_dead_silent_or_without_an_address_at_the_start_are_passed_over() {
    let etcd = Etcd::started();
    let silent = Relay::to(etcd.port());
    silent.set(Mode::Silent);
    let endpoints = [
        format!("http://127.0.0.1:{}", free_port()),
        silent.endpoint(),
        "http://etcd.invalid:2379".to_owned(),
        etcd.endpoint(),
    ];
    let mut a = Spec::on_endpoints("a", &endpoints).start_leading();
    let log = a.log();
    for endpoint in &endpoints[..3] {
        let mut lines = log.lines().filter(|line| line.contains("WARN"));
        assert!(
            lines.any(|line| line.contains(endpoint)),
            "{endpoint}: {log}"
        );
    }
    a.end_well();
}

#[test]
fn a_leader_on_an_endpoint_that_becomes_slow_goes_to_another_before_its_deadline() {
    let etcd = Etcd::started();
    let (slow, fast) = (Relay::to(etcd.port()), Relay::to(etcd.port()));
    let a = Spec::on_endpoints("a", &[slow.endpoint(), fast.endpoint()]).start_leading();
    let token = a.wait_leading(ROLE_BOUND);
    let witnesses = Witnesses::of(&[&a]);
    slow.set(Mode::Delay(ms(1_500)));
    let_pass(RENEW_DEADLINE * 2);
    still_leads(&a, token);
    // And back, where that one dies.
    slow.set(Mode::Pass);
    fast.set(Mode::Refuse);
    let_pass(RENEW_DEADLINE * 2);
    still_leads(&a, token);
    assert_eq!(witnesses.judged().succession(), ["a"]);
}

#[test]
fn an_address_of_ipv6_serves_also_over_tls_whose_certificate_names_it() {
    let made = Certificates::made();
    made.issue_for("IP:::1", "server", 2);
    let etcd = Etcd::with_tls(&made);
    let endpoint = format!("https://[::1]:{}", etcd.port());
    let mut etcd = etcd.with(&[&format!("--listen-client-urls={endpoint}")]);
    etcd.start();
    etcd.wait_until_healthy();
    let [ca, cert, key] = ["ca.pem", "client.pem", "client.key"].map(|name| made.file(name));
    let tls = format!("tls: {{ ca_file: {ca:?}, cert_file: {cert:?}, key_file: {key:?} }}");
    let mut a = Spec::on_secured("a", &[endpoint], &tls).start_leading();
    a.end_well();
}

#[test]
fn a_name_that_moves_to_another_address_is_followed_within_the_deadline() {
    let directory = TempDir::new().unwrap();
    let hosts = directory.path().join("hosts");
    fs::write(&hosts, "127.0.0.1 etcd.tenure.test\n").unwrap();
    let Some(launcher) = with_file_at("/etc/hosts", &hosts) else {
        return;
    };
    let mut etcd = Etcd::started();
    let endpoint = format!("http://etcd.tenure.test:{}", etcd.port());
    let a = Spec::on_endpoints("a", &[endpoint])
        .lease(ms(15_000), ms(10_000), ms(1_000))
        .launched_by(&launcher.each_ref().map(String::as_str))
        .start_leading();
    let token = a.wait_leading(ROLE_BOUND);
    etcd.kill();
    let elsewhere = format!("--listen-client-urls=http://127.0.0.5:{}", etcd.port());
    let mut etcd = etcd.with(&[&elsewhere]);
    etcd.start();
    etcd.wait_until_healthy();
    let failures = a.metric("tenure_keepalives_total", &["failed"]);
    eventually("the old address fails", ROLE_BOUND, || {
        let failed = a.metric("tenure_keepalives_total", &["failed"]);
        (failed > failures || a.metric("tenure_store_connected", &[]) == 0.0).then_some(())
    });
    fs::write(&hosts, "127.0.0.5 etcd.tenure.test\n").unwrap();
    eventually("it is found at its new address", ms(5_000), || {
        (a.metric("tenure_store_connected", &[]) == 1.0).then_some(())
    });
    still_leads(&a, token);
}

#[test]
fn a_resolver_that_hangs_delays_neither_another_endpoint_nor_answers_nor_the_end() {
    // A name server that is there, and says nothing.
    let Ok(_silent) = UdpSocket::bind("127.0.0.77:53") else {
        return skip("port 53 needs privileges");
    };
    let directory = TempDir::new().unwrap();
    let resolver = directory.path().join("resolv.conf");
    fs::write(&resolver, "nameserver 127.0.0.77\noptions timeout:30\n").unwrap();
    let Some(launcher) = with_file_at("/etc/resolv.conf", &resolver) else {
        return;
    };
    let mut etcd = Etcd::started();
    let endpoints = ["http://etcd.tenure.test:2379".to_owned(), etcd.endpoint()];
    let mut a = Spec::on_endpoints("a", &endpoints)
        .lease(ms(15_000), ms(10_000), ms(500))
        .launched_by(&launcher.each_ref().map(String::as_str))
        .start_leading();
    let token = a.wait_leading(ROLE_BOUND);
    let witnesses = Witnesses::of(&[&a]);
    for _ in 0..2 {
        // What is tried next is the name.
        etcd.kill();
        etcd.start();
        etcd.wait_until_healthy();
        let_pass(ms(2_000));
    }
    still_leads(&a, token);
    let history = witnesses.judged();
    assert_eq!(history.succession(), ["a"]);
    history.assert_always_alive();
    a.end_well();
}

/// What starts a program with another file in this place; none where that takes privileges that are not there.
fn with_file_at(place: &str, file: &Path) -> Option<[String; 5]> {
    let may = Command::new("unshare").args(["--mount", "true"]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        skip("a mount namespace needs privileges");
        return None;
    }
    let script = format!(
        "mount --bind {} {place} && exec \"$0\" \"$@\"",
        file.display()
    );
    Some(["unshare", "--mount", "sh", "-c", &script].map(str::to_owned))
}

#[track_caller]
fn still_leads(sidecar: &Sidecar, token: u64) {
    assert_eq!(sidecar.wait_leading(ms(1_000)), token);
    let transitions = sidecar.metric("tenure_transitions_total", &["\"leader\""]);
    assert_eq!(transitions, 1.0);
}
