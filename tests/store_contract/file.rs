//! The file store on the bench.

use crate::peer::alarms;
use crate::suite::{self, Bench};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tempfile::TempDir;
use tenure::election::{Candidate, Timing};
use tenure::store::Session;
use tenure::store::file::FileStore;

/// A directory of its own.
pub(crate) struct FileBench {
    directory: TempDir,
    store: FileStore,
}

impl Bench for FileBench {
    async fn set_up() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory);
        FileBench { directory, store }
    }

    fn timing(&self) -> Timing {
        suite::timing(Duration::from_millis(1500))
    }

    fn session(&self, candidate: &Candidate) -> Box<dyn Session> {
        let sessions = self
            .store
            .sessions(["contract"], candidate, &self.timing(), &alarms());
        Box::new(sessions.into_iter().next().unwrap())
    }

    async fn restart(&mut self) {
        self.store = open(&self.directory);
    }
}

fn open(directory: &TempDir) -> FileStore {
    FileStore::open(directory.path(), Arc::new(AtomicBool::new(false))).unwrap()
}
