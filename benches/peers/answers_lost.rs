//! answers_lost: what etcd says to the leader is swallowed while its requests arrive; from then until another
//! candidate says that it leads.

use crate::Effort;
use crate::contender::{Contender, Kind, TTL, prefix};
use crate::figures::{Rounds, Unit, millis_between};
use crate::keys::Keys;
use crate::lanes::{any_moment, side_by_side};
use crate::report::Section;
use crate::support::etcd::Etcd;
use crate::support::ms;
use crate::support::relay::{Mode, Relay};
use std::time::Duration;
use tenure::clock;

const KINDS: [Kind; 3] = [Kind::Tenure, Kind::Go, Kind::Lock];
const BOUND: Duration = ms(40_000);

pub(crate) fn run(effort: Effort) -> Section {
    let etcd = Etcd::started();
    let mut rounds = Rounds::of(&KINDS.map(Kind::name));
    for round in 0..effort.of(5, 1) {
        let figures = side_by_side(&KINDS, |kind| {
            let (keys, election) = (Keys::of(&etcd.endpoint()), format!("lost-{round}-{kind:?}"));
            let relay = Relay::to(etcd.port());
            let leader = Contender::start(kind, &relay.endpoint(), &election, "leader", TTL);
            leader.wait_leading(BOUND);
            let waiter = Contender::start(kind, &etcd.endpoint(), &election, "waiter", TTL);
            keys.wait_queue(&prefix(&election), 2);
            any_moment();
            let cut = clock::now();
            relay.set(Mode::AnswersLost);
            Some(millis_between(cut, waiter.wait_leading(BOUND)))
        });
        rounds.push(figures);
    }
    let mut section = Section::titled(
        "Answers lost",
        "A relay passes the leader's requests on and swallows all answers; ttl 5 s. From then, at any moment between \
         two keepalives, until another candidate says that it leads. Whoever goes on sending keepalives goes on \
         renewing; whoever then gives up can still release, and go does.",
    );
    section.compare("answers lost", Unit::Millis, &rounds);
    section.picture("answers lost", &rounds);
    section
}
