//! One connection at a time, to one endpoint after the other.
//!
//! etcd-client's own balancer is blind to dead endpoints, so each client here has one endpoint. Whoever
//! finds a connection failed says so, and the next one to ask gets a fresh connection to the next
//! endpoint. Everything that rides on the failed connection moves along.
//!
//! With a password, making a connection takes etcd some costly hashing. It is made for all who wait, and goes on where one
//! of them gives up waiting: to begin again each time would only bring more of the load that made it slow.

use super::credentials::Credentials;
use super::error::Failure;
use crate::config::EtcdConfig;
use etcd_client::{Client, ConnectOptions};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// The connections to an etcd cluster, of which one is in use.
pub(super) struct Connections {
    config: EtcdConfig,
    /// How long an answer may take.
    bound: Duration,
    current: Mutex<Option<(u64, Made)>>,
    /// The one that answered last, which need not be the current one.
    answered: Mutex<Option<Connection>>,
    generation: watch::Sender<u64>,
    connected: Arc<AtomicBool>,
    /// What was said to be wrong since the store answered last.
    troubles: Mutex<BTreeSet<String>>,
}

/// A connection that is made, or being made.
type Made = Shared<BoxFuture<'static, Result<Connection, Failure>>>;

/// How long a login may take, where that is longer than an answer may.
const SLOWEST_LOGIN: Duration = Duration::from_secs(3);

/// An outage has that much to say at most.
const MOST_TROUBLES: usize = 32;

/// A connection to one endpoint. Clones share it.
#[derive(Clone)]
pub(super) struct Connection(Arc<Link>);

struct Link {
    /// Large, and costly to clone.
    client: Client,
    generation: u64,
    /// How many answers have come on it, to anybody.
    answers: AtomicU64,
}

impl Connections {
    pub(super) fn new(config: &EtcdConfig, bound: Duration, connected: Arc<AtomicBool>) -> Self {
        Connections {
            config: config.clone(),
            bound,
            current: Mutex::new(None),
            answered: Mutex::new(None),
            generation: watch::Sender::new(0),
            connected,
            troubles: Mutex::default(),
        }
    }

    /// The connection in use, made if need be. Whoever asks bounds the wait.
    pub(super) async fn current(self: &Arc<Self>) -> Result<Connection, Failure> {
        let made = {
            let mut current = lock(&self.current);
            let generation = self.generation();
            match &*current {
                Some((made_for, made)) if *made_for == generation => made.clone(),
                _ => {
                    let made = Arc::clone(self).make(generation).boxed().shared();
                    *current = Some((generation, made.clone()));
                    made
                }
            }
        };
        made.await
    }

    async fn make(self: Arc<Self>, generation: u64) -> Result<Connection, Failure> {
        let made = timeout(self.bound.max(SLOWEST_LOGIN), self.connect(generation))
            .await
            .unwrap_or_else(|_| Err(Failure::timed_out()));
        if let Err(failure) = &made {
            self.failed(generation, failure);
            // The next one to ask tries again, also where another endpoint would not help.
            lock(&self.current).take_if(|(made_for, _)| *made_for == generation);
        }
        made
    }

    /// Which connection is in use, or about to be made.
    pub(super) fn generation(&self) -> u64 {
        *self.generation.borrow()
    }

    /// The connection that answered last, if it is not the one in use any more. Where only answers are
    /// lost, what is sent on it still arrives.
    pub(super) fn abandoned(&self) -> Option<Connection> {
        let answered = lock(&self.answered).clone()?;
        (answered.generation() != self.generation()).then_some(answered)
    }

    /// Somebody got an answer.
    pub(super) fn answered(&self, connection: &Connection) {
        connection.0.answers.fetch_add(1, Ordering::Relaxed);
        if !self.connected.swap(true, Ordering::Relaxed) {
            tracing::info!(
                endpoint = self.endpoint(connection.generation()),
                "store connected"
            );
            lock(&self.troubles).clear();
        }
        let mut answered = lock(&self.answered);
        if answered.as_ref().map(Connection::generation) != Some(connection.generation()) {
            *answered = Some(connection.clone());
        }
    }

    /// Somebody got no answer from the connection of that generation, or a refusal.
    pub(super) fn failed(&self, generation: u64, failure: &Failure) {
        self.report(generation, failure);
        if matches!(failure, Failure::Unreachable(_)) {
            self.generation.send_if_modified(|current| {
                let ours = *current == generation;
                *current += u64::from(ours);
                ours
            });
        }
    }

    /// Has everything move to a fresh connection, made from files read anew.
    pub(super) fn renew(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Changes when the connection in use has failed.
    pub(super) fn generations(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Says what is wrong, each thing once, until the store answers again.
    fn report(&self, generation: u64, failure: &Failure) {
        if matches!(failure, Failure::NoLease | Failure::Superseded) {
            return;
        }
        // A refusal of one election says nothing of the others.
        if matches!(failure, Failure::Unreachable(_)) {
            self.connected.store(false, Ordering::Relaxed);
        }
        let endpoint = self.endpoint(generation);
        let mut troubles = lock(&self.troubles);
        if troubles.len() < MOST_TROUBLES && troubles.insert(format!("{endpoint}: {failure}")) {
            tracing::warn!(endpoint, error = %failure, "store trouble");
        }
    }

    async fn connect(&self, generation: u64) -> Result<Connection, Failure> {
        let endpoint = self.endpoint(generation);
        let mut options = ConnectOptions::new()
            .with_connect_timeout(self.bound)
            .with_require_leader(true);
        let credentials = self.credentials(endpoint.starts_with("https://")).await?;
        if let Some((user, password)) = credentials.login {
            options = options
                .with_user(user, password)
                .with_auto_token_refresh(true);
        }
        if let Some(tls) = credentials.tls {
            options = options.with_tls(tls);
        }
        let client = Client::connect([endpoint], Some(options)).await?;
        Ok(Connection(Arc::new(Link {
            client,
            generation,
            answers: AtomicU64::new(0),
        })))
    }

    /// Reads the files anew, where a disk that hangs delays nobody else.
    async fn credentials(&self, encrypted: bool) -> Result<Credentials, Failure> {
        let (config, bound) = (self.config.clone(), self.bound);
        let read = move || Credentials::read(&config, encrypted, bound);
        tokio::task::spawn_blocking(read)
            .await
            .unwrap_or_else(|error| Err(error.to_string()))
            .map_err(Failure::Refused)
    }

    fn endpoint(&self, generation: u64) -> &str {
        let index = generation % self.config.endpoints.len().max(1) as u64;
        self.config
            .endpoints
            .get(index as usize)
            .map_or("", String::as_str)
    }
}

impl Connection {
    pub(super) fn client(&self) -> &Client {
        &self.0.client
    }

    /// Which of the connections this is.
    pub(super) fn generation(&self) -> u64 {
        self.0.generation
    }

    /// Changes with every answer.
    pub(super) fn answers(&self) -> u64 {
        self.0.answers.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Connection {
    /// Without the client, whose own shows the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("endpoints", &self.config.endpoints)
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}

/// Nobody panics while holding one of these, and nobody waits.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
