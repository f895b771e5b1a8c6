//! A candidate's session: what is asked and what is told, one after the other, and none of it on a task of its own.

use super::calls::Calls;
use super::errand::Errand;
use super::error::Failure;
use super::lookout::Lookout;
use super::record::Record;
use super::watch::{Told, Watch};
use crate::clock::{self, Alarm};
use crate::election::{Action, Event, Time};
use crate::store::{Lane, Session};
use std::pin::Pin;
use std::sync::Arc;

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
    lookout: Lookout,
    warned_of_assignment: bool,
}

impl KubernetesSession {
    pub(super) fn new(calls: Calls, watch: Watch) -> Self {
        KubernetesSession {
            alarm: calls.alarms.alarm(),
            lookout: Lookout::new(calls.bound, crate::store::random()),
            calls: Arc::new(calls),
            keepalive: Lane::default(),
            call: Lane::default(),
            look: Lane::default(),
            watch,
            warned_of_assignment: false,
        }
    }

    async fn next_event(&mut self) -> Event {
        loop {
            self.warn_of_assignment();
            if let Some(event) = self.lookout.next() {
                self.say_whom_it_makes_way_for(&event);
                return event;
            }
            let due = self.begin_due(clock::now());
            let was_blind = self.lookout.is_blind();
            tokio::select! {
                biased;
                event = self.keepalive.outcome() => self.done(event),
                event = self.call.outcome() => self.done(event),
                looked = self.look.outcome() => self.looked(&looked),
                told = self.watch.next() => self.told(told),
                () = self.alarm.wait_until(Some(due)) => self.see(),
            }
            if was_blind && !self.lookout.is_blind() {
                // What could not be read may not have been told either, by a watch that died without a word.
                self.watch.doubt(clock::now());
            }
        }
    }

    /// Begins what is due, and says what will be next.
    fn begin_due(&mut self, now: Time) -> Time {
        if self.lookout.take_due(now) {
            let calls = Arc::clone(&self.calls);
            self.look.begin(async move { calls.look().await });
        }
        if self.watch.due() <= now {
            self.watch.open(now);
        }
        let due = self.lookout.due(&self.calls.ledger(), now);
        due.min(self.watch.due())
    }

    fn done(&mut self, event: Event) {
        self.lookout.done(event, &self.calls.ledger(), clock::now());
    }

    fn looked(&mut self, outcome: &Result<(), Failure>) {
        let now = clock::now();
        match outcome {
            Ok(()) => self.lookout.has_read(&self.calls.ledger(), now),
            Err(_) => self.lookout.go_blind(now),
        }
    }

    fn told(&mut self, told: Told) {
        let now = clock::now();
        match told {
            Told::Is(lease) => {
                if let Ok(record) = Record::read(*lease) {
                    self.calls.ledger().told(record, now);
                }
            }
            Told::Deleted(lease) => {
                if let Ok(record) = Record::read(*lease) {
                    self.calls.ledger().told_of_deletion(&record, now);
                }
            }
            Told::Nothing => {}
            Told::Failed(failure) => self.calls.troubles.failed(&self.calls.election, &failure),
        }
        self.see();
    }

    fn see(&mut self) {
        self.lookout.see(&self.calls.ledger(), clock::now());
    }

    fn say_whom_it_makes_way_for(&self, event: &Event) {
        if let Event::Resign { .. } = event {
            tracing::info!(
                election = self.calls.election,
                "the Lease's preferredHolder is another; handing over"
            );
        }
    }

    fn warn_of_assignment(&mut self) {
        let is_assigned = self.calls.ledger().is_assigned();
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
        let Some(errand) = Errand::of(action) else {
            return;
        };
        let calls = Arc::clone(&self.calls);
        let carried_out = async move { calls.run(errand).await };
        if let Action::KeepAlive(_) = action {
            return self.keepalive.begin(carried_out);
        }
        if let Action::Release(_) | Action::HandOver(_) = action {
            self.keepalive.clear();
        }
        if !matches!(action, Action::Verify(_)) {
            self.lookout.show_anew();
        }
        self.call.begin(carried_out);
    }

    fn next(&mut self) -> Pin<Box<dyn Future<Output = Event> + Send + '_>> {
        Box::pin(self.next_event())
    }
}
