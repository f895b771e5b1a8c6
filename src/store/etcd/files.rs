//! Looks after the files with credentials, on a thread of its own: a disk may hang, and the elections must not.
//!
//! It polls. What would be told of a change differs between a file that is written over, one that is renamed into
//! place, and Kubernetes, which exchanges a symbolic link to a directory of all of them; and some file systems tell nothing.
//! A look costs a system call for each file.

use super::credentials::{self, Credentials};
use super::keyring::Keyring;
use crate::config::EtcdConfig;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

/// How often to look.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Asks for a look. With the last of its clones, the thread ends.
#[derive(Clone)]
pub(super) struct Files(Option<Asks>);

#[derive(Clone)]
struct Asks {
    /// To look at once. One that waits is as good as several.
    look: SyncSender<()>,
    /// And to read, whether anything has changed or not.
    reread: Arc<AtomicBool>,
}

impl Files {
    /// Begins to look after the files that the config names. `read_at` is what they were when they were read.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub(super) fn watch(
        config: &EtcdConfig,
        read_at: Stamp,
        keyring: &Arc<Keyring>,
    ) -> io::Result<Self> {
        if !credentials::are_needed(config) {
            return Ok(Files(None));
        }
        let (look, asked) = sync_channel(1);
        let reread = Arc::new(AtomicBool::new(false));
        let reader = Reader {
            reread: Arc::clone(&reread),
            config: config.clone(),
            keyring: Arc::downgrade(keyring),
            last_seen: read_at.clone(),
            read_at,
            complained: None,
        };
        // Nobody waits for its end: it may hang with the disk, and holds nothing.
        let thread = thread::Builder::new().name("credentials".to_owned());
        thread.spawn(move || reader.run(&asked))?;
        Ok(Files(Some(Asks { look, reread })))
    }

    /// Somebody was not let in: looks at once.
    pub(super) fn look(&self) {
        if let Some(asks) = &self.0 {
            // Fails where others have asked already.
            let _ = asks.look.try_send(());
        }
    }

    /// Reads at once.
    pub(super) fn reread(&self) {
        if let Some(asks) = &self.0 {
            asks.reread.store(true, Ordering::Release);
        }
        self.look();
    }
}

/// What tells one state of the files from another, without reading them. Links are followed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<[i64; 6]>>);

impl Stamp {
    pub(super) fn of(files: &[PathBuf]) -> Self {
        let stamps = files.iter().map(|file| {
            let found = fs::metadata(file).ok()?;
            let (device, inode) = (found.dev().cast_signed(), found.ino().cast_signed());
            let (modified, changed) = (found.mtime_nsec(), found.ctime_nsec());
            Some([
                device,
                inode,
                found.mtime(),
                modified,
                found.ctime(),
                changed,
            ])
        });
        Stamp(stamps.collect())
    }
}

struct Reader {
    config: EtcdConfig,
    reread: Arc<AtomicBool>,
    keyring: Weak<Keyring>,
    last_seen: Stamp,
    /// What they were when they could be read.
    read_at: Stamp,
    complained: Option<String>,
}

impl Reader {
    fn run(mut self, asked: &Receiver<()>) {
        let files = credentials::files(&self.config);
        loop {
            let is_asked = match asked.recv_timeout(LOOK_EVERY) {
                Ok(()) => true,
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let is_ordered = self.reread.swap(false, Ordering::Acquire);
            let seen = Stamp::of(&files);
            let has_changed = seen != self.read_at;
            // Of a certificate and its key, one is written first: what changes is read once it has come to rest.
            let has_settled = seen == self.last_seen;
            self.last_seen = seen.clone();
            let is_final = is_ordered || (has_changed && has_settled);
            if !(is_final || is_asked && has_changed) {
                continue;
            }
            let read = Credentials::read(&self.config);
            let Some(keyring) = self.keyring.upgrade() else {
                return;
            };
            match read {
                Ok(credentials) => {
                    self.complained = None;
                    self.read_at = seen;
                    keyring.offer(credentials);
                }
                // It may pass: each look tries again, and what was complained about is not repeated.
                Err(error) if is_final => {
                    let last = self.complained.replace(error.clone());
                    if is_ordered || last.as_ref() != Some(&error) {
                        keyring.unreadable(&error);
                    }
                }
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_stamp_changes_with_what_links_lead_to_and_where_a_file_goes_or_comes() {
        let directory = tempfile::TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        for version in ["1", "2"] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("file"), "same").unwrap();
        }
        // As Kubernetes mounts a secret.
        symlink("1", at("..data")).unwrap();
        symlink("..data/file", at("file")).unwrap();
        let files = [at("file")];
        let first = Stamp::of(&files);
        assert!(first == Stamp::of(&files));
        symlink("2", at("..new")).unwrap();
        fs::rename(at("..new"), at("..data")).unwrap();
        let second = Stamp::of(&files);
        assert!(first != second);
        fs::remove_file(at("..data")).unwrap();
        assert!(second != Stamp::of(&files) && first != Stamp::of(&files));
    }
}
