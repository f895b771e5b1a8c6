//! Kubeconfigs, as `kubectl` reads them.

use kube::Config;
use kube::config::Kubeconfig;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// The cluster and the user of the current context. Of several files that say the same thing, the first has the say.
///
/// # Errors
/// A sentence on what is missing or can't be used, without what is secret.
pub(super) fn load(files: &[PathBuf]) -> Result<Config, String> {
    let mut merged = Kubeconfig::default();
    for file in files {
        merged = merged
            .merge(read(file)?)
            .map_err(|error| unusable(&error))?;
    }
    let config = Config::try_from(merged).map_err(|error| unusable(&error))?;
    let user = &config.auth_info;
    // A program may hang, and the client runs it where elections would wait for it.
    if user.exec.is_some() || user.auth_provider.is_some() {
        return Err(
            "the kubeconfig's user gets its token from a program (exec or auth-provider), which a sidecar doesn't run; \
             use a token file, a token or a client certificate"
                .to_owned(),
        );
    }
    if user.username.is_some() || user.password.is_some() {
        return Err(
            "the kubeconfig's user has a password, which no cluster takes any more; \
             use a token file, a token or a client certificate"
                .to_owned(),
        );
    }
    Ok(config)
}

/// Its paths are relative to the directory that it is in.
fn read(file: &Path) -> Result<Kubeconfig, String> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| {
        format!(
            "there is no cluster to be found: {shown}: {error}; run it in a pod with a service account, or set KUBECONFIG"
        )
    })?;
    // The error would quote the file, and so the secrets in it.
    let read = serde_yaml::from_str(&text);
    let mut config: Kubeconfig = read.map_err(|_| {
        format!("{shown}: can't be read as a kubeconfig; see what kubectl config view says")
    })?;
    let directory = file.parent().unwrap_or(Path::new(""));
    for cluster in config
        .clusters
        .iter_mut()
        .filter_map(|one| one.cluster.as_mut())
    {
        resolve(&mut cluster.certificate_authority, directory);
    }
    for user in config
        .auth_infos
        .iter_mut()
        .filter_map(|one| one.auth_info.as_mut())
    {
        resolve(&mut user.client_certificate, directory);
        resolve(&mut user.client_key, directory);
        resolve(&mut user.token_file, directory);
    }
    Ok(config)
}

fn resolve(path: &mut Option<String>, directory: &Path) {
    if let Some(path) = path {
        *path = directory.join(&path).to_string_lossy().into_owned();
    }
}

fn unusable(error: &dyn Error) -> String {
    format!("the kubeconfig can't be used: {}", super::with_cause(error))
}
