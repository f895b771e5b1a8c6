//! A Lease that somebody edits: who is still waited for, and who has lost it.

use super::*;
use k8s_openapi::api::coordination::v1::LeaseSpec;

fn taken_out(api: &mut Api) {
    api.object.spec.as_mut().unwrap().holder_identity = Some(String::new());
    api.version += 1;
}

#[test]
fn an_edit_by_somebody_else_neither_renews_nor_ends_a_lease() {
    let mut api = Api::new();
    let mut a = joined(A, &api, at(0));
    let token = acquire(&mut a, A, &mut api, at(0));
    let mut b = joined(B, &api, at(0));
    api.version += 1;
    api.object.metadata.labels = Some([("x".to_owned(), "y".to_owned())].into());
    for ledger in [&mut a, &mut b] {
        read(ledger, &api, at(5));
    }
    assert!(is_first(&a, A, at(5)));
    assert!(matches!(a.claim(A, at(5), date()), Claim::Stands(Standing::First(it)) if it == token));
    renew(&mut a, A, &mut api, at(6));
    assert!(is_first(&b, B, at(10)));
}

#[test]
fn a_place_that_names_another_by_now_is_lost_at_once() {
    let mut api = Api::new();
    let mut a = joined(A, &api, at(0));
    acquire(&mut a, A, &mut api, at(0));
    api.version += 1;
    api.object.spec.as_mut().unwrap().holder_identity = Some("intruder".to_owned());
    read(&mut a, &api, at(1));
    let seen = a.observation(at(1)).unwrap();
    assert!(!seen.present);
    assert_eq!(seen.holder.unwrap().id, "intruder");
    assert!(matches!(a.renewal(A, at(1), date()), Renewal::Gone));
    assert!(a.release(A, false, date()).is_none());
}

#[test]
fn whoever_was_taken_out_by_hand_is_waited_for_and_whoever_gave_it_up_is_not() {
    let mut api = Api::new();
    let mut a = joined(A, &api, at(0));
    acquire(&mut a, A, &mut api, at(0));
    let mut b = joined(B, &api, at(1));
    let (held, version) = (api.object.clone(), api.version);
    taken_out(&mut api);
    read(&mut b, &api, at(2));
    assert!(!is_first(&b, B, at(11)));
    assert!(is_first(&b, B, at(12)));

    api.object = held;
    api.version = version;
    let mut b = joined(B, &api, at(1));
    let update = a.release(A, true, date()).unwrap();
    assert!(api.apply(&update));
    read(&mut b, &api, at(2));
    assert!(is_first(&b, B, at(2)));
    // Also by who begins to look.
    assert!(is_first(&joined(C, &api, at(2)), C, at(2)));
}

#[test]
fn whoever_was_taken_out_by_hand_is_waited_for_by_all_whatever_they_have_missed() {
    let mut api = Api::new();
    let mut of_nobody = joined(C, &api, at(0));
    let mut a = joined(A, &api, at(0));
    acquire(&mut a, A, &mut api, at(0));
    let mut of_the_last_renewal_but_one = joined(B, &api, at(1));
    renew(&mut a, A, &mut api, at(4));
    taken_out(&mut api);
    read(&mut of_the_last_renewal_but_one, &api, at(5));
    read(&mut of_nobody, &api, at(5));
    let of_nothing = joined(B, &api, at(5));
    // Its application may still count on what it was promised.
    a.join(D);
    read(&mut a, &api, at(5));
    for (ledger, id) in [
        (of_the_last_renewal_but_one, B),
        (of_nobody, C),
        (of_nothing, B),
        (a, D),
    ] {
        assert!(!is_first(&ledger, id, at(14)), "{ledger:?}");
        assert!(is_first(&ledger, id, at(15)), "{ledger:?}");
    }
}

#[test]
fn whoever_was_only_edited_to_look_as_if_it_had_given_it_up_is_waited_for_by_those_who_saw_it() {
    let mut api = Api::new();
    let mut a = joined(A, &api, at(0));
    acquire(&mut a, A, &mut api, at(0));
    let mut b = joined(B, &api, at(1));
    api.object.spec.as_mut().unwrap().lease_duration_seconds = Some(1);
    taken_out(&mut api);
    read(&mut b, &api, at(2));
    assert!(!is_first(&b, B, at(11)));
    assert!(is_first(&b, B, at(12)));
}

#[test]
fn nobody_but_a_candidate_like_this_is_trusted_to_have_waited() {
    let mut api = Api::new();
    let mut a = joined(A, &api, at(0));
    acquire(&mut a, A, &mut api, at(0));
    let mut b = joined(B, &api, at(1));
    let written = |api: &mut Api, write: &dyn Fn(&mut LeaseSpec)| {
        write(api.object.spec.as_mut().unwrap());
        api.version += 1;
    };
    // As by client-go, after somebody has edited the duration.
    written(&mut api, &|spec| {
        spec.holder_identity = Some("client-go".to_owned());
        spec.lease_transitions = Some(2);
    });
    read(&mut b, &api, at(2));
    written(&mut api, &|spec| {
        spec.holder_identity = None;
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = spec.acquire_time.clone();
    });
    read(&mut b, &api, at(3));
    assert!(!is_first(&b, B, at(11)));
    assert!(is_first(&b, B, at(12)));
    // A whole lease passes, and another like this gives it up.
    let mut c = joined(C, &api, at(3));
    acquire(&mut c, C, &mut api, at(13));
    read(&mut b, &api, at(13));
    assert!(api.apply(&c.release(C, true, date()).unwrap()));
    read(&mut b, &api, at(14));
    assert!(is_first(&b, B, at(14)));
}

#[test]
fn a_holder_of_client_go_that_was_emptied_is_waited_for_though_the_lease_shows_no_trace() {
    let mut api = Api::new();
    let spec = api.object.spec.as_mut().unwrap();
    spec.holder_identity = Some("client-go".to_owned());
    let mut b = joined(B, &api, at(0));
    taken_out(&mut api);
    read(&mut b, &api, at(2));
    assert!(!is_first(&b, B, at(11)));
    assert!(is_first(&b, B, at(12)));
}
