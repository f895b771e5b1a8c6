//! Where a sidecar is: `http://host:port`, `https://host:port` or `unix:/path`, and nothing more.

use super::Why;
use hyper::Uri;
use std::fmt::{self, Display};
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Url {
    Tcp { tls: bool, host: String, port: u16 },
    Unix(PathBuf),
}

impl Url {
    /// As the header `Host` reads it.
    pub(super) fn authority(&self) -> String {
        match self {
            Url::Tcp { host, port, .. } => format!("{host}:{port}"),
            // It has none, and a request has to name one.
            Url::Unix(_) => "localhost".to_owned(),
        }
    }

    /// Whether others can read what is sent there.
    pub(super) fn is_overheard(&self) -> bool {
        match self {
            Url::Unix(_) | Url::Tcp { tls: true, .. } => false,
            Url::Tcp { host, .. } => {
                let address: Result<IpAddr, _> = bare(host).parse();
                host != "localhost" && !address.is_ok_and(|address| address.is_loopback())
            }
        }
    }
}

/// A host as TLS names it: without the brackets of an address.
pub(super) fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

impl FromStr for Url {
    type Err = Why;

    fn from_str(text: &str) -> Result<Self, Why> {
        let parse = || {
            if let Some(path) = text.strip_prefix("unix:") {
                return (!path.is_empty()).then(|| Url::Unix(path.into()));
            }
            let uri: Uri = text.parse().ok()?;
            let authority = uri.authority()?;
            let (tls, default_port) = match uri.scheme_str()? {
                "http" => (false, 80),
                "https" => (true, 443),
                _ => return None,
            };
            let plain = uri.path_and_query().is_none_or(|path| path.as_str() == "/")
                && !authority.as_str().contains('@')
                && !authority.host().is_empty();
            plain.then(|| Url::Tcp {
                tls,
                host: authority.host().to_owned(),
                port: authority.port_u16().unwrap_or(default_port),
            })
        };
        parse().ok_or_else(|| match text.contains('@') {
            // It may hold a password.
            true => Why::Url("…@…".to_owned()),
            false => Why::Url(text.to_owned()),
        })
    }
}

impl Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Url::Tcp { tls, host, port } => {
                let s = if *tls { "s" } else { "" };
                write!(f, "http{s}://{host}:{port}")
            }
            Url::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A value as it may stand in a query.
pub(super) fn encoded(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_http_with_a_host_and_maybe_a_port_or_a_socket() {
        for (text, authority) in [
            ("http://127.0.0.1:4040", "127.0.0.1:4040"),
            ("http://localhost:4040/", "localhost:4040"),
            ("http://[::1]:4040", "[::1]:4040"),
            ("http://sidecar", "sidecar:80"),
            ("https://sidecar:4040", "sidecar:4040"),
            ("https://sidecar", "sidecar:443"),
            ("unix:/run/tenure/api.sock", "localhost"),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!(url.authority(), authority);
        }
    }

    #[test]
    fn any_other_url_is_refused_with_the_form_that_is_wanted() {
        for text in [
            "",
            "localhost:4040",
            "ftp://localhost:4040",
            "http://localhost:4040/x",
            "http://localhost:4040?x",
            "http://:4040",
            "unix:",
        ] {
            let error = text.parse::<Url>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "--url {text:?} is not of the form http://host:port, https://host:port or unix:/path"
                )
            );
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_shown() {
        let error = "http://me:s3cret@localhost:4040"
            .parse::<Url>()
            .unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }

    #[test]
    fn only_this_host_hears_what_is_sent_to_it_and_nobody_what_is_encrypted() {
        let is_overheard = |text: &str| text.parse::<Url>().unwrap().is_overheard();
        for text in [
            "http://localhost:1",
            "http://127.0.0.9:1",
            "http://[::1]:1",
            "https://a:1",
            "unix:/a",
        ] {
            assert!(!is_overheard(text), "{text}");
        }
        assert!(is_overheard("http://10.0.0.3:1") && is_overheard("http://sidecar"));
    }

    #[test]
    fn what_a_query_gives_a_meaning_to_is_encoded() {
        assert_eq!(encoded("pay.ments-1_2~"), "pay.ments-1_2~");
        assert_eq!(encoded("a&b=c ä"), "a%26b%3Dc%20%C3%A4");
    }
}
