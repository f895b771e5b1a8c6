//! queue: what one graceful hand-over costs etcd, and how long it takes, with 2, 100 and 1,000 candidates waiting.
//! All of them are real processes, of one competitor on an etcd of its own.

use crate::Effort;
use crate::contender::{Contender, Kind, LEAD_BOUND, prefix};
use crate::figures::{Rounds, Spread, Unit, millis_between};
use crate::keys::{Key, Keys};
use crate::report::Section;
use crate::scrape::Scrape;
use crate::support::etcd::Etcd;
use crate::support::{let_pass, ms};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tenure::clock;

const KINDS: [Kind; 3] = [Kind::Tenure, Kind::GoObserving, Kind::Go];

/// So many start at once.
const BATCH: usize = 25;
/// Long, so that a thousand who idle cost little.
const TTL: Duration = ms(60_000);
/// What follows a hand-over is counted until so long after it.
const AFTERMATH: Duration = ms(300);

/// What etcd counts: a name for the report, its metric, and the labels that pick the lines.
const COUNTERS: [(&str, &str, &[&str]); 7] = [
    ("raft commits", "etcd_server_proposals_committed_total", &[]),
    ("puts", "etcd_mvcc_put_total", &[]),
    ("deletes", "etcd_mvcc_delete_total", &[]),
    ("transactions", "etcd_mvcc_txn_total", &[]),
    ("ranges", "etcd_mvcc_range_total", &[]),
    (
        "watch messages sent",
        "grpc_server_msg_sent_total",
        &["grpc_service=\"etcdserverpb.Watch\""],
    ),
    (
        "keepalives",
        "grpc_server_msg_received_total",
        &["grpc_method=\"LeaseKeepAlive\""],
    ),
];

pub(crate) fn run(effort: Effort) -> Section {
    let mut section = Section::titled(
        "Queue",
        &format!(
            "SIGTERM to the leader of a queue, by etcd's own counters from before it until {} ms after the next one \
             says that it leads; what etcd counted in as long a time afterwards, with nothing happening, is in \
             brackets. Medians. ttl 60 s. With 1,000 only tenure was measured. \
             Whoever waits with tenure is told who leads; with go only the successor hears of it, and so go is measured \
             observing as well (`Election.Observe`). Where the others are still, all but the leader and its successor \
             are stopped (SIGSTOP) meanwhile, so that they take none of the two cores, as on hosts of their own; etcd \
             tells them all the same.",
            AFTERMATH.as_millis()
        ),
    );
    let mut crowds = KINDS.map(Crowd::new);
    let mut head = vec!["per hand-over".to_owned()];
    head.extend(COUNTERS.map(|(name, _, _)| name.to_owned()));
    head.push("RSS of all".to_owned());
    let mut rows = vec![head];
    for waiting in effort.of([2, 100, 1_000], [2, 20, 100]) {
        let measured = if waiting < 1_000 { KINDS.len() } else { 1 };
        let crowds = &mut crowds[..measured];
        let names: Vec<&str> = crowds.iter().map(|crowd| crowd.kind.name()).collect();
        let mut times = Rounds::of(&names);
        let mut times_with_stillness = Rounds::of(&names);
        let mut counts: Vec<Vec<Counts>> = vec![Vec::new(); measured];
        for _ in 0..effort.of(10, 3) {
            let mut figures = Vec::new();
            for (crowd, counts) in crowds.iter_mut().zip(&mut counts) {
                crowd.grow(waiting + 1);
                let (took, counted) = crowd.hand_over();
                figures.push(Some(took));
                counts.push(counted);
            }
            times.push(figures);
            let figures = crowds.iter_mut().map(|crowd| {
                crowd.grow(waiting + 1);
                Some(crowd.hand_over_while_others_are_still())
            });
            times_with_stillness.push(figures.collect());
        }
        for (crowd, counts) in crowds.iter().zip(&counts) {
            rows.push(crowd.row(waiting, counts));
        }
        let waiting = Unit::Plain("").write(waiting as f64);
        section.compare(
            &format!("hand-over, {waiting} waiting"),
            Unit::Millis,
            &times,
        );
        section.compare(
            &format!("the same, the others still, {waiting} waiting"),
            Unit::Millis,
            &times_with_stillness,
        );
    }
    section.table(&rows);
    section
}

/// How often each of the counters counted.
#[derive(Clone)]
struct Counts {
    handing_over: Vec<f64>,
    idle: Vec<f64>,
}

