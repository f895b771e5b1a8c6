//! A sidecar to be asked: where it is, and what it takes to be answered.

use super::Why;
use super::url::Url;
use crate::secret::{self, Token};
use crate::tls;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// How to reach a sidecar, as it is said on the command line.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Where its api listens.
    pub url: String,
    /// Holds the token that it asks for, if it does.
    pub token_file: Option<PathBuf>,
    /// The authorities to trust where it speaks TLS, in PEM.
    pub ca_file: Option<PathBuf>,
}

impl Access {
    /// To one that asks for nothing.
    pub fn to(url: &str) -> Self {
        Access {
            url: url.to_owned(),
            ..Access::default()
        }
    }
}

/// The same, read and found to make sense.
pub(super) struct Sidecar {
    pub(super) url: Url,
    pub(super) token: Option<Token>,
    pub(super) tls: Option<TlsConnector>,
}

impl Sidecar {
    pub(super) fn find(access: &Access) -> Result<Self, Why> {
        let url: Url = access.url.parse()?;
        let token = access.token_file.as_deref().map(token).transpose()?;
        if token.is_some() && url.is_overheard() {
            let why = format!("would be sent to {url} for all to read; use https:// or unix:");
            return Err(Why::Credentials("--token-file", why));
        }
        let tls = match (&url, &access.ca_file) {
            (Url::Tcp { tls: true, .. }, Some(file)) => Some(trust(file)?),
            (Url::Tcp { tls: true, .. }, None) => {
                let why = "is needed for https://; name the authority to trust, in PEM";
                return Err(Why::Credentials("--ca-file", why.to_owned()));
            }
            _ => None,
        };
        Ok(Sidecar { url, token, tls })
    }
}

fn token(file: &Path) -> Result<Token, Why> {
    let parse = |content: Vec<u8>| {
        let parsed = Token::parse(&content);
        parsed.map_err(|error| format!("{}: {error}", file.display()))
    };
    let token = secret::read(file).and_then(parse);
    token.map_err(|error| Why::Credentials("--token-file", error))
}

fn trust(file: &Path) -> Result<TlsConnector, Why> {
    let parse = |content: Vec<u8>| {
        let config = tls::authorities(&content)
            .and_then(|roots| tls::client(roots, None).map_err(|error| error.to_string()));
        config.map_err(|error| format!("{}: {error}", file.display()))
    };
    let config = secret::read(file).and_then(parse);
    let config = config.map_err(|error| Why::Credentials("--ca-file", error))?;
    Ok(TlsConnector::from(Arc::new(config)))
}
