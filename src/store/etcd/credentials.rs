//! From files to what it takes to be let in.

use super::tls::Tls;
use crate::config::EtcdConfig;
use crate::secret;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What it takes to be let in, as the files had it when they were read.
pub(super) struct Credentials {
    /// A user's name and password.
    pub(super) login: Option<(String, String)>,
    /// For endpoints that are encrypted.
    pub(super) tls: Option<Arc<Tls>>,
}

impl Credentials {
    /// Reads all files that the config names, and the system's authorities where they are needed. It blocks.
    ///
    /// # Errors
    /// A sentence that names the config's key and the file.
    pub(super) fn read(config: &EtcdConfig) -> Result<Self, String> {
        let login = config.user.as_ref().map(|(user, file)| {
            let password = password(file)?;
            Ok::<_, String>((user.clone(), password))
        });
        let tls = uses_tls(config).then(|| {
            let config = config.tls.clone().unwrap_or_default();
            Tls::read(&config).map(Arc::new)
        });
        Ok(Credentials {
            login: login.transpose()?,
            tls: tls.transpose()?,
        })
    }

    /// Until when the client certificate holds, in seconds since 1970.
    pub(super) fn client_certificate_expiry(&self) -> Option<u64> {
        self.tls.as_ref()?.identity.as_ref()?.1
    }
}

/// Whether there is anything that could change.
pub(super) fn are_needed(config: &EtcdConfig) -> bool {
    config.user.is_some() || uses_tls(config)
}

/// The files that the config names.
pub(super) fn files(config: &EtcdConfig) -> Vec<PathBuf> {
    let password = config.user.iter().map(|(_, file)| file);
    let authorities = config.tls.iter().filter_map(|tls| tls.ca_file.as_ref());
    let identity = config.tls.iter().filter_map(|tls| tls.identity.as_ref());
    let identity = identity.flat_map(|(cert, key)| [cert, key]);
    let files = password.chain(authorities).chain(identity);
    files.cloned().collect()
}

/// What a file holds, where that is text.
pub(super) fn text(key: &str, file: &Path) -> Result<String, String> {
    let content = secret::read(file).map_err(|error| format!("{key}: {error}"))?;
    String::from_utf8(content).map_err(|_| format!("{key}: {}: is not UTF-8", file.display()))
}

fn uses_tls(config: &EtcdConfig) -> bool {
    let mut endpoints = config.endpoints.iter();
    endpoints.any(|endpoint| endpoint.starts_with("https://"))
}

fn password(file: &Path) -> Result<String, String> {
    const KEY: &str = "store.etcd.password_file";
    let text = text(KEY, file)?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(format!("{KEY}: {}: is empty", file.display()));
    }
    Ok(password.to_owned())
}
