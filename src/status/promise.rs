//! What was promised to the application, and the meeting of the two threads that care.
//!
//! The answering thread records a promise *before* it answers, and looks at the state again after
//! recording. The driver publishes "not leader" *before* it reads the promises. Each side writes first
//! and reads second, with a sequentially consistent fence between: at least one of them sees the other's
//! write. So either the answer says "not leader", or the release waits for the promise.
//! `tests/promise_interleavings.rs` tries all interleavings of this very file.

use super::sync::{AtomicU64, Ordering, fence};
use crate::election::Time;

/// The end of the last promise given, as one number that both threads share.
#[derive(Debug)]
pub struct Promises {
    until: AtomicU64,
}

impl Promises {
    /// Nothing promised.
    pub fn none() -> Self {
        Promises {
            until: AtomicU64::new(0),
        }
    }

    /// Promises leadership until the time that `look` finds, if it still finds one after the promise is on
    /// record. `look` reads the published state: until when this candidate leads, and what to answer.
    pub fn give<T>(&self, look: impl Fn() -> Option<(Time, T)>) -> Option<(Time, T)> {
        let (until, _) = look()?;
        self.until.fetch_max(until.as_nanos(), Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let (again, answer) = look()?;
        Some((until.min(again), answer))
    }

    /// When the last promise ends. To be called after "not leader" has been published.
    pub fn outstanding(&self) -> Time {
        fence(Ordering::SeqCst);
        Time::from_nanos(self.until.load(Ordering::Relaxed))
    }
}
