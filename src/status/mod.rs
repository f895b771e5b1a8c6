//! What is published of each election, and how it is read.
//!
//! A driver publishes snapshots; any number of readers map *snapshot + now* to an answer. A snapshot
//! holds the claim with its end, never a boolean, so a reader that was frozen is right at its first
//! answer. No reader keeps a driver waiting.

mod answer;
mod credentials;
mod fence;
mod history;
mod promise;
mod sync {
    //! The atomics of [`super::promise`], by a name that a model checker can replace.
    pub(super) use std::sync::atomic::{AtomicU64, Ordering, fence};
}

pub use answer::{Answer, Guard, Leader, leader, rfc3339, state, valid_claim, validity};
pub use credentials::{Certificate, Credentials, CredentialsSeen};
pub use fence::{Fence, fence};
pub use history::Past;
pub use promise::Promises;

use crate::election::{Candidate, Role, RoleName, Time, Timing, Token, Transition, View};
use arc_swap::ArcSwap;
use history::History;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::{broadcast, mpsc, oneshot};

/// What is published of one election at one time.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What the core says.
    pub view: View,
    /// When the role began.
    pub since: SystemTime,
    /// Changes of role so far.
    pub transitions: u64,
    /// The greatest fencing token of a leadership, this candidate's or another's, that was ever heard of here.
    pub newest_token: Option<Token>,
    /// The fencing token under which this candidate leads, or led last.
    pub own_token: Option<Token>,
}

/// What changed with a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The role, or who leads.
    State,
    /// Only the end of the claim: a keepalive was answered.
    Renewed,
}

/// The published state of one election.
#[derive(Debug)]
pub struct ElectionStatus {
    name: String,
    candidate: Candidate,
    key_prefix: Option<String>,
    /// Whether the pod's label says what is the case, where it has one.
    label_synced: Option<AtomicBool>,
    snapshot: ArcSwap<Snapshot>,
    history: History,
    promises: Promises,
    changes: broadcast::Sender<(Change, Arc<Snapshot>)>,
}

/// So many changes may a subscriber be late by; past that it is told the newest state only.
const UNREAD_CHANGES: usize = 16;

impl ElectionStatus {
    /// An election of which nothing is known yet.
    pub fn new(name: &str, candidate: &Candidate, date: SystemTime) -> Self {
        let snapshot = Snapshot {
            view: View {
                role: Role::Starting,
                holder: None,
                held_back: None,
            },
            since: date,
            transitions: 0,
            newest_token: None,
            own_token: None,
        };
        ElectionStatus {
            name: name.to_owned(),
            candidate: candidate.clone(),
            key_prefix: None,
            label_synced: None,
            snapshot: ArcSwap::from_pointee(snapshot),
            history: History::default(),
            promises: Promises::none(),
            changes: broadcast::Sender::new(UNREAD_CHANGES),
        }
    }

    /// The same, in etcd: a candidate's key is this prefix and its lease.
    pub fn with_key_prefix(self, key_prefix: Option<String>) -> Self {
        ElectionStatus { key_prefix, ..self }
    }

    /// The same, with a label on the pod, of which nothing is known yet.
    pub fn with_label(self) -> Self {
        ElectionStatus {
            label_synced: Some(AtomicBool::new(false)),
            ..self
        }
    }

    /// Whether the pod's label is known to say what is the case; none where it has none.
    pub fn label_synced(&self) -> Option<bool> {
        let synced = self.label_synced.as_ref()?;
        Some(synced.load(Ordering::Relaxed))
    }

    /// To be called by whoever writes the label.
    pub fn set_label_synced(&self, synced: bool) {
        if let Some(current) = &self.label_synced {
            current.store(synced, Ordering::Relaxed);
        }
    }

