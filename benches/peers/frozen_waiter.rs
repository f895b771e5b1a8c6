//! frozen_waiter: a candidate that waits is stopped (SIGSTOP) until etcd has deleted its key; the leader leaves; the
//! candidate goes on (SIGCONT). Is it told that it won, on a key that is gone?

use crate::Effort;
use crate::contender::{Contender, Kind, TTL, prefix};
use crate::figures::{Unit, millis_between};
use crate::keys::Keys;
use crate::lanes::{any_moment, side_by_side};
use crate::report::Section;
use crate::sampler::Sampler;
use crate::support::etcd::Etcd;
use crate::support::http::Client;
use crate::support::{let_pass, ms};
use rustix::process::Signal;
use std::time::Duration;
use tenure::clock;
use tenure::election::Time;

// Not etcdctl elect: it prints what it finds under its key, so on a key that is gone it says nothing.
const KINDS: [Kind; 3] = [Kind::Tenure, Kind::Go, Kind::Lock];
/// Of each kind at once.
const LANES: usize = 4;
const BOUND: Duration = ms(40_000);
/// So long after the thaw it is listened to.
const AFTERWARDS: Duration = ms(3_000);

/// A candidate that said it leads with no key in etcd.
struct Zombie {
    /// Milliseconds in which `/leader` said so too; none where it can't be asked.
    answered_for: Option<f64>,
}

pub(crate) fn run(effort: Effort) -> Section {
    let etcd = Etcd::started();
    let kinds: Vec<Kind> = (0..LANES).flat_map(|_| KINDS).collect();
    let mut all = Vec::new();
    for _ in 0..effort.of(3, 1) {
        all.extend(side_by_side(&kinds, |kind| (kind, thaw(&etcd, kind))));
    }
    let mut section = Section::titled(
        "Frozen waiter",
        "A waiting candidate is stopped until its lease has run out and etcd has deleted its key (ttl 5 s); the leader \
         leaves; SIGCONT. Whenever the candidate says that it leads, its key is looked up in etcd: tenure's by the \
         fencing token in its answer, the others' by the key that they print.",
    );
    let mut rows = vec![
        [
            "",
            "said it leads, on a key that is gone",
            "its flag said so too, longest",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for kind in KINDS {
        let own: Vec<_> = all.iter().filter(|(whose, _)| *whose == kind).collect();
        let zombies: Vec<_> = own
            .iter()
            .filter_map(|(_, zombie)| zombie.as_ref())
            .collect();
        let answered = zombies.iter().filter_map(|zombie| zombie.answered_for);
        let longest = match (kind, answered.reduce(f64::max)) {
            (Kind::Lock | Kind::Elect, _) => "can't be asked".to_owned(),
            (_, longest) => Unit::Millis.write(longest.unwrap_or(0.0)),
        };
        let count = format!("{} of {}", zombies.len(), own.len());
        rows.push(vec![kind.name().to_owned(), count, longest]);
    }
    section.table(&rows);
    section
}

fn thaw(etcd: &Etcd, kind: Kind) -> Option<Zombie> {
    let election = format!("waiter-{:x}", fastrand::u64(..));
    let queue = prefix(&election);
    let keys = Keys::of(&etcd.endpoint());
    let start = |id| Contender::start(kind, &etcd.endpoint(), &election, id, TTL);
    let mut leader = start("leader");
    leader.wait_leading(BOUND);
    let mut waiter = start("waiter");
    keys.wait_queue(&queue, 2);
    let sampler = waiter.port.map(|port| Sampler::of(port, ms(1)));
    any_moment();
    waiter.signal(Signal::STOP);
    keys.wait_queue(&queue, 1);
    leader.end();
    keys.wait_queue(&queue, 0);
    let thawed = clock::now();
    waiter.signal(Signal::CONT);
    match (kind, sampler) {
        (Kind::Tenure, _) => wrong_token(&waiter, &keys, &queue, thawed),
        (_, sampler) => wrong_key(&waiter, &keys, &queue, thawed, sampler.as_ref()),
    }
}

/// Asks, and compares the token in every answer "leader" with the keys that there are.
fn wrong_token(waiter: &Contender, keys: &Keys, queue: &str, thawed: Time) -> Option<Zombie> {
    let mut client = Client::new(waiter.port.unwrap(), BOUND);
    let mut zombie = None;
    while clock::now().since(thawed) < AFTERWARDS {
        let answer = client.get("/leader").unwrap();
        let token = answer.json()["fencing_token"].as_i64();
        let stands = |token| {
            keys.queue(queue)
                .iter()
                .any(|key| key.create_revision == token)
        };
        if answer.status == 200 && !token.is_some_and(stands) {
            let answered_for = Some(millis_between(thawed, clock::now()));
            zombie = Some(Zombie { answered_for });
        }
        let_pass(ms(1));
    }
    zombie
}

/// Reads what it prints, and looks the first key up.
fn wrong_key(
    waiter: &Contender,
    keys: &Keys,
    queue: &str,
    thawed: Time,
    sampler: Option<&Sampler>,
) -> Option<Zombie> {
    let_pass(AFTERWARDS);
    let lines = waiter.lines_with_key();
    let (_, key) = lines.first()?;
    if keys
        .queue(queue)
        .iter()
        .any(|standing| standing.name == *key)
    {
        return None;
    }
    // A later line is of a later session, with a key of its own.
    let next = lines.get(1).map_or(clock::now(), |(at, _)| *at);
    let answered_for = sampler.map(|sampler| {
        let claims = sampler.claims();
        let last = claims.iter().rev().find(|claim| claim.answered < next);
        last.map_or(0.0, |claim| millis_between(thawed, claim.answered))
    });
    Some(Zombie { answered_for })
}
