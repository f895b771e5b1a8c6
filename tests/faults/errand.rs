//! Faults that take a while to inflict, with etcd's own command line: each on a thread of its own, so that
//! nothing waits for it.

use super::record::{Inflicted, Record, Tampering, Target, name};
use super::schedule::{Fault, Kind, SIDECARS};
use crate::support::etcdctl::{Etcdctl, Place};
use crate::support::sidecar::PREFIX;
use serde_json::Value;
use tenure::clock;
use tenure::election::Time;

/// Deletes the first key of the queue, or revokes its lease. False where there was nothing to do.
pub(crate) fn tamper(ctl: &Etcdctl, fault: &Fault, record: &Record) -> bool {
    let Some(place) = ctl
        .try_places(PREFIX)
        .unwrap_or_default()
        .into_iter()
        .next()
    else {
        return false;
    };
    let Some(who) = owner(&place) else {
        return false;
    };
    let tried_at = clock::now();
    let command = match fault.kind {
        Kind::DeleteKey => ["del", &place.key, "--command-timeout=1s"].to_vec(),
        _ => ["lease", "revoke", &place.lease, "--command-timeout=1s"].to_vec(),
    };
    let output = ctl.try_run(&command);
    let gone_before = output.stdout.trim() == "0" || output.stderr.contains("lease not found");
    if gone_before {
        return false;
    }
    let is_certain = output.code == Some(0);
    let mut history = record.lock();
    history.tamperings.push(Tampering {
        token: place.create_revision,
        tried_at,
        done_at: clock::now(),
        is_certain,
    });
    let sure = if is_certain { "" } else { ", perhaps" };
    history.inflicted.push(Inflicted {
        detail: format!("token {}{sure}", place.create_revision),
        ..instant(fault, Target::Process(who), tried_at)
    });
    true
}

/// Has the members elect another leader. False where that failed.
pub(crate) fn move_raft_leader(ctls: &[Etcdctl], fault: &Fault, record: &Record) -> bool {
    let ids: Vec<_> = ctls.iter().map(Etcdctl::raft_ids).collect();
    let is_leader = |ids: &Option<(u64, u64)>| ids.is_some_and(|(own, leader)| own == leader);
    let Some(leader) = ids.iter().position(is_leader) else {
        return false;
    };
    let others = (1..ids.len()).map(|step| ids[(leader + step) % ids.len()]);
    let Some((successor, _)) = others.flatten().next() else {
        return false;
    };
    let from = clock::now();
    let successor = format!("{successor:x}");
    let output = ctls[leader].try_run(&["--command-timeout=2s", "move-leader", &successor]);
    if output.code != Some(0) {
        return false;
    }
    let inflicted = Inflicted {
        detail: format!("from member{leader}"),
        ..instant(fault, Target::Cluster, from)
    };
    record.lock().inflicted.push(inflicted);
    true
}

fn instant(fault: &Fault, target: Target, from: Time) -> Inflicted {
    Inflicted {
        number: fault.number,
        kind: fault.kind,
        target,
        from,
        until: Some(clock::now()),
        detail: String::new(),
    }
}

fn owner(place: &Place) -> Option<usize> {
    let value: Value = serde_json::from_str(&place.value).ok()?;
    (0..SIDECARS).find(|who| value["id"] == name(*who).to_string())
}
