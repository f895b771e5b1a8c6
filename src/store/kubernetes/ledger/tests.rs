use super::super::record::unheld;
use super::*;
use crate::election::Candidate;
use k8s_openapi::api::coordination::v1::LeaseSpec;

const TTL: Duration = Duration::from_secs(10);
const A: LeaseId = LeaseId(0xa);
const B: LeaseId = LeaseId(0xb);
const C: LeaseId = LeaseId(0xc);
const D: LeaseId = LeaseId(0xd);

fn at(seconds: u64) -> Time {
    Time::ORIGIN + Duration::from_secs(seconds)
}

fn date() -> SystemTime {
    SystemTime::UNIX_EPOCH
}

fn author(id: &str) -> Author {
    Author {
        candidate: Candidate {
            id: id.to_owned(),
            advertise: None,
        },
        ttl: TTL,
    }
}

/// An API server, as far as versions go.
struct Api {
    version: u64,
    object: Lease,
}

impl Api {
    fn new() -> Self {
        let mut object = unheld("e");
        object.metadata.uid = Some("one".to_owned());
        Api {
            version: 100,
            object,
        }
    }

    fn record(&self) -> Record {
        let mut object = self.object.clone();
        object.metadata.resource_version = Some(self.version.to_string());
        Record::read(object).unwrap()
    }

    /// Applies an update if it is conditional on this version.
    fn apply(&mut self, update: &Lease) -> bool {
        let condition = update.metadata.resource_version.as_deref();
        let holds = condition == Some(self.version.to_string().as_str());
        if holds {
            self.version += 1;
            self.object = update.clone();
        }
        holds
    }
}

/// Reads: the answer comes at once.
fn read(ledger: &mut Ledger, api: &Api, now: Time) {
    ledger.answered(Some(api.record()), now, now);
}

fn joined(id: LeaseId, api: &Api, now: Time) -> Ledger {
    let mut ledger = Ledger::new(author(&id.to_string()));
    ledger.join(id);
    read(&mut ledger, api, now);
    ledger
}

fn claim(ledger: &Ledger, id: LeaseId, now: Time) -> Option<(Box<Lease>, Token)> {
    match ledger.claim(id, now, date()) {
        Claim::Write(update, token) => Some((update, token)),
        Claim::Stands(_) => None,
    }
}

/// Acquires, answered at once.
fn acquire(ledger: &mut Ledger, id: LeaseId, api: &mut Api, now: Time) -> Token {
    let (update, token) = claim(ledger, id, now).unwrap();
    ledger.attempt(token, now);
    assert!(api.apply(&update));
    ledger.acquired(id, token, now);
    read(ledger, api, now);
    token
}

fn renew(ledger: &mut Ledger, id: LeaseId, api: &mut Api, now: Time) {
    let Renewal::Write(update) = ledger.renewal(id, now, date()) else {
        panic!("nothing to renew");
    };
    assert!(api.apply(&update));
    ledger.renewed(id, now);
    read(ledger, api, now);
}

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

fn is_first(ledger: &Ledger, id: LeaseId, now: Time) -> bool {
    ledger.observation(now).unwrap().is_first(id)
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

fn taken_out(api: &mut Api) {
    api.object.spec.as_mut().unwrap().holder_identity = Some(String::new());
    api.version += 1;
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

#[test]
fn after_a_restore_all_wait_for_whoever_came_since_though_nobody_was_seen() {
    let mut api = Api::new();
    let mut b = joined(B, &api, at(0));
    api.version -= 50;
    read(&mut b, &api, at(2));
    assert!(!is_first(&b, B, at(11)));
    assert!(is_first(&b, B, at(12)));
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
