//! What can go wrong with a directory, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why the store could not do what it was asked to. Whoever leads then runs into the deadline, and nobody takes over; but
/// where the directory went back, who leads is told at once, for others may.
#[derive(Debug, thiserror::Error)]
pub enum FileStoreError {
    /// The file system refused.
    #[error("cannot {doing} {}: {cause}; {}", path.display(), remedy(cause))]
    Io {
        /// A verb.
        doing: &'static str,
        /// What to.
        path: PathBuf,
        /// What the file system said.
        cause: io::Error,
    },
    /// A state is not what a candidate wrote.
    #[error(
        "{} is no intact state of an election: {problem}; nobody is elected until that is mended: let a ttl pass, then \
         rename an intact state file beside it, and the head with it, to a revision above all those there",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Nothing, or more than one thing, says which state counts.
    #[error(
        "{} has {heads} files head.*, not 1; nobody is elected until that is mended: let a ttl pass, then leave one, \
         named like an intact state file and of a revision above all those there",
        path.display()
    )]
    Heads {
        /// The election's directory.
        path: PathBuf,
        /// How many.
        heads: usize,
    },
    /// The directory was removed, or replaced by an older copy, while this candidate was at work.
    #[error(
        "{} went back from revision {seen} to {found}, so that fencing tokens would repeat; put the later state back, or \
         stop every candidate of this election for a ttl before starting them again",
        path.display()
    )]
    WentBack {
        /// The election's directory.
        path: PathBuf,
        /// The greatest revision seen before.
        seen: u64,
        /// The one there now; 0 where there is none.
        found: u64,
    },
    /// The disk hangs, or this process stood still.
    #[error("no answer from {} within {after:?}; check the disk", path.display())]
    TimedOut {
        /// The election's directory.
        path: PathBuf,
        /// The retry_period.
        after: Duration,
    },
    /// No thread to work on.
    #[error("cannot start a thread: {0}; raise the limit on processes")]
    Thread(io::Error),
}

impl FileStoreError {
    /// For `map_err`.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| FileStoreError::Io { doing, path, cause }
    }

    pub(super) fn corrupt(path: &Path, problem: impl Into<String>) -> Self {
        FileStoreError::Corrupt {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }
}

fn remedy(cause: &io::Error) -> &'static str {
    use io::ErrorKind::{
        NotADirectory, NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
    };
    match cause.kind() {
        NotFound => "create the directory that it belongs in",
        NotADirectory => "set store.file.directory to a directory",
        PermissionDenied => "run every candidate as the user who owns the directory",
        ReadOnlyFilesystem => "choose a directory on a file system that can be written",
        StorageFull | QuotaExceeded => "make room on its file system",
        _ => "check the file system",
    }
}
