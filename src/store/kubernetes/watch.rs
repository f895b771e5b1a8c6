//! Being told by the API of changes. It only hastens: whoever waits reads every retry_period anyway, so a watch that
//! is silent for ever costs no more than that.
//!
//! It begins with what is there, so no version to begin from can be too old, and nothing is missed between two.

mod events;

use super::error::Failure;
use crate::clock::Alarms;
use crate::election::Time;
use futures_util::TryFutureExt;
use futures_util::stream::{self, BoxStream, StreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{WatchEvent, WatchParams};
use std::time::Duration;

/// A watch of one Lease, opened again and again.
pub(super) struct Watch {
    leases: Api<Lease>,
    parameters: WatchParams,
    alarms: Alarms,
    bound: Duration,
    events: Option<BoxStream<'static, Result<WatchEvent<Lease>, Failure>>>,
    /// When to open it, or to open another.
    due: Time,
}

/// What is told.
pub(super) enum Told {
    Is(Box<Lease>),
    Deleted(Box<Lease>),
    /// Nothing of the Lease.
    Nothing,
    Failed(Failure),
}

/// So long a watch is kept, which may have died without a word.
const KEPT_FOR: Duration = Duration::from_secs(120);

impl Watch {
    /// `bound` is how long it may take to open, and the time between two.
    pub(super) fn new(leases: Api<Lease>, name: &str, bound: Duration, alarms: &Alarms) -> Self {
        let seconds = u32::try_from(KEPT_FOR.as_secs()).unwrap_or(u32::MAX);
        // Of this object alone, so that a role may be confined to it, and nobody is woken for others.
        let parameters = WatchParams::default().timeout(seconds);
        let parameters = parameters.fields(&format!("metadata.name={name}"));
        Watch {
            leases,
            parameters: parameters.disable_bookmarks(),
            alarms: alarms.clone(),
            bound,
            events: None,
            due: Time::ORIGIN,
        }
    }

    /// When [`open`](Self::open) is due.
    pub(super) fn due(&self) -> Time {
        self.due
    }

    /// It may have died: another is due.
    pub(super) fn doubt(&mut self, now: Time) {
        self.due = now;
    }

    /// Begins to watch, instead of the watch before if there is one.
    pub(super) fn open(&mut self, now: Time) {
        let (leases, parameters) = (self.leases.clone(), self.parameters.clone());
        let (alarms, bound) = (self.alarms.clone(), self.bound);
        let opening = async move {
            let opened = alarms
                .bounded(bound, events::open(&leases, &parameters))
                .await;
            let events = opened.ok_or_else(Failure::timed_out)??;
            Ok(stream::try_unfold(events, async |mut events| {
                let next = events.next().await?;
                Ok(next.map(|event| (event, events)))
            }))
        };
        self.events = Some(opening.try_flatten_stream().boxed());
        self.due = now + KEPT_FOR + bound;
    }

    /// What is told next; never, while no watch is open. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Told {
        let Some(events) = &mut self.events else {
            return std::future::pending().await;
        };
        match events.next().await {
            Some(Ok(WatchEvent::Added(lease) | WatchEvent::Modified(lease))) => {
                Told::Is(Box::new(lease))
            }
            Some(Ok(WatchEvent::Deleted(lease))) => Told::Deleted(Box::new(lease)),
            Some(Ok(WatchEvent::Bookmark(_))) => Told::Nothing,
            // It was told too much to keep up: another begins anew.
            Some(Ok(WatchEvent::Error(_))) | None => {
                self.close();
                Told::Nothing
            }
            Some(Err(failure)) => {
                self.close();
                Told::Failed(failure)
            }
        }
    }

    fn close(&mut self) {
        self.events = None;
        self.due = crate::clock::now() + self.bound;
    }
}
