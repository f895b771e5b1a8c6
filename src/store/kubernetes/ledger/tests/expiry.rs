//! When a Lease is over: counted from when its renewal was seen, for as long as its holder may count on it.

use super::*;

/// With a renewTime of its own.
fn renew_at(ledger: &mut Ledger, id: LeaseId, api: &mut Api, second: u64) {
    let date = date() + Duration::from_secs(second);
    let Renewal::Write(update) = ledger.renewal(id, at(second), date) else {
        panic!("nothing to renew");
    };
    assert!(api.apply(&update));
    ledger.renewed(id, at(second));
    read(ledger, api, at(second));
}

#[test]
fn a_lease_is_over_when_nobody_was_seen_to_renew_it_for_its_duration() {
    let mut api = Api::new();
    let mut a = joined(A, &api, at(0));
    acquire(&mut a, A, &mut api, at(0));
    let mut b = joined(B, &api, at(3));
    renew(&mut a, A, &mut api, at(4));
    read(&mut b, &api, at(6));
    // It counts from when the renewal was seen, not from when the Lease was first seen, nor from what is written in it.
    assert!(!is_first(&b, B, at(15)));
    assert!(claim(&b, B, at(15)).is_none());
    assert_eq!(b.next_change(at(6)), Some(at(16)));
    assert!(is_first(&b, B, at(16)));
    assert!(claim(&b, B, at(16)).is_some());
}

#[test]
fn an_own_place_that_was_not_renewed_for_its_ttl_is_gone_though_nobody_has_taken_it() {
    let mut api = Api::new();
    let mut a = joined(A, &api, at(0));
    acquire(&mut a, A, &mut api, at(0));
    assert_eq!(a.next_change(at(0)), Some(at(10)));
    assert!(a.observation(at(9)).unwrap().present);
    let seen = a.observation(at(10)).unwrap();
    assert!(!seen.present && seen.holder.is_none());
    assert!(matches!(a.renewal(A, at(10), date()), Renewal::Gone));
}

#[test]
fn one_who_was_frozen_takes_it_for_free_and_is_refused() {
    let mut api = Api::new();
    let mut a = joined(A, &api, at(0));
    acquire(&mut a, A, &mut api, at(0));
    let b = joined(B, &api, at(1));
    renew(&mut a, A, &mut api, at(9));
    let (update, _) = claim(&b, B, at(11)).unwrap();
    assert!(!api.apply(&update));
}

#[test]
fn a_duration_that_somebody_else_wrote_never_shortens_what_a_leader_counts_on() {
    let mut api = Api::new();
    let mut a = joined(A, &api, at(0));
    acquire(&mut a, A, &mut api, at(0));
    for (seconds, until) in [(Some(1), 10), (None, 10), (Some(-1), 10), (Some(30), 30)] {
        api.object.spec.as_mut().unwrap().lease_duration_seconds = seconds;
        let b = joined(B, &api, at(0));
        assert!(!is_first(&b, B, at(until - 1)), "{seconds:?}");
        assert!(is_first(&b, B, at(until)), "{seconds:?}");
    }
}

#[test]
fn a_duration_that_is_edited_shortens_nothing_for_the_holder_that_wrote_it() {
    let mut api = Api::new();
    let mut long = author("long");
    long.ttl = TTL * 3;
    let mut a = Ledger::new(long);
    a.join(A);
    read(&mut a, &api, at(0));
    acquire(&mut a, A, &mut api, at(0));
    let mut b = joined(B, &api, at(1));
    api.version += 1;
    api.object.spec.as_mut().unwrap().lease_duration_seconds = Some(1);
    read(&mut b, &api, at(2));
    assert!(!is_first(&b, B, at(31)));
    assert!(is_first(&b, B, at(32)));
}

#[test]
fn a_duration_that_somebody_else_wrote_is_forgotten_when_the_holder_has_renewed() {
    let edited = |api: &mut Api, seconds| {
        api.version += 1;
        api.object.spec.as_mut().unwrap().lease_duration_seconds = Some(seconds);
    };
    let mut api = Api::new();
    let mut a = joined(A, &api, at(0));
    acquire(&mut a, A, &mut api, at(0));
    let mut b = joined(B, &api, at(1));
    // The holder knows nothing of it: it is not waited for any longer.
    edited(&mut api, 86_400);
    read(&mut b, &api, at(2));
    assert!(is_first(&b, B, at(12)));
    // Seen together with a renewal it might be the holder's, until that has renewed again and again.
    let mut b = joined(B, &api, at(3));
    for second in 4..7 {
        assert!(!is_first(&b, B, at(50_000)));
        read(&mut a, &api, at(second));
        renew_at(&mut a, A, &mut api, second);
        read(&mut b, &api, at(second));
    }
    assert!(is_first(&b, B, at(16)));
    api.version += 1;
    b.told_of_deletion(&api.record(), at(8));
    assert_eq!(b.next_change(at(8)), Some(at(18)));
}
