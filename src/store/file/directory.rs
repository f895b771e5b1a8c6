//! The directory of one election: reading the state that counts, and putting another in its place.
//!
//! The names and their meaning are those of the [parent module](super).

use super::error::FileStoreError;
use super::state::State;
use rustix::fs::{Mode, OFlags};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How far behind the head a state is left, so that a slow reader still finds what the head named.
const KEPT: u64 = 4;

/// How often a reader looks again who is overtaken by writers; each time, one of them got on.
const LOOKS: usize = 100;

/// Longer than any state that candidates could have written.
const LONGEST_STATE: u64 = 64 << 20;

/// The directory of one election.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    root: PathBuf,
    path: PathBuf,
}

/// Which state counts: what the name of the head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Head {
    pub(super) revision: u64,
    nonce: u64,
}

/// A state that counted while it was read.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) head: Head,
    pub(super) state: State,
    /// All the states there were.
    states: Vec<Head>,
}

/// What lies in the directory.
#[derive(Debug, Default)]
struct Listing {
    heads: Vec<Head>,
    states: Vec<Head>,
}

/// A state that is written and synced, and does not count yet.
#[derive(Debug)]
pub(super) struct Prepared(Head);

/// Checks that there is a directory that can be written, creating it if only its parent exists.
pub(super) fn open_root(root: &Path) -> Result<(), FileStoreError> {
    match DirBuilder::new().mode(0o700).create(root) {
        Ok(()) => {}
        Err(err) if err.kind() == ErrorKind::AlreadyExists => {}
        Err(err) => return Err(FileStoreError::io("create", root)(err)),
    }
    remove_unfinished(root)?;
    let probe = root.join(format!("{:016x}.{PROBE}", nonce()));
    write_file(&probe, b"probe")?;
    // Another that opens the store may just have removed it.
    let _ = fs::remove_file(&probe);
    sync_directory(root)
}

