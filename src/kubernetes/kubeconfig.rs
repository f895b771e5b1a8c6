//! A cluster as kubeconfigs name it, by the rules of `kubectl`: of several files, the first to say something has the say,
//! and paths are relative to the file that they stand in.
//!
//! Only what is needed here is read. What a file holds is never quoted, since it may be a secret.

use super::access::{Access, Source, Trust};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Uri;
use hyper::http::uri::Authority;
use kube::Config;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Reads and merges files.
///
/// # Errors
/// A sentence on what is missing or can't be used.
pub(super) fn find(files: &[PathBuf]) -> Result<Access, String> {
    let mut all = Kubeconfig::default();
    let mut missing = None;
    for file in files {
        match fs::read_to_string(file) {
            Ok(text) => all.read(&text, file)?,
            Err(error) => {
                let why = format!("{}: {error}", file.display());
                if error.kind() != io::ErrorKind::NotFound {
                    return Err(nowhere(&why));
                }
                missing.get_or_insert(why);
            }
        }
    }
    // Of several, some may be missing, if the others have it all.
    match (&all.clusters, missing) {
        (None, Some(missing)) => Err(nowhere(&missing)),
        (_, missing) => all.access().map_err(|why| {
            let missing =
                missing.map_or(String::new(), |missing| "; missing: ".to_owned() + &missing);
            format!("the kubeconfig can't be used: {why}{missing}")
        }),
    }
}

