//! Where a sidecar is: `http://host:port`, and nothing more.

use super::Why;
use hyper::Uri;
use std::fmt::{self, Display};
use std::str::FromStr;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    host: String,
    port: u16,
}

impl Url {
    /// As `ToSocketAddrs` and the header `Host` read it.
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl FromStr for Url {
    type Err = Why;

    fn from_str(text: &str) -> Result<Self, Why> {
        let parse = || {
            let uri: Uri = text.parse().ok()?;
            let authority = uri.authority()?;
            let plain = uri.scheme_str() == Some("http")
                && uri.path_and_query().is_none_or(|path| path.as_str() == "/")
                && !authority.as_str().contains('@')
                && !authority.host().is_empty();
            plain.then(|| Url {
                host: authority.host().to_owned(),
                port: authority.port_u16().unwrap_or(80),
            })
        };
        parse().ok_or_else(|| Why::Url(text.to_owned()))
    }
}

impl Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
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
    fn a_url_is_http_with_a_host_and_maybe_a_port() {
        for (text, authority) in [
            ("http://127.0.0.1:4040", "127.0.0.1:4040"),
            ("http://localhost:4040/", "localhost:4040"),
            ("http://[::1]:4040", "[::1]:4040"),
            ("http://sidecar", "sidecar:80"),
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
            "https://localhost:4040",
            "http://localhost:4040/x",
            "http://localhost:4040?x",
            "http://me@localhost:4040",
            "http://:4040",
            "unix:/run/tenure",
        ] {
            let error = text.parse::<Url>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("--url {text:?} is not of the form http://host:port")
            );
        }
    }

    #[test]
    fn what_a_query_gives_a_meaning_to_is_encoded() {
        assert_eq!(encoded("pay.ments-1_2~"), "pay.ments-1_2~");
        assert_eq!(encoded("a&b=c ä"), "a%26b%3Dc%20%C3%A4");
    }
}