impl Directory {
    pub(super) fn new(root: PathBuf, election: &str) -> Self {
        let path = root.join(format!("{election}.d"));
        Directory { root, path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The state that counts; none where the election has never been held.
    pub(super) fn read(&self) -> Result<Option<Found>, FileStoreError> {
        let mut overtaken = None;
        for _ in 0..LOOKS {
            let Some(Listing { heads, states }) = self.list()? else {
                return Ok(None);
            };
            let &[head] = heads.as_slice() else {
                // A list that is not taken at one moment can show a head that moves twice, or never.
                overtaken = Some(self.heads(heads.len()));
                continue;
            };
            let path = self.path.join(head.state_name());
            match read_state(&path, head) {
                Ok(state) => {
                    return Ok(Some(Found {
                        head,
                        state,
                        states,
                    }));
                }
                Err(FileStoreError::Io { cause, .. }) if cause.kind() == ErrorKind::NotFound => {
                    overtaken = Some(FileStoreError::corrupt(&path, "it is missing"));
                }
                Err(err) => return Err(err),
            }
        }
        Err(overtaken.unwrap_or_else(|| self.heads(0)))
    }

    /// Creates the election, unless somebody else just has, or stood in the way: read again.
    pub(super) fn create(&self) -> Result<(), FileStoreError> {
        let unfinished = self.root.join(format!("{:016x}.{UNFINISHED}", nonce()));
        DirBuilder::new()
            .mode(0o700)
            .create(&unfinished)
            .map_err(FileStoreError::io("create", &unfinished))?;
        let directory = Directory {
            root: self.root.clone(),
            path: unfinished,
        };
        // The rename fails where there is an election already: it is not empty.
        let created = directory.fill().and_then(|()| {
            fs::rename(&directory.path, &self.path)
                .map_err(FileStoreError::io("create", &self.path))
        });
        match created {
            Ok(()) => sync_directory(&self.root),
            Err(err) => {
                // What is left is removed when a store is opened next.
                let _ = fs::remove_dir_all(&directory.path);
                if is_settled(&err) { Ok(()) } else { Err(err) }
            }
        }
    }

    fn fill(&self) -> Result<(), FileStoreError> {
        let Prepared(head) = self.write(&State::default())?;
        write_file(&self.path.join(head.name()), b"")?;
        sync_directory(&self.path)
    }

    /// Writes a state, to count later.
    pub(super) fn prepare(&self, next: &State) -> Result<Prepared, FileStoreError> {
        let prepared = self.write(next)?;
        sync_directory(&self.path)?;
        Ok(prepared)
    }

    fn write(&self, next: &State) -> Result<Prepared, FileStoreError> {
        let head = Head {
            revision: next.revision,
            nonce: nonce(),
        };
        let path = self.path.join(head.state_name());
        let text = next.encode().map_err(FileStoreError::io("encode", &path))?;
        write_file(&path, &text)?;
        Ok(Prepared(head))
    }

    /// Makes the prepared state count, if the one that was found still does. Says whether it did.
    pub(super) fn commit(&self, found: &Found, prepared: Prepared) -> Result<bool, FileStoreError> {
        let head = self.path.join(found.head.name());
        let next = self.path.join(prepared.0.name());
        match fs::rename(&head, &next) {
            Ok(()) => {}
            Err(err) if err.kind() == ErrorKind::NotFound => {
                // A network file system may have repeated a rename whose answer was lost.
                if !next
                    .try_exists()
                    .map_err(FileStoreError::io("read", &next))?
                {
                    self.discard(prepared);
                    return Ok(false);
                }
            }
            // Nobody knows whether it counts now, so the state has to stay.
            Err(err) => return Err(FileStoreError::io("rename", &head)(err)),
        }
        sync_directory(&self.path)?;
        Ok(true)
    }

    /// Removes a state that is not to count after all.
    pub(super) fn discard(&self, prepared: Prepared) {
        // What stays is out of the way, and removed when the head is well past it.
        let _ = fs::remove_file(self.path.join(prepared.0.state_name()));
    }

    /// Removes what lies well behind a head that counted.
    pub(super) fn tidy(&self, found: &Found, revision: u64) {
        for state in &found.states {
            if state.revision < revision.saturating_sub(KEPT) {
                // Others tidy up at the same time.
                let _ = fs::remove_file(self.path.join(state.state_name()));
            }
        }
    }

    fn list(&self) -> Result<Option<Listing>, FileStoreError> {
        let read = |err| FileStoreError::io("read", &self.path)(err);
        let names = match fs::read_dir(&self.path) {
            Ok(names) => names,
            Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(read(err)),
        };
        let (mut listing, mut empty) = (Listing::default(), true);
        for name in names {
            let name = name.map_err(read)?.file_name();
            empty = false;
            let Some(name) = name.to_str() else { continue };
            listing.heads.extend(Head::of_name(name));
            listing.states.extend(Head::of_state_name(name));
        }
        Ok((!empty).then_some(listing))
    }

    fn heads(&self, heads: usize) -> FileStoreError {
        FileStoreError::Heads {
            path: self.path.clone(),
            heads,
        }
    }
}

impl Head {
    pub(super) fn name(self) -> String {
        format!("head.{:020}.{:016x}", self.revision, self.nonce)
    }

    pub(super) fn state_name(self) -> String {
        format!("state.{:020}.{:016x}.json", self.revision, self.nonce)
    }

    fn of_name(name: &str) -> Option<Self> {
        Self::parse(name.strip_prefix("head.")?).filter(|head| head.name() == name)
    }

    fn of_state_name(name: &str) -> Option<Self> {
        let inner = name.strip_prefix("state.")?.strip_suffix(".json")?;
        Self::parse(inner).filter(|head| head.state_name() == name)
    }

    fn parse(text: &str) -> Option<Self> {
        let (revision, nonce) = text.split_once('.')?;
        Some(Head {
            revision: revision.parse().ok()?,
            nonce: u64::from_str_radix(nonce, 16).ok()?,
        })
    }
}

/// A number that nobody else draws: names made of it are never used twice.
pub(super) fn nonce() -> u64 {
    let mut bytes = [0; 8];
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK) {
        Ok(8) => u64::from_ne_bytes(bytes),
        // Right after boot, on a host without a source of randomness.
        _ => fastrand::u64(..),
    }
}

fn read_state(path: &Path, head: Head) -> Result<State, FileStoreError> {
    let text = read_file(path)?;
    let mut state =
        State::decode(&text).map_err(|problem| FileStoreError::corrupt(path, problem))?;
    if state.revision > head.revision {
        let problem = format!("it is of revision {}, above its name's", state.revision);
        return Err(FileStoreError::corrupt(path, problem));
    }
    // A state that somebody renamed to mend the election is older than its name; tokens go on from the name.
    state.revision = head.revision;
    Ok(state)
}

/// Does not wait on what only looks like a file, such as a FIFO.
fn read_file(path: &Path) -> Result<Vec<u8>, FileStoreError> {
    let read = |err| FileStoreError::io("read", path)(err);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::LOOP) => {
            return Err(FileStoreError::corrupt(path, "it is a symbolic link"));
        }
        Err(err) => return Err(read(err.into())),
    };
    let metadata = file.metadata().map_err(read)?;
    if !metadata.is_file() {
        return Err(FileStoreError::corrupt(path, "it is not a regular file"));
    }
    if metadata.len() > LONGEST_STATE {
        return Err(FileStoreError::corrupt(path, "it is too long"));
    }
    let mut text = Vec::new();
    file.take(LONGEST_STATE)
        .read_to_end(&mut text)
        .map_err(read)?;
    Ok(text)
}

