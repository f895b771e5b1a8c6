//! Any bytes in place of the state that counts, and what candidates then make of the election, on the files that ship.
//!
//! The input stands there as it is or, where it begins as a state does, with a seal that fits. The clock `here` in it
//! is this process's own. (Below the sessions: to close one takes the kernel too long for this.)

#![no_main]

#[path = "../../../src/store/file/directory.rs"]
#[allow(dead_code, reason = "the store uses the rest")]
mod directory;
#[path = "../../../src/store/file/error.rs"]
#[allow(dead_code, reason = "the session uses the rest")]
mod error;
#[path = "../../../src/store/file/expiry.rs"]
mod expiry;
#[path = "../../../src/store/file/ledger.rs"]
#[allow(dead_code, reason = "the session uses the rest")]
mod ledger;
#[path = "../../../src/store/file/state.rs"]
mod state;

/// As the files that ship call them.
use tenure::{clock, election, store};

use directory::Directory;
use election::{Candidate, LeaseId, Standing};
use error::FileStoreError;
use expiry::ClockDomain;
use ledger::{Ledger, Outcome, Sight, Ticket};
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;
use store::Queue;

const REVISION: u64 = 9;
const LONG: Duration = Duration::from_secs(3600);

/// Found among what is read, or not.
const OURS: LeaseId = LeaseId(7);

static CLOCK: LazyLock<ClockDomain> = LazyLock::new(|| ClockDomain::own().expect("a clock"));

fuzz_target!(|data: &[u8]| {
    let root = tempfile::tempdir().expect("a directory");
    let path = put(root.path(), data);
    let mut first = ledger(root.path());
    match first.look(&Ticket::default()) {
        Ok(seen) => {
            let ((), sight) = done(Ok(seen));
            goes_on(&mut first, root.path(), &sight.queue);
        }
        Err(error) => {
            names(&path, &error);
            everybody_is_cut_off(&path, &mut first);
            everybody_is_cut_off(&path, &mut ledger(root.path()));
        }
    }
});

/// An election whose state that counts is this.
fn put(root: &Path, data: &[u8]) -> PathBuf {
    let mut text = match str::from_utf8(data) {
        Ok(text) => {
            let clock = serde_json::to_string(CLOCK.as_str()).expect("JSON");
            text.replace("\"here\"", &clock).into_bytes()
        }
        Err(_) => data.to_vec(),
    };
    if text.starts_with(b"{\"format\":") {
        let seal = format!(",\"crc32\":\"{:08x}\"}}\n", crc32fast::hash(&text));
        text.extend_from_slice(seal.as_bytes());
    }
    let election = root.join("e.d");
    fs::create_dir(&election).expect("a directory");
    let name = format!("{REVISION:020}.{:016x}", 1);
    fs::write(election.join(format!("head.{name}")), "").expect("a file");
    let path = election.join(format!("state.{name}.json"));
    fs::write(&path, text).expect("a file");
    path
}

fn ledger(root: &Path) -> Ledger {
    let directory = Directory::new(root.to_owned(), "e");
    let candidate = Candidate {
        id: "a".into(),
        advertise: None,
    };
    Ledger::new(directory, candidate, LONG, Some(CLOCK.clone()))
}

/// A candidate joins with a greater token, stays, is seen by others as by itself, and leaves.
fn goes_on(first: &mut Ledger, root: &Path, before: &Queue) {
    let ticket = Ticket::default();
    assert!(before.revision >= REVISION);
    assert!(before.places.keys().all(|token| *token <= before.revision));

    let (token, _) = done(first.join(OURS, &ticket));
    if before.contains(OURS) {
        // A place that somebody else's numbers may let expire at any time.
        done(first.keep_alive(OURS, &ticket));
        done(first.verify(OURS, &ticket));
    } else {
        assert!(token > before.revision, "{token} in {before:?}");
        let (kept, _) = done(first.keep_alive(OURS, &ticket));
        assert!(kept);
        let (standing, seen) = done(first.verify(OURS, &ticket));
        assert_ne!(standing, Standing::Gone);
        let is_first = seen.queue.observation(None).is_first(OURS);
        assert_eq!(standing == Standing::First(token), is_first);
        let (_, theirs) = done(ledger(root).verify(OURS, &ticket));
        assert!(theirs.queue.revision >= seen.queue.revision);
        assert_eq!(
            theirs.queue.places.get(&token),
            seen.queue.places.get(&token)
        );
    }
    let ((), seen) = done(first.look(&ticket));
    let was_first = seen.queue.observation(None).is_first(OURS);
    let ((), after) = done(first.release(OURS, true, &ticket));
    assert!(!after.queue.contains(OURS));
    // One that was there before may have run out between the two.
    assert!(after.queue.handed_over || !was_first || before.contains(OURS));
}

/// How an operation ended that had to succeed, and that nobody has cancelled.
fn done<T>(outcome: Outcome<T>) -> (T, Sight) {
    outcome.expect("success").expect("an outcome")
}

fn everybody_is_cut_off(path: &Path, ledger: &mut Ledger) {
    let ticket = Ticket::default();
    for refused in [
        ledger.join(OURS, &ticket).err(),
        ledger.keep_alive(OURS, &ticket).err(),
        ledger.verify(OURS, &ticket).err(),
        ledger.release(OURS, false, &ticket).err(),
        ledger.look(&ticket).err(),
    ] {
        names(path, &refused.expect("cut off"));
    }
}

fn names(path: &Path, error: &FileStoreError) {
    let error = error.to_string();
    let path = path.to_str().expect("a path");
    assert!(
        error.starts_with(path) && error.contains("let a ttl pass"),
        "{error}"
    );
}
