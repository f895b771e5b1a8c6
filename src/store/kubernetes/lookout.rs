//! What the core is shown of a Lease, and when to look at it: decided from the ledger and the time.

use super::ledger::Ledger;
use crate::election::{Backoff, Event, LeaseId, Observation, Time};
use std::collections::VecDeque;
use std::time::Duration;

/// Watches over what is known, and tells the core what is news to it.
#[derive(Debug)]
pub(super) struct Lookout {
    /// How long an answer is waited for.
    bound: Duration,
    /// What happened and was not fetched yet.
    ready: VecDeque<Event>,
    /// What the core was shown last; none where it is to be shown anew.
    shown: Option<Observation>,
    is_blind: bool,
    /// Unless something is read before.
    look_at: Time,
    unseen: Backoff,
    rng: fastrand::Rng,
    /// The place that the core was told to give up to another.
    handed_over: Option<LeaseId>,
}

impl Lookout {
    /// `seed` varies its delays.
    pub(super) fn new(bound: Duration, seed: u64) -> Self {
        Lookout {
            bound,
            ready: VecDeque::new(),
            shown: None,
            is_blind: false,
            look_at: Time::ORIGIN,
            unseen: Backoff::default(),
            rng: fastrand::Rng::with_seed(seed),
            handed_over: None,
        }
    }

    /// What happened next, if anything did.
    pub(super) fn next(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    /// Whether the Lease is to be read now; if so, it is taken as asked for.
    pub(super) fn take_due(&mut self, now: Time) -> bool {
        let is_due = self.look_at <= now;
        if is_due {
            // Whatever comes of it comes before.
            self.look_at = now + self.bound * 3;
        }
        is_due
    }

    /// When to look again, or to [`see`](Self::see) what the passing of time has changed.
    pub(super) fn due(&self, ledger: &Ledger, now: Time) -> Time {
        let change = ledger.next_change(now).filter(|_| !self.is_blind);
        change.map_or(self.look_at, |change| change.min(self.look_at))
    }

    /// The outcome of an errand. The core is shown first what the answer has shown: what it saw before may be of a time
    /// when the place was not there yet.
    pub(super) fn done(&mut self, event: Event, ledger: &Ledger, now: Time) {
        match event {
            Event::Joined(_) | Event::KeptAlive { .. } | Event::Verified(..) => {
                self.has_read(ledger, now);
            }
            // What is gone may be so by the clock alone.
            _ => self.see(ledger, now),
        }
        self.ready.push_back(event);
    }

    /// Something was read, or written and answered.
    pub(super) fn has_read(&mut self, ledger: &Ledger, now: Time) {
        self.is_blind = false;
        self.unseen = Backoff::default();
        // Keepalives come before; without a place there are none.
        self.look_at = now + self.bound + self.bound / 2;
        self.see(ledger, now);
    }

    /// Whether the last try to read failed.
    pub(super) fn is_blind(&self) -> bool {
        self.is_blind
    }

    /// It could not be read.
    pub(super) fn go_blind(&mut self, now: Time) {
        self.shown = None;
        self.look_at = now + self.unseen.next_delay(&mut self.rng);
        if !self.is_blind {
            self.is_blind = true;
            self.ready.push_back(Event::Blind);
        }
    }

    /// The core takes or gives up a place: what it was shown counts no more.
    pub(super) fn show_anew(&mut self) {
        self.shown = None;
    }

    /// Shows the core what is news to it.
    pub(super) fn see(&mut self, ledger: &Ledger, now: Time) {
        if self.is_blind {
            return;
        }
        self.heed_preferred_holder(ledger);
        let Some(observation) = ledger.observation(now) else {
            return;
        };
        let is_news = self.shown.as_ref().is_none_or(|shown| {
            // Every renewal has a version of its own.
            let shown = Observation {
                revision: observation.revision,
                ..shown.clone()
            };
            shown != observation
        });
        if is_news {
            self.shown = Some(observation.clone());
            self.ready.push_back(Event::Observed(observation));
        }
    }

    fn heed_preferred_holder(&mut self, ledger: &Ledger) {
        if let Some(place) = ledger.is_to_hand_over()
            && self.handed_over != Some(place)
        {
            self.handed_over = Some(place);
            let cooldown = Duration::ZERO;
            self.ready.push_back(Event::Resign { cooldown });
        }
    }
}
