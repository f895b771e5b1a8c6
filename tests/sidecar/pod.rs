//! What a pod shows of its election: the label by which a Service finds the leader, and Events.

use crate::support::api_server::{ApiServer, Fault};
use crate::support::process::EXIT_BOUND;
use crate::support::sidecar::{RETRY_PERIOD, ROLE_BOUND, Sidecar, Spec, TTL};
use crate::support::{eventually, let_pass, ms};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tenure::clock;

const PODS: &str = "/api/v1/namespaces/payments/pods";
const EVENTS: &str = "/api/v1/namespaces/payments/events";

const LABEL: &str =
    "kubernetes: { pod_label: { key: tenure.dev/role, leader: leader, follower: follower } }";

/// Longer than a write takes to arrive, and to be tried again once the API is back.
const WRITE_BOUND: Duration = ms(10_000);

/// Between two writes of a label that nothing has happened to.
const RECONCILED: Duration = ms(30_000);

/// A cluster with two pods, and a directory that both see.
struct Stage {
    server: ApiServer,
    directory: TempDir,
}

impl Stage {
    fn new() -> Stage {
        let server = ApiServer::started();
        for pod in ["pod-a", "pod-b"] {
            let pod = json!({ "metadata": { "name": pod, "labels": { "app": "payments" } } });
            server.create(PODS, pod);
        }
        let directory = TempDir::new().unwrap();
        let kubeconfig = ApiServer::kubeconfig(server.port(), "payments");
        fs::write(directory.path().join("kubeconfig"), kubeconfig).unwrap();
        Stage { server, directory }
    }

    fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// A candidate in this pod.
    fn candidate(&self, pod: &str, kubernetes: &str) -> Spec {
        let spec = Spec::on_files(pod, &self.directory.path().join("store"));
        self.placed(spec, pod, kubernetes)
    }

    fn placed(&self, spec: Spec, pod: &str, kubernetes: &str) -> Spec {
        spec.with(kubernetes)
            .environment("KUBECONFIG", &self.kubeconfig())
            .environment("POD_NAME", Path::new(pod))
    }

    fn label(&self, pod: &str) -> Value {
        let pod = self.server.get(&format!("{PODS}/{pod}")).unwrap();
        assert_eq!(pod["metadata"]["labels"]["app"], "payments");
        pod["metadata"]["labels"]["tenure.dev/role"].clone()
    }

    #[track_caller]
    fn wait_label(&self, pod: &str, value: impl Into<Value>, bound: Duration) {
        let value = value.into();
        eventually(&format!("{value} on {pod}"), bound, || {
            (self.label(pod) == value).then_some(())
        });
    }

    fn set_label(&self, pod: &str, value: impl Into<Value>) {
        let value: Value = value.into();
        let labels = json!({ "metadata": { "labels": { "tenure.dev/role": value } } });
        self.server.patch(&format!("{PODS}/{pod}"), labels);
    }

    /// Who had the leader's label, in this order; that no two had it at a time.
    fn succession(&self) -> Vec<String> {
        let mut succession: Vec<String> = Vec::new();
        let mut leader: Option<String> = None;
        for pod in self.server.changes(PODS) {
            let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
            if pod["metadata"]["labels"]["tenure.dev/role"] == "leader" {
                assert!(leader.is_none_or(|led| led == name), "{name} too");
                if succession.last() != Some(&name) {
                    succession.push(name.clone());
                }
                leader = Some(name);
            } else {
                leader = leader.filter(|led| *led != name);
            }
        }
        succession
    }
}

fn synced(sidecar: &Sidecar) -> bool {
    sidecar.metric("tenure_pod_label_synced", &["election=\"payments\""]) == 1.0
}

#[track_caller]
fn wait_synced(sidecar: &Sidecar, wanted: bool) {
    eventually(&format!("synced {wanted}"), WRITE_BOUND, || {
        (synced(sidecar) == wanted).then_some(())
    });
}

