//! Files with credentials that are read anew when they change: when it is time to, and what is worth a complaint.
//!
//! They are looked at again and again. What would be told of a change differs between a file that is written over, one that is
//! renamed into place, and Kubernetes, which exchanges a symbolic link to a directory of all of them; and some file
//! systems tell nothing. A look costs a system call for each file.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

/// How often to look.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Files, and what was last seen of them.
#[derive(Debug)]
pub struct WatchedFiles {
    files: Vec<PathBuf>,
    last_seen: Stamp,
    /// What they were when they could be read.
    read_at: Stamp,
    complained: Option<String>,
}

/// Why to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is time to.
    Routine,
    /// Somebody was not let in.
    Suspicion,
    /// Somebody asked for them to be read, whether they have changed or not.
    Order,
}

/// That the files are to be read. Say what came of it: [`WatchedFiles::was_read`] or [`WatchedFiles::is_news`].
#[derive(Debug)]
pub struct Look {
    seen: Stamp,
    why: Why,
    has_settled: bool,
}

impl WatchedFiles {
    /// Stamps the files; call it before they are read for the first time.
    pub fn new(files: Vec<PathBuf>) -> Self {
        let stamp = Stamp::of(&files);
        WatchedFiles {
            files,
            last_seen: stamp.clone(),
            read_at: stamp,
            complained: None,
        }
    }

    /// Whether to read them. Of a certificate and its key, one is written first: what changes is read once it has come
    /// to rest, unless somebody can't wait.
    pub fn look(&mut self, why: Why) -> Option<Look> {
        let seen = Stamp::of(&self.files);
        // What was complained about may have been exchanged for what there was before.
        let has_changed = seen != self.read_at || self.complained.is_some();
        let has_settled = seen == self.last_seen;
        self.last_seen = seen.clone();
        let is_to_be_read = match why {
            Why::Order => true,
            Why::Suspicion => has_changed,
            Why::Routine => has_changed && has_settled,
        };
        is_to_be_read.then_some(Look {
            seen,
            why,
            has_settled,
        })
    }

    /// They could be read.
    pub fn was_read(&mut self, look: Look) {
        self.read_at = look.seen;
        self.complained = None;
    }

    /// They could not be read, or not be used. It may pass, so the next look reads again; whether to complain this time.
    pub fn is_news(&mut self, look: &Look, error: &str) -> bool {
        if look.why == Why::Suspicion && !look.has_settled {
            return false;
        }
        let last = self.complained.replace(error.to_owned());
        look.why == Why::Order || last.as_deref() != Some(error)
    }
}

/// What tells one state of the files from another, without reading them. Links are followed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp(Vec<Option<[i64; 6]>>);

impl Stamp {
    fn of(files: &[PathBuf]) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use tempfile::TempDir;

    fn two_files(directory: &Path) -> [PathBuf; 2] {
        let files = ["cert", "key"].map(|name| directory.join(name));
        for file in &files {
            fs::write(file, "first").unwrap();
        }
        files
    }

    /// By another file each time: the clock of a file system may stand still between two writes.
    fn replace(file: &Path, content: &str) {
        let next = file.with_extension(content);
        fs::write(&next, content).unwrap();
        fs::rename(next, file).unwrap();
    }

    #[test]
    fn a_stamp_changes_with_what_links_lead_to_and_where_a_file_goes_or_comes() {
        let directory = TempDir::new().unwrap();
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

    #[test]
    fn files_that_change_one_after_the_other_are_read_when_they_have_come_to_rest() {
        let directory = TempDir::new().unwrap();
        let [cert, key] = two_files(directory.path());
        let mut watched = WatchedFiles::new(vec![cert.clone(), key.clone()]);
        assert!(watched.look(Why::Routine).is_none());
        replace(&cert, "second");
        assert!(watched.look(Why::Routine).is_none(), "the key may follow");
        replace(&key, "second");
        assert!(watched.look(Why::Routine).is_none(), "and has just done so");
        let look = watched.look(Why::Routine).expect("nothing moves any more");
        watched.was_read(look);
        assert!(watched.look(Why::Routine).is_none());
    }

    #[test]
    fn files_that_come_back_as_they_were_are_read_again() {
        let directory = TempDir::new().unwrap();
        let [here, away] = ["here", "away"].map(|name| directory.path().join(name));
        fs::create_dir(&here).unwrap();
        let mut watched = WatchedFiles::new(two_files(&here).into());
        let before = watched.last_seen.clone();
        fs::rename(&here, &away).unwrap();
        watched.look(Why::Routine);
        let look = watched.look(Why::Routine).unwrap();
        assert!(watched.is_news(&look, "no such file"));
        fs::rename(&away, &here).unwrap();
        watched.look(Why::Routine);
        assert_eq!(watched.last_seen, before);
        let look = watched.look(Why::Routine).unwrap();
        watched.was_read(look);
        assert!(watched.look(Why::Routine).is_none());
    }

    #[test]
    fn whoever_can_t_wait_reads_at_once() {
        let directory = TempDir::new().unwrap();
        let [cert, key] = two_files(directory.path());
        let mut watched = WatchedFiles::new(vec![cert.clone(), key]);
        assert!(watched.look(Why::Suspicion).is_none(), "nothing is new");
        assert!(watched.look(Why::Order).is_some());
        replace(&cert, "second");
        assert!(watched.look(Why::Suspicion).is_some());
    }

    #[test]
    fn what_can_t_be_used_is_read_again_and_complained_about_once_or_when_asked() {
        let directory = TempDir::new().unwrap();
        let [cert, key] = two_files(directory.path());
        let mut watched = WatchedFiles::new(vec![cert.clone(), key]);
        replace(&cert, "bad");
        let early = watched.look(Why::Suspicion).unwrap();
        assert!(!watched.is_news(&early, "bad"), "half of it may be to come");
        for is_news in [true, false, false] {
            let look = watched.look(Why::Routine).unwrap();
            assert_eq!(watched.is_news(&look, "bad"), is_news);
        }
        let look = watched.look(Why::Routine).unwrap();
        assert!(watched.is_news(&look, "bad in another way"));
        let ordered = watched.look(Why::Order).unwrap();
        assert!(watched.is_news(&ordered, "bad in another way"));
        replace(&cert, "good");
        watched.look(Why::Routine);
        let look = watched.look(Why::Routine).unwrap();
        watched.was_read(look);
        assert!(watched.look(Why::Routine).is_none());
    }
}
