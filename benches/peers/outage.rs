//! outage: etcd is killed and started again on the same data 8 s later; from its answering again until somebody
//! leads again.

use crate::Effort;
use crate::contender::{Contender, Kind, LEAD_BOUND, TTL, prefix};
use crate::figures::{Rounds, Unit, millis_between};
use crate::keys::Keys;
use crate::lanes::any_moment;
use crate::report::Section;
use crate::sampler::Sampler;
use crate::support::etcd::Etcd;
use crate::support::{let_pass, ms};
use std::time::Duration;
use tenure::clock;
use tenure::election::Time;

const KINDS: [Kind; 3] = [Kind::Tenure, Kind::Go, Kind::Lock];
const AWAY: Duration = ms(8_000);
/// Leases are lengthened by etcd's restart.
const BOUND: Duration = ms(25_000);

pub(crate) fn run(effort: Effort) -> Section {
    let mut rounds = Rounds::of(&KINDS.map(Kind::name));
    let mut exited = 0;
    for _ in 0..effort.of(4, 1) {
        let (figures, left) = outage();
        exited += usize::from(left);
        rounds.push(figures);
    }
    let mut section = Section::titled(
        "Outage",
        "etcd is killed (SIGKILL) and started again on the same data 8 s later, with a leader and a waiter of each \
         competitor there. From its answering again (`/health`) until one of the two says that it leads. etcd gives \
         leases their full ttl anew when it starts. Asked every millisecond.",
    );
    section.compare("outage", Unit::Millis, &rounds);
    if exited > 0 {
        section.say(&format!(
            "In {exited} of the rounds both processes of etcdctl lock ended, and nobody led any more."
        ));
    }
    section.picture("outage", &rounds);
    section
}

/// What each took; and whether both of etcdctl ended.
fn outage() -> (Vec<Option<f64>>, bool) {
    let mut etcd = Etcd::started();
    let keys = Keys::of(&etcd.endpoint());
    let mut pairs = KINDS.map(|kind| {
        let election = format!("outage-{kind:?}");
        let start = |id| Contender::start(kind, &etcd.endpoint(), &election, id, TTL);
        let leader = start("leader");
        leader.wait_leading(LEAD_BOUND);
        let waiter = start("waiter");
        keys.wait_queue(&prefix(&election), 2);
        [leader, waiter]
    });
    let asked: Vec<Vec<Sampler>> = pairs
        .iter()
        .map(|pair| {
            let ports = pair.iter().filter_map(|candidate| candidate.port);
            ports.map(|port| Sampler::of(port, ms(1))).collect()
        })
        .collect();
    any_moment();
    etcd.kill();
    let_pass(AWAY);
    etcd.start();
    etcd.wait_until_healthy();
    let answers = clock::now();
    let mut leads: [Option<Time>; 3] = [None; 3];
    while leads.contains(&None) && clock::now().since(answers) < BOUND {
        for (who, first) in leads.iter_mut().enumerate() {
            let by_http = asked[who]
                .iter()
                .filter_map(|sampler| sampler.first_since(answers));
            let lines = pairs[who].iter().flat_map(Contender::lines_with_key);
            let by_line = lines.map(|(at, _)| at).filter(|at| *at >= answers);
            // Go prints as well, but what counts is what it answers.
            *first = match asked[who].is_empty() {
                false => by_http.map(|claim| claim.answered).min(),
                true => by_line.min(),
            };
        }
        let_pass(ms(20));
        if leads[..2].iter().all(Option::is_some) && !pairs[2].iter_mut().any(Contender::is_running)
        {
            break;
        }
    }
    let ended = !pairs[2].iter_mut().any(Contender::is_running);
    let figures = leads.map(|leads| leads.map(|leads| millis_between(answers, leads)));
    (figures.to_vec(), ended)
}
