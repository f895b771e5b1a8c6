//! An etcd that asks for a certificate, or for a user and a password.

use crate::support::certificates::{Certificates, SERVER_NAME};
use crate::support::etcd::{Etcd, with_users};
use crate::support::sidecar::{ELECTION, PREFIX, ROLE_BOUND, Spec, TTL};
use crate::support::witness::Witnesses;
use crate::support::{eventually, let_pass, ms};
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

#[test]
fn over_mutual_tls_one_leads_and_hands_over() {
    let certificates = Certificates::made();
    let mut etcd = Etcd::with_tls(&certificates);
    etcd.start();
    etcd.wait_until_healthy();
    let tls = tls(&certificates, true);
    let spec = |id| Spec::on_secured(id, &[etcd.endpoint()], &tls);
    let mut a = spec("a").start_leading();
    let b = spec("b").start_following();
    let witnesses = Witnesses::of(&[&a, &b]);
    let_pass(ms(1_000));
    a.end_well();
    b.wait_leading(ROLE_BOUND);
    assert_eq!(witnesses.judged().succession(), ["a", "b"]);
}

#[test]
fn without_its_certificate_or_with_a_strange_authority_it_lives_and_says_what_is_wrong() {
    let certificates = Certificates::made();
    let mut etcd = Etcd::with_tls(&certificates);
    etcd.start();
    etcd.wait_until_healthy();
    let strangers = Certificates::made();
    for settings in [tls(&certificates, false), tls(&strangers, true)] {
        let a = Spec::on_secured("a", &[etcd.endpoint()], &settings).start();
        eventually("a warning", ROLE_BOUND, || {
            a.log().contains("WARN").then_some(())
        });
        let_pass(ms(500));
        assert_eq!(a.status_of("/livez"), Some(200));
        assert_eq!(a.status_of("/startupz"), Some(503));
        assert_eq!(a.status_of("/leader"), Some(503));
    }
}

#[test]
fn a_file_that_is_no_certificate_is_refused_at_start_by_name() {
    let certificates = Certificates::made();
    fs::write(certificates.file("ca.pem"), "no PEM").unwrap();
    let endpoints = ["https://127.0.0.1:1".to_owned()];
    let mut a = Spec::on_secured("a", &endpoints, &tls(&certificates, true)).start();
    let status = a.wait_exit(ROLE_BOUND);
    assert!(matches!(status.code(), Some(1 | 2)), "{status}");
    assert!(a.log().contains("ca.pem"), "{}", a.log());
}

#[test]
fn a_user_that_may_only_touch_the_prefix_leads_also_after_etcd_has_forgotten_its_tokens() {
    let (mut etcd, root) = with_users(Etcd::absent());
    let directory = TempDir::new().unwrap();
    let password_file = password_file(directory.path(), "right-4242");
    let spec = |id| Spec::on_secured(id, &[etcd.endpoint()], &user(&password_file));
    let mut a = spec("a").start_leading();
    let b = spec("b").start_following();
    eventually("both are queued", ROLE_BOUND, || {
        (root.places(PREFIX).len() == 2).then_some(())
    });
    let witnesses = Witnesses::of(&[&a, &b]);
    let_pass(ms(1_000));
    a.end_well();
    b.wait_leading(ROLE_BOUND);
    a.restart();
    a.wait_state("follower", ROLE_BOUND);

    // Its tokens were in memory only.
    etcd.kill();
    etcd.start();
    etcd.wait_until_healthy();
    eventually("one leads and the other follows", ROLE_BOUND, || {
        let leaders = [&a, &b].map(|sidecar| sidecar.leads());
        (leaders[0] != leaders[1] && root.places(PREFIX).len() == 2).then_some(())
    });
    let mut b = b;
    for sidecar in [&mut a, &mut b] {
        sidecar.end_well();
    }
    assert_eq!(root.lease_count(), 0);
    witnesses.judged();
}

#[test]
fn a_wrong_password_is_complained_about_without_showing_it_and_may_be_mended() {
    let (etcd, _root) = with_users(Etcd::absent());
    let directory = TempDir::new().unwrap();
    let password_file = password_file(directory.path(), "wrong-7131");
    let mut a = Spec::on_secured("a", &[etcd.endpoint()], &user(&password_file)).start();
    eventually("a warning", ROLE_BOUND, || {
        a.log().contains("WARN").then_some(())
    });
    assert_eq!(a.status_of("/livez"), Some(200));
    assert_eq!(a.status_of("/leader"), Some(503));
    fs::write(&password_file, "right-4242\n").unwrap();
    a.signal(Signal::HUP);
    a.wait_leading(ROLE_BOUND);
    let log = a.log();
    assert!(
        !log.contains("wrong-7131") && !log.contains("right-4242"),
        "{log}"
    );
}

