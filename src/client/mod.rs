//! The verbs that speak to a running sidecar, over HTTP.
//!
//! They print what was asked for to a writer, and give the exit status of CONTRACT.md; what went wrong
//! comes back as a [`ClientError`] that knows its exit status.

mod connection;
mod control;
mod screen;
mod sidecar;
mod url;
mod watch;

pub use control::{Resignation, pause, resign, resume};
pub use sidecar::Access;
pub use watch::watch;

use crate::tls;
use connection::{Answer, Connection};
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;
use sidecar::Sidecar;
use std::fmt::Display;
use std::io::{self, Write};
use thiserror::Error;
use url::{Url, encoded};

/// Why a verb has nothing to show.
#[derive(Debug, Error)]
#[error("{why}")]
pub struct ClientError {
    /// With which status the process is to exit.
    pub exit: u8,
    why: Why,
}

/// What went wrong.
#[derive(Debug, Error)]
enum Why {
    #[error("--url {0:?} is not of the form http://host:port, https://host:port or unix:/path")]
    Url(String),
    #[error("{0} {1}")]
    Credentials(&'static str, String),
    #[error("no sidecar answers at {url}: {why}; is it running? --url or TENURE_URL say where")]
    NoAnswer { url: String, why: String },
    #[error("what answers at {url} doesn't speak HTTP: {why}; where it is over TLS, say https://")]
    NotHttp { url: String, why: String },
    #[error("what answers at {url} doesn't speak TLS: {why}; without it, say http://")]
    NotTls { url: String, why: String },
    #[error("the certificate of the sidecar at {url} is not trusted: {why}")]
    NotTrusted { url: String, why: String },
    #[error("the sidecar at {url} answered {status}: {error}")]
    Refused {
        url: String,
        status: StatusCode,
        error: String,
    },
    #[error("can't write the output: {0}")]
    Output(#[from] io::Error),
}

impl Why {
    fn no_answer(to: &Sidecar, why: impl Display) -> Self {
        Why::NoAnswer {
            url: to.url.to_string(),
            why: why.to_string(),
        }
    }

    /// A connection was not had.
    fn failed(to: &Sidecar, error: &io::Error) -> Self {
        let url = to.url.to_string();
        match tls::distrust(error) {
            Some(why) => Why::NotTrusted { url, why },
            None if tls::is_foreign(error) => Why::NotTls {
                url,
                why: error.to_string(),
            },
            None => Why::no_answer(to, error),
        }
    }

    /// An answer was not had.
    fn broken(to: &Sidecar, error: &hyper::Error) -> Self {
        match &to.url {
            Url::Tcp { tls: false, .. } if error.is_parse() && !error.is_parse_too_large() => {
                Why::NotHttp {
                    url: to.url.to_string(),
                    why: error.to_string(),
                }
            }
            _ => Why::no_answer(to, error),
        }
    }

    fn exits(self, exit: u8) -> ClientError {
        ClientError { exit, why: self }
    }
}

/// `tenure status`: one screen for people, or the JSON of `/status`. 0, or 1 where no sidecar answers.
///
/// # Errors
/// Where no sidecar answers, or the output can't be written.
pub async fn status(access: &Access, json: bool, out: &mut dyn Write) -> Result<u8, ClientError> {
    let shown = async {
        let to = Sidecar::find(access)?;
        let answer = ask(&to, Method::GET, "/status").await?.expect_ok(&to)?;
        if json {
            out.write_all(&answer.body)?;
            writeln!(out)?;
        } else {
            screen::write(&answer.parse(&to)?, crate::clock::date(), out)?;
        }
        out.flush()?;
        Ok(0)
    };
    shown.await.map_err(|why: Why| why.exits(1))
}

/// `tenure is-leader`: prints nothing. 0 leader, 1 not leader, 2 no answer.
///
/// # Errors
/// Where no sidecar answers, or it knows no such election.
pub async fn is_leader(access: &Access, election: Option<&str>) -> Result<u8, ClientError> {
    let asked = async {
        let to = Sidecar::find(access)?;
        let query = election.map_or(String::new(), |name| format!("?election={}", encoded(name)));
        // HEAD: nobody is going to act for as long as a promise would last.
        let answer = ask(&to, Method::HEAD, &format!("/leader{query}")).await?;
        match answer.status {
            StatusCode::OK => Ok(0),
            StatusCode::SERVICE_UNAVAILABLE => Ok(1),
            status => Err(Why::Refused {
                error: match (status, election) {
                    (StatusCode::NOT_FOUND, Some(name)) => format!("it has no election {name:?}"),
                    (StatusCode::BAD_REQUEST, None) => {
                        "it has several elections; name one with --election".to_owned()
                    }
                    _ => "this is no sidecar".to_owned(),
                },
                url: to.url.to_string(),
                status,
            }),
        }
    };
    asked.await.map_err(|why: Why| why.exits(2))
}

async fn ask(to: &Sidecar, method: Method, path: &str) -> Result<Answer, Why> {
    let connection = Connection::open(to).await?;
    connection.ask(to, method, path).await
}

impl Answer {
    fn expect_ok(self, to: &Sidecar) -> Result<Self, Why> {
        if self.status == StatusCode::OK {
            Ok(self)
        } else {
            Err(self.refusal(to))
        }
    }

    fn refusal(&self, to: &Sidecar) -> Why {
        #[derive(serde::Deserialize)]
        struct Error {
            error: String,
        }
        let error = serde_json::from_slice(&self.body).map_or_else(
            |_| "this is no sidecar".to_owned(),
            |Error { error }| screen::printable(&error),
        );
        Why::Refused {
            url: to.url.to_string(),
            status: self.status,
            error,
        }
    }

    fn parse<T: DeserializeOwned>(&self, to: &Sidecar) -> Result<T, Why> {
        serde_json::from_slice(&self.body)
            .map_err(|err| Why::no_answer(to, format!("what answers there is no sidecar ({err})")))
    }
}
