//! What a sidecar asks a cluster's API for, held against the Role that the manifests give it.

use crate::support::api_server::ApiServer;
use crate::support::eventually;
use crate::support::process::EXIT_BOUND;
use crate::support::sidecar::{ELECTION, ROLE_BOUND, Spec};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const ROLE: &str = include_str!("../../config/kubernetes/sidecar/rbac.yaml");

const NAMESPACE: &str = "/api/v1/namespaces/prod";

/// A verb, what it is about, and the one object that it is for; none where it is for all.
type Permission = (String, String, Option<String>);

/// Those of the Role, with the election in the place of the name that is patched there.
fn granted() -> BTreeSet<Permission> {
    let documents = ROLE
        .split("---")
        .map(serde_yaml::from_str::<serde_yaml::Value>);
    let role = documents
        .map(Result::unwrap)
        .find(|document| document["kind"] == "Role")
        .unwrap();
    let texts = |value: &serde_yaml::Value| -> Vec<String> {
        serde_yaml::from_value(value.clone()).unwrap()
    };
    let mut granted = BTreeSet::new();
    for rule in role["rules"].as_sequence().unwrap() {
        let named = rule.get("resourceNames").map(|_| ELECTION.to_owned());
        for resource in texts(&rule["resources"]) {
            for verb in texts(&rule["verbs"]) {
                granted.insert((verb, resource.clone(), named.clone()));
            }
        }
    }
    granted
}

/// The permission that a request needs: `GET /api/v1/namespaces/prod/pods/a`.
fn needed(request: &str, granted: &BTreeSet<Permission>) -> Permission {
    let (method, url) = request.split_once(' ').unwrap();
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut segments = path.split("/namespaces/prod/").nth(1).unwrap().split('/');
    let resource = segments.next().unwrap().to_owned();
    let selected = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("fieldSelector=metadata.name%3D"));
    let name = segments.next().or(selected).map(str::to_owned);
    let verb = match method {
        "GET" if query.contains("watch=true") => "watch",
        "GET" if name.is_none() => "list",
        "GET" => "get",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        other => other,
    };
    let for_all = (verb.to_owned(), resource.clone(), None);
    if granted.contains(&for_all) {
        return for_all;
    }
    (verb.to_owned(), resource, name)
}

#[test]
fn the_role_of_the_manifests_grants_what_a_sidecar_asks_for_and_no_more() {
    let server = ApiServer::started();
    let directory = TempDir::new().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    fs::write(&kubeconfig, ApiServer::kubeconfig(server.port(), "prod")).unwrap();
    let candidate = |name: &str| {
        server.create(
            &format!("{NAMESPACE}/pods"),
            json!({ "metadata": { "name": name } }),
        );
        Spec::on_kubernetes(name, &kubeconfig)
            .with("kubernetes: { events: true, pod_label: { key: tenure.dev/role, leader: leader, follower: follower } }")
            .environment("POD_NAME", Path::new(name))
            .environment("POD_NAMESPACE", Path::new("prod"))
    };
    let mut former = candidate("a").start_leading();
    let next = candidate("b").start_following();
    former.end_well();
    next.wait_leading(ROLE_BOUND);
    eventually("Events of both", EXIT_BOUND, || {
        (server.list(&format!("{NAMESPACE}/events")).len() > 2).then_some(())
    });

    let granted = granted();
    let requests = server.requests();
    let needed = requests.iter().map(|request| needed(request, &granted));
    assert_eq!(needed.collect::<BTreeSet<_>>(), granted);
}