#[test]
fn the_label_goes_over_with_leadership_and_is_never_on_two_pods() {
    let stage = Stage::new();
    let mut a = stage.candidate("pod-a", LABEL).start_leading();
    stage.wait_label("pod-a", "leader", WRITE_BOUND);
    let b = stage.candidate("pod-b", LABEL).start_following();
    stage.wait_label("pod-b", "follower", WRITE_BOUND);
    wait_synced(&a, true);
    wait_synced(&b, true);

    a.post("/resign?cooldown=0s");
    stage.wait_label("pod-b", "leader", ROLE_BOUND);
    stage.wait_label("pod-a", "follower", WRITE_BOUND);
    let late = RETRY_PERIOD / 2;
    stage.server.set(Fault::AnswersLate(late));
    let asked = clock::now();
    b.post("/resign?cooldown=1h");
    a.wait_leading(ROLE_BOUND);
    let took = clock::now().since(asked);
    assert!(took >= late, "not waited for the label: {took:?}");
    stage.wait_label("pod-a", "leader", ROLE_BOUND);
    a.end_well();
    assert_eq!(stage.label("pod-a"), Value::Null);
    assert_eq!(stage.succession(), ["pod-a", "pod-b", "pod-a"]);
}

#[test]
fn what_a_killed_sidecar_has_left_and_what_others_change_is_put_right() {
    let stage = Stage::new();
    let _a = stage.candidate("pod-a", LABEL).start_leading();
    stage.set_label("pod-b", "leader");
    let b = stage.candidate("pod-b", LABEL).start_following();
    stage.wait_label("pod-b", "follower", WRITE_BOUND);
    wait_synced(&b, true);

    stage.set_label("pod-b", "leader");
    stage.set_label("pod-a", Value::Null);
    stage.wait_label("pod-b", "follower", RECONCILED + WRITE_BOUND);
    stage.wait_label("pod-a", "leader", RECONCILED + WRITE_BOUND);
}

#[test]
fn a_leader_that_loses_its_lease_loses_the_label_at_once() {
    let stage = Stage::new();
    let mut a = stage.candidate("pod-a", LABEL).start_leading();
    stage.wait_label("pod-a", "leader", WRITE_BOUND);
    a.freeze();
    let b = stage.candidate("pod-b", LABEL).start_leading();
    stage.wait_label("pod-b", "leader", WRITE_BOUND);
    a.thaw();
    stage.wait_label("pod-a", "follower", WRITE_BOUND);
    assert!(b.leads());
}

#[test]
fn elections_and_hand_overs_go_on_while_the_clusters_api_is_silent() {
    let stage = Stage::new();
    stage.server.set(Fault::Silent);
    let mut a = stage.candidate("pod-a", LABEL).start_leading();
    let token = a.wait_leading(ROLE_BOUND);
    let b = stage.candidate("pod-b", LABEL).start_following();
    let_pass(TTL + RETRY_PERIOD);
    assert_eq!(a.wait_leading(ms(0)), token);
    assert!(!synced(&a));

    let asked = clock::now();
    let resigned = a.post("/resign?cooldown=1h").json();
    let released_in = Duration::from_millis(resigned["released_in_ms"].as_u64().unwrap());
    assert!(released_in <= RETRY_PERIOD, "{resigned}");
    assert!(released_in > RETRY_PERIOD / 2, "{resigned}");
    b.wait_leading(ROLE_BOUND);
    let took = clock::now().since(asked);
    assert!(took >= released_in, "{took:?}");

    stage.server.set(Fault::None);
    stage.wait_label("pod-b", "leader", RECONCILED + WRITE_BOUND);
    stage.wait_label("pod-a", "follower", RECONCILED + WRITE_BOUND);
    wait_synced(&b, true);
    stage.server.set(Fault::Silent);
    a.term();
    assert_eq!(a.wait_exit(EXIT_BOUND).code(), Some(0));
}

#[test]
fn a_missing_permission_is_named_once_and_keeps_no_hand_over_waiting() {
    let stage = Stage::new();
    stage.server.set(Fault::Refuses(403));
    let retry_period = ms(4_000);
    let candidate = |pod| {
        let spec = stage.candidate(pod, LABEL);
        spec.lease(ms(15_000), ms(10_000), retry_period)
    };
    let a = candidate("pod-a").start_leading();
    let b = candidate("pod-b").start_following();
    let patches = || {
        let requests = stage.server.requests();
        let of_a = |line: &&String| line.contains("PATCH") && line.contains("pod-a");
        requests.iter().filter(of_a).count()
    };
    eventually("tries", WRITE_BOUND, || (patches() > 3).then_some(()));
    assert!(!synced(&a));
    assert_eq!(
        a.log().matches("not allowed to patch pods").count(),
        1,
        "{}",
        a.log()
    );
    assert!(a.log().contains("verb patch on pods"), "{}", a.log());

    a.post("/resign?cooldown=1h");
    let asked = clock::now();
    b.wait_leading(ROLE_BOUND);
    let took = clock::now().since(asked);
    assert!(took < retry_period / 2, "{took:?}");
}

