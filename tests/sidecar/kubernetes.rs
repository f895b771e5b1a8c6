//! Leases of a cluster: several candidates on a fake API server.

use crate::support::api_server::{ApiServer, Fault};
use crate::support::http::Question;
use crate::support::relay::{Mode, Relay};
use crate::support::sidecar::{
    RENEW_DEADLINE, RETRY_PERIOD, ROLE_BOUND, Sidecar, Spec, TTL, run_tenure, wait_for_one_leader,
};
use crate::support::witness::Witnesses;
use crate::support::{eventually, let_pass, ms};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tenure::clock;

/// For a busy machine.
const SLACK: Duration = ms(1_000);

/// The Lease of the election that tests hold.
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/elections/leases/payments";

/// A cluster whose API is a fake.
pub(crate) struct Cluster {
    pub(crate) server: ApiServer,
    pub(crate) directory: TempDir,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        Cluster {
            server: ApiServer::started(),
            directory: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn kubeconfig(&self, port: u16) -> PathBuf {
        let path = self.directory.path().join(format!("{port}.json"));
        // Not again, while somebody reads it.
        if !path.exists() {
            fs::write(&path, ApiServer::kubeconfig(port, "elections")).unwrap();
        }
        path
    }

    pub(crate) fn candidate(&self, id: &str) -> Spec {
        Spec::on_kubernetes(id, &self.kubeconfig(self.server.port()))
    }

    fn leader_and_successor(&self) -> (Sidecar, Sidecar) {
        let a = self.candidate("a").start_leading();
        let b = self.candidate("b").start_following();
        (a, b)
    }

    pub(crate) fn lease(&self) -> Value {
        self.server.get(LEASE).unwrap()
    }

    /// The holder, as others see it.
    fn holder(&self) -> String {
        let lease = self.lease();
        lease["spec"]["holderIdentity"].as_str().unwrap().to_owned()
    }

    fn edit(&self, patch: Value) {
        self.server.patch(LEASE, patch);
    }
}

#[test]
fn of_three_candidates_one_leads_and_the_others_know_it_and_so_does_kubectl() {
    let cluster = Cluster::new();
    let sidecars = ["a", "b", "c"].map(|id| cluster.candidate(id).start());
    let sidecars = sidecars.each_ref();
    let witnesses = Witnesses::of(&sidecars);
    let leader = wait_for_one_leader(&sidecars, ROLE_BOUND);
    let id = &sidecars[leader].id;
    let token = sidecars[leader].wait_leading(ROLE_BOUND);
    for sidecar in sidecars {
        eventually("everyone knows who leads", ROLE_BOUND, || {
            let election = sidecar.probe_leader()?;
            let advertise = format!("http://{id}.test:8080");
            let known =
                election["leader"]["id"] == **id && election["leader"]["advertise"] == advertise;
            known.then_some(())
        });
    }
    let_pass(TTL + RETRY_PERIOD);

    let lease = cluster.lease();
    assert!(cluster.holder().starts_with(&format!("{id}_")));
    assert_eq!(lease["spec"]["leaseDurationSeconds"], TTL.as_secs());
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
    let noted = &lease["metadata"]["annotations"]["tenure.dev/fencing-token"];
    assert_eq!(*noted, token.to_string());
    let status = sidecars[leader].ask("/status").json();
    assert_eq!(status["store"]["kind"], "kubernetes");
    assert_eq!(status["store"]["connected"], true);
    assert!(status["elections"][0]["guard"].is_null());

    let history = witnesses.judged();
    assert_eq!(history.succession(), [id.as_str()]);
    history.assert_always_alive();
}

#[test]
fn on_sigterm_the_lease_is_given_up_and_another_leads_at_once() {
    let cluster = Cluster::new();
    let (mut a, b) = cluster.leader_and_successor();
    let witnesses = Witnesses::of(&[&a, &b]);
    let asked = clock::now();
    a.end_well();
    b.wait_leading(ROLE_BOUND);
    let history = witnesses.judged();
    assert_eq!(history.succession(), ["a", "b"]);
    let took = history.leaderships()[1].first.answered_at.since(asked);
    assert!(took < SLACK, "b took {took:?}");
    assert_eq!(cluster.lease()["spec"]["leaseTransitions"], 2);
}

#[test]
fn a_hand_over_in_order_costs_no_takeover_delay_and_a_crash_does() {
    let cluster = Cluster::new();
    let patient = |id| cluster.candidate(id).takeover_delay("2s");
    let mut a = patient("a").start_leading();
    let mut others = ["b", "c"].map(|id| patient(id).start_following());
    let asked = clock::now();
    a.end_well();
    let next = wait_for_one_leader(&others.each_ref(), ROLE_BOUND);
    let took = clock::now().since(asked);
    assert!(took < ms(1_500), "{took:?}");
    let killed = clock::now();
    others[next].kill();
    others[1 - next].wait_leading(TTL + ROLE_BOUND);
    let took = clock::now().since(killed);
    assert!(took >= ms(2_000) + TTL - RETRY_PERIOD * 2, "{took:?}");
}

#[test]
fn a_killed_leader_is_succeeded_when_nobody_was_seen_to_renew_for_the_ttl() {
    let cluster = Cluster::new();
    let (mut a, b) = cluster.leader_and_successor();
    let witnesses = Witnesses::of(&[&a, &b]);
    a.kill();
    let killed = clock::now();
    b.wait_leading(ROLE_BOUND);
    let history = witnesses.judged();
    assert_eq!(history.succession(), ["a", "b"]);
    let took = history.leaderships()[1].first.answered_at.since(killed);
    assert!(took < TTL + RETRY_PERIOD + SLACK, "b took {took:?}");
}

#[test]
fn a_frozen_leader_is_succeeded_and_claims_nothing_when_it_goes_on() {
    let cluster = Cluster::new();
    let (mut a, b) = cluster.leader_and_successor();
    let witnesses = Witnesses::of(&[&a, &b]);
    a.freeze();
    b.wait_leading(TTL + RETRY_PERIOD + SLACK);
    let mut question = Question::connect(a.api, ms(5_000)).unwrap();
    question.ask("GET", "/leader", &[]).unwrap();
    a.thaw();
    let answer = question.answer().unwrap();
    assert_eq!(answer.status, 503, "{answer:?}");
    eventually("a follows b", ROLE_BOUND, || {
        let election = a.probe_leader()?;
        (election["state"] == "follower" && election["leader"]["id"] == "b").then_some(())
    });
    assert_eq!(witnesses.judged().succession(), ["a", "b"]);
}

#[test]
fn a_frozen_follower_takes_nothing_for_free_when_it_goes_on() {
    let cluster = Cluster::new();
    let (a, mut b) = cluster.leader_and_successor();
    let witnesses = Witnesses::of(&[&a, &b]);
    b.freeze();
    let_pass(TTL + RETRY_PERIOD);
    b.thaw();
    let_pass(RETRY_PERIOD * 3);
    assert_eq!(b.probe_leader().unwrap()["leader"]["id"], "a");
    assert_eq!(witnesses.judged().succession(), ["a"]);
}

#[test]
fn where_the_api_says_nothing_the_leader_steps_down_and_somebody_leads_when_it_is_back() {
    let cluster = Cluster::new();
    let (a, b) = cluster.leader_and_successor();
    let witnesses = Witnesses::of(&[&a, &b]);
    cluster.server.set(Fault::Silent);
    let silent = clock::now();
    eventually("a leads no more", ROLE_BOUND, || (!a.leads()).then_some(()));
    assert!(clock::now().since(silent) < RENEW_DEADLINE + SLACK);
    eventually("it is known", ROLE_BOUND, || {
        let status = a.probe("/status").json();
        (status["store"]["connected"] == false).then_some(())
    });
    let_pass(TTL);
    assert!(!a.leads() && !b.leads());
    cluster.server.set(Fault::None);
    let back = clock::now();
    wait_for_one_leader(&[&a, &b], ROLE_BOUND);
    assert!(clock::now().since(back) < SLACK * 2);
    witnesses.judged();
}

#[test]
fn an_api_that_is_away_is_not_said_to_be_connected_in_between() {
    let cluster = Cluster::new();
    let (a, b) = cluster.leader_and_successor();
    for fault in [Fault::Closes, Fault::Silent] {
        cluster.server.set(fault);
        for sidecar in [&a, &b] {
            eventually("it is away", TTL + ROLE_BOUND, || {
                (sidecar.metric("tenure_store_connected", &[]) == 0.0).then_some(())
            });
        }
        let lines = |sidecar: &Sidecar| sidecar.log().matches("store connected").count();
        let before = [&a, &b].map(lines);
        // Time to give up places and take others, again and again.
        let_pass(TTL * 2);
        for sidecar in [&a, &b] {
            assert_eq!(sidecar.metric("tenure_store_connected", &[]), 0.0);
        }
        assert_eq!([&a, &b].map(lines), before, "{fault:?}");
        cluster.server.set(Fault::None);
        wait_for_one_leader(&[&a, &b], ROLE_BOUND);
    }
}

#[test]
fn a_lease_that_could_not_be_read_is_watched_anew() {
    let cluster = Cluster::new();
    let a = cluster.candidate("a").start_leading();
    let watches = || {
        let asked = cluster.server.requests();
        asked
            .iter()
            .filter(|asked| asked.contains("watch="))
            .count()
    };
    let before = watches();
    cluster.server.set(Fault::AnswersLate(RENEW_DEADLINE));
    // Renewals fail first, and then whoever looks is blind.
    let_pass(TTL);
    assert!(!a.leads());
    cluster.server.set(Fault::None);
    eventually("it is watched anew", ROLE_BOUND, || {
        (watches() > before).then_some(())
    });
}

#[test]
fn a_leader_that_is_cut_off_has_stopped_before_another_leads_whichever_way_is_cut() {
    for mode in [Mode::Silent, Mode::AnswersLost] {
        let cluster = Cluster::new();
        let relay = Relay::to(cluster.server.port());
        let kubeconfig = cluster.kubeconfig(relay.port());
        let a = Spec::on_kubernetes("a", &kubeconfig).start_leading();
        let b = cluster.candidate("b").start_following();
        let witnesses = Witnesses::of(&[&a, &b]);
        relay.set(mode);
        b.wait_leading(TTL * 2 + ROLE_BOUND);
        assert!(!a.leads());
        relay.set(Mode::Pass);
        eventually("a follows b", ROLE_BOUND, || {
            let election = a.probe_leader()?;
            (election["leader"]["id"] == "b").then_some(())
        });
        assert_eq!(witnesses.judged().succession(), ["a", "b"]);
    }
}

#[test]
fn an_edit_by_somebody_else_costs_no_leadership() {
    let cluster = Cluster::new();
    let (a, b) = cluster.leader_and_successor();
    let token = a.wait_leading(ROLE_BOUND);
    let witnesses = Witnesses::of(&[&a, &b]);
    for number in 0..40 {
        let note = json!({ "metadata": { "annotations": { "note": number.to_string() } } });
        cluster.edit(note);
        let_pass(TTL / 30);
    }
    assert_eq!(a.wait_leading(ROLE_BOUND), token);
    assert_eq!(cluster.lease()["metadata"]["annotations"]["note"], "39");
    assert_eq!(witnesses.judged().succession(), ["a"]);
}

#[test]
fn a_lease_that_is_deleted_is_lost_at_once_and_the_next_token_is_greater() {
    let cluster = Cluster::new();
    let (a, b) = cluster.leader_and_successor();
    let token = a.wait_leading(ROLE_BOUND);
    let witnesses = Witnesses::of(&[&a, &b]);
    cluster.server.delete(LEASE);
    eventually("a greater token", TTL + ROLE_BOUND, || {
        let elections = [&a, &b].map(Sidecar::probe_leader);
        let tokens = elections
            .iter()
            .flatten()
            .map(|election| election["fencing_token"].as_u64());
        (tokens.flatten().max()? > token).then_some(())
    });
    assert_eq!(a.metric("tenure_step_downs_total", &["key_gone"]), 1.0);
    witnesses.judged();
}

#[test]
fn a_holder_that_is_forced_in_ends_leadership_at_once_and_is_waited_for() {
    let cluster = Cluster::new();
    let (a, b) = cluster.leader_and_successor();
    let token = a.wait_leading(ROLE_BOUND);
    let witnesses = Witnesses::of(&[&a, &b]);
    cluster.edit(json!({ "spec": { "holderIdentity": "intruder" } }));
    let forced_in = clock::now();
    for sidecar in [&a, &b] {
        eventually("the intruder is followed", RETRY_PERIOD + SLACK, || {
            let election = sidecar.probe_leader()?;
            (election["leader"]["id"] == "intruder").then_some(())
        });
    }
    let leader = wait_for_one_leader(&[&a, &b], TTL + ROLE_BOUND);
    assert!(clock::now().since(forced_in) >= TTL);
    assert!([&a, &b][leader].wait_leading(ROLE_BOUND) > token);
    witnesses.judged();
}

#[test]
fn a_leader_makes_way_for_the_preferred_holder_and_takes_nothing_that_is_assigned() {
    let cluster = Cluster::new();
    let (a, b) = cluster.leader_and_successor();
    let witnesses = Witnesses::of(&[&a, &b]);
    let assigned =
        json!({ "spec": { "strategy": "OldestEmulationVersion", "preferredHolder": "other" } });
    cluster.edit(assigned);
    eventually("the lease is given up", ROLE_BOUND, || {
        cluster.holder().is_empty().then_some(())
    });
    assert_eq!(a.metric("tenure_step_downs_total", &["resign"]), 1.0);
    let_pass(TTL);
    assert!(!a.leads() && !b.leads() && cluster.holder().is_empty());
    for sidecar in [&a, &b] {
        assert_eq!(
            sidecar
                .log()
                .matches("the cluster's control plane assigns")
                .count(),
            1
        );
    }
    cluster.edit(json!({ "spec": { "strategy": null, "preferredHolder": null } }));
    wait_for_one_leader(&[&a, &b], ROLE_BOUND);
    witnesses.judged();
}

#[test]
fn several_elections_of_one_sidecar_are_led_apart() {
    let cluster = Cluster::new();
    let names = ["payments", "reports", "mails"];
    let a = cluster.candidate("a").elections(&names).start();
    for name in names {
        eventually("it leads", ROLE_BOUND, || {
            (a.status_of(&format!("/leader?election={name}")) == Some(200)).then_some(())
        });
    }
    let leases = "/apis/coordination.k8s.io/v1/namespaces/elections/leases";
    assert_eq!(cluster.server.list(leases).len(), 3);
}

#[test]
fn what_is_missing_is_said_with_a_remedy_and_check_needs_no_cluster() {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("tenure.yaml");
    let text = "election: payments\nstore: { kubernetes: { namespace: elections } }\n\
                http: { api: \"127.0.0.1:0\", probes: \"127.0.0.1:0\" }\n";
    fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let checked = run_tenure(&["check", "--config", config]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(
        checked.stdout.contains("namespace: elections"),
        "{checked:?}"
    );

    let home = Spec::on_kubernetes("a", &directory.path().join("no-such-file"));
    let mut sidecar = home.start();
    let status = sidecar.wait_exit(ROLE_BOUND);
    assert_eq!(status.code(), Some(1));
    let log = sidecar.log();
    assert!(
        log.contains("no-such-file") && log.contains("set KUBECONFIG"),
        "{log}"
    );
}
