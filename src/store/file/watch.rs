//! Being told by the kernel that the head of an election has been renamed.
//!
//! It only hastens: where there is no watch to be had, whoever waits looks every retry_period.

use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use tokio::net::unix::pipe;

/// Starts to watch a directory; to be called where blocking is allowed.
pub(super) fn start(directory: &Path) -> io::Result<OwnedFd> {
    let inotify = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    // A change of the state is a rename; files that are written or removed are none.
    let flags = WatchFlags::MOVED_TO | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
    add_watch(&inotify, directory, flags | WatchFlags::ONLYDIR)?;
    Ok(inotify)
}

/// A directory that is watched.
#[derive(Debug)]
pub(super) struct Watch {
    /// It is read and awaited as a pipe is, and so tokio's safe type for pipes serves.
    inotify: pipe::Receiver,
}

impl Watch {
    /// Has to be called within a tokio runtime with I/O.
    pub(super) fn new(inotify: OwnedFd) -> io::Result<Self> {
        let inotify = pipe::Receiver::from_owned_fd_unchecked(inotify)?;
        Ok(Watch { inotify })
    }

    /// Returns when the directory has changed since this last returned. Dropping the future loses nothing.
    pub(super) async fn changed(&self) {
        if self.inotify.readable().await.is_err() {
            // Only where the runtime is shutting down: nobody is left to be told.
            return std::future::pending().await;
        }
        // What has changed is seen by looking; here the events are only cleared away.
        let mut events = [0; 4096];
        while self.inotify.try_read(&mut events).is_ok_and(|n| n > 0) {}
    }
}
