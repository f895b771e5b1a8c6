//! The composition root: builds the parts, starts every task in one place, and ends them in order.
//!
//! Two threads do the work. The elections have one to themselves, so that no flood of requests delays a
//! keepalive; HTTP and signals have the other, which is the one that called [`run`].

mod application;
mod pod;

use crate::clock::{self, Alarms};
use crate::config::{ApiAddress, Config, HttpConfig, StoreConfig};
use crate::driver::{Attendant, Driver};
use crate::election::{Candidate, Election, Event, Hold, Policy, Timing};
use crate::http::{self, Context, Credentials, Listener, Surface};
use crate::kubernetes::Cluster;
use crate::logging::Log;
use crate::metrics::{Metrics, Recorder};
use crate::shutdown::{Caught, Signals};
use crate::status::{self, Board, Command, ElectionHandle, ElectionStatus};
use crate::status_file::StatusFiles;
use crate::store::etcd::EtcdStore;
use crate::store::file::FileStore;
use crate::store::kubernetes::KubernetesStore;
use crate::store::{Session, random};
use application::{ForApplication, supervision};
use pod::ForPod;
use std::convert::Infallible;
use std::ffi::OsString;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// This program's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why the sidecar could not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A listener's address can't be had.
    #[error("{0}")]
    Listen(io::Error),
    /// A file with a token, a certificate or a key is no good.
    #[error("{0}")]
    Credentials(String),
    /// The store named in the config can't be used.
    #[error("store: {0}")]
    Store(String),
    /// The cluster that shows who leads can't be found.
    #[error("kubernetes: {0}")]
    Kubernetes(String),
    /// A status file can't be written.
    #[error("{0}")]
    StatusFile(io::Error),
    /// The system refused something that every process may expect.
    #[error("{0}: {1}")]
    System(&'static str, #[source] io::Error),
    /// Two of our metrics have one name: a bug.
    #[error("metrics: {0}")]
    Metrics(#[source] prometheus::Error),
    /// A bug, too.
    #[error("the elections have ended unasked")]
    ElectionsEnded,
}

/// So many commands may wait for a driver, which takes each at once.
const WAITING_COMMANDS: usize = 16;

/// Runs the sidecar until a signal ends it. `reload` reads the config anew on SIGHUP. Where there is a command, it runs
/// while this candidate leads, and its exit code is returned where it ended the sidecar, or ended with it; 0 otherwise.
///
/// # Errors
/// Where it can't start, or can't go on.
pub fn run(
    config: &Config,
    log: &Log,
    command: Option<Vec<OsString>>,
    reload: impl Fn() -> Option<Config>,
) -> Result<u8, RunError> {
    let runtime = runtime("http")?;
    let result = runtime.block_on(async {
        let mut signals = system("listening to signals", Signals::listen())?;
        let (api, probes) = listen(&config.http)?;
        let credentials = vec![api.credentials(), probes.credentials()];

        let policy = Policy {
            application: supervision(config, command.is_some()),
            ..config.policy
        };
        let from_files = credentials.iter().flat_map(|one| one.statuses());
        let (board, elections) = Elections::new(config, policy, from_files.collect())?;
        let metrics = Arc::clone(&elections.metrics);
        let context = Context::new(board.clone(), metrics, config.readiness, VERSION);
        tracing::info!(
            version = VERSION,
            id = board.candidate.id,
            store = board.store,
            elections = board.elections.len(),
            %api,
            %probes,
            "started"
        );

        let mut for_application =
            ForApplication::start(config, &board, command, api.url())?;
        let for_pod = ForPod::start(config, &board)?;
        let status_files = status_files(config, &board)?;
        let store = elections.store.clone();
        let (stop_http, stopped) = watch::channel(false);
        let mut listeners = JoinSet::new();
        listeners.spawn(http::serve(
            api,
            Surface::Api,
            Arc::clone(&context),
            stopped.clone(),
        ));
        listeners.spawn(http::serve(probes, Surface::Probes, context, stopped.clone()));
        let reread = Arc::new(Notify::new());
        listeners.spawn(http::keep_fresh(credentials, Arc::clone(&reread), stopped));
        let attendants = std::mem::take(&mut for_application.attendants);
        let mut ended = elections.start(attendants)?;

        // What was started last ends first: the elections, then the files and HTTP, which tell of them to the end.
        let result = loop {
            tokio::select! {
                biased;
                _ = &mut ended => break if for_application.has_ended() {
                    Ok(())
                } else {
                    Err(RunError::ElectionsEnded)
                },
                caught = signals.next() => match caught {
                    Caught::Reload => {
                        store.reread_credentials();
                        reread.notify_one();
                        if let Some(config) = reload() {
                            log.set_level(config.log.level);
                            let level = config.log.level.as_str().to_lowercase();
                            tracing::info!(level, "log level reread");
                        }
                    }
                    Caught::End => {
                        tracing::info!("stopping; a second signal leaves at once, without releasing");
                        for_application.shut_down();
                        for election in &board.elections {
                            // Closed where the driver has ended.
                            let _ = election.commands.send(Command::Shutdown).await;
                        }
                        for_application.look_for_its_end();
                        break tokio::select! {
                            ended = &mut ended => ended.map_err(|_| RunError::ElectionsEnded),
                            never = tell_of_an_outage(&board) => match never {},
                        };
                    }
                },
            }
        };
        let code = for_application.finish().await;
        for_pod.finish().await;
        status_files.finish().await;
        let _ = stop_http.send(true);
        listeners.join_all().await;
        tracing::info!("stopped");
        result.map(|()| code)
    });
    // Of what blocks, a disk that hangs or a name that is looked up may not let go; nothing depends on it any more.
    runtime.shutdown_background();
    result
}

/// Says what a sidecar that is stopping waits for, where that is the store.
async fn tell_of_an_outage(board: &Board) -> Infallible {
    loop {
        tokio::time::sleep(board.timing.retry_period()).await;
        if !board.connected.load(Ordering::Relaxed) {
            break;
        }
    }
    tracing::warn!(
        ttl = ?board.timing.ttl(),
        "still stopping: the store doesn't answer, so what may be held there can't be released; it runs out \
         within about a ttl"
    );
    pending().await
}

/// The elections of this sidecar, before they are started.
struct Elections {
    config: Config,
    policy: Policy,
    store: OpenStore,
    metrics: Arc<Metrics>,
    members: Vec<Member>,
}

/// What one election's driver is made of.
struct Member {
    status: Arc<ElectionStatus>,
    recorder: Recorder,
    commands: mpsc::Receiver<Command>,
}

#[derive(Clone)]
enum OpenStore {
    Etcd(EtcdStore),
    File(FileStore),
    Kubernetes(KubernetesStore),
}

impl Elections {
    /// `credentials` are those of HTTP.
    fn new(
        config: &Config,
        policy: Policy,
        mut credentials: Vec<Arc<status::Credentials>>,
    ) -> Result<(Board, Self), RunError> {
        let connected = Arc::new(AtomicBool::new(false));
        let store = OpenStore::open(config, Arc::clone(&connected))?;
        credentials.extend(store.credentials());
        let pod = config.pod.as_ref();
        let has_label = pod.is_some_and(|pod| pod.label.is_some());
        let mut receivers = Vec::new();
        let mut handles = Vec::new();
        for name in &config.elections {
            let (commands, receiver) = mpsc::channel(WAITING_COMMANDS);
            let mut status = ElectionStatus::new(name, &config.candidate, clock::date())
                .with_key_prefix(store.key_prefix(name));
            if has_label {
                status = status.with_label();
            }
            receivers.push(receiver);
            handles.push(ElectionHandle {
                status: Arc::new(status),
                commands,
            });
        }
        let board = Board {
            candidate: config.candidate.clone(),
            timing: config.timing,
            store: store.kind(),
            connected,
            credentials,
            elections: handles,
        };
        let metrics = Metrics::new(board.clone(), VERSION).map_err(RunError::Metrics)?;
        let metrics = Arc::new(metrics);
        let members = board
            .elections
            .iter()
            .zip(metrics.recorders())
            .zip(receivers)
            .map(|((handle, recorder), commands)| Member {
                status: Arc::clone(&handle.status),
                recorder,
                commands,
            })
            .collect();
        let elections = Elections {
            config: config.clone(),
            policy,
            store,
            metrics,
            members,
        };
        Ok((board, elections))
    }

    /// Starts the elections' thread. The receiver hears when all have stopped.
    fn start(
        self,
        attendants: Vec<Option<Box<dyn Attendant>>>,
    ) -> Result<oneshot::Receiver<()>, RunError> {
        let (ended, hear) = oneshot::channel();
        let runtime = runtime("elections")?;
        let thread = thread::Builder::new().name("elections".to_owned());
        let started = thread.spawn(move || {
            if let Err(error) = runtime.block_on(self.drive(attendants)) {
                tracing::error!(%error, "elections failed");
                return;
            }
            let _ = ended.send(());
        });
        system("starting a thread", started).map(|_| hear)
    }

    async fn drive(self, attendants: Vec<Option<Box<dyn Attendant>>>) -> Result<(), RunError> {
        let Config {
            timing, candidate, ..
        } = &self.config;
        let alarms = system("making a timer", Alarms::start())?;
        let names = self.config.elections.iter().map(String::as_str);
        let sessions = self.store.sessions(names, candidate, timing, &alarms)?;
        let mut drivers = JoinSet::new();
        let members = self.members.into_iter().zip(sessions).zip(attendants);
        for ((member, session), attendant) in members {
            let mut election = Election::new(*timing, self.policy, random());
            if self.config.health.is_some() {
                // Until it has been found healthy, nobody knows.
                election.step(clock::now(), Event::Hold(Hold::Unhealthy));
            }
            let driver = Driver::new(
                election,
                session,
                member.status,
                member.recorder,
                attendant,
                member.commands,
            );
            drivers.spawn(driver.run(alarms.alarm()));
        }
        drivers.join_all().await;
        Ok(())
    }
}

impl OpenStore {
    fn open(config: &Config, connected: Arc<AtomicBool>) -> Result<Self, RunError> {
        match &config.store {
            StoreConfig::Etcd(etcd) => EtcdStore::open(etcd, &config.timing, connected)
                .map(OpenStore::Etcd)
                .map_err(RunError::Credentials),
            StoreConfig::File(file) => FileStore::open(&file.directory, connected)
                .map(OpenStore::File)
                .map_err(|error| RunError::Store(error.to_string())),
            StoreConfig::Kubernetes(kubernetes) => {
                let cluster = Cluster::find(&|name| std::env::var(name).ok());
                let cluster = cluster.map_err(RunError::Store)?;
                let namespace = kubernetes.namespace.as_deref();
                let store = KubernetesStore::new(Arc::new(cluster), namespace, connected);
                Ok(OpenStore::Kubernetes(store))
            }
        }
    }

    fn credentials(&self) -> Option<Arc<status::Credentials>> {
        match self {
            OpenStore::Etcd(store) => store.credentials(),
            OpenStore::File(_) | OpenStore::Kubernetes(_) => None,
        }
    }

    fn reread_credentials(&self) {
        match self {
            OpenStore::Etcd(store) => store.reread_credentials(),
            // The client rereads the service account's by itself.
            OpenStore::File(_) | OpenStore::Kubernetes(_) => {}
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            OpenStore::Etcd(_) => "etcd",
            OpenStore::File(_) => "file",
            OpenStore::Kubernetes(_) => "kubernetes",
        }
    }

    /// Only what is in etcd can be compared by a transaction of the application's.
    fn key_prefix(&self, election: &str) -> Option<String> {
        match self {
            OpenStore::Etcd(store) => Some(store.key_prefix(election)),
            OpenStore::File(_) | OpenStore::Kubernetes(_) => None,
        }
    }

    fn sessions<'a>(
        &self,
        elections: impl Iterator<Item = &'a str>,
        candidate: &Candidate,
        timing: &Timing,
        alarms: &Alarms,
    ) -> Result<Vec<Box<dyn Session>>, RunError> {
        Ok(match self {
            OpenStore::Etcd(store) => boxed(store.sessions(elections, candidate, timing, alarms)),
            OpenStore::File(store) => boxed(store.sessions(elections, candidate, timing, alarms)),
            OpenStore::Kubernetes(store) => {
                let sessions = store.sessions(elections, candidate, timing, alarms);
                boxed(sessions.map_err(RunError::Store)?)
            }
        })
    }
}

