//! What comes from files, and is read anew when they change.

use arc_swap::ArcSwap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Something made of the contents of files.
pub(super) struct Fresh<T> {
    /// The key of the config that names them.
    key: &'static str,
    files: Vec<PathBuf>,
    make: fn(&[Vec<u8>]) -> Result<T, String>,
    current: ArcSwap<T>,
    /// Of the contents that were read last, whether anything could be made of them or not: so each is judged once.
    seen: Mutex<Seen>,
}

/// A contents's hash, or what was wrong when the files were read.
#[derive(PartialEq, Eq)]
enum Seen {
    Contents(u64),
    Error(String),
}

impl<T> Fresh<T> {
    /// Reads the files for the first time. It blocks.
    ///
    /// # Errors
    /// A sentence that names the key and the file.
    pub(super) fn read(
        key: &'static str,
        files: Vec<PathBuf>,
        make: fn(&[Vec<u8>]) -> Result<T, String>,
    ) -> Result<Self, String> {
        let contents = contents(&files).map_err(|error| format!("{key}: {error}"))?;
        let made = make(&contents).map_err(|error| format!("{key}: {error}"))?;
        Ok(Fresh {
            key,
            files,
            make,
            current: ArcSwap::from_pointee(made),
            seen: Mutex::new(Seen::of(&contents)),
        })
    }

    pub(super) fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Takes over what the files hold by now. Where that is no good, what was good goes on, and it is said once. It blocks.
    pub(super) fn reread(&self) {
        let key = self.key;
        let contents = contents(&self.files);
        let found = match &contents {
            Ok(contents) => Seen::of(contents),
            Err(error) => Seen::Error(error.clone()),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == found {
            return;
        }
        *seen = found;
        match contents.and_then(|contents| (self.make)(&contents)) {
            Ok(made) => {
                self.current.store(Arc::new(made));
                tracing::info!(key, "files reread");
            }
            Err(error) => tracing::error!(key, error, "files not reread; the former contents stay"),
        }
    }
}

impl Seen {
    fn of(contents: &[Vec<u8>]) -> Self {
        let mut hasher = DefaultHasher::new();
        contents.hash(&mut hasher);
        Seen::Contents(hasher.finish())
    }
}

fn contents(files: &[PathBuf]) -> Result<Vec<Vec<u8>>, String> {
    files.iter().map(|file| crate::secret::read(file)).collect()
}