#[test]
fn a_password_that_changes_while_one_leads_and_another_waits_keeps_neither_from_its_turn() {
    let (etcd, root) = with_users(Etcd::absent());
    let directory = TempDir::new().unwrap();
    let password_file = password_file(directory.path(), "right-4242");
    let spec = |id| Spec::on_secured(id, &[etcd.endpoint()], &user(&password_file));
    let mut a = spec("a").start_leading();
    let mut b = spec("b").start_following();
    let witnesses = Witnesses::of(&[&a, &b]);
    root.run(&["user", "delete", "app"]);
    root.run(&["user", "add", "app:newer-4242"]);
    root.run(&["user", "grant-role", "app", "candidate"]);
    fs::write(&password_file, "newer-4242\n").unwrap();
    // The one is told, the other has to find out.
    b.signal(Signal::HUP);
    let_pass(ms(1_000));
    a.end_well();
    b.wait_leading(ROLE_BOUND);
    b.end_well();
    assert_eq!(root.lease_count(), 0);
    witnesses.judged();
}

#[test]
fn a_hangup_rereads_the_log_level_and_changes_nothing_else() {
    let directory = TempDir::new().unwrap();
    let mut a = Spec::on_files("a", directory.path())
        .with("log: { level: warn }")
        .start_leading();
    let token = a.wait_leading(ROLE_BOUND);
    assert!(!a.log().contains("INFO"), "{}", a.log());
    let config = fs::read_to_string(&a.config).unwrap();
    fs::write(&a.config, config.replace("level: warn", "level: info")).unwrap();
    a.signal(Signal::HUP);
    eventually("a line of the new level", ROLE_BOUND, || {
        a.log().contains("INFO").then_some(())
    });
    // What can't be read is left as it is.
    fs::write(&a.config, "election: [").unwrap();
    a.signal(Signal::HUP);
    eventually("a complaint", ROLE_BOUND, || {
        a.log().contains("ERROR").then_some(())
    });
    assert_eq!(a.wait_leading(ms(1_000)), token);
}

fn tls(certificates: &Certificates, with_identity: bool) -> String {
    let file = |name| certificates.file(name);
    let identity = format!(
        "cert_file: {:?}, key_file: {:?}, ",
        file("client.pem"),
        file("client.key")
    );
    let identity = if with_identity { &identity } else { "" };
    let ca_file = file("ca.pem");
    format!("tls: {{ ca_file: {ca_file:?}, {identity}server_name: {SERVER_NAME} }}")
}

#[test]
fn an_election_that_etcd_refuses_costs_the_others_nothing() {
    let (etcd, root) = with_users(Etcd::absent());
    for command in [
        "role revoke-permission candidate /tenure/ --prefix=true",
        "role grant-permission candidate readwrite /tenure/payments/ --prefix=true",
    ] {
        let arguments: Vec<&str> = command.split(' ').collect();
        root.run(&arguments);
    }
    let directory = TempDir::new().unwrap();
    let password_file = password_file(directory.path(), "right-4242");
    let mut a = Spec::on_secured("a", &[etcd.endpoint()], &user(&password_file))
        .elections(&["reports", ELECTION])
        .start();
    let answered = |name: &str| {
        a.status_of("/livez")?;
        Some(a.probe(&format!("/leader?election={name}")).json())
    };
    let token = eventually("it leads where it may", ROLE_BOUND, || {
        answered(ELECTION)?["fencing_token"].as_u64()
    });
    // Long enough for the refused one to have tried more than once.
    let_pass(TTL);
    assert_eq!(answered(ELECTION).unwrap()["fencing_token"], token);
    assert_eq!(answered("reports").unwrap()["state"], "starting");
    assert_eq!(a.metric("tenure_store_connected", &[]), 1.0);
    let calls = etcd.calls();
    assert_eq!(calls["LeaseKeepAlive"], 1, "{calls:?}");
    let said = a.log().matches("permission denied").count();
    // Again, where it was refused before anything else was answered.
    assert!((1..=2).contains(&said), "{}", a.log());
    a.end_well();
}

fn user(password_file: &Path) -> String {
    format!("username: app, password_file: {password_file:?}")
}

fn password_file(directory: &Path, password: &str) -> std::path::PathBuf {
    let file = directory.join("password");
    fs::write(&file, format!("{password}\n")).unwrap();
    file
}
