//! The embedded store: several candidates on one host, a directory, and no server.
//!
//! # What it assumes
//! A local file system of which POSIX holds: `rename` is atomic, and `fsync` of a file and of its directory makes
//! it last. And that nobody but candidates changes the directory, least of all removes it: with it goes the memory
//! of the tokens. Candidates may be stopped and killed at any point, and the host may lose power.
//!
//! # How it works
//! An election `E` is the directory `E.d`. (The suffix keeps the elections `.` and `..` where they belong, and leaves
//! room for the longest name.) In it lie
//! - `state.<revision>.<nonce>.json`: a state of the queue: whole, checksummed, never changed once written;
//! - `head.<revision>.<nonce>`: exactly one, empty. Its *name* says which state counts.
//!
//! A change reads the state that counts, writes its successor under a random nonce, syncs it, and *renames the
//! head* from the state that it read to the one that it wrote. That is a compare-and-swap: a rename fails where
//! the old name is gone, and a name with its nonce is never used again. So whoever was frozen between reading and
//! renaming, be it for days, finds that its head is gone, and loses; no check afterwards is needed, and no
//! version number can be taken twice. And it held no lock: a frozen candidate stands in nobody's way. A rename
//! that came back with an answer that lies (a network file system) is harmless as well: every operation may be
//! repeated.
//!
//! The revision goes up by one with every change, renewals included, and a place's token is the revision that
//! made it. The head outlives every candidate, so tokens never repeat.
//!
//! A crash leaves at most a state that no head names. States well behind the head are removed by whoever changes
//! the queue next, whosever they are: a writer that still means to make one of them count has lost already.
//!
//! Each election has a thread of its own, an inotify instance, and a sync of the disk for every renewal: it is meant
//! for a few elections.
//!
//! # Why there are never two leaders
//! A place leaves the queue only by a change: its own release, or a sweep of what has expired. Nobody is first
//! because of what the clock says about those ahead: [`Standing::First`](crate::election::Standing) is read from
//! a written state, so the sweep comes before it. From then on a renewal that was computed before the sweep can't
//! land, since the head has moved. A renewal that lands late, but before any sweep, revives nothing that anybody
//! took for dead. When a place may be swept is the business of `expiry`.
//!
//! # When a state can't be read
//! Nobody joins, and nobody takes over: what can't be read may name a leader. A leader runs into its deadline.
//! The error names the file. To mend it, let a ttl pass, choose an intact state file (a backup will do) and a
//! revision above all those there, and rename first the state, then the head to that revision and the state's
//! nonce.

mod directory;
mod error;
mod expiry;
mod ledger;
mod session;
mod state;
mod watch;
mod worker;

#[cfg(test)]
mod tests;

pub use error::FileStoreError;
pub use session::FileSession;

use crate::clock::Alarms;
use crate::election::{Candidate, Timing};
use directory::Directory;
use expiry::ClockDomain;
use ledger::Ledger;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A directory in which elections are held. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FileStore {
    root: Arc<Path>,
    clock: Option<ClockDomain>,
    connected: Arc<AtomicBool>,
}

impl FileStore {
    /// Checks that the directory can be written; creates it where only its parent exists.
    ///
    /// `connected` is kept up to date by the sessions: whether the last operation was answered properly.
    ///
    /// # Errors
    /// A [`FileStoreError`] that names the path and the remedy.
    pub fn open(directory: &Path, connected: Arc<AtomicBool>) -> Result<FileStore, FileStoreError> {
        directory::open_root(directory)?;
        Ok(FileStore {
            root: Arc::from(directory),
            clock: ClockDomain::own(),
            connected,
        })
    }

    /// Starts to observe elections on behalf of a candidate, each on a thread that ends with its session. Call it
    /// inside the runtime that is to do the work.
    pub fn sessions<'a>(
        &self,
        elections: impl IntoIterator<Item = &'a str>,
        candidate: &Candidate,
        timing: &Timing,
        alarms: &Alarms,
    ) -> Vec<FileSession> {
        elections
            .into_iter()
            .map(|election| {
                let ledger = Ledger::new(
                    Directory::new(PathBuf::from(&*self.root), election),
                    candidate.clone(),
                    timing.ttl(),
                    self.clock.clone(),
                );
                FileSession::new(ledger, timing, self.connected.clone(), alarms.alarm())
            })
            .collect()
    }
}
