//! How a cluster is reached: from files, and over real HTTP to a fake of its API.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;
use support::api_server::{ApiServer, Fault};
use support::certificates::Certificates;
use support::relay::Relay;
use tempfile::{NamedTempFile, TempDir};
use tenure::clock;
use tenure::kubernetes::{Cluster, reason};
use tenure::tls;

/// For an answer that comes.
const BOUND: Duration = Duration::from_secs(10);

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
        let leases: Api<Lease> =
            Api::namespaced(cluster.client(BOUND).unwrap(), cluster.namespace());
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
        let leases: Api<Lease> = Api::namespaced(cluster.client(BOUND).unwrap(), "default");
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

/// A kubeconfig for a server that is encrypted, with these keys of the cluster and of the user.
fn secured(server: &ApiServer, cluster: Value, user: Value) -> String {
    let config = ApiServer::kubeconfig(server.port(), "default").replace("http:", "https:");
    let mut config: Value = serde_json::from_str(&config).unwrap();
    let add = |to: &mut Value, more: Value| {
        let more = more.as_object().unwrap().clone();
        to.as_object_mut().unwrap().extend(more);
    };
    add(&mut config["clusters"][0]["cluster"], cluster);
    add(&mut config["users"][0]["user"], user);
    config.to_string()
}

#[test]
fn what_the_kubeconfig_holds_itself_makes_a_connection_that_is_encrypted() {
    let made = Certificates::made();
    made.issue_for("IP:127.0.0.1", "server", 2);
    let server = ApiServer::started();
    let pem = |name: &str| fs::read(made.file(name)).unwrap();
    server.secure(&made, std::str::from_utf8(&pem("ca.pem")).unwrap());
    let data = |name: &str| STANDARD.encode(pem(name));
    let authority = json!({ "certificate-authority-data": data("ca.pem") });
    let user = json!({
        "client-certificate-data": data("client.pem"), "client-key-data": data("client.key"),
    });
    let ask = |kubeconfig: &str| {
        let cluster = find(kubeconfig).unwrap();
        let mut asked = Err("not asked".to_owned());
        run(async {
            let leases: Api<Lease> = Api::namespaced(cluster.client(BOUND).unwrap(), "default");
            let answer = leases.get_opt("a").await;
            asked = answer.map_err(|error| reason(&error));
        });
        asked
    };
    assert_eq!(ask(&secured(&server, authority, user)), Ok(None));
    let shown = tls::certificates(&pem("client.pem")).unwrap();
    assert_eq!(server.certificate().unwrap(), *shown[0]);
    assert_eq!(server.authorization(), "Bearer fake-token");

    let stranger = Certificates::made();
    let stranger = STANDARD.encode(fs::read(stranger.file("ca.pem")).unwrap());
    let stranger = json!({ "certificate-authority-data": stranger });
    let error = ask(&secured(&server, stranger, json!({}))).unwrap_err();
    assert!(error.contains("invalid peer certificate"), "{error}");
}

#[test]
fn of_several_kubeconfigs_the_first_to_say_something_has_the_say() {
    let server = ApiServer::started();
    let directory = TempDir::new().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let first = "current-context: \"\"\nusers: [{ name: fake, user: { token: first, as: them, as-groups: [a, b] } }]\n---\nclusters:\n";
    let paths = [
        directory.path().join("no-such").display().to_string(),
        file("first", first),
        file("second", &ApiServer::kubeconfig(server.port(), "second")),
        file("third", &ApiServer::kubeconfig(1, "third")),
    ];
    let paths = format!(":{}", paths.join(":"));
    let cluster = Cluster::find(&|name| (name == "KUBECONFIG").then(|| paths.clone())).unwrap();
    assert_eq!(cluster.namespace(), "second");
    run(async {
        let leases: Api<Lease> = Api::namespaced(cluster.client(BOUND).unwrap(), "default");
        leases.get_opt("a").await.unwrap();
    });
    assert_eq!(server.authorization(), "Bearer first");
    let agent = concat!("tenure/", env!("CARGO_PKG_VERSION"));
    assert_eq!(server.user_agent(), agent);
}

#[test]
fn a_client_is_made_though_the_server_is_down_and_works_once_it_is_back() {
    let server = ApiServer::started();
    server.set(Fault::Closes);
    let cluster = find(&ApiServer::kubeconfig(server.port(), "default")).unwrap();
    run(async {
        let leases: Api<Lease> = Api::namespaced(cluster.client(BOUND).unwrap(), "default");
        leases.get_opt("a").await.unwrap_err();
        server.set(Fault::None);
        assert!(leases.get_opt("a").await.unwrap().is_none());
    });
}

/// For an answer that doesn't come.
const SHORT: Duration = Duration::from_millis(300);

/// Leases by a client that waits for no longer than this, and two connections that it has open.
async fn on_two_connections(relay: &Relay, bound: Duration) -> Api<Lease> {
    let kubeconfig = ApiServer::kubeconfig(relay.port(), "default");
    let client = find(&kubeconfig).unwrap().client(bound).unwrap();
    let leases: Api<Lease> = Api::namespaced(client, "default");
    let before = relay.accepted();
    let both = tokio::join!(leases.get_opt("former-a"), leases.get_opt("former-b"));
    assert!(both.0.unwrap().is_none() && both.1.unwrap().is_none());
    assert_eq!(relay.accepted(), before + 2);
    leases
}

