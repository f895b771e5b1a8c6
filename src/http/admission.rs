//! Who may ask on the api at all, before it matters what for.
//!
//! Where there is a token, that is the question, and knowing it the answer. Where there is none, whoever can reach the
//! port is not yet somebody to answer: a browser on this host runs pages of anybody, and they can have it send
//! requests here. Two things give such a request away, and neither can be forged by a page:
//!
//! - *Which host it names.* A page that has its own name lead to this address ("DNS rebinding") is of the same
//!   site as the api to the browser, and may read the answers; but it still asks for its own name. So the host has to be
//!   one that nobody else can own: a loopback address, `localhost`, or the address in the config.
//! - *Where it comes from.* `Origin` and `Sec-Fetch-Site` are the browser's own words.
//!
//! A request that names no host is let in: every browser names one, and what doesn't (HTTP/1.0, `nc` in a script) is a
//! program on this host, which could name whatever it likes.

use super::credentials::Credentials;
use super::respond::{Refusal, shortened};
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, ORIGIN};
use hyper::http::request::Parts;
use std::net::IpAddr;
use std::sync::Arc;

/// Lets those in on the api who may ask.
#[derive(Debug)]
pub(super) struct Gate {
    own: Option<IpAddr>,
    may_be_a_browser: bool,
    credentials: Arc<Credentials>,
}

impl Gate {
    /// `own` is where the api listens, if it is an address.
    pub(super) fn new(
        own: Option<IpAddr>,
        may_be_a_browser: bool,
        credentials: Arc<Credentials>,
    ) -> Self {
        Gate {
            own,
            may_be_a_browser,
            credentials,
        }
    }

    pub(super) fn admit(&self, parts: &Parts) -> Result<(), Refusal> {
        match self.credentials.token() {
            // No page knows it, and names of this host may well be given to others who do.
            Some(token) => {
                let known = |given| token.is(given);
                if !bearer(&parts.headers).is_some_and(known) {
                    return Err(Refusal::unauthorized());
                }
            }
            None if self.may_be_a_browser => refuse_other_hosts(parts, self.own)?,
            None => {}
        }
        // The page may be linked to from anywhere: it promises nothing.
        if parts.uri.path() == "/" {
            return Ok(());
        }
        refuse_pages(&parts.headers)
    }
}

/// The token in the only header there is of its kind.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (value, another) = (all.next()?, all.next());
    let (scheme, token) = value.as_bytes().split_at_checked(b"Bearer ".len())?;
    let is_bearer = scheme.eq_ignore_ascii_case(b"Bearer ") && another.is_none();
    is_bearer.then(|| token.trim_ascii())
}

/// Refuses a request that names a host which may be somebody else's name for this address.
fn refuse_other_hosts(parts: &Parts, own: Option<IpAddr>) -> Result<(), Refusal> {
    let of_uri = parts.uri.host().map(|host| host.as_bytes());
    let named = parts.headers.get_all(HOST).iter();
    let named = named.map(|value| without_port(value.as_bytes()));
    for host in named.chain(of_uri) {
        if !is_here(host, own) {
            let host = String::from_utf8_lossy(host);
            let error = format!(
                "the api is not known as {:?}; ask for it as localhost, or by its address",
                shortened(&host)
            );
            return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, error));
        }
    }
    Ok(())
}

/// A page of another site that a browser has open must not make this candidate resign, nor have promises given: each
/// makes the next hand-over wait. Our own page asks for nothing with which a browser sends an origin.
fn refuse_pages(headers: &HeaderMap) -> Result<(), Refusal> {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    let is_ours = matches!(site, None | Some(b"same-origin" | b"none"));
    if is_ours && !headers.contains_key(ORIGIN) {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::FORBIDDEN,
        "refused to a web page; call it from the command line or the application",
    ))
}

/// An empty name is none.
fn is_here(host: &[u8], own: Option<IpAddr>) -> bool {
    let Ok(host) = std::str::from_utf8(host) else {
        return false;
    };
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if host.is_empty() || host == "localhost" || host.ends_with(".localhost") {
        return true;
    }
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address: Result<IpAddr, _> = bare.unwrap_or(&host).parse();
    address.is_ok_and(|address| {
        let address = address.to_canonical();
        address.is_loopback() || Some(address) == own
    })
}

/// The host of `host:port`; a colon in brackets is the address's own.
fn without_port(authority: &[u8]) -> &[u8] {
    let is_port = |port: &[u8]| port.iter().all(u8::is_ascii_digit);
    match authority.iter().rposition(|byte| *byte == b':') {
        Some(colon) if is_port(&authority[colon + 1..]) => &authority[..colon],
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn is_let_in(uri: &str, hosts: &[&str], own: Option<&str>) -> bool {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        refuse_other_hosts(&parts, own.map(|own| own.parse().unwrap())).is_ok()
    }

    #[test]
    fn names_and_addresses_that_are_nobody_elses_are_let_in_with_any_port() {
        for host in [
            "localhost",
            "LocalHost:4040",
            "localhost.:1",
            "tenure.localhost",
            "127.0.0.1",
            "127.0.0.1:4040",
            "127.1.2.3:80",
            "[::1]:4040",
            "[::1]",
            "[::ffff:127.0.0.1]:1",
            "10.0.0.3:4040",
            "",
        ] {
            assert!(is_let_in("/leader", &[host], Some("10.0.0.3")), "{host}");
        }
        assert!(is_let_in("/leader", &[], None));
        assert!(is_let_in("http://localhost:1/leader", &["localhost"], None));
    }

    #[test]
    fn what_may_be_anybodys_is_refused_wherever_it_stands() {
        for host in [
            "evil.example",
            "evil.example:4040",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evillocalhost",
            "localhost:80@evil",
            "localhost, evil",
            "10.0.0.3",
            "0.0.0.0:4040",
            "[::2]:1",
            "2130706433",
            "0x7f.1",
            "::1]",
        ] {
            assert!(!is_let_in("/leader", &[host], None), "{host}");
            assert!(!is_let_in("/leader", &["localhost", host], None), "{host}");
        }
        assert!(!is_let_in("http://evil/leader", &["localhost"], None));
    }
}