fn write_file(path: &Path, text: &[u8]) -> Result<(), FileStoreError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(FileStoreError::io("create", path))?;
    let written = file.write_all(text).and_then(|()| file.sync_all());
    written.map_err(|err| {
        // Half a file is of no use to anybody, and takes the room that may be lacking.
        let _ = fs::remove_file(path);
        FileStoreError::io("write", path)(err)
    })
}

fn sync_directory(path: &Path) -> Result<(), FileStoreError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(FileStoreError::io("sync", path))
}

// The endings of what is not an election's directory: those end otherwise.

/// To become an election's.
const UNFINISHED: &str = "unfinished";
/// To be removed.
const ABANDONED: &str = "abandoned";
/// Written on opening a store, to see that it can be.
const PROBE: &str = "probe";

/// Removes what a crash left of an election's creation, or of this very cleaning.
///
/// The creator may not have crashed but be slow. So the directory is renamed first: from then on its creation fails,
/// and is tried anew; if the creator was faster, there is nothing to rename. Half an election never comes to be.
fn remove_unfinished(root: &Path) -> Result<(), FileStoreError> {
    let read = |err| FileStoreError::io("read", root)(err);
    for entry in fs::read_dir(root).map_err(read)? {
        let name = entry.map_err(read)?.file_name();
        let Some((nonce, ending)) = name.to_str().and_then(|name| name.split_once('.')) else {
            continue;
        };
        if nonce.len() != 16 || u64::from_str_radix(nonce, 16).is_err() {
            continue;
        }
        let path = root.join(&name);
        let abandoned = path.with_extension(ABANDONED);
        // Another may be cleaning up as well: what fails is done, or will be next time.
        let _ = match ending {
            PROBE => fs::remove_file(&path),
            UNFINISHED => {
                fs::rename(&path, &abandoned).and_then(|()| fs::remove_dir_all(&abandoned))
            }
            ABANDONED => fs::remove_dir_all(&abandoned),
            _ => Ok(()),
        };
    }
    Ok(())
}

/// There is an election already, or what was prepared has been cleaned away.
fn is_settled(err: &FileStoreError) -> bool {
    use ErrorKind::{AlreadyExists, DirectoryNotEmpty, NotFound};
    let FileStoreError::Io { cause, .. } = err else {
        return false;
    };
    matches!(cause.kind(), DirectoryNotEmpty | AlreadyExists | NotFound)
}
