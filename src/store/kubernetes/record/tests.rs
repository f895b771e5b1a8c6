use super::*;
use serde_json::{Value, json};

const OWN: LeaseId = LeaseId(0xa1);

fn author(id: &str) -> Author {
    Author {
        candidate: Candidate {
            id: id.to_owned(),
            advertise: Some(format!("http://{id}:8080")),
        },
        ttl: Duration::from_secs(15),
    }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// As the API would answer an update.
fn stored(lease: Lease, version: u64) -> Record {
    let mut lease = serde_json::to_value(lease).unwrap();
    lease["metadata"]["resourceVersion"] = version.to_string().into();
    Record::read(serde_json::from_value(lease).unwrap()).unwrap()
}

/// As client-go acquires: it knows nothing of annotations, and leaves them.
fn taken_by_client_go(record: &Record, identity: &str, version: u64) -> Record {
    let mut lease = record.lease.clone();
    let spec = lease.spec.as_mut().unwrap();
    spec.holder_identity = Some(identity.to_owned());
    spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0) + 1);
    spec.renew_time = Some(MicroTime(Timestamp::from_second(7).unwrap()));
    stored(lease, version)
}

fn json_of(lease: &Lease) -> Value {
    serde_json::to_value(lease).unwrap()
}

#[test]
fn what_is_written_is_what_client_go_reads() {
    let unheld = stored(unheld("payments"), 41);
    let (lease, token) = unheld.acquired(&author("pod-0"), OWN, 0, at(3600));
    assert_eq!(token, 41);
    let lease = json_of(&lease);
    assert_eq!(
        lease["spec"],
        json!({
            "holderIdentity": "pod-0_a1", "leaseDurationSeconds": 15, "leaseTransitions": 1,
            "acquireTime": "1970-01-01T01:00:00.000000Z", "renewTime": "1970-01-01T01:00:00.000000Z",
        })
    );
    // Conditional on what was read.
    assert_eq!(lease["metadata"]["resourceVersion"], "41");
}

#[test]
fn the_holder_its_address_and_its_token_are_read_back() {
    for id in ["pod-0", "ä \"1\"", "with_underscore_ff"] {
        let (lease, token) = stored(unheld("e"), 41).acquired(&author(id), OWN, 0, at(1));
        let record = stored(lease, 42);
        let holder = record.holder().unwrap();
        assert_eq!((holder.lease, holder.token), (OWN, token));
        assert_eq!(holder.id, id);
        assert_eq!(holder.advertise, Some(format!("http://{id}:8080")));
        assert!(record.names(&author(id).identity(OWN)));
    }
}

#[test]
fn a_renewal_always_changes_what_others_look_at_and_nothing_else() {
    let (lease, _) = stored(unheld("e"), 41).acquired(&author("a"), OWN, 0, at(9));
    let mut record = stored(lease, 42);
    // Also where the clock stands still, or goes back.
    for (version, date) in [(43, at(9)), (44, at(9)), (45, at(2))] {
        let renewed = stored(record.renewed(&author("a"), date), version);
        assert!(!renewed.is_unchanged_since(&record));
        assert_eq!(renewed.holder(), record.holder());
        record = renewed;
    }
    let spec = record.lease.spec.unwrap();
    assert_eq!(spec.lease_transitions, Some(1));
    assert_eq!(
        spec.acquire_time,
        Some(MicroTime(Timestamp::from_second(9).unwrap()))
    );
}

/// Without it, an update of what was deleted would make it anew, with a holder.
#[test]
fn every_update_is_of_the_very_object_that_was_read() {
    let mut lease = unheld("e");
    lease.metadata.uid = Some("the-one".to_owned());
    let record = stored(lease, 41);
    let (acquired, _) = record.acquired(&author("a"), OWN, 0, at(9));
    for update in [
        acquired,
        record.renewed(&author("a"), at(9)),
        record.released(true, at(9)),
    ] {
        assert_eq!(update.metadata.uid.as_deref(), Some("the-one"));
        assert_eq!(update.metadata.resource_version.as_deref(), Some("41"));
    }
}

