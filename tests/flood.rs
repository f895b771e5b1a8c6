//! The real sidecar under load: thousands of connections that idle, some that send slowly, and clients who ask
//! as fast as they can. None of it may delay a keepalive, end a leadership, or keep a probe waiting.
//!
//! A listener holds 256 connections, and cuts idle ones for new ones; those cut are opened again each second, so
//! the flood is one of accepting too. What happened is counted and printed (`--nocapture`).

#![allow(clippy::unwrap_used, reason = "a test is to fail by it")]

mod support;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use support::etcd::Etcd;
use support::http::{Client, Question};
use support::sidecar::{PREFIX, RETRY_PERIOD, Sidecar, Spec};
use support::{let_pass, ms};
use tenure::clock;

const IDLE_ON_EACH: usize = 1_000;
const SLOW_ON_EACH: usize = 50;
const LASTS: Duration = ms(8_000);
const PROBE_BOUND: Duration = ms(1_000);
const PIPELINED: usize = 16;

/// What happened.
#[derive(Debug, Default)]
struct Counts {
    opened: AtomicU64,
    cut: AtomicU64,
    led: AtomicU64,
    refused: AtomicU64,
    reconnects: AtomicU64,
    probes: AtomicU64,
    slowest_probe_ms: AtomicU64,
    probes_failed: AtomicU64,
}

#[test]
fn no_flood_of_requests_and_connections_delays_a_keepalive_or_ends_a_leadership() {
    raise_descriptor_limit();
    let etcd = Etcd::started();
    let sidecar = Spec::on_etcd("a", &etcd).start_leading();
    let token = sidecar.probe_leader().unwrap()["fencing_token"].clone();
    let before = Keepalives::of(&sidecar);
    let (counts, over) = (Counts::default(), AtomicBool::new(false));
    let (api, probes) = (sidecar.api, sidecar.probes);
    let renewals = thread::scope(|scope| {
        let (counts, over) = (&counts, &over);
        for idle in [api, probes].map(|port| Idle::open(port, counts)) {
            scope.spawn(move || idle.hold(over));
        }
        for port in [api, probes] {
            scope.spawn(move || ask(port, "GET /leader", 200, &counts.led, counts, over));
        }
        scope.spawn(move || {
            ask(
                api,
                "POST /resign?cooldown=x",
                400,
                &counts.refused,
                counts,
                over,
            )
        });
        scope.spawn(move || ask(probes, "POST /resign", 404, &counts.refused, counts, over));
        scope.spawn(move || probe(probes, counts, over));
        let renewals = Renewals::watch(&etcd, LASTS);
        over.store(true, Ordering::Relaxed);
        renewals
    });
    println!("{counts:?}\n{renewals:?}");
    let after = Keepalives::of(&sidecar);
    println!("{before:?}\n{after:?}");

    let least = LASTS.as_millis() / (2 * RETRY_PERIOD).as_millis();
    assert!(renewals.longest_gap <= 2 * RETRY_PERIOD, "{renewals:?}");
    assert!(u128::from(renewals.seen) >= least, "{renewals:?}");
    assert!(
        after.answered - before.answered >= least as f64,
        "{after:?}"
    );
    assert_eq!(after.failed, before.failed, "{after:?}");
    assert_eq!(
        after.slow, before.slow,
        "slower than a retry_period: {after:?}"
    );

    assert_eq!(after.step_downs, 0.0);
    assert_eq!(
        sidecar.metric("tenure_transitions_total", &["to=\"leader\""]),
        1.0
    );
    let election = sidecar.probe_leader().unwrap();
    assert_eq!(election["fencing_token"], token, "{election}");
    assert_eq!(etcd.ctl().places(PREFIX)[0].create_revision, token);
    assert_eq!(sidecar.status_of("/livez"), Some(200));

    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!(count(&counts.probes_failed), 0, "{counts:?}");
    assert!(
        u128::from(count(&counts.slowest_probe_ms)) <= PROBE_BOUND.as_millis(),
        "{counts:?}"
    );
    assert!(
        count(&counts.probes) >= 20 && count(&counts.led) >= 1_000,
        "too little was asked: {counts:?}"
    );
    assert!(
        count(&counts.refused) >= 1_000,
        "too little was asked: {counts:?}"
    );
    assert!(
        count(&counts.opened) >= 2 * IDLE_ON_EACH as u64,
        "{counts:?}"
    );
}

/// The connections that idle on a listener; some of them send a request that never ends.
struct Idle<'a> {
    port: u16,
    counts: &'a Counts,
    held: Vec<Option<TcpStream>>,
}

