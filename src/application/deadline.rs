//! Until when the application may run, and what is due when.

use crate::election::{Deadline, Time};
use std::time::Duration;

/// What the application has been granted, and what has been ordered since. Both the guardian and the
/// sidecar keep one.
#[derive(Clone, Debug)]
pub(super) struct Term {
    deadline: Deadline,
    stop_timeout: Duration,
    /// When it was first ordered to stop.
    ordered_at: Option<Time>,
    is_at_once: bool,
    /// What has been done about it.
    done: Due,
}

/// What is to be done to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Nothing,
    Stop,
    Kill,
}

impl Term {
    pub(super) fn new(deadline: Deadline, stop_timeout: Duration) -> Self {
        Term {
            deadline,
            stop_timeout,
            ordered_at: None,
            is_at_once: false,
            done: Due::Nothing,
        }
    }

    /// Nothing is taken back: what has begun to stop, stops, though there may be more time for it.
    pub(super) fn extend(&mut self, deadline: Deadline) {
        self.deadline.kill_at = deadline.kill_at;
        if self.done == Due::Nothing {
            self.deadline.stop_at = deadline.stop_at;
        }
    }

    pub(super) fn order_stop(&mut self, now: Time, is_at_once: bool) {
        self.ordered_at.get_or_insert(now);
        self.is_at_once |= is_at_once;
    }

    /// Whether it has begun to stop, or ought to have.
    pub(super) fn is_over(&self, now: Time) -> bool {
        self.done.max(self.due(now)) > Due::Nothing
    }

    /// What is to be done now, and has not been done.
    pub(super) fn due(&self, now: Time) -> Due {
        let due = if now >= self.kill_at() {
            Due::Kill
        } else if self.ordered_at.is_some() || now >= self.deadline.stop_at {
            Due::Stop
        } else {
            Due::Nothing
        };
        if due > self.done { due } else { Due::Nothing }
    }

    pub(super) fn done(&mut self, due: Due) {
        self.done = self.done.max(due);
    }

    /// When something will be due that has not been done.
    pub(super) fn next(&self) -> Option<Time> {
        match self.done {
            Due::Nothing => Some(self.deadline.stop_at.min(self.kill_at())),
            Due::Stop => Some(self.kill_at()),
            Due::Kill => None,
        }
    }

    /// When the sidecar no longer waits for the guardian: an order may be carried out `grace` late, but the
    /// lease gives no grace.
    pub(super) fn lost_at(&self, grace: Duration) -> Time {
        let ordered = self.ordered_kill_at().map(|time| time + grace);
        ordered.map_or(self.deadline.kill_at, |time| {
            time.min(self.deadline.kill_at)
        })
    }

    fn kill_at(&self) -> Time {
        let ordered = self.ordered_kill_at();
        ordered.map_or(self.deadline.kill_at, |time| {
            time.min(self.deadline.kill_at)
        })
    }

    fn ordered_kill_at(&self) -> Option<Time> {
        self.ordered_at.map(|ordered_at| match self.is_at_once {
            true => ordered_at,
            false => ordered_at + self.stop_timeout,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Time {
        Time::from_nanos(seconds * 1_000_000_000)
    }

    const fn deadline(stop_at: u64, kill_at: u64) -> Deadline {
        Deadline {
            stop_at: at(stop_at),
            kill_at: at(kill_at),
        }
    }

    fn term() -> Term {
        Term::new(deadline(60, 90), Duration::from_secs(5))
    }

    #[test]
    fn it_is_stopped_and_killed_at_its_deadline_and_not_before() {
        let mut term = term();
        assert_eq!(term.due(at(59)), Due::Nothing);
        assert_eq!(term.next(), Some(at(60)));
        assert_eq!(term.due(at(60)), Due::Stop);
        term.done(Due::Stop);
        assert_eq!(term.due(at(89)), Due::Nothing);
        assert_eq!(term.next(), Some(at(90)));
        assert_eq!(term.due(at(90)), Due::Kill);
        term.done(Due::Kill);
        assert_eq!((term.due(at(99)), term.next()), (Due::Nothing, None));
    }

    #[test]
    fn it_is_killed_at_once_where_all_its_time_has_passed_unseen() {
        assert_eq!(term().due(at(90)), Due::Kill);
    }

    #[test]
    fn an_extension_moves_both_until_it_is_stopped_and_then_only_the_kill() {
        let mut term = term();
        term.extend(deadline(70, 100));
        assert_eq!(term.due(at(69)), Due::Nothing);
        assert_eq!(term.due(at(70)), Due::Stop);
        term.done(Due::Stop);
        term.extend(deadline(80, 110));
        assert!(term.is_over(at(75)));
        assert_eq!(term.next(), Some(at(110)));
    }

    #[test]
    fn an_order_stops_at_once_and_kills_in_time_or_at_the_deadline() {
        let mut term = term();
        term.order_stop(at(10), false);
        assert_eq!(term.due(at(10)), Due::Stop);
        term.done(Due::Stop);
        term.order_stop(at(12), false);
        assert_eq!(term.next(), Some(at(15)), "the first order counts");
        term.extend(deadline(60, 14));
        assert_eq!(term.next(), Some(at(14)));
        term.order_stop(at(13), true);
        assert_eq!(term.due(at(13)), Due::Kill);
    }

    #[test]
    fn the_guardian_has_grace_for_an_order_but_not_beyond_the_lease() {
        let mut term = term();
        let grace = Duration::from_secs(1);
        assert_eq!(term.lost_at(grace), at(90));
        term.order_stop(at(10), false);
        assert_eq!(term.lost_at(grace), at(16));
        term.extend(deadline(60, 14));
        assert_eq!(term.lost_at(grace), at(14));
    }
}
