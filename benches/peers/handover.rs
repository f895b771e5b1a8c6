//! handover: SIGTERM to the leader, until the candidate that waits says that it leads.

use crate::Effort;
use crate::contender::{Contender, Kind, LEAD_BOUND, TTL, prefix};
use crate::figures::{Rounds, Unit, millis_between};
use crate::keys::Keys;
use crate::lanes::settle;
use crate::report::Section;
use crate::support::etcd::Etcd;
use rustix::process::Signal;
use tenure::clock;

const KINDS: [Kind; 3] = [Kind::Tenure, Kind::Go, Kind::Elect];

pub(crate) fn run(effort: Effort) -> Section {
    let etcd = Etcd::started();
    let keys = Keys::of(&etcd.endpoint());
    let start = |kind: Kind, id: &str| {
        let election = election(kind);
        Contender::start(kind, &etcd.endpoint(), &election, id, TTL)
    };
    let mut leaders = KINDS.map(|kind| start(kind, "first"));
    for leader in &leaders {
        leader.wait_leading(LEAD_BOUND);
    }
    let mut rounds = Rounds::of(&["tenure", "go", "go, by its line on stdout", "etcdctl elect"]);
    for round in 0..effort.of(40, 5) {
        let mut figures = Vec::new();
        for (kind, leader) in KINDS.into_iter().zip(&mut leaders) {
            let waiter = start(kind, &format!("waiter{round}"));
            keys.wait_queue(&prefix(&election(kind)), 2);
            settle();
            let told = clock::now();
            leader.signal(Signal::TERM);
            let leads = waiter.wait_leading(LEAD_BOUND);
            figures.push(Some(millis_between(told, leads)));
            if kind == Kind::Go {
                let (said, _) = waiter.wait_line(LEAD_BOUND);
                figures.push(Some(millis_between(told, said)));
            }
            leader.end();
            *leader = waiter;
        }
        rounds.push(figures);
    }
    let mut section = Section::titled(
        "Hand-over",
        "SIGTERM to the leader, until the waiting candidate says that it leads: tenure and go by HTTP, asked every \
         0.1 ms over a kept connection on a port where answers are no promises; etcdctl by the line that it prints.",
    );
    section.compare("hand-over", Unit::Millis, &rounds);
    section.picture("hand-over", &rounds);
    section
}

fn election(kind: Kind) -> String {
    format!("handover-{kind:?}")
}
