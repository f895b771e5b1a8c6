//! Where a cluster is, and what it takes to be let in, as it was found.

use crate::secret;
use kube::Config;
use rustls::pki_types::ServerName;
use std::fmt;
use std::path::PathBuf;

/// Where a cluster is, and what it takes to be let in.
pub(super) struct Access {
    /// Its URL, the namespace, and as whom this acts: no more is set.
    pub(super) config: Config,
    /// A bearer token.
    pub(super) token: Option<Source>,
    pub(super) trust: Trust,
}

/// What a connection that is encrypted needs.
#[derive(Default)]
pub(super) struct Trust {
    /// In PEM; the system's where there are none.
    pub(super) authorities: Option<Source>,
    /// Expected in the server's certificate, if not the URL's host.
    pub(super) server_name: Option<ServerName<'static>>,
    /// A certificate and its key, in PEM.
    pub(super) identity: Option<(Source, Source)>,
}

impl Trust {
    /// Those that may change.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let identity = self.identity.iter().flat_map(|(cert, key)| [cert, key]);
        let all = self.authorities.iter().chain(identity);
        all.filter_map(Source::file).collect()
    }
}

/// Where something stands that is needed.
pub(super) enum Source {
    File(PathBuf),
    /// In the kubeconfig, at this key.
    Given(&'static str, Vec<u8>),
}

impl Source {
    /// It blocks.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub(super) fn read(&self) -> Result<Vec<u8>, String> {
        match self {
            Source::File(file) => secret::read(file),
            Source::Given(_, content) => Ok(content.clone()),
        }
    }

    /// That which may change.
    pub(super) fn file(&self) -> Option<PathBuf> {
        match self {
            Source::File(file) => Some(file.clone()),
            Source::Given(..) => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(file) => file.display().fmt(f),
            Source::Given(key, _) => write!(f, "the kubeconfig's {key}"),
        }
    }
}
