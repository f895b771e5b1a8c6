//! Every interleaving of an answer that promises with a driver that steps down, on the file that ships.

/// Stands in for the atomics that the file uses in the daemon.
mod sync {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering, fence};
}

#[path = "../src/status/promise.rs"]
#[expect(unreachable_pub, reason = "it is public where it ships")]
mod promise;

/// Time is not modelled: a claim is a number, and zero is "not leader".
use tenure::election;

use loom::sync::Arc;
use loom::thread;
use promise::Promises;
use sync::{AtomicU64, Ordering};
use tenure::election::Time;

/// What the driver publishes; the daemon's is a pointer to a snapshot, swapped atomically.
struct Published {
    valid_until: AtomicU64,
    promises: Promises,
}

impl Published {
    fn leading_until(until: u64) -> Arc<Self> {
        Arc::new(Published {
            valid_until: AtomicU64::new(until),
            promises: Promises::none(),
        })
    }

    fn look(&self) -> Option<(Time, ())> {
        match self.valid_until.load(Ordering::Relaxed) {
            0 => None,
            until => Some((Time::from_nanos(until), ())),
        }
    }

    /// What an answer on `api` does. Returns until when it promised.
    fn answer(&self) -> Option<Time> {
        self.promises.give(|| self.look()).map(|(until, ())| until)
    }

    /// What the driver does to step down. Returns until when it will hold the lease.
    fn step_down(&self) -> Time {
        self.valid_until.store(0, Ordering::Relaxed);
        self.promises.outstanding()
    }
}

#[test]
fn either_the_answer_says_not_leader_or_the_release_waits_for_it() {
    loom::model(|| {
        let published = Published::leading_until(7);
        let answering = {
            let published = Arc::clone(&published);
            thread::spawn(move || published.answer())
        };
        let held_until = published.step_down();
        if let Some(promised) = answering.join().unwrap() {
            assert!(promised <= held_until, "{promised:?} > {held_until:?}");
        }
    });
}

#[test]
fn a_renewal_in_between_promises_no_more_than_is_on_record() {
    loom::model(|| {
        let published = Published::leading_until(7);
        let answering = {
            let published = Arc::clone(&published);
            thread::spawn(move || published.answer())
        };
        published.valid_until.store(9, Ordering::Relaxed);
        let held_until = published.step_down();
        if let Some(promised) = answering.join().unwrap() {
            assert!(promised <= held_until, "{promised:?} > {held_until:?}");
        }
    });
}

#[test]
fn of_two_answers_at_once_the_release_waits_for_the_later_promise() {
    loom::model(|| {
        let published = Published::leading_until(7);
        let answers = [0, 1].map(|_| {
            let published = Arc::clone(&published);
            thread::spawn(move || published.answer())
        });
        let held_until = published.step_down();
        for promised in answers.into_iter().filter_map(|a| a.join().unwrap()) {
            assert!(promised <= held_until, "{promised:?} > {held_until:?}");
        }
    });
}

/// Shows that the model can see the race at all: without the second look it is there.
#[test]
#[should_panic(expected = "released before the promise was over")]
fn without_a_second_look_the_promise_can_be_broken() {
    loom::model(|| {
        let published = Published::leading_until(7);
        let answering = {
            let published = Arc::clone(&published);
            thread::spawn(move || {
                let (until, ()) = published.look()?;
                let looks = std::cell::Cell::new(0);
                let first_look_only = || {
                    looks.set(looks.get() + 1);
                    Some((until, ()))
                };
                published
                    .promises
                    .give(first_look_only)
                    .map(|(until, ())| until)
            })
        };
        let held_until = published.step_down();
        if let Some(promised) = answering.join().unwrap() {
            assert!(
                promised <= held_until,
                "released before the promise was over"
            );
        }
    });
}