/// Why there is no cluster, and what to do.
pub(super) fn nowhere(why: &str) -> String {
    format!(
        "there is no cluster to be found: {why}; run it in a pod with a service account, or set KUBECONFIG"
    )
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Kubeconfig {
    current_context: Option<String>,
    contexts: Option<Vec<Named<Context>>>,
    clusters: Option<Vec<Named<Cluster>>>,
    users: Option<Vec<Named<User>>>,
}

#[derive(Deserialize)]
struct Named<T> {
    name: String,
    #[serde(rename = "context", alias = "cluster", alias = "user")]
    value: Option<T>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Context {
    cluster: Option<String>,
    user: Option<String>,
    namespace: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Cluster {
    server: Option<String>,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    tls_server_name: Option<String>,
    insecure_skip_tls_verify: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct User {
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    #[serde(rename = "as")]
    impersonate: Option<String>,
    as_groups: Option<Vec<String>>,
    as_uid: Option<IgnoredAny>,
    as_user_extra: Option<IgnoredAny>,
    username: Option<String>,
    password: Option<String>,
    exec: Option<IgnoredAny>,
    auth_provider: Option<IgnoredAny>,
}

impl Kubeconfig {
    /// Adds what a file says, where no former one has said it.
    fn read(&mut self, text: &str, file: &Path) -> Result<(), String> {
        let named = file.display();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for document in serde_yaml::Deserializer::from_str(text) {
            let next = Option::<Kubeconfig>::deserialize(document).map_err(|error| {
                let line = error.location().map(|at| format!(", line {}", at.line()));
                format!(
                    "{named}{}: can't be read as a kubeconfig; see what kubectl config view says",
                    line.unwrap_or_default()
                )
            })?;
            self.merge(next.unwrap_or_default(), file);
        }
        Ok(())
    }

    fn merge(&mut self, next: Kubeconfig, file: &Path) {
        let beside = |path: &mut Option<PathBuf>| {
            if let (Some(path), Some(directory)) = (path, file.parent()) {
                // One that is absolute, or none, stays as it is.
                if !path.as_os_str().is_empty() {
                    *path = directory.join(&*path);
                }
            }
        };
        let mut clusters = next.clusters.unwrap_or_default();
        for cluster in clusters.iter_mut().filter_map(|named| named.value.as_mut()) {
            beside(&mut cluster.certificate_authority);
        }
        let mut users = next.users.unwrap_or_default();
        for user in users.iter_mut().filter_map(|named| named.value.as_mut()) {
            beside(&mut user.token_file);
            beside(&mut user.client_certificate);
            beside(&mut user.client_key);
        }
        let former = self.current_context.take();
        self.current_context = filled(former).or(next.current_context);
        // The first of a name is the one that is found.
        let contexts = next.contexts.unwrap_or_default();
        self.contexts.get_or_insert_default().extend(contexts);
        self.clusters.get_or_insert_default().extend(clusters);
        self.users.get_or_insert_default().extend(users);
    }

    /// What the current context says.
    fn access(self) -> Result<Access, String> {
        let name = filled(self.current_context)
            .ok_or("it has no current-context; see kubectl config use-context")?;
        let context = named(self.contexts, &name).ok_or(format!("it has no context {name:?}"))?;
        let name = context.cluster.unwrap_or_default();
        let cluster = named(self.clusters, &name).ok_or(format!("it has no cluster {name:?}"))?;
        // Without a user, nobody in particular asks.
        let mut user = match filled(context.user) {
            Some(name) => named(self.users, &name).ok_or(format!("it has no user {name:?}"))?,
            None => User::default(),
        };
        user.refuse_what_no_sidecar_does()?;

        let mut config = Config::new(cluster.url()?);
        if let Some(namespace) = filled(context.namespace) {
            config.default_namespace = namespace;
        }
        config.auth_info.impersonate = user.impersonate.take();
        config.auth_info.impersonate_groups = user.as_groups.take();
        let trust = Trust {
            server_name: cluster.server_name()?,
            authorities: cluster.authorities()?,
            identity: user.identity()?,
        };
        Ok(Access {
            config,
            token: user.token(),
            trust,
        })
    }
}

impl Cluster {
    fn url(&self) -> Result<Uri, String> {
        // It isn't quoted: somebody may have put a password there.
        let wrong = "its server is not of the form https://host:port";
        let url: Uri = self
            .server
            .as_deref()
            .unwrap_or_default()
            .parse()
            .map_err(|_| wrong)?;
        let is_http = matches!(url.scheme_str(), Some("https" | "http"));
        let is_plain = |authority: &Authority| !authority.as_str().contains('@');
        match url.authority().is_some_and(is_plain) && is_http {
            true => Ok(url),
            false => Err(wrong.to_owned()),
        }
    }

    fn server_name(&self) -> Result<Option<ServerName<'static>>, String> {
        let Some(name) = filled(self.tls_server_name.clone()) else {
            return Ok(None);
        };
        let wrong = format!("its tls-server-name {name:?} is neither a host's name nor an address");
        ServerName::try_from(name).map(Some).map_err(|_| wrong)
    }

    fn authorities(self) -> Result<Option<Source>, String> {
        if self.insecure_skip_tls_verify == Some(true) {
            return Err(
                "it says insecure-skip-tls-verify, and whoever comes between could then make two leaders; \
                 name the authority in certificate-authority, and what is in the server's certificate in tls-server-name"
                    .to_owned(),
            );
        }
        let data = self.certificate_authority_data;
        source(
            "certificate-authority-data",
            data,
            self.certificate_authority,
        )
    }
}

impl User {
    fn refuse_what_no_sidecar_does(&self) -> Result<(), String> {
        const REMEDY: &str = "use a token file, a token or a client certificate";
        // A program may hang, and would have to be run again and again.
        if self.exec.is_some() || self.auth_provider.is_some() {
            return Err(format!(
                "its user gets its token from a program (exec or auth-provider), which a sidecar doesn't run; {REMEDY}"
            ));
        }
        if self.as_uid.is_some() || self.as_user_extra.is_some() {
            return Err("its user acts as another by as-uid or as-user-extra; name it by as and as-groups alone".to_owned());
        }
        let is_filled = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        if is_filled(&self.username) || is_filled(&self.password) {
            return Err(format!(
                "its user has a password, which no cluster takes any more; {REMEDY}"
            ));
        }
        Ok(())
    }

    /// That in a file counts, where there are both.
    fn token(&mut self) -> Option<Source> {
        let token = filled(self.token.take());
        let token = token.map(|token| Source::Given("token", token.into_bytes()));
        file(self.token_file.take()).or(token)
    }

    fn identity(&mut self) -> Result<Option<(Source, Source)>, String> {
        let data = self.client_certificate_data.take();
        let certificate = source(
            "client-certificate-data",
            data,
            self.client_certificate.take(),
        )?;
        let data = self.client_key_data.take();
        let key = source("client-key-data", data, self.client_key.take())?;
        match (certificate, key) {
            (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
            (None, None) => Ok(None),
            (Some(_), None) => {
                Err("its user has a client certificate, and no client-key".to_owned())
            }
            (None, Some(_)) => {
                Err("its user has a client key, and no client-certificate".to_owned())
            }
        }
    }
}

fn named<T>(all: Option<Vec<Named<T>>>, name: &str) -> Option<T> {
    let mut all = all.into_iter().flatten();
    all.find(|one| one.name == name)?.value
}

/// What stands in the kubeconfig itself, in base64, counts before what a file holds.
fn source(
    key: &'static str,
    data: Option<String>,
    path: Option<PathBuf>,
) -> Result<Option<Source>, String> {
    let Some(data) = filled(data) else {
        return Ok(file(path));
    };
    let data: String = data.split_ascii_whitespace().collect();
    let decoded = STANDARD.decode(data);
    let decoded = decoded.map_err(|_| format!("its {key} is not in base64"))?;
    Ok(Some(Source::Given(key, decoded)))
}

fn file(path: Option<PathBuf>) -> Option<Source> {
    let path = path.filter(|path| !path.as_os_str().is_empty());
    path.map(Source::File)
}

/// To `kubectl`, what is empty isn't there.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
