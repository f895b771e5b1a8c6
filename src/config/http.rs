//! The addresses to answer on.

use super::build::{path, text};
use super::error::ConfigError;
use super::settings::Settings;
use super::{ApiAddress, HttpConfig, Owner, ServerTls, UnixSocket};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Everything, the changing calls too: so nobody but this host is let in.
const DEFAULT_API: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4040);

/// For the kubelet and Prometheus.
const DEFAULT_PROBES: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 4041);

/// Nobody but the user who runs the sidecar, until told otherwise.
const DEFAULT_MODE: u32 = 0o600;

/// What the kernel has room for in the address of a socket.
const LONGEST_SOCKET_PATH: usize = 107;

/// Two addresses that can be listened on side by side, of which the one that can be reached from elsewhere is guarded.
pub(super) fn config(settings: &Settings<'_>) -> Result<HttpConfig, ConfigError> {
    let api = api(settings)?;
    let probes = address(settings, "http.probes", DEFAULT_PROBES)?;
    let token_file = path(settings, "http.token_file")?;
    let tls = tls(settings, "http.tls")?;
    match &api {
        ApiAddress::Tcp(address) => {
            if !address.ip().is_loopback() && (token_file.is_none() || tls.is_none()) {
                let message = format!(
                    "{address} can be reached from other hosts, which could make this candidate resign; \
                     use a loopback address, e.g. 127.0.0.1:{}, or set both http.tls and http.token_file",
                    address.port()
                );
                return Err(settings.error("http.api", message));
            }
            if collide(*address, probes) {
                let key = if settings.has("http.probes") {
                    "http.probes"
                } else {
                    "http.api"
                };
                let message =
                    format!("api {address} and probes {probes} take the same port; use two ports");
                return Err(settings.error(key, message));
            }
        }
        ApiAddress::Unix(_) if tls.is_some() => {
            let message =
                "a Unix socket doesn't leave this host; leave tls out, or give http.api an IP:PORT";
            return Err(settings.error("http.tls", message));
        }
        ApiAddress::Unix(_) => {}
    }
    Ok(HttpConfig {
        api,
        token_file,
        tls,
        probes,
        probes_tls: self::tls(settings, "http.probes_tls")?,
    })
}

fn api(settings: &Settings<'_>) -> Result<ApiAddress, ConfigError> {
    let written = settings.text("http.api");
    if let Some(path) = written.and_then(|text| text.strip_prefix("unix:")) {
        return Ok(ApiAddress::Unix(UnixSocket {
            path: socket_path(settings, path)?,
            mode: mode(settings)?.unwrap_or(DEFAULT_MODE),
            owner: owner(settings)?,
        }));
    }
    for key in ["http.api_mode", "http.api_owner"] {
        if settings.has(key) {
            let message = "is for a Unix socket only; write api: unix:/run/tenure/api.sock, or leave this out";
            return Err(settings.error(key, message));
        }
    }
    address(settings, "http.api", DEFAULT_API).map(ApiAddress::Tcp)
}

/// Absolute, for whoever is told of it may be in another directory.
fn socket_path(settings: &Settings<'_>, path: &str) -> Result<PathBuf, ConfigError> {
    // Checks what every text has to be like.
    text(settings, "http.api")?;
    let refused = |why: String| Err(settings.error("http.api", why));
    if path.len() > LONGEST_SOCKET_PATH {
        let length = path.len();
        return refused(format!(
            "the socket's path is {length} bytes long; use at most {LONGEST_SOCKET_PATH}"
        ));
    }
    if !path.starts_with('/') || path.ends_with('/') || Path::new(path).file_name().is_none() {
        return refused(format!(
            "{path:?} is not the absolute path of a socket; write e.g. unix:/run/tenure/api.sock"
        ));
    }
    Ok(PathBuf::from(path))
}

fn mode(settings: &Settings<'_>) -> Result<Option<u32>, ConfigError> {
    let key = "http.api_mode";
    let Some(text) = settings.text(key) else {
        return Ok(None);
    };
    let is_octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let mode = u32::from_str_radix(text, 8).ok();
    match mode.filter(|mode| is_octal && *mode <= 0o777) {
        Some(mode) => Ok(Some(mode)),
        None => {
            let message =
                format!("{text:?} is no mode of a file; write e.g. \"0660\" for owner and group");
            Err(settings.error(key, message))
        }
    }
}

/// Numbers: where there is no list of users, there are no names.
fn owner(settings: &Settings<'_>) -> Result<Owner, ConfigError> {
    let key = "http.api_owner";
    let Some(text) = settings.text(key) else {
        return Ok(Owner::default());
    };
    let (uid, gid) = match text.split_once(':') {
        Some((uid, gid)) => (uid, Some(gid)),
        None => (text, None),
    };
    let id = |text: &str| {
        // Its greatest stands for "unchanged" to the kernel.
        let id = text.parse().ok().filter(|id| *id != u32::MAX);
        id.filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let owner = Owner {
        uid: id(uid),
        gid: gid.and_then(id),
    };
    let is_whole =
        (owner.uid.is_some() || uid.is_empty()) && (owner.gid.is_some() || gid.is_none());
    if is_whole && owner != Owner::default() {
        return Ok(owner);
    }
    let message = format!(
        "{text:?} is not of the form uid, uid:gid or :gid; use numbers, e.g. \"65532:65532\""
    );
    Err(settings.error(key, message))
}

fn tls(settings: &Settings<'_>, section: &str) -> Result<Option<ServerTls>, ConfigError> {
    if !settings.has(section) {
        return Ok(None);
    }
    let file = |name: &str| {
        let key = format!("{section}.{name}");
        path(settings, &key)?.ok_or_else(|| {
            let message = format!("is missing; {section} needs both cert_file and key_file");
            settings.error(&key, message)
        })
    };
    Ok(Some(ServerTls {
        cert_file: file("cert_file")?,
        key_file: file("key_file")?,
    }))
}

/// Whether one can't be listened on because of the other. Port 0 is any free port.
fn collide(api: SocketAddr, probes: SocketAddr) -> bool {
    let covers = match probes.ip() {
        IpAddr::V4(ip) => ip.is_unspecified() && api.is_ipv4(),
        // Takes IPv4 connections too.
        IpAddr::V6(ip) => ip.is_unspecified(),
    };
    api.port() != 0 && api.port() == probes.port() && (covers || api.ip() == probes.ip())
}

fn address(
    settings: &Settings<'_>,
    key: &str,
    default: SocketAddr,
) -> Result<SocketAddr, ConfigError> {
    let Some(text) = settings.text(key) else {
        return Ok(default);
    };
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("{}:{port}", Ipv4Addr::LOCALHOST),
        None => text.to_owned(),
    };
    let parsed: Option<SocketAddr> = numeric.parse().ok();
    parsed
        .map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()))
        .ok_or_else(|| {
            let message = format!(
                "{text:?} is not an address; write IP:PORT, e.g. {default} or \"[::1]:{}\"",
                default.port()
            );
            settings.error(key, message)
        })
}
