//! How the API of a Kubernetes cluster is reached.
//!
//! Nothing is asked here, so it works where the API is down; what is wrong with a file is found here, before anybody
//! campaigns. The token is read again as its file changes, on a thread of its own: the client would read it where
//! elections would wait for a disk that hangs. The authorities it does read there, when it connects after a minute: a
//! pod has them in memory, and what is read from nowhere else can't be had elsewhere.

mod bearer;

use bearer::Bearer;
use hyper::Request;
use hyper::header::AUTHORIZATION;
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::config::{Kubeconfig, KubeconfigError};
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
            from_kubeconfig(&kubeconfigs(env))?
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

fn from_kubeconfig(files: &[PathBuf]) -> Result<Config, String> {
    let unusable = |error: KubeconfigError| match error {
        KubeconfigError::ReadConfig(..) => format!(
            "there is no cluster to be found: {error}; run it in a pod with a service account, or set {KUBECONFIG}"
        ),
        // It would quote the file, and so the secrets in it.
        KubeconfigError::Parse(_) => {
            "the kubeconfig can't be read as one; see what kubectl config view says".to_owned()
        }
        error => format!("the kubeconfig can't be used: {}", with_cause(&error)),
    };
    let mut files = files.iter().map(Kubeconfig::read_from);
    let merged = files.try_fold(Kubeconfig::default(), |merged, file| merged.merge(file?));
    let config = merged.and_then(Config::try_from).map_err(unusable)?;
    // A program may hang, and the client runs it where elections would wait for it.
    if config.auth_info.exec.is_some() || config.auth_info.auth_provider.is_some() {
        return Err(
            "the kubeconfig's user gets its token from a program (exec or auth-provider), which a sidecar doesn't run; \
             use a token file, a token or a client certificate"
                .to_owned(),
        );
    }
    if config.auth_info.username.is_some() || config.auth_info.password.is_some() {
        return Err(
            "the kubeconfig's user has a password, which no cluster takes any more; \
             use a token file, a token or a client certificate"
                .to_owned(),
        );
    }
    Ok(config)
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
