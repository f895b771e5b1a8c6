//! How the API of a Kubernetes cluster is reached.
//!
//! Nothing is asked here, so it works where the API is down; what is wrong with a file is found here, before anybody
//! campaigns. Tokens and certificates are read again as their files change, on a thread of its own: the client would read
//! them where elections would wait for a disk that hangs. So of kube only the client is used, and not what finds a cluster,
//! which brings programs and an engine to look through their answers as well.

mod access;
mod bearer;
mod connections;
mod credentials;
mod error;
mod kept;
mod kubeconfig;
mod service_account;
mod tls;

pub use error::reason;

use access::Access;
use connections::Connections;
use credentials::Credentials;
use hyper::http::uri::Scheme;
use kube::client::{ClientBuilder, ConfigExt};
use kube::{Client, Config};
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A cluster, and who this is there.
pub struct Cluster {
    config: Config,
    credentials: Arc<Credentials>,
}

/// Set, and not empty: a kubeconfig is used.
const KUBECONFIG: &str = "KUBECONFIG";

impl Cluster {
    /// The cluster that KUBECONFIG names, or else the one whose pod this is, or else that of `~/.kube/config`; `env` looks
    /// a variable up.
    ///
    /// # Errors
    /// A sentence on what is missing or can't be used, without what is secret.
    pub fn find(env: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let is_set = |name| env(name).is_some_and(|value| !value.is_empty());
        let access = if !is_set(KUBECONFIG) && is_set(service_account::HOST) {
            service_account::find(Path::new(service_account::DIRECTORY), env)?
        } else {
            kubeconfig::find(&kubeconfigs(env)?)?
        };
        let Access {
            config,
            token,
            trust,
        } = access;
        let is_encrypted = config.cluster_url.scheme() == Some(&Scheme::HTTPS);
        let credentials = Credentials::keep(token, is_encrypted.then_some(trust));
        let credentials =
            credentials.map_err(|why| format!("the cluster's credentials can't be used: {why}"))?;
        Ok(Cluster {
            config,
            credentials: Arc::new(credentials),
        })
    }

    /// That of the pod's service account, or of the kubeconfig's context.
    pub fn namespace(&self) -> &str {
        &self.config.default_namespace
    }

    /// For display.
    pub fn url(&self) -> String {
        self.config.cluster_url.to_string()
    }

    /// A client whose connections belong to the runtime in which this is called. It connects when it is asked
    /// something, doesn't repeat what failed, and waits for ever once it has connected: whoever asks waits for no longer
    /// than `bound`. Where that was in vain, and nobody was answered meanwhile, all go on on new connections.
    ///
    /// # Errors
    /// Where there can't be one whose name is the one to act as.
    pub fn client(&self, bound: Duration) -> Result<Client, String> {
        let connections = Connections::new(Arc::clone(&self.credentials), bound);
        let headers = self.config.extra_headers_layer();
        let headers = headers.map_err(|error| reason(&error))?;
        Ok(ClientBuilder::new(connections, self.namespace())
            .with_layer(&headers)
            .with_layer(&self.config.base_uri_layer())
            .build())
    }
}

impl fmt::Debug for Cluster {
    /// Without the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("url", &self.config.cluster_url)
            .finish_non_exhaustive()
    }
}

/// The files that are merged, of which the first has the say.
fn kubeconfigs(env: &dyn Fn(&str) -> Option<String>) -> Result<Vec<PathBuf>, String> {
    let named = env(KUBECONFIG).unwrap_or_default();
    let named = env::split_paths(&named).filter(|path| !path.as_os_str().is_empty());
    let named: Vec<_> = named.collect();
    if !named.is_empty() {
        return Ok(named);
    }
    match env("HOME").filter(|home| !home.is_empty()) {
        Some(home) => Ok(vec![Path::new(&home).join(".kube/config")]),
        None => Err(kubeconfig::nowhere("neither KUBECONFIG nor HOME is set")),
    }
}