fn boxed<S: Session + 'static>(sessions: Vec<S>) -> Vec<Box<dyn Session>> {
    let boxed = sessions.into_iter().map(|session| Box::new(session) as _);
    boxed.collect()
}

fn status_files(config: &Config, board: &Board) -> Result<StatusFiles, RunError> {
    let files = config.status_file.iter().flat_map(|file| {
        let elections = board.elections.iter();
        elections.map(|handle| (Arc::clone(&handle.status), file.of(handle.status.name())))
    });
    StatusFiles::start(files.collect()).map_err(RunError::StatusFile)
}

/// The two listeners, with what their files hold.
fn listen(config: &HttpConfig) -> Result<(Listener, Listener), RunError> {
    let of_api = Credentials::of_api(config.tls.as_ref(), config.token_file.as_deref());
    let of_api = Arc::new(of_api.map_err(RunError::Credentials)?);
    let of_probes = Credentials::of_probes(config.probes_tls.as_ref());
    let of_probes = Arc::new(of_probes.map_err(RunError::Credentials)?);
    let api = match &config.api {
        ApiAddress::Tcp(address) => Listener::tcp("http.api", *address, of_api),
        ApiAddress::Unix(socket) => Listener::unix("http.api", socket, of_api),
    };
    let api = api.map_err(RunError::Listen)?;
    let probes = Listener::tcp("http.probes", config.probes, of_probes);
    Ok((api, probes.map_err(RunError::Listen)?))
}

fn runtime(name: &str) -> Result<Runtime, RunError> {
    let built = Builder::new_current_thread()
        .thread_name(name)
        .enable_all()
        .build();
    system("starting a runtime", built)
}

fn system<T>(doing: &'static str, result: io::Result<T>) -> Result<T, RunError> {
    result.map_err(|error| RunError::System(doing, error))
}
