//! One connection at a time, to one endpoint after the other.
//!
//! etcd-client's own balancer is blind to dead endpoints, so each client here has one endpoint. Whoever
//! finds a connection failed says so, and the next one to ask gets a fresh connection to the next
//! endpoint. Everything that rides on the failed connection moves along.
//!
//! With a password, making a connection takes etcd some costly hashing. It is made for all who wait, and goes on where one
//! of them gives up waiting: to begin again each time would only bring more of the load that made it slow.
//!
//! New credentials change nothing until a connection made with them has been answered. Only then everything moves to that.

use super::channel::{self, Overheard};
use super::credentials::{Credentials, are_needed};
use super::error::{Failure, wants_no_login};
use super::files::Files;
use super::keyring::{Keyring, Offered};
use crate::config::EtcdConfig;
use crate::status;
use etcd_client::{Client, ConnectOptions, GetOptions};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// The connections to an etcd cluster, of which one is in use.
pub(super) struct Connections {
    config: EtcdConfig,
    /// How long an answer may take.
    bound: Duration,
    keyring: Arc<Keyring>,
    files: Files,
    current: Mutex<Option<(u64, Made)>>,
    /// The one that answered last, which need not be the current one.
    answered: Mutex<Option<Connection>>,
    turn: watch::Sender<Turn>,
    connected: Arc<AtomicBool>,
    /// What a new connection is asked for: the keys of an election, which may be all that the user may read.
    probe: OnceLock<String>,
    /// What was said to be wrong since the store answered last.
    troubles: Mutex<BTreeSet<String>>,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Counts the connections.
    pub(super) generation: u64,
    /// An index.
    endpoint: usize,
}

/// A connection that is made, or being made.
type Made = Shared<BoxFuture<'static, Result<Connection, Failure>>>;

/// How long a login may take, where that is longer than an answer may.
const SLOWEST_LOGIN: Duration = Duration::from_secs(3);

/// An outage has that much to say at most.
const MOST_TROUBLES: usize = 32;

/// Credentials that were refused are tried again so often: the server may learn of them later.
const OFFER_AGAIN: Duration = Duration::from_secs(30);

/// A connection to one endpoint. Clones share it.
#[derive(Clone)]
pub(super) struct Connection(Arc<Link>);

struct Link {
    fresh: Fresh,
    turn: Turn,
    /// How many answers have come on it, to anybody.
    answers: AtomicU64,
}

/// A client, before it has its turn.
struct Fresh {
    /// Large, and costly to clone.
    client: Client,
    overheard: Arc<Overheard>,
}

/// What came of an offer: a connection, made with it or with what is in use.
enum Tried {
    Accepted(Fresh),
    Refused(Fresh),
}

impl Connections {
    pub(super) fn new(
        config: &EtcdConfig,
        bound: Duration,
        keyring: Arc<Keyring>,
        files: Files,
        connected: Arc<AtomicBool>,
    ) -> Self {
        let first = Turn {
            generation: 0,
            endpoint: 0,
        };
        Connections {
            config: config.clone(),
            bound,
            keyring,
            files,
            current: Mutex::new(None),
            answered: Mutex::new(None),
            turn: watch::Sender::new(first),
            connected,
            probe: OnceLock::new(),
            troubles: Mutex::default(),
        }
    }

    /// The connection in use, made if need be. Whoever asks bounds the wait.
    pub(super) async fn current(self: &Arc<Self>) -> Result<Connection, Failure> {
        let made = {
            let mut current = lock(&self.current);
            let turn = self.turn();
            match &*current {
                Some((made_for, made)) if *made_for == turn.generation => made.clone(),
                _ => {
                    let made = Arc::clone(self).make(turn).boxed().shared();
                    *current = Some((turn.generation, made.clone()));
                    made
                }
            }
        };
        made.await
    }

    async fn make(self: Arc<Self>, turn: Turn) -> Result<Connection, Failure> {
        let made = self.connect(turn).await;
        if let Err(failure) = &made {
            self.failed_at(turn, failure);
            // The files may say by now what would have been accepted.
            self.files.look();
            // The next one to ask tries again, also where another endpoint would not help.
            let mut current = lock(&self.current);
            current.take_if(|(made_for, _)| *made_for == turn.generation);
        }
        made
    }

