//! Keys and values: the layout of etcd's own election recipe.
//!
//! An election is a prefix. A candidate's key is that prefix and its lease id in lower-case hex; the key
//! with the lowest create revision leads. Candidates of other make (`etcdctl elect`, Go's
//! `concurrency.Election`) put a plain value where this one puts JSON.

use crate::election::{Candidate, LeaseId, Token};
use crate::store::Place;
use etcd_client::KeyValue;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The prefix of an election's keys. The slash at its end keeps `a` from containing `ab`.
pub(super) fn election_prefix(prefix: &str, election: &str) -> String {
    format!("{prefix}{election}/")
}

/// A candidate's key.
pub(super) fn key(election_prefix: &str, lease: LeaseId) -> String {
    format!("{election_prefix}{lease}")
}

#[derive(Serialize, Deserialize)]
struct Value {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    advertise: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    leaving: bool,
}

/// A candidate's value.
pub(super) fn value(candidate: &Candidate, leaving: bool) -> String {
    let value = Value {
        id: candidate.id.clone(),
        advertise: candidate.advertise.clone(),
        leaving,
    };
    serde_json::to_string(&value).unwrap_or_default()
}

/// What a key and its value say. A value that is not ours is the candidate's id as it stands.
pub(super) fn place(kv: &KeyValue) -> (Token, Place) {
    // An array would be read as the fields in their order.
    let is_object = kv.value().trim_ascii_start().starts_with(b"{");
    let value = match serde_json::from_slice(kv.value()) {
        Ok(value) if is_object => value,
        Ok(_) | Err(_) => Value {
            id: String::from_utf8_lossy(kv.value()).into_owned(),
            advertise: None,
            leaving: false,
        },
    };
    let place = Place {
        lease: lease_id(kv.lease()),
        candidate: Candidate {
            id: value.id,
            advertise: value.advertise,
        },
        leaving: value.leaving,
    };
    (revision(kv.create_revision()), place)
}

/// etcd's numbers are signed, and never negative.
pub(super) fn revision(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or(0)
}

/// etcd counts ttls in whole seconds.
pub(super) fn seconds(ttl: i64) -> Duration {
    Duration::from_secs(u64::try_from(ttl).unwrap_or(0))
}

/// From etcd's number.
pub(super) fn lease_id(lease: i64) -> LeaseId {
    LeaseId(lease.cast_unsigned())
}

/// To etcd's number.
pub(super) fn lease_number(lease: LeaseId) -> i64 {
    lease.0.cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_prefix_and_the_lease_in_lower_case_hex() {
        let prefix = election_prefix("/tenure/", "payments");
        assert_eq!(key(&prefix, LeaseId(0x1ab)), "/tenure/payments/1ab");
    }

    #[test]
    fn values_are_json_without_what_is_not_known() {
        let mut candidate = Candidate {
            id: "pod-0".to_owned(),
            advertise: None,
        };
        assert_eq!(value(&candidate, false), r#"{"id":"pod-0"}"#);
        candidate.advertise = Some("http://10.0.0.3:8080".to_owned());
        assert_eq!(
            value(&candidate, false),
            r#"{"id":"pod-0","advertise":"http://10.0.0.3:8080"}"#
        );
    }
}
