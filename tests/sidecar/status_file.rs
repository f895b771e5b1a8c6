//! The status file: a promise that is kept, and that ends by itself.

use crate::support::etcd::Etcd;
use crate::support::process::EXIT_BOUND;
use crate::support::sidecar::{
    RENEW_DEADLINE, ROLE_BOUND, Spec, TTL, queue_up, run_tenure, wait_for_places,
};
use crate::support::witness::Witnesses;
use crate::support::{eventually, ms};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tempfile::TempDir;
use tenure::clock;
use tenure::election::Time;

/// "Not leader" is written at once, on a busy machine.
const AT_ONCE: Duration = ms(500);

#[test]
fn what_was_written_last_is_kept_on_sigterm_and_not_leader_is_written_at_once() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("payments.json");
    let etcd = Etcd::started();
    let mut a = queue_up(&on_etcd("a", &etcd, &path), &etcd);
    let b = queue_up(&Spec::on_etcd("b", &etcd), &etcd);
    let witnesses = Witnesses::of(&[&a, &b]);
    let reader = Reader::of(&path);
    // Nobody asks: the file alone is what is promised. Some time into a promise, so that what is left of it can be told.
    let first = expiry(&read(&path)).unwrap();
    eventually("a renewal in the file", ROLE_BOUND, || {
        (expiry(&read(&path))? > first).then_some(())
    });
    let asked = clock::now();
    a.term();
    b.wait_leading(ROLE_BOUND);
    assert_eq!(a.wait_exit(EXIT_BOUND).code(), Some(0));
    assert_eq!(read(&path)["state"], "stopped");

    let seen = reader.judged();
    let claimed_for = seen.last_claim.since(asked);
    assert!(claimed_for < AT_ONCE, "claimed for {claimed_for:?} more");
    let history = witnesses.judged();
    assert_eq!(history.succession(), ["a", "b"]);
    let led = history.leaderships()[1].first.answered_at;
    let early = seen.last_expiry.since(led);
    assert_eq!(early, Duration::ZERO, "the promise was broken");
    let late = led.since(seen.last_expiry);
    assert!(late < ms(1_000), "led {late:?} after the promise was over");
}

#[test]
fn the_file_of_a_frozen_sidecar_runs_out_before_another_leads_and_is_put_right_when_it_goes_on() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("payments.json");
    let etcd = Etcd::started();
    let mut a = queue_up(&on_etcd("a", &etcd, &path), &etcd);
    let b = queue_up(&Spec::on_etcd("b", &etcd), &etcd);
    let witnesses = Witnesses::of(&[&a, &b]);
    a.freeze();
    b.wait_leading(TTL + ms(1_500));
    let left = read(&path);
    assert_eq!(left["state"], "leader");
    a.thaw();
    eventually("the file says that b leads", ROLE_BOUND, || {
        let now = read(&path);
        let follows = now["state"] == "follower" && now["leader"]["id"] == "b";
        (follows && now["valid_until"].is_null()).then_some(())
    });
    let history = witnesses.judged();
    assert_eq!(history.succession(), ["a", "b"]);
    let led = history.leaderships()[1].first.asked_at;
    let ran_out = expiry(&left).unwrap();
    assert!(ran_out < led, "{left}, and b led from {led:?}");
}

#[test]
fn a_reader_always_finds_a_whole_file() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("payments.json");
    let etcd = Etcd::started();
    let often = on_etcd("a", &etcd, &path).lease(TTL, RENEW_DEADLINE, ms(50));
    let mut a = often.start_leading();
    let reader = Reader::of(&path);
    let mut expiries = BTreeSet::new();
    eventually("twenty renewals", ROLE_BOUND, || {
        expiries.extend(expiry(&read(&path)));
        (expiries.len() >= 20).then_some(())
    });
    a.end_well();
    reader.judged();
    assert_eq!(names_in(directory.path()), ["payments.json"]);
}

#[test]
fn each_of_many_elections_has_its_own_file() {
    let directory = TempDir::new().unwrap();
    let names = ["a", "b.c", "reports"];
    let etcd = Etcd::started();
    let spec = on_etcd("one", &etcd, &directory.path().join("{election}.json"));
    let mut sidecar = spec.elections(&names).start();
    let state = |name: &str| {
        let file = read(&directory.path().join(format!("{name}.json")));
        assert_eq!(file["election"], name);
        let is_leader = file["state"] == "leader";
        assert_eq!(expiry(&file).is_some(), is_leader, "{file}");
        file["state"].as_str().unwrap().to_owned()
    };
    let wait = |states: [&str; 3]| {
        eventually("the files", ROLE_BOUND, || {
            sidecar.status_of("/livez")?;
            (names.map(state) == states).then_some(())
        });
    };
    wait(["leader"; 3]);
    sidecar.post("/resign?election=b.c&cooldown=1h");
    wait(["leader", "follower", "leader"]);
    sidecar.end_well();
    assert_eq!(names.map(state), ["stopped"; 3]);
}

