//! A candidate of the suite: asks a session, and remembers what it saw.

use crate::suite::{Bench, NEVER};
use tenure::clock::{self, Alarms};
use tenure::election::{
    Action, Candidate, Event, Lease, LeaseId, Observation, Standing, Time, Timing, Token,
};
use tenure::store::Session;

/// A session, and what it saw.
pub(crate) struct Peer {
    pub(crate) session: Box<dyn Session>,
    pub(crate) timing: Timing,
    pub(crate) queues: bool,
    pub(crate) seen: Vec<Observation>,
    pub(crate) seen_at: Vec<Time>,
}

impl Peer {
    pub(crate) fn new<B: Bench>(bench: &B, id: &str) -> Self {
        let session = bench.session(&Candidate {
            id: id.into(),
            advertise: Some(format!("http://{id}:8080")),
        });
        Peer {
            queues: B::QUEUES,
            ..Peer::with(session, bench.timing())
        }
    }

    pub(crate) fn with(session: Box<dyn Session>, timing: Timing) -> Self {
        Peer {
            session,
            timing,
            queues: true,
            seen: Vec::new(),
            seen_at: Vec::new(),
        }
    }

    pub(crate) async fn next(&mut self) -> Event {
        let event = tokio::time::timeout(NEVER, self.session.next()).await;
        let event = event.expect("nothing happens any more");
        if let Event::Observed(observation) = &event {
            self.seen.push(observation.clone());
            self.seen_at.push(clock::now());
        }
        event
    }

    /// The outcome of an action; begun again as often as it was not answered in time.
    async fn outcome(&mut self, action: Action) -> Event {
        let bound = clock::now() + NEVER;
        while clock::now() < bound {
            self.session.begin(action);
            loop {
                match self.next().await {
                    Event::Observed(_) | Event::Blind => {}
                    Event::KeepAliveFailed(_) | Event::VerifyFailed(_) => break,
                    Event::ReleaseFailed(_) => break,
                    event => return event,
                }
            }
        }
        panic!("{action:?} is never answered");
    }

    pub(crate) async fn join(&mut self) -> Lease {
        loop {
            match self.outcome(Action::Join(draw_lease_id())).await {
                Event::Joined(lease) => return lease,
                Event::JoinFailed { lease, .. } => self.release(lease).await,
                event => panic!("{event:?}"),
            }
        }
    }

    pub(crate) async fn keep_alive(&mut self, lease: LeaseId) -> Event {
        self.outcome(Action::KeepAlive(lease)).await
    }

    pub(crate) async fn verify(&mut self, lease: LeaseId) -> Standing {
        match self.outcome(Action::Verify(lease)).await {
            Event::Verified(verified, standing) if verified == lease => standing,
            event => panic!("{event:?}"),
        }
    }

    /// Verifies a place that has to be the first, and says its token.
    pub(crate) async fn verify_first(&mut self, lease: &Lease) -> Token {
        let Standing::First(token) = self.verify(lease.id).await else {
            panic!("{lease:?} is not the first");
        };
        let learns_it_now = !self.queues && lease.token == 0 && token > 0;
        assert!(
            token == lease.token || learns_it_now,
            "{token} of {lease:?}"
        );
        token
    }

    pub(crate) async fn release(&mut self, lease: LeaseId) {
        let event = self.outcome(Action::Release(lease)).await;
        assert_eq!(event, Event::Released(lease));
    }

    /// Waits, unless the last observation was like that.
    pub(crate) async fn see(&mut self, is_it: impl Fn(&Observation) -> bool) -> Observation {
        let bound = clock::now() + NEVER;
        loop {
            if let Some(last) = self.seen.last()
                && is_it(last)
            {
                return last.clone();
            }
            assert!(clock::now() < bound, "never seen; last: {:?}", self.seen);
            self.next().await;
        }
    }

    pub(crate) async fn see_first(&mut self, lease: LeaseId) -> Observation {
        self.see(|seen| seen.is_first(lease)).await
    }

    /// Renews until `time`; the last renewal was sent at the returned time.
    pub(crate) async fn stay_until(&mut self, lease: &Lease, time: Time) -> Time {
        let mut last = lease.sent_at;
        let mut alarm = alarms().alarm();
        while clock::now() < time {
            let due = last + self.timing.retry_period();
            alarm.wait_until(Some(due.min(time))).await;
            match self.keep_alive(lease.id).await {
                Event::KeptAlive { sent_at, .. } => last = sent_at,
                event => panic!("{event:?}"),
            }
        }
        last
    }
}

/// What the core does: a name that nobody else draws.
pub(crate) fn draw_lease_id() -> LeaseId {
    LeaseId((tenure::store::random() >> 1).max(1))
}

/// The timer of a runtime of its own.
pub(crate) fn alarms() -> Alarms {
    Alarms::start().unwrap()
}
