//! The settings of an etcd cluster.

use super::build::{path, text};
use super::error::ConfigError;
use super::settings::Settings;
use super::{EtcdConfig, TlsConfig};
use hyper::Uri;
use std::path::PathBuf;

const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:2379";

const DEFAULT_PREFIX: &str = "/tenure/";

/// A cluster that can be asked, by one who can say who he is.
pub(super) fn config(settings: &Settings<'_>) -> Result<EtcdConfig, ConfigError> {
    let endpoints = endpoints(settings)?;
    let tls = tls(settings)?;
    let plain = endpoints.iter().position(|url| !url.starts_with("https:"));
    if let (Some(index), Some(_)) = (plain, &tls) {
        let message = format!(
            "{} is not encrypted, but store.etcd.tls is set; write https:// or leave tls out",
            endpoints[index]
        );
        let key = format!("store.etcd.endpoints[{index}]");
        return Err(settings.error(&key, message));
    }
    let user = user(settings)?;
    let is_mixed = plain.is_some() && endpoints.iter().any(|url| url.starts_with("https:"));
    if let (Some(index), true, Some(_)) = (plain, is_mixed, &user) {
        let message = format!(
            "{} is not encrypted, and would be sent the password where those that are can't be reached; write https:// for all",
            endpoints[index]
        );
        let key = format!("store.etcd.endpoints[{index}]");
        return Err(settings.error(&key, message));
    }
    Ok(EtcdConfig {
        endpoints,
        prefix: prefix(settings)?,
        user,
        tls,
    })
}

fn endpoints(settings: &Settings<'_>) -> Result<Vec<String>, ConfigError> {
    let key = "store.etcd.endpoints";
    let Some(list) = settings.list(key) else {
        return Ok(vec![DEFAULT_ENDPOINT.to_owned()]);
    };
    if list.is_empty() {
        let message = format!("is empty; name at least one, e.g. [{DEFAULT_ENDPOINT}]");
        return Err(settings.error(key, message));
    }
    (0..)
        .zip(list)
        .map(|(index, url): (usize, _)| {
            endpoint(url).map_err(|message| settings.error(&format!("{key}[{index}]"), message))
        })
        .collect()
}

/// An URL without a slash at the end. An error shows nothing of one that may hold a password.
fn endpoint(url: &str) -> Result<String, String> {
    if url.contains('@') {
        return Err(
            "holds a user name or a password; use store.etcd.username and password_file".to_owned(),
        );
    }
    let wrong = |what: &str| format!("{url:?} {what}; write e.g. {DEFAULT_ENDPOINT}");
    let bare = url.strip_suffix('/').unwrap_or(url);
    let uri: Uri = bare.parse().map_err(|_| wrong("is not an URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("starts with neither http:// nor https://"));
    }
    let Some(authority) = uri.authority().filter(|at| !at.host().is_empty()) else {
        return Err(wrong("names no host"));
    };
    let has_port = authority.as_str().len() > authority.host().len();
    if has_port && authority.port_u16().is_none_or(|port| port == 0) {
        return Err(wrong("has a port that is none"));
    }
    if uri.path() != "/" || uri.query().is_some() {
        return Err(wrong("has a path"));
    }
    // The client compares the scheme letter by letter.
    let (scheme, rest) = bare.split_once(':').unwrap_or(("", bare));
    Ok(format!("{}:{rest}", scheme.to_ascii_lowercase()))
}

fn prefix(settings: &Settings<'_>) -> Result<String, ConfigError> {
    let prefix = text(settings, "store.etcd.prefix")?.unwrap_or(DEFAULT_PREFIX);
    let slash = if prefix.ends_with('/') { "" } else { "/" };
    Ok(format!("{prefix}{slash}"))
}

fn user(settings: &Settings<'_>) -> Result<Option<(String, PathBuf)>, ConfigError> {
    let (name_key, file_key) = ("store.etcd.username", "store.etcd.password_file");
    let name = text(settings, name_key)?;
    let file = path(settings, file_key)?;
    match (name, file) {
        (Some(name), Some(file)) => Ok(Some((name.to_owned(), file))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(lonely(settings, name_key, "password_file")),
        (None, Some(_)) => Err(lonely(settings, file_key, "username")),
    }
}

fn tls(settings: &Settings<'_>) -> Result<Option<TlsConfig>, ConfigError> {
    if !settings.has("store.etcd.tls") {
        return Ok(None);
    }
    let (cert_key, key_key) = ("store.etcd.tls.cert_file", "store.etcd.tls.key_file");
    let identity = match (path(settings, cert_key)?, path(settings, key_key)?) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        (Some(_), None) => return Err(lonely(settings, cert_key, "key_file")),
        (None, Some(_)) => return Err(lonely(settings, key_key, "cert_file")),
    };
    Ok(Some(TlsConfig {
        ca_file: path(settings, "store.etcd.tls.ca_file")?,
        identity,
        server_name: text(settings, "store.etcd.tls.server_name")?.map(str::to_owned),
    }))
}

fn lonely(settings: &Settings<'_>, key: &str, partner: &str) -> ConfigError {
    settings.error(
        key,
        format!("is set without {partner}; set both or neither"),
    )
}
