//! A place that is acquired and given up, also where nobody answers whether it was.

use super::*;

#[test]
fn an_acquisition_without_an_answer_counts_from_when_it_was_sent_until_it_is_known() {
    let mut api = Api::new();
    let mut a = joined(A, &api, at(0));
    let (update, token) = claim(&a, A, at(1)).unwrap();
    a.attempt(token, at(1));
    // Under way: a read that doesn't show it yet proves nothing.
    read(&mut a, &api, at(4));
    let Renewal::Unwritten { not_after } = a.renewal(A, at(5), date()) else {
        panic!("not known to be written");
    };
    assert_eq!(not_after, Some(at(1)));
    // Tried again, the first try may still be the one that is applied.
    a.attempt(token, at(6));
    assert!(api.apply(&update));
    read(&mut a, &api, at(7));
    assert!(
        matches!(a.claim(A, at(10), date()), Claim::Stands(Standing::First(it)) if it == token)
    );
    assert!(matches!(
        a.claim(A, at(11), date()),
        Claim::Stands(Standing::Gone)
    ));
    assert!(matches!(a.renewal(A, at(11), date()), Renewal::Gone));
}

#[test]
fn an_acquisition_without_an_answer_keeps_its_token_though_somebody_strips_the_annotations() {
    let mut api = Api::new();
    let mut a = joined(A, &api, at(0));
    let (update, token) = claim(&a, A, at(1)).unwrap();
    a.attempt(token, at(1));
    assert!(api.apply(&update));
    api.object.metadata.annotations = None;
    read(&mut a, &api, at(2));
    assert!(matches!(a.claim(A, at(2), date()), Claim::Stands(Standing::First(it)) if it == token));
}

#[test]
fn an_acquisition_that_another_outran_is_forgotten() {
    let mut api = Api::new();
    let (mut a, mut b) = (joined(A, &api, at(0)), joined(B, &api, at(0)));
    let (late, token) = claim(&a, A, at(1)).unwrap();
    a.attempt(token, at(1));
    acquire(&mut b, B, &mut api, at(2));
    read(&mut a, &api, at(3));
    assert!(!api.apply(&late));
    assert!(matches!(
        a.renewal(A, at(4), date()),
        Renewal::Unwritten { not_after: None }
    ));
    assert!(matches!(
        a.claim(A, at(4), date()),
        Claim::Stands(Standing::Behind)
    ));
}

#[test]
fn giving_up_takes_away_what_a_late_acquisition_is_conditional_on() {
    let mut api = Api::new();
    let mut a = joined(A, &api, at(0));
    let (late, token) = claim(&a, A, at(1)).unwrap();
    a.attempt(token, at(1));
    let update = a.release(A, false, date()).unwrap();
    assert!(api.apply(&update));
    read(&mut a, &api, at(2));
    assert!(a.release(A, false, date()).is_none());
    assert!(!api.apply(&late));
}

#[test]
fn giving_up_a_place_that_was_never_written_writes_nothing() {
    let mut api = Api::new();
    let mut b = joined(B, &api, at(0));
    acquire(&mut b, B, &mut api, at(0));
    let mut a = joined(A, &api, at(1));
    assert!(a.release(A, true, date()).is_none());
    assert!(a.release(A, true, date()).is_none());
}

#[test]
fn a_holder_that_is_to_make_way_is_told_and_acquires_nothing_meanwhile() {
    let mut api = Api::new();
    let mut a = joined(A, &api, at(0));
    acquire(&mut a, A, &mut api, at(0));
    assert_eq!(a.is_to_hand_over(), None);
    api.version += 1;
    let spec = api.object.spec.as_mut().unwrap();
    spec.strategy = Some("OldestEmulationVersion".to_owned());
    spec.preferred_holder = Some("another".to_owned());
    read(&mut a, &api, at(1));
    assert_eq!(a.is_to_hand_over(), Some(A));
    let update = a.release(A, true, date()).unwrap();
    assert!(api.apply(&update));
    let a = joined(A, &api, at(2));
    assert!(a.is_assigned());
    assert!(matches!(
        a.claim(A, at(2), date()),
        Claim::Stands(Standing::Behind)
    ));
}
