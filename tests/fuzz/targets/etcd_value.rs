//! Any value, lease and revision where a candidate's key is expected in etcd, on the file that ships.
//!
//! The input is the value. Its first eight bytes are the lease as well, and its last eight the revision.

#![no_main]

#[path = "../../../src/store/etcd/layout.rs"]
#[allow(dead_code, reason = "the adapter uses the rest")]
mod layout;
#[path = "../../hostile/said.rs"]
mod said;

/// As the file that ships calls them.
use tenure::{election, store};

use election::{Candidate, Holder, LeaseId, Role, Time, View};
use etcd_client::KeyValue;
use etcd_client::proto::PbKeyValue;
use libfuzzer_sys::fuzz_target;
use said::said_by;
use std::time::SystemTime;
use store::{Place, Queue};
use tenure::status::ElectionStatus;

fuzz_target!(|value: &[u8]| {
    let (lease, revision) = (
        number(value.first_chunk().copied()),
        number(value.last_chunk().copied()),
    );
    let (token, place) = layout::place(&kv(value, lease, revision));

    assert_eq!(token, u64::try_from(revision).unwrap_or(0));
    assert_eq!(layout::lease_number(place.lease), lease);
    let Candidate { id, advertise } = place.candidate.clone();
    assert_eq!((id, advertise), said_by(value));

    written_again_it_is_the_same(&place);
    a_key_is_of_one_election_only(place.lease);
    shown_it_is_the_same(token, &place);
});

fn number(bytes: Option<[u8; 8]>) -> i64 {
    bytes.map_or(0, i64::from_le_bytes)
}

fn kv(value: &[u8], lease: i64, create_revision: i64) -> KeyValue {
    KeyValue(PbKeyValue {
        key: b"/tenure/payments/1".to_vec(),
        value: value.to_vec(),
        lease,
        create_revision,
        ..PbKeyValue::default()
    })
}

fn written_again_it_is_the_same(place: &Place) {
    let value = layout::value(&place.candidate, place.leaving);
    let (_, again) = layout::place(&kv(value.as_bytes(), layout::lease_number(place.lease), 1));
    assert_eq!(&again, place, "{value}");
}

fn a_key_is_of_one_election_only(lease: LeaseId) {
    let prefix = layout::election_prefix("/tenure/", "payments");
    let key = layout::key(&prefix, lease);
    let name = key.strip_prefix(&prefix).expect("its election's prefix");
    assert_eq!(u64::from_str_radix(name, 16), Ok(lease.0));
}

fn shown_it_is_the_same(token: u64, place: &Place) {
    let mut queue = Queue {
        revision: token,
        places: [(token, place.clone())].into(),
        handed_over: false,
    };
    let observation = queue.observation(Some(place.lease));
    assert!(observation.present && observation.is_first(place.lease));
    let holder: Holder = observation.holder.clone().expect("a holder");
    queue.remove(token);
    assert_eq!(queue.handed_over, place.leaving);

    let us = Candidate {
        id: "us".into(),
        advertise: None,
    };
    let status = ElectionStatus::new("payments", &us, SystemTime::UNIX_EPOCH);
    let view = View {
        held_back: None,
        role: Role::Follower,
        holder: Some(holder),
    };
    status.publish(view, SystemTime::UNIX_EPOCH);
    let json = serde_json::to_vec(&status.answer(Time::ORIGIN)).expect("JSON");
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON again");
    let leader = &json["leader"];
    assert_eq!(leader["id"], place.candidate.id);
    assert_eq!(
        leader["advertise"].as_str(),
        place.candidate.advertise.as_deref()
    );
}