    /// The election's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// This candidate.
    pub fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    /// What is published now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Changes from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<(Change, Arc<Snapshot>)> {
        self.changes.subscribe()
    }

    /// Whether the election's state has been known at any time.
    pub fn has_started(&self) -> bool {
        self.snapshot.load().view.role.name() != RoleName::Starting
    }

    /// An answer that promises nothing: `valid_for_ms` is null.
    pub fn answer(&self, now: Time) -> Answer {
        self.answer_of(&self.snapshot(), now)
    }

    /// An answer for people: it promises nothing either, and says what is left of the lease.
    pub fn glance(&self, now: Time) -> Answer {
        let snapshot = self.snapshot();
        let claim = valid_claim(&snapshot, now);
        Answer {
            lease_valid_ms: claim.map(|claim| claim.valid_until.since(now).as_millis() as u64),
            ..self.answer_of(&snapshot, now)
        }
    }

    /// An answer of something published earlier, that promises nothing.
    pub fn answer_of(&self, snapshot: &Snapshot, now: Time) -> Answer {
        self.answer_until(snapshot, now, None)
    }

    /// An answer on which the application may act for `valid_for_ms`, whatever happens meanwhile.
    pub fn promise(&self, now: Time) -> Answer {
        self.promise_until(now).0
    }

    /// The same, and when the promise ends, where one was given.
    pub fn promise_until(&self, now: Time) -> (Answer, Option<Time>) {
        let look = || {
            let snapshot = self.snapshot();
            let claim = valid_claim(&snapshot, now)?;
            Some((claim.valid_until, snapshot))
        };
        match self.promises.give(look) {
            Some((until, snapshot)) => {
                let answer = self.answer_until(&snapshot, now, Some(until));
                (answer, Some(until))
            }
            None => (self.answer(now), None),
        }
    }

    fn answer_until(&self, snapshot: &Snapshot, now: Time, promised: Option<Time>) -> Answer {
        let key_prefix = self.key_prefix.as_deref();
        let (name, candidate) = (&self.name, &self.candidate);
        answer::answer(name, candidate, key_prefix, snapshot, now, promised)
    }

    /// When the last promise ends. To be asked after "not leader" has been published.
    pub fn promised_until(&self) -> Time {
        self.promises.outstanding()
    }

    /// Publishes what the core says at `date`, if it says anything new.
    pub fn publish(&self, view: View, date: SystemTime) {
        let last = self.snapshot.load();
        if last.view == view {
            return;
        }
        let changed_role = last.view.role.name() != view.role.name();
        let changed_hold = last.view.held_back != view.held_back;
        let change = if changed_role || changed_hold || last.view.holder != view.holder {
            Change::State
        } else {
            Change::Renewed
        };
        let snapshot = Arc::new(Snapshot {
            since: if changed_role { date } else { last.since },
            transitions: last.transitions + u64::from(changed_role),
            newest_token: fence::newest(&view).max(last.newest_token),
            own_token: fence::own(&view).or(last.own_token),
            view,
        });
        self.snapshot.store(Arc::clone(&snapshot));
        // Fails where nobody listens.
        let _ = self.changes.send((change, snapshot));
    }

    /// Keeps a change of role in memory, for a while. To be called by whoever publishes.
    pub fn record(&self, transition: Transition, date: SystemTime) {
        self.history.record(transition, date);
    }

    /// The last changes of role, the newest first.
    pub fn history(&self) -> Vec<Past> {
        self.history.read()
    }
}

/// What a sidecar shows to whoever asks.
#[derive(Clone, Debug)]
pub struct Board {
    /// This candidate.
    pub candidate: Candidate,
    /// The time budget of every lease.
    pub timing: Timing,
    /// Which kind of store: `etcd` or `file`.
    pub store: &'static str,
    /// Whether the store answered the last request.
    pub connected: Arc<AtomicBool>,
    /// What becomes of credentials from files, where there are any.
    pub credentials: Vec<Arc<Credentials>>,
    /// Every election, with a way to its driver.
    pub elections: Vec<ElectionHandle>,
}

/// One election's status, and a way to its driver.
#[derive(Clone, Debug)]
pub struct ElectionHandle {
    /// What is published.
    pub status: Arc<ElectionStatus>,
    /// Where its driver listens.
    pub commands: mpsc::Sender<Command>,
}

/// What became of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Application {
    /// It was told to stop, or its time was over, and has. The token is that of the leadership it was for.
    Stopped {
        /// Of the leadership it was for.
        token: Token,
        /// Whether it ended in its own way: what is killed may have work under way.
        in_order: bool,
    },
    /// It was told to stop, and has not, or could not be told.
    NotStopped(Token),
    /// It ended by itself.
    Ended {
        /// Of the leadership it was for.
        token: Token,
        /// Whether the candidate leaves with it.
        leave: bool,
        /// Whether it ended well.
        in_order: bool,
    },
    /// It is about to end, or something of it is.
    Ending(Token),
    /// It is gone, as far as can be told from outside.
    Gone,
}

/// What can be asked of a driver.
#[derive(Debug)]
pub enum Command {
    /// Give up leadership.
    Resign {
        /// How long to stay out of the election.
        cooldown: Duration,
        /// Whether the application has stopped already, so that no promise matters.
        stopped: bool,
        /// When it will have released; `None` where it does not lead.
        reply: oneshot::Sender<Option<Time>>,
    },
    /// Give up what is held, in order, and stay out until resumed.
    Pause {
        /// When it will have released; `None` where it does not lead.
        reply: oneshot::Sender<Option<Time>>,
    },
    /// Campaign again.
    Resume {
        /// Once it does.
        reply: oneshot::Sender<()>,
    },
    /// Whether the application is healthy.
    Healthy(bool),
    /// What became of the application.
    Application(Application),
    /// Those who direct traffic know that this leadership is over.
    Deregistered(Token),
    /// Say that the loop turns over.
    Ping(oneshot::Sender<()>),
    /// Release everything, and end.
    Shutdown,
}