#[test]
fn an_edit_of_labels_is_no_renewal_and_an_object_made_anew_is_another() {
    let (lease, _) = stored(unheld("e"), 41).acquired(&author("a"), OWN, 0, at(9));
    let record = stored(lease.clone(), 42);
    let mut labelled = lease.clone();
    labelled.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
    assert!(stored(labelled, 43).is_unchanged_since(&record));
    let mut anew = lease;
    anew.metadata.uid = Some("another".to_owned());
    assert!(!stored(anew, 44).is_unchanged_since(&record));
}

#[test]
fn annotations_that_another_kind_of_candidate_left_behind_count_for_nobody() {
    let (lease, _) = stored(unheld("e"), 41).acquired(&author("a"), OWN, 0, at(1));
    let record = taken_by_client_go(&stored(lease, 42), "host_0000-11", 43);
    let holder = record.holder().unwrap();
    assert_eq!((holder.id.as_str(), holder.token), ("host_0000-11", 0));
    assert_eq!(holder.advertise, None);
    // Its lease is nobody's of ours.
    assert!(i64::try_from(holder.lease.0).is_err());
}

#[test]
fn tokens_rise_with_every_acquisition_whoever_comes_between_and_though_versions_were_set_back() {
    let first = stored(unheld("e"), 41);
    let (lease, token) = first.acquired(&author("a"), OWN, 0, at(1));
    let theirs = taken_by_client_go(&stored(lease, 42), "b", 43);
    let (lease, next) = theirs.acquired(&author("c"), OWN, 0, at(2));
    assert!(next > token);
    let restored = stored(lease, 7);
    let (_, last) = restored.acquired(&author("d"), OWN, 0, at(3));
    assert!(last > next, "{last} after {next}");
}

#[test]
fn a_hand_over_counts_until_somebody_else_has_held_it() {
    let (lease, _) = stored(unheld("e"), 41).acquired(&author("a"), OWN, 0, at(1));
    let record = stored(lease, 42);
    assert!(!record.was_handed_over());
    let released = stored(record.released(false, at(2)), 43);
    assert_eq!(released.identity(), None);
    assert!(!released.was_handed_over());
    let handed_over = stored(record.released(true, at(2)), 43);
    assert!(handed_over.was_handed_over());
    let spec = &json_of(&handed_over.lease)["spec"];
    assert_eq!(
        (&spec["holderIdentity"], &spec["leaseDurationSeconds"]),
        (&json!(""), &json!(1))
    );

    let theirs = taken_by_client_go(&handed_over, "b", 44);
    assert!(!theirs.was_handed_over());
    let mut given_up = theirs.lease.clone();
    given_up.spec.as_mut().unwrap().holder_identity = Some(String::new());
    assert!(!stored(given_up, 45).was_handed_over());
    // The token is remembered all the while.
    assert_eq!(handed_over.noted_token(), 41);
}

#[test]
fn a_lease_that_the_control_plane_assigns_is_another_s() {
    let (lease, _) = stored(unheld("e"), 41).acquired(&author("a"), OWN, 0, at(1));
    let own = author("a").identity(OWN);
    let with = |field: &str, value: &str| {
        let mut lease = json_of(&lease);
        lease["spec"][field] = value.into();
        stored(serde_json::from_value(lease).unwrap(), 42)
    };
    assert!(!with("preferredHolder", "").is_assigned_to_another(&own));
    assert!(!with("preferredHolder", &own).is_wanted_by_another(&own));
    assert!(with("preferredHolder", "b").is_wanted_by_another(&own));
    assert!(with("preferredHolder", "b").is_assigned_to_another(&own));
    assert!(!with("strategy", "OldestEmulationVersion").is_assigned_to_another(&own));
    assert!(with("strategy", "OldestEmulationVersion").is_assigned_to_another("c_1"));
}

#[test]
fn a_version_that_is_no_number_is_refused_with_what_it_would_have_been_for() {
    let mut lease = unheld("e");
    lease.metadata.resource_version = Some("v1-abc".to_owned());
    let Err(Failure::Refused(message)) = Record::read(lease) else {
        panic!("accepted");
    };
    assert!(
        message.contains("\"v1-abc\"") && message.contains("fencing token"),
        "{message}"
    );
}
