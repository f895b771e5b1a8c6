//! Who leads, and who comes next, on one etcd that works.

use crate::support::etcd::Etcd;
use crate::support::http::Client;
use crate::support::process::Process;
use crate::support::sidecar::{
    ELECTION, PREFIX, RETRY_PERIOD, ROLE_BOUND, Spec, TTL, queue_up, tenure, three_in_order,
    wait_for_one_leader, wait_for_places,
};
use crate::support::witness::Witnesses;
use crate::support::{eventually, free_port, let_pass, ms};
use rustix::process::Signal;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use tempfile::TempDir;
use tenure::clock;

#[test]
fn of_three_candidates_one_leads_and_the_others_know_its_id_and_address() {
    let etcd = Etcd::started();
    let sidecars = ["a", "b", "c"].map(|id| Spec::on_etcd(id, &etcd).start());
    let sidecars = sidecars.each_ref();
    let witnesses = Witnesses::of(&sidecars);

    let leader = wait_for_one_leader(&sidecars, ROLE_BOUND);
    let leader_id = &sidecars[leader].id;
    let expected = json!({"id": leader_id, "advertise": format!("http://{leader_id}.test:8080")});
    for sidecar in sidecars {
        eventually("everyone knows who leads", ROLE_BOUND, || {
            (sidecar.probe_leader()?["leader"] == expected).then_some(())
        });
        let leads = sidecar.id == *leader_id;
        let election = sidecar.probe_leader().unwrap();
        assert_eq!(election["election"], ELECTION);
        assert_eq!(election["id"], *sidecar.id);
        assert_eq!(election["state"], if leads { "leader" } else { "follower" });
        assert_eq!(election["fencing_token"].is_u64(), leads, "{election}");
    }
    wait_for_places(&etcd, 3);
    let first = etcd.ctl().places(PREFIX).remove(0);
    let token = sidecars[leader].wait_leading(ms(1_000));
    assert_eq!(
        token, first.create_revision,
        "the token is the key's create revision"
    );
    assert_eq!(first.key, format!("{PREFIX}{}", first.lease));
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&first.value).unwrap(),
        expected
    );

    // Renewals keep the leader.
    let_pass(TTL + RETRY_PERIOD);
    let history = witnesses.judged();
    assert_eq!(history.succession(), [leader_id.as_str()]);
    history.assert_always_alive();
}

#[test]
fn on_sigterm_the_next_in_the_queue_leads_at_once() {
    let etcd = Etcd::started();
    let [mut a, b, c] = three_in_order(&etcd);
    let witnesses = Witnesses::of(&[&a, &b, &c]);
    let old = etcd.ctl().places(PREFIX).remove(0);

    let asked_to_end = clock::now();
    a.end_well();
    b.wait_leading(ROLE_BOUND);
    eventually("c knows that b leads", ROLE_BOUND, || {
        (c.probe_leader()?["leader"]["id"] == "b").then_some(())
    });
    let left = etcd.ctl().places(PREFIX);
    assert!(left.len() == 2 && !left.contains(&old), "{left:?}");

    let history = witnesses.judged();
    assert_eq!(history.succession(), ["a", "b"]);
    let took = history.leaderships()[1]
        .first
        .answered_at
        .since(asked_to_end);
    assert!(took < ms(1_000), "the hand-over took {took:?}");
}

#[test]
fn sigint_ends_it_as_sigterm_does() {
    let etcd = Etcd::started();
    let mut a = Spec::on_etcd("a", &etcd).start_leading();
    a.signal(Signal::INT);
    assert_eq!(a.wait_exit(ms(2_000)).code(), Some(0));
    assert_eq!(etcd.ctl().lease_count(), 0);
}

#[test]
fn a_killed_leader_is_succeeded_when_its_lease_has_run_out() {
    let etcd = Etcd::started();
    let [mut a, b, c] = three_in_order(&etcd);
    let witnesses = Witnesses::of(&[&a, &b, &c]);

    a.kill();
    let killed = clock::now();
    b.wait_leading(ROLE_BOUND);

    let history = witnesses.judged();
    assert_eq!(history.succession(), ["a", "b"]);
    let took = history.leaderships()[1].first.answered_at.since(killed);
    assert!(took < TTL + ms(1_000), "the failover took {took:?}");
}

#[test]
fn when_leadership_passes_only_the_one_who_leaves_and_the_successor_say_anything_to_etcd() {
    let etcd = Etcd::started();
    // So far apart that a lost keepalive, whose stream is given up with the connection, doesn't come between.
    let calm = |id: &str| Spec::on_etcd(id, &etcd).lease(ms(60_000), ms(40_000), ms(15_000));
    let mut leader = queue_up(&calm("a"), &etcd);
    let waiting = ["b", "c", "d", "e", "f"].map(|id| queue_up(&calm(id), &etcd));

    let before = etcd.calls();
    leader.end_well();
    waiting[0].wait_leading(ROLE_BOUND);
    for sidecar in &waiting {
        eventually("all know that b leads", ROLE_BOUND, || {
            (sidecar.probe_leader()?["leader"]["id"] == "b").then_some(())
        });
    }
    // Whoever has something to say without being the successor says it by now.
    let_pass(ms(500));
    let after = etcd.calls();

    let calls: BTreeMap<&str, u64> = after
        .iter()
        .map(|(method, count)| (method.as_str(), count - before.get(method).unwrap_or(&0)))
        // A first keepalive, which opens a stream, comes anywhere in the first period.
        .filter(|(method, count)| *count > 0 && *method != "LeaseKeepAlive")
        .collect();
    let by_revoke = BTreeMap::from([("LeaseRevoke", 1), ("Range", 1)]);
    let by_transaction = BTreeMap::from([("Range", 1), ("Txn", 1)]);
    assert!(calls == by_revoke || calls == by_transaction, "{calls:?}");
}