#[test]
fn events_tell_who_became_leader_and_who_stopped_leading() {
    let stage = Stage::new();
    let mut a = stage
        .candidate("pod-a", "kubernetes: { events: true }")
        .start_leading();
    let said = || -> Vec<Value> {
        let events = stage.server.list(EVENTS);
        events
            .iter()
            .map(|event| event["message"].clone())
            .collect()
    };
    eventually("an event", WRITE_BOUND, || {
        (!said().is_empty()).then_some(())
    });
    let event = &stage.server.list(EVENTS)[0];
    let pod = stage.server.get(&format!("{PODS}/pod-a")).unwrap();
    assert_eq!(event["reason"], "LeaderElection");
    assert_eq!(event["type"], "Normal");
    assert_eq!(event["involvedObject"]["kind"], "Pod");
    assert_eq!(event["involvedObject"]["name"], "pod-a");
    assert_eq!(event["involvedObject"]["uid"], pod["metadata"]["uid"]);
    a.end_well();
    assert_eq!(said(), ["pod-a became leader", "pod-a stopped leading"]);
    assert!(
        a.log().lines().all(|line| !line.contains("WARN")),
        "{}",
        a.log()
    );
}

#[test]
fn events_are_about_the_lease_where_that_is_what_the_election_is_about() {
    let stage = Stage::new();
    let events = "kubernetes: { events: true, pod_label: { key: tenure.dev/role } }";
    let mut a = stage
        .placed(
            Spec::on_kubernetes("a", &stage.kubeconfig()),
            "pod-a",
            events,
        )
        .start();
    a.wait_leading(ROLE_BOUND);
    stage.wait_label("pod-a", "leader", WRITE_BOUND);
    a.end_well();
    assert_eq!(stage.label("pod-a"), Value::Null);
    let events = stage.server.list(EVENTS);
    let messages: Vec<&Value> = events.iter().map(|event| &event["message"]).collect();
    assert_eq!(messages, ["a became leader", "a stopped leading"]);
    let lease = "/apis/coordination.k8s.io/v1/namespaces/payments/leases/payments";
    let lease = stage.server.get(lease).unwrap();
    for event in &events {
        assert_eq!(event["involvedObject"]["kind"], "Lease");
        assert_eq!(event["involvedObject"]["name"], "payments");
        assert_eq!(event["involvedObject"]["uid"], lease["metadata"]["uid"]);
    }
}

#[test]
fn the_pod_of_several_elections_has_a_label_for_each_and_events_that_name_them() {
    let stage = Stage::new();
    let kubernetes = "kubernetes: { events: true, pod_label: { key: \"tenure.dev/{election}\" } }";
    let a = stage.candidate("pod-a", kubernetes);
    let mut a = a.elections(&["payments", "reports"]).start();
    eventually("both labels", ROLE_BOUND, || {
        let pod = stage.server.get(&format!("{PODS}/pod-a")).unwrap();
        let labels = &pod["metadata"]["labels"];
        let both = ["payments", "reports"].map(|name| &labels[format!("tenure.dev/{name}")]);
        (both == ["leader", "leader"]).then_some(())
    });
    a.end_well();
    let events = stage.server.list(EVENTS);
    let said = |message: &str| events.iter().any(|event| event["message"] == message);
    assert!(said("pod-a became leader of payments"), "{events:?}");
    assert!(said("pod-a became leader of reports"), "{events:?}");
}

#[test]
fn a_cluster_that_is_not_there_to_be_found_is_said_at_the_start() {
    let stage = Stage::new();
    let nowhere = stage.directory.path().join("nowhere");
    let mut a = stage
        .candidate("pod-a", LABEL)
        .environment("KUBECONFIG", &nowhere)
        .start();
    assert_eq!(a.wait_exit(EXIT_BOUND).code(), Some(1));
    assert!(
        a.log()
            .contains("kubernetes: there is no cluster to be found"),
        "{}",
        a.log()
    );
}
