//! The children of this process: the only place of the sidecar that starts processes and waits for them.
//!
//! The sidecar inherits orphans, as it may be the first process of a container, and what a lost guardian leaves. So it
//! has to wait for children that it doesn't know, and nobody else may wait for any: one thread does.
//! Both starting and waiting hold one lock. So no child is waited for before it is known who started it, and no
//! id that is signalled can have become another process's.

use super::offspring;
use rustix::process::{
    Pid, Signal, WaitOptions, getpgid, getpid, kill_process_group, set_child_subreaper, wait,
};
use signal_hook::low_level::pipe;
use std::collections::HashMap;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// The children of this process. Cheap to clone. There must be one for all of the process.
#[derive(Clone, Debug)]
pub struct Children(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    started: Mutex<HashMap<Pid, oneshot::Sender<ExitStatus>>>,
    some_ended: Condvar,
}

/// A child that was started here, in a process group of its own. It goes on when this is dropped.
#[derive(Debug)]
pub struct Spawned {
    /// Gives the exit status, once. Dropping it is fine, too.
    pub status: oneshot::Receiver<ExitStatus>,
    /// Where it was asked for, as the other two.
    pub stdin: Option<ChildStdin>,
    /// What it prints.
    pub stdout: Option<ChildStdout>,
    /// What it complains about.
    pub stderr: Option<ChildStderr>,
    pid: Pid,
    shared: Arc<Shared>,
}

impl Children {
    /// Begins to wait for children, and to inherit orphans.
    ///
    /// # Errors
    /// Where the system refuses a handler or a thread, or doesn't list a process's children.
    pub fn start() -> io::Result<Self> {
        offspring::children().map_err(|error| {
            let reason = format!("the kernel doesn't list children ({error}); mount /proc");
            io::Error::new(error.kind(), reason)
        })?;
        let (ended, sender) = UnixStream::pair()?;
        pipe::register(Signal::CHILD.as_raw(), sender)?;
        set_child_subreaper(Some(getpid()))?;
        let shared = Arc::new(Shared::default());
        let waiting = Arc::clone(&shared);
        thread::Builder::new()
            .name("children".to_owned())
            .spawn(move || waiting.wait_for_all(ended))?;
        Ok(Children(shared))
    }

    /// Starts a command, in a process group of its own.
    ///
    /// # Errors
    /// Where it can't be started.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Spawned> {
        let (sender, status) = oneshot::channel();
        // Held while starting: it may have ended before this is told its id.
        let mut started = self.0.lock();
        let mut child = command.process_group(0).spawn()?;
        let pid = Pid::from_child(&child);
        started.insert(pid, sender);
        drop(started);
        Ok(Spawned {
            status,
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            pid,
            shared: Arc::clone(&self.0),
        })
    }

    /// Kills all that this process inherited, and what that leaves to it, until nothing is left. What
    /// commands started here have left in their process group, while they run, is spared.
    ///
    /// It takes as long as it takes: who returns from here can be certain.
    pub(super) fn end_inherited(&self) {
        const LOOK_AGAIN: Duration = Duration::from_millis(20);
        let mut started = self.0.lock();
        loop {
            // Where they can't be listed, nobody can say that they are gone.
            let none_left = offspring::children().is_ok_and(|children| {
                let inherited = children.into_iter().filter(|&child| {
                    let is_of = |id| started.contains_key(&id);
                    !is_of(child) && !getpgid(Some(child)).is_ok_and(is_of)
                });
                inherited.map(offspring::kill).count() == 0
            });
            if none_left {
                return;
            }
            let waited = self.0.some_ended.wait_timeout(started, LOOK_AGAIN);
            started = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Spawned {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }

    /// Signals it and its process group, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        let started = self.shared.lock();
        if started.contains_key(&self.pid) {
            // It fails where it has become another user's.
            let _ = kill_process_group(self.pid, signal);
        }
    }
}

impl Shared {
    fn wait_for_all(self: Arc<Self>, mut ended: UnixStream) {
        // The other end is the signal handler's, and stays.
        let mut some = [0; 64];
        while ended.read(&mut some).is_ok_and(|read| read > 0) {
            let mut started = self.lock();
            while let Ok(Some((child, status))) = wait(WaitOptions::NOHANG) {
                if let Some(sender) = started.remove(&child) {
                    // Nobody need be interested.
                    let _ = sender.send(ExitStatus::from_raw(status.as_raw()));
                }
            }
            self.some_ended.notify_all();
        }
    }

    /// Nobody panics while holding it.
    fn lock(&self) -> MutexGuard<'_, HashMap<Pid, oneshot::Sender<ExitStatus>>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