#[test]
fn who_waits_for_an_answer_in_vain_leaves_no_dead_connection_to_others() {
    let server = ApiServer::started();
    let relay = Relay::to(server.port());
    run(async {
        let leases = on_two_connections(&relay, SHORT).await;
        relay.silence(Some("former".to_owned()));
        let first = tokio::time::timeout(SHORT, leases.get_opt("a")).await;
        assert!(first.is_err(), "an answer on a connection that is dead");
        let second = tokio::time::timeout(BOUND, leases.get_opt("b")).await;
        assert!(second.unwrap().unwrap().is_none());
    });
}

#[test]
fn a_request_that_is_slow_or_given_up_soon_costs_no_other_connection() {
    let server = ApiServer::started();
    let relay = Relay::to(server.port());
    run(async {
        for bound in [SHORT, BOUND] {
            let leases = on_two_connections(&relay, bound).await;
            let before = relay.accepted();
            server.set(Fault::ChangesUnanswered);
            let lease = Lease::default();
            let parameters = PostParams::default();
            let slow = tokio::time::timeout(SHORT, leases.create(&parameters, &lease));
            let other = async {
                // Where the wait is long enough to be in vain, another is answered meanwhile.
                if bound == SHORT {
                    leases.get_opt("a").await.unwrap();
                }
            };
            assert!(tokio::join!(slow, other).0.is_err(), "an answer");
            server.set(Fault::None);
            assert!(leases.get_opt("b").await.unwrap().is_none());
            assert_eq!(relay.accepted(), before);
        }
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
        let client = cluster.client(BOUND).unwrap();
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
    assert!(nowhere.contains("nor HOME is set"), "{nowhere}");
    let nowhere = Cluster::find(&|name| (name == "HOME").then(|| "/no-such".to_owned()));
    let nowhere = nowhere.unwrap_err();
    assert!(
        nowhere.contains("/no-such/.kube/config: ") && nowhere.contains("set KUBECONFIG"),
        "{nowhere}"
    );
    let empty = NamedTempFile::new().unwrap();
    let both = format!("/no-such/config:{}", empty.path().display());
    let partly = Cluster::find(&|name| (name == "KUBECONFIG").then(|| both.clone()));
    let partly = partly.unwrap_err();
    assert!(
        partly.contains("no current-context") && partly.contains("missing: /no-such/config: "),
        "{partly}"
    );
    let broken = find("current-context: [hush]").unwrap_err();
    assert!(
        broken.contains(", line 1: ") && !broken.contains("hush"),
        "{broken}"
    );
    let broken = find("users: [{ name: a, user: { token: hush hush } ").unwrap_err();
    assert!(
        broken.contains("kubectl config view") && !broken.contains("hush"),
        "{broken}"
    );
    for (user, why) in [
        (
            json!({ "exec": { "command": "/bin/false" } }),
            "a client certificate",
        ),
        (
            json!({ "auth-provider": { "name": "gcp" } }),
            "a client certificate",
        ),
        (
            json!({ "username": "a", "password": "hush" }),
            "a client certificate",
        ),
        (json!({ "as-uid": "hush" }), "by as and as-groups alone"),
        (json!({ "token": "hush\nhush" }), "the kubeconfig's token"),
        (
            json!({ "client-key-data": "aHVzaA==" }),
            "no client-certificate",
        ),
        (
            json!({ "client-certificate": "cert", "client-key": "hush" }),
            "/cert: No such file",
        ),
        (
            json!({ "client-certificate-data": "hush!" }),
            "client-certificate-data is not in base64",
        ),
    ] {
        let server = ApiServer::started();
        let error = find(&secured(&server, json!({}), user)).unwrap_err();
        assert!(error.contains(why) && !error.contains("hush"), "{error}");
    }
    let unknown =
        ApiServer::kubeconfig(1, "default").replace("\"user\":\"fake\"", "\"user\":\"fak\"");
    assert!(find(&unknown).unwrap_err().contains("no user \"fak\""));
    for (cluster, why) in [
        (
            json!({ "insecure-skip-tls-verify": true }),
            "name the authority",
        ),
        (json!({ "tls-server-name": "a b" }), "neither a host's name"),
        (
            json!({ "certificate-authority-data": "aHVzaA==" }),
            "holds no certificate",
        ),
        (
            json!({ "certificate-authority": "ca" }),
            "/ca: No such file",
        ),
        (json!({ "server": "" }), "its server is not of the form"),
        (json!({ "server": "127.0.0.1:6443" }), "https://host:port"),
        (
            json!({ "server": "htps://127.0.0.1:6443" }),
            "https://host:port",
        ),
        (
            json!({ "server": "https://a:hush@127.0.0.1:6443" }),
            "https://host:port",
        ),
    ] {
        let server = ApiServer::started();
        let error = find(&secured(&server, cluster, json!({}))).unwrap_err();
        assert!(error.contains(why) && !error.contains("hush"), "{error}");
    }
}
