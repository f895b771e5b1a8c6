//! Which connections are open, and which one goes when there is no room for another.

use crate::election::Time;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use tokio::task::{AbortHandle, Id};

/// What a connection is doing, and since when. Told by its handler, read by the accepting loop.
#[derive(Debug)]
pub(super) struct Activity {
    kind: AtomicU8,
    since: AtomicU64,
}

/// Those that go first come first.
const IDLE: u8 = 0;
const BUSY: u8 = 1;
const STREAM: u8 = 2;

impl Activity {
    /// Idle since it was opened.
    pub(super) fn new(now: Time) -> Arc<Self> {
        Arc::new(Activity {
            kind: AtomicU8::new(IDLE),
            since: AtomicU64::new(now.as_nanos()),
        })
    }

    /// Busy with a request from `now` on, until the guard is dropped.
    pub(super) fn busy(self: &Arc<Self>, now: Time) -> Busy {
        self.since.store(now.as_nanos(), Ordering::Relaxed);
        self.kind.store(BUSY, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    fn rank(&self) -> (u8, u64) {
        let kind = self.kind.load(Ordering::Relaxed);
        (kind, self.since.load(Ordering::Relaxed))
    }
}

/// A connection is idle again when this is dropped.
#[derive(Debug)]
pub(super) struct Busy(Arc<Activity>);

impl Busy {
    /// It is going to be an event stream.
    pub(super) fn streams(&self) {
        self.0.kind.store(STREAM, Ordering::Relaxed);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.kind.store(IDLE, Ordering::Relaxed);
    }
}

/// The open connections of a listener.
#[derive(Debug, Default)]
pub(super) struct Slots {
    open: HashMap<Id, (AbortHandle, Arc<Activity>)>,
}

impl Slots {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn add(&mut self, task: AbortHandle, activity: Arc<Activity>) {
        self.open.insert(task.id(), (task, activity));
    }

    pub(super) fn remove(&mut self, id: Id) {
        self.open.remove(&id);
    }

    /// Cuts the connection that can be spared most. Its task ends soon.
    pub(super) fn evict(&self) {
        let least = self.open.values().min_by_key(|(_, a)| a.rank());
        if let Some((task, _)) = least {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_goes_before_busy_before_streams_and_the_older_before_the_newer() {
        let at = Time::from_nanos;
        let (old_idle, new_idle) = (Activity::new(at(2)), Activity::new(at(3)));
        let (busy, stream) = (Activity::new(at(0)), Activity::new(at(0)));
        let guards = (busy.busy(at(1)), stream.busy(at(0)));
        guards.1.streams();
        let mut all = [&stream, &busy, &new_idle, &old_idle];
        all.sort_by_key(|activity| activity.rank());
        for (sorted, expected) in all.iter().zip([&old_idle, &new_idle, &busy, &stream]) {
            assert!(Arc::ptr_eq(sorted, expected));
        }
    }
}
