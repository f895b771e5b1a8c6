//! Looks after the files with credentials, on a thread of its own: a disk may hang, and the elections must not.

use super::credentials::{self, Credentials};
use super::keyring::Keyring;
use crate::config::EtcdConfig;
use crate::watched_files::{LOOK_EVERY, WatchedFiles, Why};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread;

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
    /// Begins to look after the files that the config names. `watched` has them as they were when they were read.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub(super) fn watch(
        config: &EtcdConfig,
        watched: WatchedFiles,
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
            watched,
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

struct Reader {
    config: EtcdConfig,
    reread: Arc<AtomicBool>,
    keyring: Weak<Keyring>,
    watched: WatchedFiles,
}

impl Reader {
    fn run(mut self, asked: &Receiver<()>) {
        loop {
            let why = match asked.recv_timeout(LOOK_EVERY) {
                Ok(()) => Why::Suspicion,
                Err(RecvTimeoutError::Timeout) => Why::Routine,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let is_ordered = self.reread.swap(false, Ordering::Acquire);
            let why = if is_ordered { Why::Order } else { why };
            let Some(look) = self.watched.look(why) else {
                continue;
            };
            let read = Credentials::read(&self.config);
            let Some(keyring) = self.keyring.upgrade() else {
                return;
            };
            match read {
                Ok(credentials) => {
                    self.watched.was_read(look);
                    keyring.offer(credentials);
                }
                Err(error) => {
                    if self.watched.is_news(&look, &error) {
                        keyring.unreadable(&error);
                    }
                }
            }
        }
    }
}
