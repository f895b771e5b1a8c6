//! The last changes of role, for people who ask what happened.

use super::rfc3339;
use crate::election::Transition;
use arc_swap::ArcSwap;
use serde::Serialize;
use std::time::SystemTime;

/// So many are kept of each election, of which there may be thousands.
const KEPT: usize = 8;

/// Written by a driver, read by anybody; none of them waits for another.
#[derive(Debug, Default)]
pub(super) struct History(ArcSwap<Vec<(SystemTime, Transition)>>);

/// A change of role, as JSON says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Past {
    /// When it was.
    pub at: String,
    /// The state before.
    pub from: &'static str,
    /// The state since.
    pub to: &'static str,
    /// Why.
    pub reason: &'static str,
}

impl History {
    /// To be called by one thread only.
    pub(super) fn record(&self, transition: Transition, date: SystemTime) {
        let kept = self.0.load();
        let mut transitions = Vec::with_capacity(KEPT);
        transitions.push((date, transition));
        transitions.extend(kept.iter().take(KEPT - 1));
        self.0.store(transitions.into());
    }

    /// The newest first.
    pub(super) fn read(&self) -> Vec<Past> {
        let past = |(date, transition): &(SystemTime, Transition)| Past {
            at: rfc3339(*date),
            from: transition.from.as_str(),
            to: transition.to.as_str(),
            reason: transition.reason.as_str(),
        };
        self.0.load().iter().map(past).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::election::{Reason, RoleName};
    use std::time::Duration;

    #[test]
    fn the_newest_comes_first_and_the_oldest_are_forgotten() {
        let history = History::default();
        assert_eq!(history.read(), []);
        for second in 0..10 {
            let transition = Transition {
                from: RoleName::Follower,
                to: RoleName::Leader,
                reason: Reason::Elected,
            };
            history.record(
                transition,
                SystemTime::UNIX_EPOCH + Duration::from_secs(second),
            );
        }
        let past = history.read();
        assert_eq!(past.len(), KEPT);
        let newest = Past {
            at: "1970-01-01T00:00:09.000Z".to_owned(),
            from: "follower",
            to: "leader",
            reason: "elected",
        };
        assert_eq!(past[0], newest);
        assert_eq!(past[KEPT - 1].at, "1970-01-01T00:00:02.000Z");
    }
}
