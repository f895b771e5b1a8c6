//! start: from the fork of a process to its saying that it leads, with nobody else there.

use crate::Effort;
use crate::contender::{Contender, Kind, LEAD_BOUND, TTL, prefix};
use crate::figures::{Rounds, Unit, millis_between};
use crate::keys::Keys;
use crate::report::Section;
use crate::support::etcd::Etcd;

const KINDS: [Kind; 3] = [Kind::Tenure, Kind::Go, Kind::Elect];

pub(crate) fn run(effort: Effort) -> Section {
    let etcd = Etcd::started();
    let keys = Keys::of(&etcd.endpoint());
    let mut rounds = Rounds::of(&KINDS.map(Kind::name));
    for _ in 0..effort.of(30, 5) {
        let round = KINDS.map(|kind| {
            let mut candidate = Contender::start(kind, &etcd.endpoint(), "start", "a", TTL);
            let leads = candidate.wait_leading(LEAD_BOUND);
            let took = millis_between(candidate.started, leads);
            candidate.end();
            keys.wait_queue(&prefix("start"), 0);
            Some(took)
        });
        rounds.push(round.to_vec());
    }
    let mut section = Section::titled(
        "Start",
        "From before the fork to the first answer or line that says it leads, nobody else being there. \
         tenure and go are asked by HTTP every 0.1 ms, from the moment they listen.",
    );
    section.compare("start to leader", Unit::Millis, &rounds);
    section.picture("start", &rounds);
    section
}
