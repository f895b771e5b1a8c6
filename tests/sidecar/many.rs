//! Hundreds of elections in one sidecar: each is on its own, and what they need of the machine and of etcd is shared.

use crate::support::etcd::Etcd;
use crate::support::eventually;
use crate::support::sidecar::{ROLE_BOUND, Sidecar, Spec};
use serde_json::Value;
use std::collections::BTreeSet;

const COUNT: usize = 300;

/// Far more than the sockets of a sidecar, and far fewer than elections.
const MOST_FILES: f64 = 40.0;

fn names() -> Vec<String> {
    (0..COUNT).map(|number| format!("e{number}")).collect()
}

fn spec(id: &str, etcd: &Etcd) -> Spec {
    let names = names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Spec::on_etcd(id, etcd).elections(&names)
}

/// The elections that are in this state.
fn elections_in(sidecar: &Sidecar, state: &str) -> BTreeSet<String> {
    let status = sidecar.probe("/status").json();
    let elections = status["elections"].as_array().unwrap().iter();
    elections
        .filter(|election| election["state"] == state)
        .map(|election| election["election"].as_str().unwrap().to_owned())
        .collect()
}

fn wait_for(sidecar: &Sidecar, count: usize, state: &str) {
    eventually(
        &format!("{} is {state} of {count}", sidecar.id),
        ROLE_BOUND,
        || {
            sidecar.status_of("/livez")?;
            (elections_in(sidecar, state).len() == count).then_some(())
        },
    );
}

fn start_leading(etcd: &Etcd) -> Sidecar {
    let a = spec("a", etcd).start();
    wait_for(&a, COUNT, "leader");
    a
}

fn election(sidecar: &Sidecar, name: &str) -> Value {
    sidecar.probe(&format!("/leader?election={name}")).json()
}

#[test]
fn all_elections_share_a_connection_streams_of_keepalives_a_stream_of_watches_and_few_files() {
    let etcd = Etcd::started();
    let mut a = start_leading(&etcd);
    let renewed = || {
        let ok = ["result=\"ok\"", "election=\"e299\""];
        (a.metric("tenure_keepalives_total", &ok) >= 2.0).then_some(())
    };
    eventually("the last of them is renewed", ROLE_BOUND, renewed);

    let calls = etcd.calls();
    assert_eq!(calls["Watch"], 1, "{calls:?}");
    assert!(calls["LeaseKeepAlive"] <= COUNT as u64 / 20, "{calls:?}");
    assert!(a.metric("process_open_fds", &[]) < MOST_FILES);
    a.end_well();
    assert_eq!(etcd.ctl().lease_count(), 0);
}

#[test]
fn an_election_that_loses_its_lease_costs_the_others_nothing() {
    let etcd = Etcd::started();
    let a = start_leading(&etcd);
    let lost = etcd.ctl().places("/tenure/e7/").remove(0);
    etcd.ctl().run(&["lease", "revoke", &lost.lease]);

    eventually("it leads again, with a greater token", ROLE_BOUND, || {
        let token = election(&a, "e7")["fencing_token"].as_u64()?;
        (token > lost.create_revision).then_some(())
    });
    for name in names() {
        let transitions = election(&a, &name)["transitions"].as_u64().unwrap();
        let expected = if name == "e7" { 2..=4 } else { 1..=1 };
        assert!(expected.contains(&transitions), "{name}: {transitions}");
    }
}

#[test]
fn one_election_is_resigned_by_itself_and_the_others_are_handed_over_together() {
    let etcd = Etcd::started();
    let mut a = start_leading(&etcd);
    let b = spec("b", &etcd).start();
    wait_for(&b, COUNT, "follower");

    assert_eq!(a.post("/resign?election=e7&cooldown=1h").status, 202);
    wait_for(&b, 1, "leader");
    assert_eq!(
        elections_in(&b, "leader"),
        BTreeSet::from(["e7".to_owned()])
    );
    assert_eq!(elections_in(&a, "leader").len(), COUNT - 1);

    a.end_well();
    wait_for(&b, COUNT, "leader");
    assert_eq!(etcd.ctl().lease_count(), COUNT);
}