#[test]
fn a_directory_that_is_missing_at_first_is_an_error_and_later_is_told_once_and_waited_for() {
    let directory = TempDir::new().unwrap();
    let run = directory.path().join("run");
    let path = run.join("payments.json");
    let etcd = Etcd::started();
    let spec = on_etcd("a", &etcd, &path);
    let mut refused = spec.start();
    assert_eq!(refused.wait_exit(EXIT_BOUND).code(), Some(1));
    let log = refused.log();
    assert!(
        log.contains(&format!("status_file: {}: ", path.display())),
        "{log}"
    );
    assert!(log.contains("make its directory"), "{log}");
    wait_for_places(&etcd, 0);

    fs::create_dir(&run).unwrap();
    let mut a = spec.start_leading();
    fs::remove_dir_all(&run).unwrap();
    let renewals = || a.metric("tenure_keepalives_total", &["result=\"ok\""]);
    let before = renewals();
    eventually("renewals without a directory", ROLE_BOUND, || {
        (renewals() >= before + 3.0).then_some(())
    });
    fs::create_dir(&run).unwrap();
    eventually("the file again", ROLE_BOUND, || expiry(&try_read(&path)?));
    a.end_well();
    let log = a.log();
    assert_eq!(
        log.matches("can't write the status file").count(),
        1,
        "{log}"
    );
    assert_eq!(log.matches("the status file is written again").count(), 1);
}

#[test]
fn several_elections_need_several_files() {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("c.yaml");
    let text = "elections: [a, b]\nstatus_file: /run/t.json\nstore: { etcd: {} }\n";
    fs::write(&config, text).unwrap();
    let checked = run_tenure(&["check", "--config", config.to_str().unwrap()]);
    assert_eq!(checked.code, Some(2));
    assert!(
        checked.stderr.contains("put {election} into it"),
        "{checked:?}"
    );
}

fn on_etcd(id: &str, etcd: &Etcd, path: &Path) -> Spec {
    Spec::on_etcd(id, etcd).with(&format!("status_file: {path:?}"))
}

fn read(path: &Path) -> Value {
    try_read(path).unwrap()
}

fn try_read(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Until when a file says that it holds; it must name this boot, and the wall clock's idea of the same time.
#[track_caller]
fn expiry(file: &Value) -> Option<Time> {
    let until = &file["valid_until"];
    let millis = until["boottime_ms"].as_u64()?;
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert_eq!(until["boot_id"], boot_id.trim());
    assert!(until["time"].is_string(), "{file}");
    Some(Time::from_nanos(millis * 1_000_000))
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    entries.map(|entry| name(entry.unwrap())).collect()
}

/// Reads a file again and again.
struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

/// What it read.
struct Seen {
    /// Files that were not whole.
    torn: Vec<String>,
    /// When it last began to read a file that said "leader".
    last_claim: Time,
    last_expiry: Time,
}

impl Reader {
    fn of(path: &Path) -> Reader {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, path) = (Arc::clone(&stop), path.to_owned());
        Reader {
            stop,
            thread: thread::spawn(move || Seen::until(&stopped, &path)),
        }
    }

    /// Stops, and fails where a file was not whole.
    #[track_caller]
    fn judged(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.thread.join().unwrap();
        assert!(seen.torn.is_empty(), "{:?}", seen.torn);
        seen
    }
}

impl Seen {
    fn until(stopped: &AtomicBool, path: &PathBuf) -> Seen {
        let mut seen = Seen {
            torn: Vec::new(),
            last_claim: Time::ORIGIN,
            last_expiry: Time::ORIGIN,
        };
        while !stopped.load(Ordering::Relaxed) {
            let began = clock::now();
            let bytes = fs::read(path);
            match bytes
                .as_ref()
                .ok()
                .and_then(|bytes| serde_json::from_slice(bytes).ok())
            {
                Some(file) => {
                    if let Some(until) = expiry(&file) {
                        seen.last_claim = began;
                        seen.last_expiry = seen.last_expiry.max(until);
                    }
                }
                None => seen.torn.push(format!("{bytes:?}")),
            }
        }
        seen
    }
}
