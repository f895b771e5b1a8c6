//! freeze: the leader is stopped (SIGSTOP) past its lease, until a successor leads, and then let go on (SIGCONT).
//! What does it say first?

use crate::Effort;
use crate::contender::{Contender, Kind, TTL, prefix};
use crate::figures::{Spread, Unit, millis_between};
use crate::keys::Keys;
use crate::lanes::{any_moment, side_by_side};
use crate::report::Section;
use crate::sampler::{CLOSELY, Sampler};
use crate::support::etcd::Etcd;
use crate::support::{eventually, let_pass, ms};
use rustix::process::Signal;
use std::sync::Mutex;
use std::time::Duration;
use tenure::clock;

const KINDS: [Kind; 3] = [Kind::Tenure, Kind::Go, Kind::Lock];
/// Of each kind at once.
const LANES: usize = 3;
const BOUND: Duration = ms(40_000);

/// What a thawed leader said.
#[derive(Clone, Copy)]
struct Stale {
    /// None where it can't be asked.
    answers: Option<usize>,
    /// Milliseconds from its thaw to the last of them; or to its exit.
    lasted: f64,
}

pub(crate) fn run(effort: Effort) -> Section {
    let etcd = Etcd::started();
    let kinds: Vec<Kind> = (0..LANES).flat_map(|_| KINDS).collect();
    let mut all = Vec::new();
    for _ in 0..effort.of(5, 1) {
        // One thaws at a time, so that nobody else's questions delay its own.
        let thawing = Mutex::new(());
        all.extend(side_by_side(&kinds, |kind| {
            (kind, freeze(&etcd, kind, &thawing))
        }));
    }
    let mut section = Section::titled(
        "Freeze",
        "SIGSTOP to the leader; once its lease has run out (ttl 5 s) and another leads, SIGCONT. It is asked every \
         0.1 ms, a first question already waiting when it thaws. Every answer \"leader\" is stale. etcdctl can't be \
         asked: for it, the time until its process ends.",
    );
    let mut rows = vec![
        [
            "",
            "said \"leader\" after the thaw",
            "stale answers, most",
            "for how long, median",
            "longest",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for kind in KINDS {
        let own = all.iter().filter(|(whose, _)| *whose == kind);
        let own: Vec<Stale> = own.map(|(_, stale)| *stale).collect();
        let lasted = Spread::of(own.iter().map(|stale| stale.lasted)).unwrap();
        let answers: Option<Vec<usize>> = own.iter().map(|stale| stale.answers).collect();
        let (said, most) = match answers {
            Some(answers) => {
                let said = answers.iter().filter(|count| **count > 0).count();
                let most = answers.iter().max().copied().unwrap_or(0);
                (format!("{said} of {}", own.len()), most.to_string())
            }
            None => (format!("can't be asked (n = {})", own.len()), String::new()),
        };
        let write = |value| Unit::Millis.write(value);
        rows.push(vec![
            kind.name().to_owned(),
            said,
            most,
            write(lasted.median),
            write(lasted.max),
        ]);
    }
    section.table(&rows);
    section
}

fn freeze(etcd: &Etcd, kind: Kind, thawing: &Mutex<()>) -> Stale {
    let election = format!("freeze-{:x}", fastrand::u64(..));
    let keys = Keys::of(&etcd.endpoint());
    let start = |id| Contender::start(kind, &etcd.endpoint(), &election, id, TTL);
    let mut old = start("old");
    old.wait_leading(BOUND);
    let new = start("new");
    keys.wait_queue(&prefix(&election), 2);
    let sampler = old.port.map(|port| Sampler::of(port, ms(20)));
    any_moment();
    old.signal(Signal::STOP);
    if let Some(sampler) = &sampler {
        sampler.set_pause(CLOSELY);
    }
    new.wait_leading(BOUND);
    let _turn = thawing.lock().unwrap();
    let_pass(ms(100));
    let thawed = clock::now();
    old.signal(Signal::CONT);
    let Some(sampler) = sampler else {
        let ended = eventually("its exit", BOUND, || (!old.is_running()).then(clock::now));
        return Stale {
            answers: None,
            lasted: millis_between(thawed, ended),
        };
    };
    let_pass(ms(500));
    let claims = sampler.claims();
    let stale: Vec<_> = claims
        .iter()
        .filter(|claim| claim.answered > thawed)
        .collect();
    let lasted = stale
        .last()
        .map_or(0.0, |last| millis_between(thawed, last.answered));
    Stale {
        answers: Some(stale.len()),
        lasted,
    }
}