    async fn connect(&self, turn: Turn) -> Result<Connection, Failure> {
        let endpoint = self.endpoint(turn);
        let in_use = self.keyring.in_use();
        let fresh = match self.keyring.offered() {
            None => self.establish(endpoint, &in_use).await?,
            // What was read last is what somebody wants to be used.
            Some(offer) if !offer.was_refused => match self.try_at(endpoint, &offer).await? {
                Tried::Accepted(fresh) | Tried::Refused(fresh) => fresh,
            },
            Some(offer) => match self.establish_and_ask(endpoint, &in_use).await {
                // Others would have to wait as long.
                Err(failure) if !failure.is_timeout() => {
                    let fresh = self.establish_and_ask(endpoint, &offer.credentials).await;
                    let fresh = fresh.map_err(|_| failure)?;
                    self.keyring.accept(&offer.credentials, endpoint);
                    fresh
                }
                asked => asked?,
            },
        };
        Ok(Connection::new(fresh, turn))
    }

    /// Tries what is offered, and what is in use instead. Only where that is answered, and then the offer is not, is it the
    /// offer's fault.
    async fn try_at(&self, endpoint: &str, offer: &Offered) -> Result<Tried, Failure> {
        let offered = &offer.credentials;
        let mut former = None;
        loop {
            let failure = match self.establish_and_ask(endpoint, offered).await {
                Ok(fresh) => {
                    self.keyring.accept(offered, endpoint);
                    return Ok(Tried::Accepted(fresh));
                }
                Err(failure) => failure,
            };
            if let Some(former) = former {
                if !failure.is_timeout() {
                    self.keyring.refuse(offered, endpoint, &failure);
                }
                return Ok(Tried::Refused(former));
            }
            // Others would have to wait as long.
            if failure.is_timeout() {
                return Err(failure);
            }
            let in_use = self.keyring.in_use();
            let asked = self.establish_and_ask(endpoint, &in_use).await;
            former = Some(asked.map_err(|_| failure)?);
        }
    }

    /// Tries whatever credentials are offered, and moves everything to the connection made with them once that has
    /// been answered. Until it is dropped.
    pub(super) async fn exchange_credentials(self: Arc<Self>) {
        let mut offers = self.keyring.offers();
        loop {
            if let Some(offer) = self.keyring.offered() {
                self.try_offer(&offer).await;
            }
            // Fails only when everything ends.
            let again = timeout(OFFER_AGAIN, offers.changed()).await;
            if again.is_ok_and(|offered| offered.is_err()) {
                return;
            }
        }
    }

    async fn try_offer(&self, offer: &Offered) {
        let turn = self.turn();
        if let Ok(Tried::Accepted(fresh)) = self.try_at(self.endpoint(turn), offer).await {
            self.move_to(fresh, turn.endpoint);
        }
    }

    /// Has everything move to this connection, whichever is in use.
    fn move_to(&self, fresh: Fresh, endpoint: usize) {
        let mut current = lock(&self.current);
        let turn = Turn {
            generation: self.turn().generation + 1,
            endpoint,
        };
        let made = futures_util::future::ready(Ok(Connection::new(fresh, turn)));
        *current = Some((turn.generation, made.boxed().shared()));
        self.turn.send_replace(turn);
    }

    /// Reads the files with credentials anew, whether they have changed or not.
    pub(super) fn reread_credentials(&self) {
        self.files.reread();
    }

    /// What becomes of the credentials, where there are any.
    pub(super) fn credentials(&self) -> Option<Arc<status::Credentials>> {
        are_needed(&self.config).then(|| self.keyring.status())
    }

    fn turn(&self) -> Turn {
        *self.turn.borrow()
    }