impl Idle<'_> {
    fn open(port: u16, counts: &Counts) -> Idle<'_> {
        let mut idle = Idle {
            port,
            counts,
            held: Vec::new(),
        };
        for index in 0..IDLE_ON_EACH {
            let stream = idle.connect(index);
            idle.held.push(Some(stream.unwrap()));
        }
        idle
    }

    fn connect(&self, index: usize) -> io::Result<TcpStream> {
        // The kernel keeps 128 waiting to be accepted; one too many tries again only after a second.
        if index.is_multiple_of(50) {
            let_pass(ms(20));
        }
        let address = ([127, 0, 0, 1], self.port).into();
        let mut stream = TcpStream::connect_timeout(&address, ms(5_000))?;
        if index < SLOW_ON_EACH {
            stream.write_all(b"GET /leader HTTP/1.1\r\nX: ")?;
        }
        stream.set_nonblocking(true)?;
        self.counts.opened.fetch_add(1, Ordering::Relaxed);
        Ok(stream)
    }

    /// Lets the slow ones send on, and opens those again that were cut.
    fn hold(mut self, over: &AtomicBool) {
        for round in 1.. {
            let_pass(ms(200));
            for index in 0..IDLE_ON_EACH {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                if self.is_cut(index) && round % 5 == 0 {
                    self.counts.cut.fetch_add(1, Ordering::Relaxed);
                    self.held[index] = self.connect(index).ok();
                }
            }
        }
    }

    fn is_cut(&mut self, index: usize) -> bool {
        self.held[index].as_mut().is_none_or(|stream| {
            if index < SLOW_ON_EACH {
                let _ = stream.write(b"x");
            }
            // What a slow one is told at last is an end as well.
            !matches!(stream.read(&mut [0]), Err(err) if err.kind() == ErrorKind::WouldBlock)
        })
    }
}

/// Asks as fast as it can: many requests at once, on a connection that is kept while that works.
fn ask(
    port: u16,
    start: &str,
    status: u16,
    answered: &AtomicU64,
    counts: &Counts,
    over: &AtomicBool,
) {
    let request = format!("{start} HTTP/1.1\r\nHost: localhost\r\n\r\n").repeat(PIPELINED);
    while !over.load(Ordering::Relaxed) {
        counts.reconnects.fetch_add(1, Ordering::Relaxed);
        let Ok(mut question) = Question::connect(port, ms(5_000)) else {
            continue;
        };
        while !over.load(Ordering::Relaxed) && question.send(request.as_bytes()).is_ok() {
            let cut = (0..PIPELINED).any(|_| match question.answer() {
                Ok(answer) => {
                    assert_eq!(answer.status, status, "{start}: {answer:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                    false
                }
                Err(_) => true,
            });
            if cut {
                break;
            }
        }
    }
}

/// As the kubelet does: on a new connection each time.
fn probe(port: u16, counts: &Counts, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let began = clock::now();
        let answer = Client::new(port, ms(5_000)).get("/livez");
        let took = clock::now().since(began).as_millis() as u64;
        counts.probes.fetch_add(1, Ordering::Relaxed);
        counts.slowest_probe_ms.fetch_max(took, Ordering::Relaxed);
        if !answer.is_ok_and(|answer| answer.status == 200) {
            counts.probes_failed.fetch_add(1, Ordering::Relaxed);
        }
        let_pass(ms(100));
    }
}

/// What the sidecar says of its keepalives.
#[derive(Debug)]
struct Keepalives {
    answered: f64,
    failed: f64,
    slow: f64,
    step_downs: f64,
}

impl Keepalives {
    fn of(sidecar: &Sidecar) -> Keepalives {
        let text = sidecar.probe("/metrics").body;
        let sum = |wanted: &dyn Fn(&str) -> bool| -> f64 {
            let lines = text
                .lines()
                .filter(|line| !line.starts_with('#') && wanted(line));
            lines
                .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
                .sum()
        };
        let all = sum(&|line| line.starts_with("tenure_keepalives_total{"));
        let answered =
            sum(&|line| line.starts_with("tenure_keepalives_total{") && line.contains("\"ok\""));
        let observed = sum(&|line| line.starts_with("tenure_keepalive_duration_seconds_count"));
        let within = format!("le=\"{}\"", RETRY_PERIOD.as_secs_f64());
        let quick = sum(&|line| {
            line.starts_with("tenure_keepalive_duration_seconds_bucket") && line.contains(&within)
        });
        Keepalives {
            answered,
            failed: all - answered,
            slow: observed - quick,
            step_downs: sum(&|line| line.starts_with("tenure_step_downs_total{")),
        }
    }
}

/// The renewals as etcd counts them.
#[derive(Debug, Default)]
struct Renewals {
    seen: u64,
    samples: u64,
    /// The longest time between two samples that saw no renewal between them: no gap was shorter than this.
    longest_gap: Duration,
}

impl Renewals {
    fn watch(etcd: &Etcd, lasts: Duration) -> Renewals {
        let (mut renewals, end) = (Renewals::default(), clock::now() + lasts);
        let (mut last, mut since) = (renewals_counted(etcd), clock::now());
        while clock::now() < end {
            let_pass(ms(20));
            let asked = clock::now();
            let now = renewals_counted(etcd);
            renewals.samples += 1;
            if now == last {
                renewals.longest_gap = renewals.longest_gap.max(asked.since(since));
            } else {
                renewals.seen += now - last;
                (last, since) = (now, clock::now());
            }
        }
        renewals
    }
}

/// etcd answers this where it answers clients.
fn renewals_counted(etcd: &Etcd) -> u64 {
    let metrics = Client::new(etcd.port(), ms(5_000))
        .get("/metrics")
        .unwrap()
        .body;
    let name = "etcd_debugging_lease_renewed_total ";
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().parse::<f64>().unwrap() as u64
}

fn raise_descriptor_limit() {
    const NEEDED: u64 = 4 * IDLE_ON_EACH as u64;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= NEEDED) {
        return;
    }
    let raised = Rlimit {
        current: Some(NEEDED),
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("needs ulimit -n 4000 or more");
}
