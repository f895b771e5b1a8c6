//! How the API of a Kubernetes cluster is reached.
//!
//! Nothing is asked here, so it works where the API is down; what is wrong with a file is found here, before anybody
//! campaigns. The token is read again as its file changes.
//!
//! Kubeconfigs and tokens are read here, though kube could: its way brings a second parser of YAML and JSONPath with
//! regular expressions, a quarter of the whole program, to run programs that would hold up elections.

mod bearer;
mod kubeconfig;

use bearer::Bearer;
use hyper::Request;
use hyper::header::AUTHORIZATION;
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::{Client, Config};
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tower::{BoxError, ServiceExt};

/// A cluster, and who this is there.
pub struct Cluster {
    config: Config,
    bearer: Option<Arc<Bearer>>,
}

/// Set, and not empty: a kubeconfig is used.
const KUBECONFIG: &str = "KUBECONFIG";

/// Set by the kubelet in every container.
const IN_CLUSTER: &str = "KUBERNETES_SERVICE_HOST";

impl Cluster {
    /// The cluster that KUBECONFIG names, or else the one whose pod this is, or else that of `~/.kube/config`; `env` looks
    /// a variable up.
    ///
    /// # Errors
    /// A sentence on what is missing or can't be used, without what is secret.
    pub fn find(env: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let is_set = |name| env(name).is_some_and(|value| !value.is_empty());
        let config = if !is_set(KUBECONFIG) && is_set(IN_CLUSTER) {
            Config::incluster().map_err(|error| {
                format!(
                    "the pod's service account can't be used: {error}; see that automountServiceAccountToken isn't false"
                )
            })?
        } else {
            kubeconfig::load(&kubeconfigs(env))?
        };
        let bearer = Bearer::of(&config.auth_info)?.map(Arc::new);
        let cluster = Cluster { config, bearer };
        // What the files hold is looked at now.
        cluster.connector()?;
        Ok(cluster)
    }

    /// That of the pod's service account, or of the kubeconfig's context.
    pub fn namespace(&self) -> &str {
        self.config.default_namespace.trim()
    }

    /// For display.
    pub fn url(&self) -> String {
        self.config.cluster_url.to_string()
    }

    /// A client whose connections belong to the runtime in which this is called. It connects when it is asked
    /// something, doesn't repeat what failed, and waits for ever: whoever asks sets the bound.
    ///
    /// # Errors
    /// A sentence on what can't be used.
    pub fn client(&self) -> Result<Client, String> {
        let connections: legacy::Client<_, Body> =
            legacy::Builder::new(TokioExecutor::new()).build(self.connector()?);
        let bearer = self.bearer.clone();
        let connections =
            connections
                .map_err(BoxError::from)
                .map_request(move |mut request: Request<Body>| {
                    if let Some(bearer) = &bearer {
                        request.headers_mut().insert(AUTHORIZATION, bearer.header());
                    }
                    request
                });
        let headers = self.config.extra_headers_layer();
        let headers = headers.map_err(|error| unusable(&error))?;
        Ok(ClientBuilder::new(connections, self.namespace())
            .with_layer(&headers)
            .with_layer(&self.config.base_uri_layer())
            .build())
    }

    fn connector(
        &self,
    ) -> Result<impl legacy::connect::Connect + Clone + Send + Sync + 'static + use<>, String> {
        let connector = self.config.rustls_https_connector();
        connector.map_err(|error| unusable(&error))
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
fn kubeconfigs(env: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let named = env(KUBECONFIG).unwrap_or_default();
    let named = env::split_paths(&named).filter(|path| !path.as_os_str().is_empty());
    let named: Vec<_> = named.collect();
    if named.is_empty() {
        let home = env("HOME").unwrap_or_default();
        return vec![Path::new(&home).join(".kube/config")];
    }
    named
}

fn unusable(error: &kube::Error) -> String {
    format!(
        "the cluster's credentials can't be used: {}",
        with_cause(error)
    )
}

/// An error, with what its own text leaves out.
fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