struct Crowd {
    kind: Kind,
    members: BTreeMap<String, Contender>,
    started: usize,
    keys: Keys,
    etcd: Etcd,
}

impl Crowd {
    fn new(kind: Kind) -> Crowd {
        let etcd = Etcd::started();
        Crowd {
            kind,
            members: BTreeMap::new(),
            started: 0,
            keys: Keys::of(&etcd.endpoint()),
            etcd,
        }
    }

    /// Starts more, until so many are queued.
    fn grow(&mut self, to: usize) {
        while self.members.len() < to {
            let batch = BATCH.min(to - self.members.len());
            for _ in 0..batch {
                let id = format!("m{}", self.started);
                self.started += 1;
                let member = Contender::start(self.kind, &self.etcd.endpoint(), "queue", &id, TTL);
                self.members.insert(id, member);
            }
            let give_up = clock::now() + LEAD_BOUND;
            while self.queue().len() < self.members.len() {
                assert!(clock::now() < give_up, "not all have queued up");
                let_pass(ms(50));
            }
        }
        // The last of them still have to begin to watch.
        let_pass(ms(200));
    }

    /// How long it took, in milliseconds, and what it cost.
    fn hand_over(&mut self) -> (f64, Counts) {
        let (mut leader, successor) = self.take_leader();
        let successor = &self.members[&successor];
        let before = self.count();
        let told = clock::now();
        leader.signal(Signal::TERM);
        let took = millis_between(told, successor.wait_leading(LEAD_BOUND));
        leader.end();
        let_pass(AFTERMATH);
        let lasted = clock::now().since(told);
        let after = self.count();
        let_pass(ms(200));
        let idle_before = self.count();
        let_pass(lasted);
        let idle_after = self.count();
        let less = |a: Vec<f64>, b: Vec<f64>| a.iter().zip(b).map(|(a, b)| a - b).collect();
        let counts = Counts {
            handing_over: less(after, before),
            idle: less(idle_after, idle_before),
        };
        (took, counts)
    }

    /// How long it takes where those who are not concerned do nothing.
    fn hand_over_while_others_are_still(&mut self) -> f64 {
        let (mut leader, successor) = self.take_leader();
        self.signal_all_but(&successor, Signal::STOP);
        let_pass(ms(100));
        let told = clock::now();
        leader.signal(Signal::TERM);
        let led = self.members[&successor].wait_leading(LEAD_BOUND);
        self.signal_all_but(&successor, Signal::CONT);
        leader.end();
        let_pass(AFTERMATH);
        millis_between(told, led)
    }

    fn signal_all_but(&mut self, id: &str, signal: Signal) {
        let others = self.members.iter_mut().filter(|(other, _)| *other != id);
        others.for_each(|(_, other)| other.signal(signal));
    }

    /// The leader, taken out of the crowd, and its successor's id.
    fn take_leader(&mut self) -> (Contender, String) {
        let queue = self.queue();
        let leader = self.members.remove(&id(&queue[0])).unwrap();
        (leader, id(&queue[1]))
    }

    fn row(&self, waiting: usize, counts: &[Counts]) -> Vec<String> {
        let waiting = Unit::Plain("waiting").write(waiting as f64);
        let mut row = vec![format!("{}, {waiting}", self.kind.name())];
        row.extend((0..COUNTERS.len()).map(|which| {
            let median = |values: &dyn Fn(&Counts) -> f64| {
                let spread = Spread::of(counts.iter().map(values)).unwrap();
                spread.median
            };
            let during = median(&|counts| counts.handing_over[which]);
            let idle = median(&|counts| counts.idle[which]);
            format!("{during} ({idle})")
        }));
        let rss = self
            .members
            .values()
            .map(|member| crate::proc::status(member.pid, "VmRSS"));
        row.push(Unit::Plain("MiB").write(rss.sum()));
        row
    }

    fn queue(&self) -> Vec<Key> {
        self.keys.queue(&prefix("queue"))
    }

    fn count(&self) -> Vec<f64> {
        let scrape = Scrape::of(self.etcd.port());
        let counters = COUNTERS.iter();
        counters
            .map(|(_, metric, labels)| scrape.sum(metric, labels))
            .collect()
    }
}

/// tenure's value is JSON, Go's the id itself.
fn id(key: &Key) -> String {
    let json: Option<Value> = serde_json::from_str(&key.value).ok();
    let id = json.and_then(|value| Some(value["id"].as_str()?.to_owned()));
    id.unwrap_or_else(|| key.value.clone())
}
