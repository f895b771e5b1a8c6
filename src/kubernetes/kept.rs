//! What is made of files, and made anew when they change: on a thread of its own, since a disk may hang, and the elections
//! must not.

use crate::watched_files::{LOOK_EVERY, WatchedFiles, Why};
use arc_swap::ArcSwap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;

/// What was made last.
pub(super) type Kept<T> = Arc<ArcSwap<T>>;

/// Looks at files, and makes anew what is made of them.
#[derive(Default)]
pub(super) struct Keeper(Vec<Box<dyn FnMut() + Send>>);

/// With it, the keeper ends.
pub(super) struct Needed {
    _end: SyncSender<()>,
}

impl Keeper {
    /// Makes something for the first time. `what` is the name for people. It blocks.
    ///
    /// # Errors
    /// What `make` says.
    pub(super) fn keep<T: Send + Sync + 'static>(
        &mut self,
        what: &'static str,
        files: Vec<PathBuf>,
        make: impl Fn() -> Result<T, String> + Send + 'static,
    ) -> Result<Kept<T>, String> {
        let mut watched = WatchedFiles::new(files);
        let kept = Arc::new(ArcSwap::from_pointee(make()?));
        let current = Arc::clone(&kept);
        self.0.push(Box::new(move || {
            let Some(look) = watched.look(Why::Routine) else {
                return;
            };
            match make() {
                Ok(made) => {
                    watched.was_read(look);
                    current.store(Arc::new(made));
                    tracing::info!(what, "the cluster's credentials reread");
                }
                Err(error) => {
                    if watched.is_news(&look, &error) {
                        tracing::error!(
                            what,
                            error,
                            "the cluster's credentials not reread; the former stay in use"
                        );
                    }
                }
            }
        }));
        Ok(kept)
    }

    /// Begins to look.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub(super) fn start(self) -> Result<Needed, String> {
        let (needed, end) = sync_channel(0);
        // Nobody waits for its end: it may hang with the disk, and holds nothing.
        thread::Builder::new()
            .name("credentials".to_owned())
            .spawn(move || self.run(&end))
            .map_err(|error| format!("starting a thread: {error}"))?;
        Ok(Needed { _end: needed })
    }

    fn run(mut self, end: &Receiver<()>) {
        while end.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            for look in &mut self.0 {
                look();
            }
        }
    }
}
