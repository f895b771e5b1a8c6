//! The addresses to answer on.

use super::HttpConfig;
use super::error::ConfigError;
use super::settings::Settings;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Everything, the changing calls too: so nobody but this host is let in.
const DEFAULT_API: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4040);

/// For the kubelet and Prometheus.
const DEFAULT_PROBES: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 4041);

/// Two addresses that can be listened on side by side.
pub(super) fn config(settings: &Settings<'_>) -> Result<HttpConfig, ConfigError> {
    let api = address(settings, "http.api", DEFAULT_API)?;
    let probes = address(settings, "http.probes", DEFAULT_PROBES)?;
    if !api.ip().is_loopback() {
        let message = format!(
            "{api} can be reached from other hosts, which could make this candidate resign; \
             use a loopback address, e.g. 127.0.0.1:{}",
            api.port()
        );
        return Err(settings.error("http.api", message));
    }
    if collide(api, probes) {
        let key = if settings.has("http.probes") {
            "http.probes"
        } else {
            "http.api"
        };
        let message = format!("api {api} and probes {probes} take the same port; use two ports");
        return Err(settings.error(key, message));
    }
    Ok(HttpConfig { api, probes })
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
