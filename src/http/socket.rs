//! A listener's socket in the file system: made so that nobody may connect who should not, and taken away at the end.

use crate::config::UnixSocket;
use rustix::fs::{
    AtFlags, FileType, FlockOperation, Gid, Mode, OFlags, Uid, chownat, flock, fstat, open,
};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread::park_timeout;
use std::time::Duration;

/// The file that is our socket. Removed on drop, unless it is another's by then.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    id: (u64, u64),
}

/// Listens there; what a dead process has left is replaced.
pub(super) fn listen_on(
    config: &UnixSocket,
    backlog: i32,
) -> io::Result<(SocketFile, UnixListener)> {
    let path = &config.path;
    let directory = path.parent().unwrap_or(Path::new("/"));
    // One at a time looks whether a socket is in use and makes its own: else two would replace each other's.
    let directory = File::open(directory).map_err(|error| match error.kind() {
        ErrorKind::NotFound => explained(&error, "its directory doesn't exist; make it"),
        _ => error,
    })?;
    lock(&directory)?;
    remove_stale(path)?;
    let socket = new_socket()?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    let file = SocketFile::made(path)?;
    // Nobody can connect before it listens, and by then it is whose it should be.
    give_away(config)?;
    listen(&socket, backlog)?;
    Ok((file, UnixListener::from(socket)))
}

/// A socket in use is left alone, and so is what is no socket.
fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        let error = io::Error::from(ErrorKind::AlreadyExists);
        return Err(explained(&error, "what is there is no socket; remove it"));
    }
    match connect(&new_socket()?, &SocketAddrUnix::new(path)?) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path),
        Err(Errno::NOENT) => Ok(()),
        Err(Errno::ACCESS) => Err(Errno::ACCESS.into()),
        // Where its queue is full, or it is of another type, it is somebody's all the same.
        Ok(()) | Err(_) => {
            let error = io::Error::from(ErrorKind::AddrInUse);
            Err(explained(&error, "stop what listens there"))
        }
    }
}

/// Two that start at once take their turns. Whoever can open the directory can hold its lock: so not for ever.
fn lock(directory: &File) -> io::Result<()> {
    for _ in 0..LOCK_TRIES {
        match flock(directory, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => park_timeout(LOCK_PAUSE),
            done => return Ok(done?),
        }
    }
    let error = io::Error::from(ErrorKind::WouldBlock);
    Err(explained(
        &error,
        "somebody holds a lock on its directory; choose one that is tenure's own",
    ))
}

const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Changes the very socket that was made, also where somebody has put another file in its place.
fn give_away(config: &UnixSocket) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let socket = open(&config.path, flags, Mode::empty())?;
    if !FileType::from_raw_mode(fstat(&socket)?.st_mode).is_socket() {
        let error = io::Error::from(ErrorKind::AlreadyExists);
        return Err(explained(
            &error,
            "something else was put in its place; use a directory of tenure's own",
        ));
    }
    let (uid, gid) = (config.owner.uid, config.owner.gid);
    if uid.is_some() || gid.is_some() {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        chownat(&socket, "", uid, gid, AtFlags::EMPTY_PATH).map_err(|error| {
            let remedy = "http.api_owner takes a group that tenure is in, or privileges";
            explained(&error.into(), remedy)
        })?;
    }
    let itself = format!("/proc/self/fd/{}", socket.as_raw_fd());
    fs::set_permissions(itself, Permissions::from_mode(config.mode))
}

fn new_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        flags,
        None,
    )?)
}

fn explained(error: &io::Error, remedy: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{error}; {remedy}"))
}

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn made(path: &Path) -> io::Result<Self> {
        Ok(SocketFile {
            path: path.to_owned(),
            id: id(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if id(&self.path).is_ok_and(|id| id == self.id) {
            // What can't be removed is replaced by who comes next.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn id(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Owner;
    use std::os::unix::net::UnixStream;
    use tempfile::TempDir;

    fn socket(directory: &TempDir, mode: u32) -> UnixSocket {
        UnixSocket {
            path: directory.path().join("api.sock"),
            mode,
            owner: Owner::default(),
        }
    }

    #[test]
    fn it_has_its_mode_whatever_the_umask_says_and_is_gone_at_the_end() {
        let directory = TempDir::new().unwrap();
        for mode in [0o600, 0o660, 0o666] {
            let config = socket(&directory, mode);
            let (file, listener) = listen_on(&config, 8).unwrap();
            let found = fs::metadata(&config.path).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode);
            UnixStream::connect(&config.path).unwrap();
            drop((file, listener));
            assert!(!config.path.exists());
        }
    }

    #[test]
    fn what_a_dead_process_left_is_replaced_and_what_is_in_use_is_not() {
        let directory = TempDir::new().unwrap();
        let config = socket(&directory, 0o600);
        drop(UnixListener::bind(&config.path).unwrap());
        let (_file, _listener) = listen_on(&config, 8).unwrap();
        let error = listen_on(&config, 8).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        UnixStream::connect(&config.path).unwrap();
    }

    #[test]
    fn who_holds_the_lock_of_its_directory_keeps_nobody_waiting_for_ever() {
        let directory = TempDir::new().unwrap();
        let locked = File::open(directory.path()).unwrap();
        flock(&locked, FlockOperation::LockExclusive).unwrap();
        let error = listen_on(&socket(&directory, 0o600), 8).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(
            error.to_string().contains("a lock on its directory"),
            "{error}"
        );
    }

    #[test]
    fn one_that_takes_no_more_connections_is_in_use() {
        let directory = TempDir::new().unwrap();
        let config = socket(&directory, 0o600);
        let (_file, _listener) = listen_on(&config, 0).unwrap();
        let _waiting = UnixStream::connect(&config.path).unwrap();
        let error = listen_on(&config, 8).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    }

    #[test]
    fn what_is_no_socket_is_left_where_it_is() {
        let directory = TempDir::new().unwrap();
        let config = socket(&directory, 0o600);
        fs::write(&config.path, "precious").unwrap();
        let error = listen_on(&config, 8).unwrap_err().to_string();
        assert!(error.contains("is no socket; remove it"), "{error}");
        assert_eq!(fs::read(&config.path).unwrap(), b"precious");
    }

    #[test]
    fn anothers_socket_is_not_removed_at_the_end() {
        let directory = TempDir::new().unwrap();
        let config = socket(&directory, 0o600);
        let (file, _listener) = listen_on(&config, 8).unwrap();
        fs::rename(&config.path, directory.path().join("moved")).unwrap();
        let _another = UnixListener::bind(&config.path).unwrap();
        drop(file);
        assert!(config.path.exists());
    }
}
