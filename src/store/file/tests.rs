//! What the directory and the ledger promise: a scene for candidates who meet on a disk.

mod changes;
mod creation;
mod damage;

use super::directory::{Directory, Found, open_root};
use super::error::FileStoreError;
use super::expiry::ClockDomain;
use super::ledger::{Ledger, Ticket};
use super::state::State;
use crate::clock;
use crate::election::{Candidate, LeaseId, Standing, Token};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ELECTION: &str = "e";
const LONG: Duration = Duration::from_secs(3600);

struct Scene {
    root: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        open_root(root.path()).unwrap();
        Scene { root }
    }

    fn directory(&self) -> Directory {
        Directory::new(self.root.path().to_owned(), ELECTION)
    }

    fn candidate(&self, id: &str) -> Ledger {
        self.candidate_with(id, LONG, Some("here"))
    }

    fn candidate_with(&self, id: &str, ttl: Duration, clock: Option<&str>) -> Ledger {
        let candidate = Candidate {
            id: id.into(),
            advertise: None,
        };
        Ledger::new(
            self.directory(),
            candidate,
            ttl,
            clock.map(ClockDomain::named),
        )
    }

    fn found(&self) -> Found {
        self.directory().read().unwrap().unwrap()
    }

    fn path_of_head(&self) -> PathBuf {
        self.directory().path().join(self.found().head.name())
    }

    fn path_of_state(&self) -> PathBuf {
        self.directory().path().join(self.found().head.state_name())
    }
}

fn join(ledger: &mut Ledger, lease: u64) -> Result<Token, FileStoreError> {
    let joined = ledger.join(LeaseId(lease), &Ticket::default())?;
    Ok(joined.unwrap().0)
}

fn release(ledger: &mut Ledger, lease: u64) {
    let released = ledger.release(LeaseId(lease), false, &Ticket::default());
    released.unwrap().unwrap();
}

fn standing(ledger: &mut Ledger, lease: u64) -> Standing {
    let verified = ledger.verify(LeaseId(lease), &Ticket::default());
    verified.unwrap().unwrap().0
}

fn keeps_alive(ledger: &mut Ledger, lease: u64) -> bool {
    let answered = ledger.keep_alive(LeaseId(lease), &Ticket::default());
    answered.unwrap().unwrap().0
}

fn is_cut_off(ledger: &mut Ledger, lease: u64) -> bool {
    let ticket = Ticket::default();
    let lease = LeaseId(lease);
    ledger.join(lease, &ticket).is_err()
        && ledger.keep_alive(lease, &ticket).is_err()
        && ledger.verify(lease, &ticket).is_err()
        && ledger.release(lease, false, &ticket).is_err()
        && ledger.look(&ticket).is_err()
}

fn next_of(found: &Found) -> State {
    State {
        revision: found.head.revision + 1,
        entries: Vec::new(),
        handed_over: false,
    }
}