    /// Which connection is in use, or about to be made.
    pub(super) fn generation(&self) -> u64 {
        self.turn().generation
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
            let endpoint = self.endpoint(connection.0.turn);
            tracing::info!(endpoint, "store connected");
            lock(&self.troubles).clear();
        }
        // What was let in before says nothing of what is refused now.
        if connection.generation() == self.generation() {
            self.keyring.in_use_is_refused(false);
        }
        let mut answered = lock(&self.answered);
        if answered.as_ref().map(Connection::generation) != Some(connection.generation()) {
            *answered = Some(connection.clone());
        }
    }

    /// Somebody got no answer from that connection, or a refusal.
    pub(super) fn failed(&self, connection: &Connection, failure: &Failure) {
        let overheard = &connection.0.fresh.overheard;
        self.failed_at(connection.0.turn, &overheard.explain(failure.clone()));
    }

    fn failed_at(&self, turn: Turn, failure: &Failure) {
        self.report(self.endpoint(turn), failure);
        if failure.is_about_credentials() && turn.generation == self.generation() {
            self.keyring.in_use_is_refused(true);
        }
        if matches!(failure, Failure::Unreachable(_)) {
            self.turn.send_if_modified(|current| {
                let ours = current.generation == turn.generation;
                if ours {
                    current.generation += 1;
                    current.endpoint = (turn.endpoint + 1) % self.config.endpoints.len().max(1);
                }
                ours
            });
        }
    }

    /// Changes when the connection in use has failed, or makes way for another.
    pub(super) fn turns(&self) -> watch::Receiver<Turn> {
        self.turn.subscribe()
    }

    /// Says what is wrong, each thing once, until the store answers again.
    fn report(&self, endpoint: &str, failure: &Failure) {
        if matches!(failure, Failure::NoLease | Failure::Superseded) {
            return;
        }
        // A refusal of one election says nothing of the others.
        if matches!(failure, Failure::Unreachable(_)) {
            self.connected.store(false, Ordering::Relaxed);
        }
        let mut troubles = lock(&self.troubles);
        if troubles.len() < MOST_TROUBLES && troubles.insert(format!("{endpoint}: {failure}")) {
            tracing::warn!(endpoint, error = %failure, "store trouble");
        }
    }

    async fn establish(&self, endpoint: &str, with: &Credentials) -> Result<Fresh, Failure> {
        let is_encrypted = endpoint.starts_with("https://");
        let tls = with.tls.clone().filter(|_| is_encrypted);
        let opened = timeout(self.bound, channel::open(endpoint, tls, self.bound)).await;
        let (channel, overheard) = opened.unwrap_or_else(|_| Err(Failure::timed_out()))?;
        let log_in = log_in(channel, with.login.clone());
        let bound = self.bound.max(SLOWEST_LOGIN);
        match timeout(bound, log_in).await {
            Ok(Ok(client)) => Ok(Fresh { client, overheard }),
            Ok(Err(error)) => Err(overheard.explain(error.into())),
            Err(_) => Err(overheard.explain(Failure::timed_out())),
        }
    }

    /// Also waits for an answer: a client may believe to be let in before the server has looked at who it is.
    async fn establish_and_ask(
        &self,
        endpoint: &str,
        with: &Credentials,
    ) -> Result<Fresh, Failure> {
        let fresh = self.establish(endpoint, with).await?;
        let options = GetOptions::new().with_limit(1).with_count_only();
        let mut client = fresh.client.kv_client();
        let asking = client.get(self.probe(), Some(options));
        let answer = match timeout(self.bound, asking).await {
            Ok(answer) => answer.map(drop).map_err(Failure::from),
            Err(_) => Err(Failure::timed_out()),
        };
        match answer.map_err(|failure| fresh.overheard.explain(failure)) {
            Ok(()) => Ok(fresh),
            Err(failure) => Err(failure),
        }
    }

    /// A new connection is asked for these keys.
    pub(super) fn ask_for(&self, election_prefix: &str) {
        // The first of all is as good as any.
        let _ = self.probe.set(election_prefix.to_owned());
    }

    fn probe(&self) -> &str {
        self.probe.get().unwrap_or(&self.config.prefix)
    }

    fn endpoint(&self, turn: Turn) -> &str {
        let endpoint = self.config.endpoints.get(turn.endpoint);
        endpoint.map_or("", String::as_str)
    }
}

/// Gets a token for all that is asked later, where there is a user. It is renewed when it has aged.
async fn log_in(
    channel: tonic::transport::Channel,
    login: Option<(String, String)>,
) -> Result<Client, etcd_client::Error> {
    let channel = etcd_client::Channel::Tonic(channel);
    let options = ConnectOptions::new().with_require_leader(true);
    if let Some((user, password)) = login {
        let with_user = options
            .clone()
            .with_user(user, password)
            .with_auto_token_refresh(true);
        match Client::from_channel(channel.clone(), Some(with_user)).await {
            Err(error) if wants_no_login(&error) => {}
            made => return made,
        }
    }
    Client::from_channel(channel, Some(options)).await
}

impl Connection {
    fn new(fresh: Fresh, turn: Turn) -> Self {
        Connection(Arc::new(Link {
            fresh,
            turn,
            answers: AtomicU64::new(0),
        }))
    }

    pub(super) fn client(&self) -> &Client {
        &self.0.fresh.client
    }

    /// Which of the connections this is.
    pub(super) fn generation(&self) -> u64 {
        self.0.turn.generation
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
