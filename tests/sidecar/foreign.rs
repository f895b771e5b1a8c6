//! Candidates that aren't sidecars: etcd's own recipe, as `etcdctl elect` runs it.

use crate::support::etcd::Etcd;
use crate::support::sidecar::{PREFIX, ROLE_BOUND, Spec, queue_up, wait_for_places};
use crate::support::witness::Witnesses;
use crate::support::{eventually, let_pass, ms};
use rustix::process::Signal;

/// The recipe puts a slash after it.
const RECIPE_NAME: &str = "/tenure/payments";

#[test]
fn a_candidate_of_etcdctl_waits_behind_a_sidecar_leads_after_it_and_is_succeeded() {
    let etcd = Etcd::started();
    let mut a = queue_up(&Spec::on_etcd("a", &etcd), &etcd);
    let mut elect = etcd.ctl().elect(RECIPE_NAME, "plain value");
    wait_for_places(&etcd, 2);
    let b = queue_up(&Spec::on_etcd("b", &etcd), &etcd);
    let witnesses = Witnesses::of(&[&a, &b]);
    let_pass(ms(500));
    assert!(!elect.leads() && a.leads());

    a.end_well();
    eventually("etcdctl leads", ROLE_BOUND, || elect.leads().then_some(()));
    eventually(
        "b knows the plain value as the leader's id",
        ROLE_BOUND,
        || {
            let election = b.probe_leader()?;
            (election["leader"]["id"] == "plain value").then_some(())
        },
    );
    let election = b.probe_leader().unwrap();
    assert_eq!(election["state"], "follower");
    assert!(election["leader"]["advertise"].is_null(), "{election}");
    assert_eq!(b.status_of("/follower"), Some(200));

    elect.process.signal(Signal::INT);
    let token = b.wait_leading(ROLE_BOUND);
    assert_eq!(etcd.ctl().places(PREFIX)[0].create_revision, token);
    assert_eq!(witnesses.judged().succession(), ["a", "b"]);
}

#[test]
fn a_sidecar_starts_behind_a_candidate_of_etcdctl() {
    let etcd = Etcd::started();
    let mut elect = etcd.ctl().elect(RECIPE_NAME, "{\"id\":\"from elsewhere\"}");
    eventually("etcdctl leads", ROLE_BOUND, || elect.leads().then_some(()));
    let a = queue_up(&Spec::on_etcd("a", &etcd), &etcd);
    let election = a.probe_leader().unwrap();
    assert_eq!(election["leader"]["id"], "from elsewhere");
    assert_eq!(a.status_of("/startupz"), Some(200));
    elect.process.signal(Signal::INT);
    a.wait_leading(ROLE_BOUND);
}

#[test]
fn etcdctl_observes_who_leads_among_sidecars() {
    let etcd = Etcd::started();
    let mut a = queue_up(&Spec::on_etcd("a", &etcd), &etcd);
    let _b = queue_up(&Spec::on_etcd("b", &etcd), &etcd);
    let observer = etcd.ctl().observe(RECIPE_NAME);
    eventually("it sees that a leads", ROLE_BOUND, || {
        observer
            .process
            .log()
            .contains("\"id\":\"a\"")
            .then_some(())
    });
    a.end_well();
    eventually("it sees that b leads", ROLE_BOUND, || {
        observer
            .process
            .log()
            .contains("\"id\":\"b\"")
            .then_some(())
    });
}
