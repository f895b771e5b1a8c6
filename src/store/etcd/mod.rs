//! The etcd store: a lease for each election, and a queue by create revision.
//!
//! It assumes that etcd keeps its word on two things: a read that is not asked to be stale is
//! linearizable, and a lease lives at least its granted ttl after a keepalive was received. It relies on
//! nothing in the client beyond single requests: sessions, retries and failing over are done here.

mod calls;
mod channel;
mod connections;
mod credentials;
mod error;
mod files;
mod keepalives;
mod keyring;
mod layout;
mod observer;
mod reasons;
mod requests;
mod tls;
mod watches;

use crate::clock::Alarms;
use crate::config::EtcdConfig;
use crate::election::{Action, Candidate, Event, Lease, LeaseId, Timing};
use crate::status;
use crate::store::{Lane, Namesakes, Session};
use crate::watched_files::WatchedFiles;
use calls::Calls;
use connections::Connections;
use credentials::Credentials;
use files::Files;
use keepalives::KeepAlives;
use keyring::Keyring;
use observer::{Observer, Sight, Watched};
use requests::Requests;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// An etcd cluster. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EtcdStore {
    connections: Arc<Connections>,
    key_prefix: String,
    bound: Duration,
}

impl EtcdStore {
    /// Connects when there is something to ask; `connected` tells whether the last request was answered.
    ///
    /// # Errors
    /// A sentence that names the config's key and the file, where one of those named there can't be used.
    pub fn open(
        config: &EtcdConfig,
        timing: &Timing,
        connected: Arc<AtomicBool>,
    ) -> Result<Self, String> {
        let bound = timing.retry_period();
        let watched = WatchedFiles::new(credentials::files(config));
        let keyring = Arc::new(Keyring::new(Credentials::read(config)?));
        let files = Files::watch(config, watched, &keyring)
            .map_err(|error| format!("starting a thread: {error}"))?;
        let connections = Connections::new(config, bound, keyring, files, connected);
        Ok(EtcdStore {
            connections: Arc::new(connections),
            key_prefix: config.prefix.clone(),
            bound,
        })
    }

    /// What a candidate's key begins with in this election; its lease in hex completes it.
    pub fn key_prefix(&self, election: &str) -> String {
        layout::election_prefix(&self.key_prefix, election)
    }

    /// Reads the files with credentials anew. Everything moves to a connection made with them, once that has been
    /// answered. They are also reread, a second or two later, where they change.
    pub fn reread_credentials(&self) {
        self.connections.reread_credentials();
    }

    /// What becomes of the credentials, where there are any.
    pub fn credentials(&self) -> Option<Arc<status::Credentials>> {
        self.connections.credentials()
    }

    /// Begins to observe elections, as a candidate that has not joined yet. They share a connection, streams of
    /// keepalives and a stream of watches. Call it inside the runtime that is to do the work.
    pub fn sessions<'a>(
        &self,
        elections: impl IntoIterator<Item = &'a str>,
        candidate: &Candidate,
        timing: &Timing,
        alarms: &Alarms,
    ) -> Vec<EtcdSession> {
        let requests = Arc::new(Requests::new(
            Arc::clone(&self.connections),
            self.bound,
            alarms,
        ));
        let (watched, seen): (Vec<_>, Vec<_>) = elections
            .into_iter()
            .map(|election| {
                let prefix = layout::election_prefix(&self.key_prefix, election);
                self.connections.ask_for(&prefix);
                let (sight, sights) = watch::channel(None);
                (Watched::new(prefix.clone(), sight), (prefix, sights))
            })
            .unzip();
        let keepalives = KeepAlives::new(Arc::clone(&self.connections), watched.len());
        let keepalives = Arc::new(keepalives);
        let mut observer = JoinSet::new();
        let observe = Observer::new(Arc::clone(&requests), watched, timing.ttl(), alarms.alarm());
        observer.spawn(observe.observe());
        observer.spawn(Arc::clone(&self.connections).exchange_credentials());
        let observer = Arc::new(observer);
        seen.into_iter()
            .map(|(prefix, sights)| EtcdSession {
                calls: Arc::new(Calls {
                    requests: Arc::clone(&requests),
                    keepalives: Arc::clone(&keepalives),
                    prefix,
                    value: layout::value(candidate, false),
                    leaving: layout::value(candidate, true),
                    ttl: timing.ttl(),
                    sights: sights.clone(),
                }),
                candidate: candidate.clone(),
                own: None,
                joined: None,
                namesakes: Namesakes::default(),
                sights,
                keepalive: Lane::default(),
                call: Lane::default(),
                _observer: Arc::clone(&observer),
            })
            .collect()
    }
}

/// A candidate's dealings with etcd in one election.
#[derive(Debug)]
pub struct EtcdSession {
    calls: Arc<Calls>,
    candidate: Candidate,
    /// The lease joined with last.
    own: Option<LeaseId>,
    /// The same, once it was granted.
    joined: Option<Lease>,
    namesakes: Namesakes,
    sights: watch::Receiver<Sight>,
    /// The keepalive under way.
    keepalive: Lane<Event>,
    /// The one other request under way.
    call: Lane<Event>,
    /// Ends with the last of the sessions.
    _observer: Arc<JoinSet<()>>,
}

impl Session for EtcdSession {
    fn begin(&mut self, action: Action) {
        let calls = Arc::clone(&self.calls);
        match action {
            Action::Join(id) => {
                self.own = Some(id);
                self.joined = None;
                self.call.begin(async move { calls.join(id).await });
            }
            Action::KeepAlive(id) => {
                let granted = self.joined.map_or(calls.ttl, |lease| lease.ttl);
                self.keepalive
                    .begin(async move { calls.keep_alive(id, granted).await });
            }
            Action::Verify(id) => {
                let joined = self.joined.filter(|lease| lease.id == id);
                let token = joined.map_or(0, |lease| lease.token);
                self.call
                    .begin(async move { calls.verify(id, token).await });
            }
            Action::Release(id) => {
                self.keepalive.clear();
                self.call.begin(async move { calls.release(id).await });
            }
            Action::HandOver(id) => {
                self.keepalive.clear();
                self.call.begin(async move { calls.hand_over(id).await });
            }
            _ => {}
        }
    }

    fn next(&mut self) -> Pin<Box<dyn Future<Output = Event> + Send + '_>> {
        Box::pin(async move {
            tokio::select! {
                biased;
                event = self.keepalive.outcome() => event,
                event = self.call.outcome() => {
                    if let Event::Joined(lease) = event {
                        self.joined = Some(lease);
                    }
                    event
                }
                Ok(()) = self.sights.changed() => self.observation(),
            }
        })
    }
}

impl EtcdSession {
    fn observation(&mut self) -> Event {
        let sight = self.sights.borrow_and_update();
        let Some(queue) = &*sight else {
            return Event::Blind;
        };
        self.namesakes.warn_of(queue, self.own, &self.candidate.id);
        Event::Observed(queue.observation(self.own))
    }
}
