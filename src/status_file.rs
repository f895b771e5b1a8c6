//! Each election's state as a file, for those who would rather read one than ask.
//!
//! What is in it is a promise, on record before it is written, and says by itself when it ends, by a clock that the
//! reader can read as well: so a sidecar that is frozen, or that can't write any more, leaves nothing that is believed
//! for too long. A reader finds a whole file at any time, the old one or the new one. Nothing waits for the disk: the
//! files are of no meaning after a restart of the host.
//!
//! All of it is done on a thread of its own, so no disk that hangs holds up an election, a request, or the end.

use crate::clock;
use crate::election::{Role, Time};
use crate::status::{Answer, Change, ElectionStatus, Snapshot, rfc3339};
use serde::Serialize;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long the last state of each election may take to be written.
const PATIENCE: Duration = Duration::from_secs(2);

/// For everybody to read, and for nobody else to write.
const MODE: u32 = 0o644;

/// What tells one boot of this host from another.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The files of some elections, kept up to date until each has stopped.
#[derive(Debug)]
pub struct StatusFiles {
    ended: oneshot::Receiver<()>,
}

impl StatusFiles {
    /// Writes each file once, and then starts a thread that writes it at every change.
    ///
    /// # Errors
    /// Where a file can't be written; the error names the key of the config and a remedy.
    pub fn start(files: Vec<(Arc<ElectionStatus>, PathBuf)>) -> io::Result<Self> {
        let (end, ended) = oneshot::channel();
        if files.is_empty() {
            return Ok(StatusFiles { ended });
        }
        let boot_id: Arc<str> = fs::read_to_string(BOOT_ID)
            .map_err(|error| {
                explained(&error, BOOT_ID, "a host without it can't have status files")
            })?
            .trim()
            .into();
        let mut writers = Vec::new();
        for (number, (status, path)) in files.into_iter().enumerate() {
            let writer = Writer::new(status, path, number, Arc::clone(&boot_id));
            writer.write().map_err(|error| {
                let remedy = "make its directory, writable to tenure, or choose another path";
                explained(&error, &writer.path.display().to_string(), remedy)
            })?;
            writers.push(writer);
        }
        let runtime = Builder::new_current_thread().build()?;
        let thread = thread::Builder::new().name("status files".to_owned());
        thread.spawn(move || {
            runtime.block_on(async {
                let writers: JoinSet<()> = writers.into_iter().map(Writer::keep).collect();
                writers.join_all().await;
            });
            let _ = end.send(());
        })?;
        Ok(StatusFiles { ended })
    }

    /// Returns when it is written of each election that it has stopped; a disk that hangs is not waited for.
    pub async fn finish(self) {
        if timeout(PATIENCE, self.ended).await.is_err() {
            tracing::warn!("the last state is not in every status file: writing takes too long");
        }
    }
}

fn explained(error: &io::Error, path: &str, remedy: &str) -> io::Error {
    let message = format!("status_file: {path}: {error}; {remedy}");
    io::Error::new(error.kind(), message)
}

/// Keeps the file of one election.
struct Writer {
    status: Arc<ElectionStatus>,
    changes: Receiver<(Change, Arc<Snapshot>)>,
    path: PathBuf,
    /// In the same directory, for a file can't be renamed from one file system to another.
    unfinished: PathBuf,
    boot_id: Arc<str>,
}

impl Writer {
    fn new(status: Arc<ElectionStatus>, path: PathBuf, number: usize, boot_id: Arc<str>) -> Self {
        // Not made of the file's own name, which may be as long as names can be.
        // Nor of this process's id: that of sidecars in several containers may be the same.
        let name = format!(".tenure-{:016x}-{number}", fastrand::u64(..));
        Writer {
            changes: status.subscribe(),
            status,
            unfinished: path.with_file_name(name),
            path,
            boot_id,
        }
    }

    /// Writes what is true by then at every change. It matters only which state is the newest.
    async fn keep(mut self) {
        let mut failing = false;
        loop {
            match self.changes.recv().await {
                Ok(_) | Err(RecvError::Lagged(_)) => self.changes = self.changes.resubscribe(),
                Err(RecvError::Closed) => return,
            }
            let stopped = self.status.snapshot().view.role == Role::Stopped;
            match self.write() {
                Ok(()) if std::mem::take(&mut failing) => {
                    tracing::info!(path = %self.path.display(), "the status file is written again");
                }
                Err(error) if !std::mem::replace(&mut failing, true) => {
                    let path = self.path.display();
                    tracing::warn!(%error, %path, "can't write the status file; each change tries again");
                }
                Ok(()) | Err(_) => {}
            }
            if stopped {
                return;
            }
        }
    }

    /// Writes the state at this moment.
    fn write(&self) -> io::Result<()> {
        let now = clock::now();
        let (answer, until) = self.status.promise_until(now);
        let content = content(answer, until.map(|until| self.expiry(now, until)));
        self.replace(&content)
            .inspect_err(|_| drop(fs::remove_file(&self.unfinished)))
    }

    fn expiry(&self, now: Time, until: Time) -> Expiry<'_> {
        Expiry {
            boottime_ms: until.as_nanos() / 1_000_000,
            boot_id: &self.boot_id,
            time: rfc3339(clock::date() + until.since(now)),
        }
    }

    fn replace(&self, content: &[u8]) -> io::Result<()> {
        let unfinished: &Path = &self.unfinished;
        // One that a crash has left; in a directory that others write to, it may also be a link to elsewhere.
        match fs::remove_file(unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(MODE)
            .open(unfinished)?;
        // Whatever the umask says.
        file.set_permissions(Permissions::from_mode(MODE))?;
        file.write_all(content)?;
        fs::rename(unfinished, &self.path)
    }
}

