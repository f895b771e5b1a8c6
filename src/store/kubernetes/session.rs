//! A candidate's session: what is asked and what is told, one after the other, and none of it on a task of its own.

use super::calls::Calls;
use super::error::Failure;
use super::record::Record;
use super::watch::{Told, Watch};
use crate::clock::{self, Alarm};
use crate::election::{Action, Backoff, Event, LeaseId, Observation, Time};
use crate::store::{Lane, Session};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A [`Session`] with a [`KubernetesStore`](super::KubernetesStore).
pub struct KubernetesSession {
    calls: Arc<Calls>,
    /// The keepalive under way.
    keepalive: Lane<Event>,
    /// The one other request under way.
    call: Lane<Event>,
    look: Lane<Result<(), Failure>>,
    watch: Watch,
    alarm: Alarm,
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
    warned_of_assignment: bool,
}

impl KubernetesSession {
    pub(super) fn new(calls: Calls, watch: Watch) -> Self {
        KubernetesSession {
            alarm: calls.alarms.alarm(),
            calls: Arc::new(calls),
            keepalive: Lane::default(),
            call: Lane::default(),
            look: Lane::default(),
            watch,
            ready: VecDeque::new(),
            shown: None,
            is_blind: false,
            look_at: Time::ORIGIN,
            unseen: Backoff::default(),
            rng: fastrand::Rng::with_seed(crate::store::random()),
            handed_over: None,
            warned_of_assignment: false,
        }
    }

    async fn next_event(&mut self) -> Event {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return event;
            }
            let due = self.begin_due(clock::now());
            tokio::select! {
                biased;
                event = self.keepalive.outcome() => self.asked(event),
                event = self.call.outcome() => self.asked(event),
                looked = self.look.outcome() => match looked {
                    Ok(()) => self.read(),
                    Err(_) => self.go_blind(),
                },
                told = self.watch.next() => self.told(told),
                () = self.alarm.wait_until(Some(due)) => self.see(),
            }
        }
    }

    /// Begins what is due, and says what will be next.
    fn begin_due(&mut self, now: Time) -> Time {
        if self.look_at <= now {
            let calls = Arc::clone(&self.calls);
            self.look.begin(async move { calls.look().await });
            // Whatever comes of it comes before.
            self.look_at = now + self.calls.bound * 3;
        }
        if self.watch.due() <= now {
            self.watch.open(now);
        }
        let change = self.calls.ledger().next_change(now);
        let due = self.look_at.min(self.watch.due());
        change
            .filter(|_| !self.is_blind)
            .map_or(due, |change| change.min(due))
    }

    /// The outcome of a request. The core is shown first what the answer has shown: what it saw before may be of a time
    /// when the place was not there yet.
    fn asked(&mut self, event: Event) {
        match event {
            Event::Joined(_) | Event::KeptAlive { .. } | Event::Verified(..) => self.read(),
            // What is gone may be so by the clock alone.
            _ => self.see(),
        }
        self.ready.push_back(event);
    }

    /// Something was read, or written and answered.
    fn read(&mut self) {
        self.is_blind = false;
        self.unseen = Backoff::default();
        // Keepalives come before; without a place there are none.
        self.look_at = clock::now() + self.calls.bound + self.calls.bound / 2;
        self.see();
    }

    fn told(&mut self, told: Told) {
        let now = clock::now();
        match told {
            Told::Is(lease) => {
                if let Ok(record) = Record::read(*lease) {
                    let version = record.version();
                    let record = Some(record);
                    self.calls
                        .ledger()
                        .take_in(record, Some(version), Time::ORIGIN, now);
                }
            }
            Told::Deleted(lease) => {
                if let Ok(record) = Record::read(*lease) {
                    let version = record.version();
                    self.calls
                        .ledger()
                        .take_in(None, Some(version), Time::ORIGIN, now);
                }
            }
            Told::Nothing => {}
            Told::Failed(failure) => self.calls.troubles.failed(&self.calls.election, &failure),
        }
        self.see();
    }

    fn go_blind(&mut self) {
        self.shown = None;
        self.look_at = clock::now() + self.unseen.next_delay(&mut self.rng);
        if !self.is_blind {
            self.is_blind = true;
            self.ready.push_back(Event::Blind);
        }
    }

    /// Shows the core what is news to it.
    fn see(&mut self) {
        if self.is_blind {
            return;
        }
        self.heed_the_control_plane();
        let observation = self.calls.ledger().observation(clock::now());
        let Some(observation) = observation else {
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

    fn heed_the_control_plane(&mut self) {
        let (to_hand_over, is_assigned) = {
            let ledger = self.calls.ledger();
            (ledger.is_to_hand_over(), ledger.is_assigned())
        };
        if let Some(place) = to_hand_over
            && self.handed_over != Some(place)
        {
            self.handed_over = Some(place);
            tracing::info!(
                election = self.calls.election,
                "the Lease's preferredHolder is another; handing over"
            );
            let cooldown = Duration::ZERO;
            self.ready.push_back(Event::Resign { cooldown });
        }
        if is_assigned && !self.warned_of_assignment {
            tracing::warn!(
                election = self.calls.election,
                "the cluster's control plane assigns this Lease (spec.strategy or preferredHolder is set), so it isn't acquired; \
                 remove the field to have candidates elect the leader"
            );
        }
        self.warned_of_assignment = is_assigned;
    }
}

impl Session for KubernetesSession {
    fn begin(&mut self, action: Action) {
        let calls = Arc::clone(&self.calls);
        match action {
            Action::Join(id) => {
                self.shown = None;
                self.call.begin(async move { calls.join(id).await });
            }
            Action::KeepAlive(id) => {
                self.keepalive
                    .begin(async move { calls.keep_alive(id).await });
            }
            Action::Verify(id) => self.call.begin(async move { calls.verify(id).await }),
            Action::Release(id) => self.release(id, false),
            Action::HandOver(id) => self.release(id, true),
            _ => {}
        }
    }

    fn next(&mut self) -> Pin<Box<dyn Future<Output = Event> + Send + '_>> {
        Box::pin(self.next_event())
    }
}

impl KubernetesSession {
    fn release(&mut self, id: LeaseId, in_order: bool) {
        let calls = Arc::clone(&self.calls);
        self.keepalive.clear();
        self.shown = None;
        self.call
            .begin(async move { calls.release(id, in_order).await });
    }
}
