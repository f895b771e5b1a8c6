//! How a cluster is reached: from files, and over real HTTP to a fake of its API.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod support;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use std::fs;
use std::time::Duration;
use support::api_server::{ApiServer, Fault};
use tempfile::{NamedTempFile, TempDir};
use tenure::clock;
use tenure::kubernetes::Cluster;

fn find(kubeconfig: &str) -> Result<Cluster, String> {
    let file = NamedTempFile::new().unwrap();
    fs::write(&file, kubeconfig).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    Cluster::find(&|name| (name == "KUBECONFIG").then(|| path.clone()))
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test);
}

#[test]
fn a_kubeconfig_names_the_cluster_the_namespace_and_the_token() {
    let server = ApiServer::started();
    let cluster = find(&ApiServer::kubeconfig(server.port(), "payments")).unwrap();
    assert_eq!(cluster.namespace(), "payments");
    assert!(!format!("{cluster:?}").contains("fake-token"));
    run(async {
        let leases: Api<Lease> = Api::namespaced(cluster.client().unwrap(), cluster.namespace());
        assert!(leases.get_opt("no-such").await.unwrap().is_none());
        let made = json!({ "metadata": { "name": "a" }, "spec": { "leaseDurationSeconds": 15 } });
        let made = serde_json::from_value(made).unwrap();
        let made = leases.create(&PostParams::default(), &made).await.unwrap();
        leases
            .replace("a", &PostParams::default(), &made)
            .await
            .unwrap();
        server.patch(
            "/apis/coordination.k8s.io/v1/namespaces/payments/leases/a",
            json!({ "metadata": { "labels": { "x": "y" } } }),
        );
        let conflict = leases
            .replace("a", &PostParams::default(), &made)
            .await
            .unwrap_err();
        assert!(matches!(conflict, kube::Error::Api(status) if status.is_conflict()));
    });
}

#[test]
fn a_token_in_a_file_is_shown_as_the_file_holds_it_and_the_former_while_it_holds_none() {
    let server = ApiServer::started();
    let directory = TempDir::new().unwrap();
    let token = directory.path().join("token");
    fs::write(&token, "first\n").unwrap();
    // Beside the kubeconfig.
    let kubeconfig = ApiServer::kubeconfig(server.port(), "default")
        .replace(r#""token":"fake-token""#, r#""tokenFile":"token""#);
    let path = directory.path().join("kubeconfig");
    fs::write(&path, kubeconfig).unwrap();
    let path = path.to_str().unwrap().to_owned();
    let cluster = Cluster::find(&|name| (name == "KUBECONFIG").then(|| path.clone())).unwrap();
    run(async {
        let leases: Api<Lease> = Api::namespaced(cluster.client().unwrap(), "default");
        let shown = async || {
            leases.get_opt("a").await.unwrap();
            server.authorization()
        };
        assert_eq!(shown().await, "Bearer first");
        let next = directory.path().join("next");
        fs::write(&next, "second").unwrap();
        fs::rename(&next, &token).unwrap();
        let bound = clock::now() + Duration::from_secs(20);
        while shown().await != "Bearer second" {
            assert!(clock::now() < bound, "the next token is never shown");
        }
        fs::write(&token, "").unwrap();
        support::let_pass(Duration::from_secs(3));
        assert_eq!(shown().await, "Bearer second");
    });
    fs::remove_file(&token).unwrap();
    let missing = Cluster::find(&|name| (name == "KUBECONFIG").then(|| path.clone())).unwrap_err();
    assert!(missing.contains("/token: "), "{missing}");
}

#[test]
fn a_client_is_made_though_the_server_is_down_and_works_once_it_is_back() {
    let server = ApiServer::started();
    server.set(Fault::Closes);
    let cluster = find(&ApiServer::kubeconfig(server.port(), "default")).unwrap();
    run(async {
        let leases: Api<Lease> = Api::namespaced(cluster.client().unwrap(), "default");
        leases.get_opt("a").await.unwrap_err();
        server.set(Fault::None);
        assert!(leases.get_opt("a").await.unwrap().is_none());
    });
}

#[test]
fn the_fake_server_keeps_pods_whose_labels_are_patched_and_events() {
    let server = ApiServer::started();
    server.create(
        "/api/v1/namespaces/default/pods",
        json!({ "kind": "Pod", "metadata": { "name": "pod-0" } }),
    );
    let cluster = find(&ApiServer::kubeconfig(server.port(), "default")).unwrap();
    run(async {
        let client = cluster.client().unwrap();
        let pods: Api<Pod> = Api::default_namespaced(client.clone());
        let on = Patch::Merge(json!({ "metadata": { "labels": { "a": "1", "b": "2" } } }));
        pods.patch("pod-0", &PatchParams::default(), &on)
            .await
            .unwrap();
        let off = Patch::Strategic(json!({ "metadata": { "labels": { "a": null } } }));
        let pod = pods
            .patch("pod-0", &PatchParams::default(), &off)
            .await
            .unwrap();
        assert_eq!(
            pod.metadata.labels.unwrap(),
            [("b".to_owned(), "2".to_owned())].into()
        );

        let events: Api<Event> = Api::default_namespaced(client);
        let event = json!({ "metadata": { "generateName": "pod-0." }, "involvedObject": { "name": "pod-0" }, "reason": "Elected" });
        events
            .create(
                &PostParams::default(),
                &serde_json::from_value(event).unwrap(),
            )
            .await
            .unwrap();
        let events = server.list("/api/v1/namespaces/default/events");
        assert_eq!(events[0]["reason"], "Elected");
        assert!(
            events[0]["metadata"]["name"]
                .as_str()
                .unwrap()
                .starts_with("pod-0.")
        );
    });
}

#[test]
fn what_cannot_be_used_is_said_with_a_remedy_and_without_what_is_secret() {
    let nowhere = Cluster::find(&|_| None).unwrap_err();
    assert!(nowhere.contains("set KUBECONFIG"), "{nowhere}");
    let broken = find("users: [{ name: a, user: { token: hush hush } ").unwrap_err();
    assert!(
        broken.contains("kubectl config view") && !broken.contains("hush"),
        "{broken}"
    );
    let program = ApiServer::kubeconfig(1, "default").replace(
        r#""token":"fake-token""#,
        r#""exec":{"apiVersion":"client.authentication.k8s.io/v1","command":"/bin/false","interactiveMode":"Never"}"#,
    );
    let program = find(&program).unwrap_err();
    assert!(program.contains("a client certificate"), "{program}");
}