#[test]
fn a_quiet_watch_is_asked_once_in_a_ttl_whether_it_is_there() {
    let etcd = Etcd::started();
    let _a = Spec::on_etcd("a", &etcd).start_leading();
    let before = etcd.messages()["Watch"];
    let_pass(TTL * 3);
    let asked = etcd.messages()["Watch"] - before;
    // Up to a retry_period early, and later where this machine is busy.
    assert!((2..=4).contains(&asked), "{asked} times");
}

#[test]
fn when_all_have_left_no_key_and_no_lease_is_left() {
    let etcd = Etcd::started();
    let [mut a, mut b, mut c] = three_in_order(&etcd);
    assert_eq!(etcd.ctl().lease_count(), 3);
    for sidecar in [&mut b, &mut a, &mut c] {
        sidecar.end_well();
    }
    assert_eq!(etcd.ctl().places("/"), []);
    assert_eq!(etcd.ctl().lease_count(), 0);
}

#[test]
fn candidates_with_equal_ids_never_both_lead_and_are_warned_about() {
    let etcd = Etcd::started();
    let spec = Spec::on_etcd("twin", &etcd);
    let mut first = queue_up(&spec, &etcd);
    let second = queue_up(&spec, &etcd);
    let witnesses = Witnesses::of(&[&first, &second]);

    eventually("a warning about the id", ROLE_BOUND, || {
        let log = [first.log(), second.log()].concat();
        let mut lines = log.lines();
        lines.find(|line| line.contains("WARN") && line.contains("twin"))?;
        Some(())
    });
    let_pass(TTL);
    assert!(first.leads() && !second.leads());
    first.end_well();
    second.wait_leading(ms(1_000));

    let history = witnesses.judged();
    assert_eq!(history.leaderships().len(), 2);
}

#[test]
fn several_elections_in_one_sidecar_are_led_by_whoever_comes_first_in_each() {
    let etcd = Etcd::started();
    let both = Spec::on_etcd("a", &etcd).elections(&[ELECTION, "reports"]);
    let other = Spec::on_etcd("b", &etcd).elections(&["reports"]);
    let b = other.start_leading();
    let mut a = both.start();
    eventually("a answers", ROLE_BOUND, || a.status_of("/livez"));
    let election = |name: &str| a.probe(&format!("/leader?election={name}"));
    eventually(
        "a leads payments and follows in reports",
        ROLE_BOUND,
        || {
            let leads = election(ELECTION).status == 200;
            (leads && election("reports").json()["leader"]["id"] == "b").then_some(())
        },
    );
    assert_eq!(election("reports").status, 503);
    assert_eq!(election("unknown").status, 404);
    assert_eq!(a.probe("/leader").status, 400);
    a.end_well();
    assert!(b.leads());
    assert_eq!(etcd.ctl().lease_count(), 1);
}

#[test]
fn elections_whose_names_begin_alike_and_those_under_another_prefix_are_others() {
    let etcd = Etcd::started();
    let elsewhere = Spec::on_secured("c", &[etcd.endpoint()], "prefix: /elsewhere/");
    let specs = [
        Spec::on_etcd("a", &etcd),
        Spec::on_etcd("b", &etcd).elections(&["pay"]),
        elsewhere,
    ];
    let sidecars = specs.map(|spec| spec.start_leading());
    assert!(sidecars.iter().all(|sidecar| sidecar.leads()));
    assert_eq!(etcd.ctl().places("/elsewhere/payments/").len(), 1);
    assert_eq!(etcd.ctl().places("/tenure/pay/").len(), 1);
}

#[test]
fn where_etcd_grants_a_longer_ttl_than_asked_the_granted_one_counts() {
    let etcd = Etcd::started();
    let short = |id: &str| Spec::on_etcd(id, &etcd).lease(ms(1_000), ms(900), ms(200));
    let mut a = queue_up(&short("a"), &etcd);
    let b = queue_up(&short("b"), &etcd);
    let witnesses = Witnesses::of(&[&a, &b]);
    let_pass(ms(2_500));
    a.kill();
    let killed = clock::now();
    b.wait_leading(ROLE_BOUND);
    let history = witnesses.judged();
    assert_eq!(history.succession(), ["a", "b"]);
    // etcd grants no less than two seconds.
    let took = history.leaderships()[1].first.answered_at.since(killed);
    assert!(took > ms(1_000) && took < ms(3_000), "b took {took:?}");
}

#[test]
fn a_log_that_nobody_reads_keeps_nobody_from_leading_or_from_leaving() {
    let etcd = Etcd::started();
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("tenure.yaml");
    let (api, probes) = (free_port(), free_port());
    let spec = Spec::on_etcd("a", &etcd).with("log: { level: trace }");
    fs::write(&config, spec.yaml(api, probes)).unwrap();
    let (_unread, log) = std::io::pipe().unwrap();
    let mut command = tenure();
    command.arg("run").arg("--config").arg(&config).stderr(log);
    let mut process = Process::adopt("a", command.spawn().unwrap());
    let mut client = Client::new(probes, ms(1_000));
    let mut token = || client.get("/leader").ok()?.json()["fencing_token"].as_u64();
    let first = eventually("a leader", ROLE_BOUND, &mut token);
    // Every question is worth a line or more.
    let give_up = clock::now() + TTL + RETRY_PERIOD;
    while clock::now() < give_up {
        assert_eq!(token(), Some(first));
    }
    process.signal(Signal::TERM);
    assert_eq!(process.wait_exit(ms(5_000)).code(), Some(0));
    assert_eq!(etcd.ctl().lease_count(), 0);
}
