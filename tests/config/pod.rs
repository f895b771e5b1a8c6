//! What a pod shows of its elections.

use super::{millis, parse, parse_set};
use tenure::config::{Config, report};

const LABELLED: &str = "election: payments
store: { etcd: {} }
kubernetes: { pod_label: { key: tenure.dev/role } }
";

#[test]
fn a_key_is_enough_for_a_label_and_the_pod_is_known_from_its_environment() {
    let config = parse(LABELLED).unwrap();
    let pod = config.pod.unwrap();
    assert_eq!(pod.name, "pod-0");
    assert_eq!(pod.namespace, None);
    assert!(!pod.events);
    let label = pod.label.unwrap();
    assert_eq!(label.key_of("payments"), "tenure.dev/role");
    assert_eq!((label.leader.as_str(), label.follower), ("leader", None));

    let env = |name: &str| match name {
        "POD_NAME" => Some("pod-1".to_owned()),
        "POD_NAMESPACE" => Some("shop".to_owned()),
        _ => None,
    };
    let config = Config::parse("c.yaml", LABELLED, &[], &env).unwrap();
    let pod = config.pod.unwrap();
    assert_eq!(pod.name, "pod-1");
    assert_eq!(pod.namespace.as_deref(), Some("shop"));
}

#[test]
fn a_pod_without_a_name_is_refused_with_the_remedy() {
    for name in [None, Some(String::new())] {
        let said = Config::parse("c.yaml", LABELLED, &[], &|_| name.clone()).unwrap_err();
        let said = said.to_string();
        assert!(said.contains("kubernetes.pod: is missing"), "{said}");
        assert!(said.contains("fieldPath: metadata.name"), "{said}");
    }
}

#[test]
fn several_elections_have_labels_of_their_own() {
    let several = [
        "elections=[a, b]",
        "kubernetes.pod_label.key=tenure.dev/{election}",
    ];
    let config = parse_set(LABELLED, &several).unwrap();
    let label = config.pod.unwrap().label.unwrap();
    assert_eq!(label.key_of("a"), "tenure.dev/a");
    assert_eq!(label.key_of("b"), "tenure.dev/b");
}

#[test]
fn a_hand_over_waits_for_a_label_for_a_retry_period_and_never_for_long() {
    let waits = |set: &[&str]| {
        let config = parse_set(LABELLED, set).unwrap();
        config.policy.deregistration
    };
    assert_eq!(waits(&[]), millis(2_000));
    assert_eq!(waits(&["lease.ttl=1h"]), millis(5_000));
    let events_only = ["kubernetes.pod_label=null", "kubernetes.events=true"];
    assert_eq!(waits(&events_only), millis(0));
}

#[test]
fn what_is_in_effect_can_be_loaded_again_and_the_wait_is_told() {
    let set = [
        "kubernetes.pod_label.follower=f",
        "kubernetes.events=true",
        "kubernetes.namespace=n",
    ];
    let config = parse_set(LABELLED, &set).unwrap();
    let told = report(&config);
    assert_eq!(parse(&told).unwrap(), config);
    assert!(
        told.contains("waits 2s at most for the pod's label"),
        "{told}"
    );
}
