//! Fencing with what a leader is told of itself: the key in etcd that guards its writes, and its token.

use crate::support::etcd::Etcd;
use crate::support::etcdctl::Etcdctl;
use crate::support::sidecar::{PREFIX, ROLE_BOUND, Sidecar, Spec, queue_up};
use serde_json::Value;
use tempfile::TempDir;

#[test]
fn a_guarded_transaction_passes_while_its_leader_leads_and_fails_after_the_hand_over() {
    let etcd = Etcd::started();
    let (ctl, mut a) = (etcd.ctl(), queue_up(&Spec::on_etcd("a", &etcd), &etcd));
    let b = queue_up(&Spec::on_etcd("b", &etcd), &etcd);
    let place = ctl.places(PREFIX).remove(0);
    let guard_of_a = guard(&a);
    assert_eq!(guard_of_a["key"], place.key);
    assert_eq!(guard_of_a["lease"], place.lease);
    assert_eq!(guard_of_a["create_revision"], place.create_revision);
    assert!(guard(&b).is_null());

    assert!(write_guarded(&ctl, &guard_of_a, "by a"));
    assert_eq!(written(&ctl), "by a");
    a.end_well();
    b.wait_leading(ROLE_BOUND);
    assert!(!write_guarded(&ctl, &guard_of_a, "late, by a"));
    assert_eq!(written(&ctl), "by a");
    assert!(write_guarded(&ctl, &guard(&b), "by b"));
    assert_eq!(written(&ctl), "by b");
}

#[test]
fn a_transaction_guarded_by_a_key_that_was_deleted_fails_before_its_leader_knows() {
    let etcd = Etcd::started();
    let (ctl, mut a) = (etcd.ctl(), queue_up(&Spec::on_etcd("a", &etcd), &etcd));
    let guard = guard(&a);
    a.freeze();
    ctl.run(&["del", guard["key"].as_str().unwrap()]);
    assert!(!write_guarded(&ctl, &guard, "by a"));
    a.thaw();
}

#[test]
fn a_token_is_vouched_for_by_its_leader_alone_and_refused_once_another_leads() {
    let etcd = Etcd::started();
    let mut a = queue_up(&Spec::on_etcd("a", &etcd), &etcd);
    let b = queue_up(&Spec::on_etcd("b", &etcd), &etcd);
    let old = a.wait_leading(ROLE_BOUND);
    let fence = |sidecar: &Sidecar, token: u64| sidecar.probe(&format!("/fence?token={token}"));
    assert_eq!(fence(&a, old).status, 200);
    assert_eq!(fence(&a, old - 1).status, 409);
    assert_eq!(fence(&b, old).status, 503);
    a.end_well();
    let new = b.wait_leading(ROLE_BOUND);
    let refused = fence(&b, old);
    assert_eq!(refused.status, 409);
    assert_eq!(refused.json()["newest_token"], new);
    assert_eq!(fence(&b, new).status, 200);
}

#[test]
fn the_embedded_store_has_no_key_to_compare() {
    let directory = TempDir::new().unwrap();
    let a = Spec::on_files("a", directory.path()).start_leading();
    assert!(guard(&a).is_null());
}

fn guard(sidecar: &Sidecar) -> Value {
    sidecar.probe("/leader").json()["guard"].take()
}

/// Whether it was written: the transaction that the README shows.
#[track_caller]
fn write_guarded(ctl: &Etcdctl, guard: &Value, value: &str) -> bool {
    let (key, revision) = (guard["key"].as_str().unwrap(), &guard["create_revision"]);
    ctl.transaction(&format!(
        "create(\"{key}\") = \"{revision}\"\n\nput app/state \"{value}\"\n\n\n"
    ))
}

#[track_caller]
fn written(ctl: &Etcdctl) -> String {
    let value = ctl.run(&["get", "app/state", "--print-value-only"]);
    value.trim_end().to_owned()
}
