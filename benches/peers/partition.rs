//! What `silence` and `late_answers` share: a leader behind a relay, a waiter that isn't, and for how long both
//! say that they lead.

use crate::Effort;
use crate::contender::{Contender, Kind, TTL, prefix};
use crate::figures::{Spread, Unit, millis_between};
use crate::keys::Keys;
use crate::lanes::{any_moment, side_by_side};
use crate::report::Section;
use crate::sampler::Sampler;
use crate::support::etcd::Etcd;
use crate::support::relay::Relay;
use crate::support::{eventually, let_pass, ms};
use std::time::Duration;
use tenure::clock;
use tenure::election::Time;

const KINDS: [Kind; 3] = [Kind::Tenure, Kind::Go, Kind::Lock];
/// Pairs of each kind at once.
const LANES: usize = 3;
const BOUND: Duration = ms(40_000);
/// Who hasn't said for so long that it leads, has stopped saying it.
const STOPPED: Duration = ms(1_500);
const PAUSE: Duration = ms(2);

/// Does this to the leader's relay, again and again, and tells the overlaps of each kind.
pub(crate) fn measure(section: &mut Section, effort: Effort, inflict: impl Fn(&Relay) + Sync) {
    let etcd = Etcd::started();
    let kinds: Vec<Kind> = (0..LANES).flat_map(|_| KINDS).collect();
    let mut overlaps = Vec::new();
    for _ in 0..effort.of(4, 1) {
        let round = side_by_side(&kinds, |kind| (kind, overlap(&etcd, kind, &inflict)));
        overlaps.extend(round);
    }
    let mut rows = vec![
        [
            "",
            "both said they lead",
            "longest",
            "old one's end minus new one's beginning, median",
            "range",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for kind in KINDS {
        let own = overlaps.iter().filter(|(whose, _)| *whose == kind);
        let own: Vec<f64> = own.map(|(_, overlap)| *overlap).collect();
        let positive = own.iter().filter(|overlap| **overlap > 0.0).count();
        let spread = Spread::of(own).unwrap();
        let write = |value| Unit::Millis.write(value);
        rows.push(vec![
            kind.name().to_owned(),
            format!("{positive} of {}", spread.count),
            write(spread.max.max(0.0)),
            write(spread.median),
            format!("{} to {}", write(spread.min), write(spread.max)),
        ]);
    }
    section.table(&rows);
}

/// In milliseconds, from the new leader's first claim to the old one's last; negative is a gap.
fn overlap(etcd: &Etcd, kind: Kind, inflict: &(impl Fn(&Relay) + Sync)) -> f64 {
    let election = format!("partition-{:x}", fastrand::u64(..));
    let keys = Keys::of(&etcd.endpoint());
    let relay = Relay::to(etcd.port());
    let mut old = Contender::start(kind, &relay.endpoint(), &election, "old", TTL);
    old.wait_leading(BOUND);
    let new = Contender::start(kind, &etcd.endpoint(), &election, "new", TTL);
    keys.wait_queue(&prefix(&election), 2);
    let sampler = old.port.map(|port| Sampler::of(port, PAUSE));
    any_moment();
    inflict(&relay);
    let begins = match new.port {
        Some(port) => {
            let sampler = Sampler::of(port, PAUSE);
            let first = || sampler.first_since(Time::ORIGIN);
            eventually("a successor", BOUND, first).answered
        }
        None => new.wait_line(BOUND).0,
    };
    millis_between(begins, end_of(&mut old, sampler))
}

/// When it was last asked something to which it said that it leads; or else, when it left.
fn end_of(old: &mut Contender, sampler: Option<Sampler>) -> Time {
    let Some(sampler) = sampler else {
        return eventually("its exit", BOUND, || (!old.is_running()).then(clock::now));
    };
    eventually("its silence", BOUND, || {
        let last = sampler.last()?.asked;
        let_pass(ms(20));
        (clock::now().since(last) > STOPPED).then_some(last)
    })
}
