//! The config: parsed once into types that are valid.
//!
//! Text becomes settings (`yaml`, led by `schema`), `--set` and the environment have their say (`settings`,
//! `env`), and the settings become the types below (`build`, `etcd`, `kubernetes`, `http`, `pod`), with every default put in.

mod application;
mod build;
mod duration;
mod env;
mod error;
mod etcd;
mod http;
mod kubernetes;
mod load;
mod pod;
mod report;
mod schema;
mod settings;
mod status_file;
mod yaml;

pub use duration::parse_or_zero as parse_duration;
pub use error::ConfigError;
pub use pod::{PodConfig, PodLabel};
pub use report::report;
pub use status_file::StatusFile;

use crate::election::{Candidate, Policy, Timing};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The effective config: every default filled in, everything checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The elections' names; at least one, no two equal.
    pub elections: Vec<String>,
    /// What this candidate says of itself.
    pub candidate: Candidate,
    /// The time budget of the leases.
    pub timing: Timing,
    /// Where the elections are held.
    pub store: StoreConfig,
    /// Where to answer.
    pub http: HttpConfig,
    /// What a release and a claim wait for.
    pub policy: Policy,
    /// What is called when something happens.
    pub hooks: HooksConfig,
    /// How to know whether the application is healthy, if at all.
    pub health: Option<HealthConfig>,
    /// How an application is run while this candidate leads.
    pub exec: ExecConfig,
    /// What its pod shows of the elections, if it shows anything.
    pub pod: Option<PodConfig>,
    /// What "ready" means.
    pub readiness: Readiness,
    /// Where each election's state is written to, if it is.
    pub status_file: Option<StatusFile>,
    /// What is logged, and how.
    pub log: LogConfig,
}

impl Config {
    /// Reads the file, and lays the overrides (`KEY=VALUE`) over it; `env` looks a variable up.
    ///
    /// # Errors
    /// A [`ConfigError`] that says where the mistake is, and what would be right.
    pub fn load(
        path: &Path,
        overrides: &[String],
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let text = load::text(path)?;
        Config::parse(&path.display().to_string(), &text, overrides, env)
    }

    /// The same for a text; errors call it `name`.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub fn parse(
        name: &str,
        text: &str,
        overrides: &[String],
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        // Editors of Windows put a byte order mark in front.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let settings = settings::Settings::read(name, text, overrides, env)?;
        build::config(&settings, env)
    }
}

/// Which store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreConfig {
    /// An etcd cluster.
    Etcd(EtcdConfig),
    /// A directory on this host.
    File(FileConfig),
    /// Leases in a Kubernetes cluster.
    Kubernetes(KubernetesConfig),
}

/// An etcd cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdConfig {
    /// URLs, `http://` or `https://`; at least one.
    pub endpoints: Vec<String>,
    /// Goes before every key; ends with a slash.
    pub prefix: String,
    /// A user name, and the file that holds the password.
    pub user: Option<(String, PathBuf)>,
    /// How to trust, and be trusted.
    pub tls: Option<TlsConfig>,
}

/// Files in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// The authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// A client certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name expected in the server's certificate, if not the endpoint's host.
    pub server_name: Option<String>,
}

/// A directory on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileConfig {
    /// All candidates of an election use the same.
    pub directory: PathBuf,
}

/// Leases in a Kubernetes cluster, named after the elections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesConfig {
    /// Where they are, if not where the cluster's credentials say.
    pub namespace: Option<String>,
}

/// Where to answer, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Everything, the changing calls too; what other hosts can reach has both a token and TLS.
    pub api: ApiAddress,
    /// Holds what whoever asks on the api has to know.
    pub token_file: Option<PathBuf>,
    /// Where it is set, the api speaks TLS only.
    pub tls: Option<ServerTls>,
    /// Read-only.
    pub probes: SocketAddr,
    /// Where it is set, the probes speak TLS only.
    pub probes_tls: Option<ServerTls>,
}

/// Where the api listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiAddress {
    /// A port.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(UnixSocket),
}

/// A socket in the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixSocket {
    /// Absolute.
    pub path: PathBuf,
    /// Who may connect: those who may write.
    pub mode: u32,
    /// Whose it is; who made it otherwise.
    pub owner: Owner,
}

/// The ids of a user and a group, each if it is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub uid: Option<u32>,
    /// The group.
    pub gid: Option<u32>,
}

/// How a listener says who it is, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// Its certificate, and those between that and an authority.
    pub cert_file: PathBuf,
    /// The certificate's key.
    pub key_file: PathBuf,
}

impl fmt::Display for ApiAddress {
    /// As it is written in the config.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApiAddress::Tcp(address) => address.fmt(f),
            ApiAddress::Unix(socket) => write!(f, "unix:{}", socket.path.display()),
        }
    }
}

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallConfig {
    /// An `http://` URL.
    Http(String),
    /// A program and its arguments; not empty.
    Command(Vec<String>),
}

/// What is called when something happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HooksConfig {
    /// This candidate leads.
    pub on_elected: Option<CallConfig>,
    /// It stops leading; the lease is released only once this has succeeded.
    pub on_step_down: Option<CallConfig>,
    /// Another leads, or nobody.
    pub on_leader_changed: Option<CallConfig>,
    /// How long each may take.
    pub timeout: Duration,
}

/// How to know whether the application is healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthConfig {
    /// What to ask.
    pub check: CallConfig,
    /// From the end of one check to the beginning of the next.
    pub interval: Duration,
    /// How long a check may take.
    pub timeout: Duration,
    /// So many failures in a row make it unhealthy.
    pub failure_threshold: u32,
    /// So many successes in a row make it healthy again.
    pub success_threshold: u32,
    /// For so long after the start failures don't count, until the first success.
    pub startup_grace: Duration,
}

/// How an application is run while this candidate leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecConfig {
    /// What to do when it ends by itself.
    pub on_exit: OnExit,
    /// From SIGTERM to SIGKILL.
    pub stop_timeout: Duration,
}

/// What to do when the application ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExit {
    /// Leave with its exit status.
    Leave,
    /// Campaign again.
    Rejoin,
}

/// What "ready" means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The state of every election has been known.
    Participating,
    /// This candidate leads every election.
    Leader,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// For people or for machines.
    pub format: LogFormat,
    /// From which severity on.
    pub level: tracing::Level,
}

/// For people or for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line of text.
    Text,
    /// A line of JSON.
    Json,
}

/// The default of [`Config`]'s lease.
pub const DEFAULT_TTL: Duration = Duration::from_secs(10);
