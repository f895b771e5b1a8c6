//! A Lease that is deleted, or brought back from a backup, and versions that don't go on as they were.

use super::*;

#[test]
fn an_older_answer_that_comes_later_changes_nothing() {
    let mut api = Api::new();
    let mut a = joined(A, &api, at(0));
    let (before, asked_at) = (api.record(), at(1));
    acquire(&mut a, A, &mut api, at(2));
    a.answered(Some(before), asked_at, at(3));
    a.answered(None, asked_at, at(3));
    assert!(is_first(&a, A, at(3)));
}

#[test]
fn versions_that_were_set_back_are_believed_when_they_were_asked_for() {
    let mut api = Api::new();
    let mut a = joined(A, &api, at(0));
    let token = acquire(&mut a, A, &mut api, at(0));
    let before = a.observation(at(0)).unwrap().revision;
    api.version = 7;
    read(&mut a, &api, at(1));
    renew(&mut a, A, &mut api, at(2));
    let seen = a.observation(at(3)).unwrap();
    assert!(seen.is_first(A));
    // So that the core doesn't take what it sees for older than the place.
    assert!(seen.revision >= token && before >= token);
}

#[test]
fn whoever_held_a_lease_that_was_deleted_is_still_waited_for() {
    let mut api = Api::new();
    let mut a = joined(A, &api, at(0));
    acquire(&mut a, A, &mut api, at(0));
    let mut b = joined(B, &api, at(1));
    // Which b doesn't see.
    renew(&mut a, A, &mut api, at(4));
    api.version += 1;
    b.told_of_deletion(&api.record(), at(5));
    assert!(
        !b.observation(at(5)).unwrap().present,
        "there is nothing to wait for: it is to be made anew"
    );
    api = Api::new();
    api.version = 300;
    api.object.metadata.uid = Some("two".to_owned());
    b.join(B);
    read(&mut b, &api, at(6));
    assert!(!is_first(&b, B, at(14)));
    assert_eq!(b.next_change(at(6)), Some(at(15)));
    assert!(is_first(&b, B, at(15)));
    // Whoever never saw it doesn't know.
    assert!(is_first(&joined(C, &api, at(6)), C, at(6)));
}

#[test]
fn whoever_was_seen_before_an_old_backup_was_restored_is_waited_for_and_outdone() {
    let mut api = Api::new();
    let backup = Api {
        version: api.version,
        object: api.object.clone(),
    };
    api.version = 6_000;
    let mut a = joined(A, &api, at(0));
    let token = acquire(&mut a, A, &mut api, at(0));
    let mut b = joined(B, &api, at(1));
    api = backup;
    read(&mut b, &api, at(2));
    assert!(!is_first(&b, B, at(11)));
    assert_eq!(b.next_change(at(2)), Some(at(12)));
    let (_, next) = claim(&b, B, at(12)).unwrap();
    assert!(next > token, "{next} after {token}");
}

#[test]
fn a_backup_of_a_lease_that_was_given_up_frees_nothing_though_versions_go_on() {
    let mut api = Api::new();
    let never_held = api.object.clone();
    let mut a = joined(A, &api, at(0));
    acquire(&mut a, A, &mut api, at(0));
    assert!(api.apply(&a.release(A, true, date()).unwrap()));
    let given_up = api.object.clone();
    for backup in [never_held, given_up.clone()] {
        api.object = given_up.clone();
        let mut a = joined(A, &api, at(0));
        acquire(&mut a, A, &mut api, at(0));
        let mut b = joined(B, &api, at(1));
        api.object = backup;
        api.version += 1;
        read(&mut b, &api, at(2));
        assert!(!is_first(&b, B, at(11)));
        assert!(is_first(&b, B, at(12)));
    }
}

#[test]
fn after_a_restore_all_wait_for_whoever_came_since_though_nobody_was_seen() {
    let mut api = Api::new();
    let mut b = joined(B, &api, at(0));
    api.version -= 50;
    read(&mut b, &api, at(2));
    assert!(!is_first(&b, B, at(11)));
    assert!(is_first(&b, B, at(12)));
}
