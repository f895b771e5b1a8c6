//! crash: SIGKILL to the leader; from the deletion of its key, as a watch of ours sees it, until the candidate
//! that waits says that it leads.
//!
//! Most rounds don't wait for the lease to run out, but revoke it: for those who wait that is the same.

use crate::Effort;
use crate::contender::{Contender, Kind, LEAD_BOUND, TTL, prefix};
use crate::figures::{Rounds, Unit, millis_between};
use crate::keys::{Keys, Watch};
use crate::lanes::{any_moment, settle, side_by_side};
use crate::report::Section;
use crate::support::etcd::Etcd;
use crate::support::{let_pass, ms};
use tenure::clock;

const REVOKED: [Kind; 3] = [Kind::Tenure, Kind::Go, Kind::Elect];
const EXPIRED: [Kind; 3] = [Kind::Tenure, Kind::Go, Kind::Lock];

pub(crate) fn run(effort: Effort) -> Section {
    let etcd = Etcd::started();
    let mut section = Section::titled(
        "Crash",
        "SIGKILL to the leader. Measured from the deletion of its key, as a watch of the benchmark's own sees it, \
         until the waiting candidate says that it leads. To the candidate a lease revoked by hand looks like one \
         that ran out, so most rounds revoke it; in the others it runs out (ttl 5 s). Below zero: on a busy machine \
         the benchmark's watch was told later than the candidate.",
    );
    let revoked = revoke(&etcd, effort);
    section.compare("takeover, lease revoked by hand", Unit::Millis, &revoked);
    section.picture("takeover", &revoked);
    let (after_deletion, after_kill) = expire(&etcd, effort);
    section.compare("takeover, lease run out", Unit::Millis, &after_deletion);
    section
        .say("The same rounds, from the SIGKILL on: nearly all of it is the wait for the lease.");
    section.compare("since the SIGKILL", Unit::Millis, &after_kill);
    section
}

fn revoke(etcd: &Etcd, effort: Effort) -> Rounds {
    let keys = Keys::of(&etcd.endpoint());
    let watch = Watch::over(&etcd.endpoint(), "/tenure/");
    let start = |kind: Kind, id: &str| {
        let election = election(kind);
        Contender::start(kind, &etcd.endpoint(), &election, id, TTL)
    };
    let mut leaders = REVOKED.map(|kind| start(kind, "first"));
    for leader in &leaders {
        leader.wait_leading(LEAD_BOUND);
    }
    let mut rounds = Rounds::of(&REVOKED.map(Kind::name));
    for round in 0..effort.of(30, 5) {
        let mut figures = Vec::new();
        for (kind, leader) in REVOKED.into_iter().zip(&mut leaders) {
            let waiter = start(kind, &format!("waiter{round}"));
            let queue = keys.wait_queue(&prefix(&election(kind)), 2);
            settle();
            leader.kill();
            let lease = queue[0].lease;
            let leads = std::thread::scope(|scope| {
                let leads = scope.spawn(|| waiter.wait_leading(LEAD_BOUND));
                // The one who asks shall be asking.
                let_pass(ms(5));
                keys.revoke(lease);
                leads.join().unwrap()
            });
            let deleted = watch.wait_deleted(&queue[0].name, LEAD_BOUND);
            figures.push(Some(millis_between(deleted, leads)));
            *leader = waiter;
        }
        rounds.push(figures);
    }
    rounds
}

/// Since the deletion, and since the kill.
fn expire(etcd: &Etcd, effort: Effort) -> (Rounds, Rounds) {
    let names = EXPIRED.map(Kind::name);
    let (mut after_deletion, mut after_kill) = (Rounds::of(&names), Rounds::of(&names));
    for round in 0..effort.of(4, 1) {
        let figures = side_by_side(&EXPIRED, |kind| {
            let (keys, election) = (
                Keys::of(&etcd.endpoint()),
                format!("expiry-{round}-{kind:?}"),
            );
            let start = |id| Contender::start(kind, &etcd.endpoint(), &election, id, TTL);
            let mut leader = start("leader");
            leader.wait_leading(LEAD_BOUND);
            let waiter = start("waiter");
            let queue = keys.wait_queue(&prefix(&election), 2);
            let watch = Watch::over(&etcd.endpoint(), &prefix(&election));
            any_moment();
            let killed = clock::now();
            leader.kill();
            let leads = waiter.wait_leading(LEAD_BOUND);
            let deleted = watch.wait_deleted(&queue[0].name, LEAD_BOUND);
            (
                millis_between(deleted, leads),
                millis_between(killed, leads),
            )
        });
        after_deletion.push(figures.iter().map(|(figure, _)| Some(*figure)).collect());
        after_kill.push(figures.iter().map(|(_, figure)| Some(*figure)).collect());
    }
    (after_deletion, after_kill)
}

fn election(kind: Kind) -> String {
    format!("crash-{kind:?}")
}
