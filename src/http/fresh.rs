//! What comes from files, and is read anew when they change.

use crate::secret;
use crate::status;
use crate::watched_files::{WatchedFiles, Why};
use arc_swap::ArcSwap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Something made of the contents of files.
pub(super) struct Fresh<T> {
    /// The key of the config that names them.
    key: &'static str,
    files: Vec<PathBuf>,
    make: Make<T>,
    current: ArcSwap<T>,
    watched: Mutex<WatchedFiles>,
    status: Arc<status::Credentials>,
}

/// Makes it, and says until when it holds, in seconds since 1970, where it does not hold for ever; or in which of the files
/// something is wrong, and what.
pub(super) type Make<T> = fn(&[Vec<u8>]) -> Result<(T, Option<u64>), (usize, String)>;

impl<T> Fresh<T> {
    /// Reads the files for the first time. It blocks.
    ///
    /// # Errors
    /// A sentence that names the key and the file.
    pub(super) fn read(
        key: &'static str,
        files: Vec<PathBuf>,
        make: Make<T>,
    ) -> Result<Self, String> {
        let watched = WatchedFiles::new(files.clone());
        let made = make_of(&files, make).map_err(|error| format!("{key}: {error}"));
        let (made, expiry) = made?;
        let status = status::Credentials::new(key, status::Certificate::Server);
        status.in_use(expiry);
        Ok(Fresh {
            key,
            files,
            make,
            current: ArcSwap::from_pointee(made),
            watched: Mutex::new(watched),
            status: Arc::new(status),
        })
    }

    pub(super) fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    pub(super) fn status(&self) -> Arc<status::Credentials> {
        Arc::clone(&self.status)
    }

    /// Takes over what the files hold by now. Where that is no good, what was good goes on, and it is said. It blocks.
    pub(super) fn reread(&self, why: Why) {
        let key = self.key;
        // Nobody panics while holding it.
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(look) = watched.look(why) else {
            return;
        };
        match make_of(&self.files, self.make) {
            Ok((made, expiry)) => {
                watched.was_read(look);
                self.current.store(Arc::new(made));
                self.status.in_use(expiry);
                self.status.reloaded();
                tracing::info!(key, "files reread");
            }
            Err(error) => {
                if watched.is_news(&look, &error) {
                    self.status.failed();
                    tracing::error!(key, error, "files not reread; the former contents stay");
                }
            }
        }
    }
}

fn make_of<T>(files: &[PathBuf], make: Make<T>) -> Result<(T, Option<u64>), String> {
    let contents: Result<Vec<_>, _> = files.iter().map(|file| secret::read(file)).collect();
    make(&contents?).map_err(|(at, why)| match files.get(at) {
        Some(file) => format!("{}: {why}", file.display()),
        None => why,
    })
}