/// When a promise ends, for a reader to compare with a clock of its own.
#[derive(Serialize)]
struct Expiry<'a> {
    /// By CLOCK_BOOTTIME.
    boottime_ms: u64,
    /// Another boot has another clock.
    boot_id: &'a str,
    /// By the wall clock, which may be set while the promise lasts.
    time: String,
}

/// The election, and when what it says of leadership ends. A file is read later than it is written: it has no
/// `valid_for_ms`, which would be too long by then.
fn content(answer: Answer, valid_until: Option<Expiry<'_>>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Content<'a> {
        #[serde(flatten)]
        election: Answer,
        valid_until: Option<Expiry<'a>>,
    }
    let content = Content {
        election: Answer {
            valid_for_ms: None,
            ..answer
        },
        valid_until,
    };
    // Nothing in it can fail to serialize.
    let mut bytes = serde_json::to_vec(&content).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::election::{Candidate, Claim, LeaseId, View};
    use serde_json::Value;
    use std::os::unix::fs::MetadataExt;

    const LONG: Duration = Duration::from_secs(3600);

    fn status() -> Arc<ElectionStatus> {
        let candidate = Candidate {
            id: "a".into(),
            advertise: None,
        };
        Arc::new(ElectionStatus::new("payments", &candidate, clock::date()))
    }

    fn publish(status: &ElectionStatus, role: Role) {
        status.publish(
            View {
                role,
                holder: None,
                held_back: None,
            },
            clock::date(),
        );
    }

    fn lead(status: &ElectionStatus, valid_until: Time) {
        let claim = Claim {
            token: 4711,
            lease: LeaseId(7),
            valid_until,
            overdue_from: valid_until,
        };
        publish(status, Role::Leader(claim));
    }

    fn writer(status: &Arc<ElectionStatus>, path: &Path) -> Writer {
        Writer::new(Arc::clone(status), path.to_owned(), 0, "boot".into())
    }

    fn read(path: &Path) -> Value {
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn a_leader_is_written_with_an_end_that_is_promised_and_nobody_else_with_any() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("payments.json");
        let status = status();
        let writer = writer(&status, &path);
        writer.write().unwrap();
        let json = read(&path);
        assert_eq!(json["state"], "starting");
        assert!(json["valid_until"].is_null());

        let until = clock::now() + LONG;
        lead(&status, until);
        writer.write().unwrap();
        assert_eq!(status.promised_until(), until);
        let json = read(&path);
        assert_eq!(json["state"], "leader");
        assert_eq!(json["fencing_token"], 4711);
        assert!(json["valid_for_ms"].is_null());
        let end = &json["valid_until"];
        assert_eq!(end["boottime_ms"], until.as_nanos() / 1_000_000);
        assert_eq!(end["boot_id"], "boot");
        let time = humantime::parse_rfc3339(end["time"].as_str().unwrap()).unwrap();
        let left = time.duration_since(clock::date()).unwrap();
        assert!(left <= LONG && left > LONG / 2, "{left:?}");

        // A claim that has run out is none, though nothing newer was published.
        lead(&status, clock::now());
        writer.write().unwrap();
        let json = read(&path);
        assert_eq!(json["state"], "stepping_down");
        assert!(json["valid_until"].is_null());
        assert_eq!(status.promised_until(), until);
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_everybody_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("payments.json");
        let elsewhere = directory.path().join("elsewhere");
        let status = status();
        let writer = writer(&status, &path);
        fs::write(&elsewhere, "untouched").unwrap();
        std::os::unix::fs::symlink(&elsewhere, &writer.unfinished).unwrap();
        writer.write().unwrap();
        let first = fs::metadata(&path).unwrap();
        assert_eq!(first.permissions().mode() & 0o7777, MODE);
        let kept = fs::File::open(&path).unwrap();
        writer.write().unwrap();
        assert_ne!(fs::metadata(&path).unwrap().ino(), first.ino());
        assert_eq!(kept.metadata().unwrap().nlink(), 0);
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "untouched");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_cannot_be_replaced_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("payments.json");
        fs::create_dir(&path).unwrap();
        writer(&status(), &path).write().unwrap_err();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_written_at_first_is_an_error_that_names_the_key_and_the_remedy() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("none/payments.json");
        let error = StatusFiles::start(vec![(status(), path.clone())]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "status_file: {}: No such file or directory (os error 2); make its directory, writable to tenure, or choose another path",
                path.display()
            )
        );
    }

    #[test]
    fn every_election_is_written_to_its_end_though_a_directory_is_missing_for_a_while() {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let (here, moved) = (
            directory.path().join("here"),
            directory.path().join("moved"),
        );
        fs::create_dir(&here).unwrap();
        let elections = [status(), status()];
        let paths = [here.join("a.json"), here.join("b.json")];
        let files = elections.iter().cloned().zip(paths.iter().cloned());
        let files = StatusFiles::start(files.collect()).unwrap();
        fs::rename(&here, &moved).unwrap();
        lead(&elections[0], clock::now() + LONG);
        fs::rename(&moved, &here).unwrap();
        for election in &elections {
            publish(election, Role::Stopped);
        }
        runtime.block_on(files.finish());
        for path in paths {
            assert_eq!(read(&path)["state"], "stopped");
        }
    }
}
