//! What an error of etcd means for a lease.

use super::reasons::REFUSED_CERTIFICATE;
use crate::causes::{followed_by, with_causes};
use std::error::Error as _;
use std::fmt;
use tonic::Code;

const NO_ANSWER: &str = "no answer in time";

/// Why an operation on etcd failed.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// etcd says that the lease does not exist.
    NoLease,
    /// etcd understood, and refused; another endpoint would refuse as well.
    Refused(String),
    /// No answer, or one that says nothing of the lease: try again, elsewhere.
    Unreachable(String),
    /// The stream that was to bring the answer has made way for a fresh one.
    Superseded,
}

impl Failure {
    pub(super) fn timed_out() -> Self {
        Failure::Unreachable(NO_ANSWER.to_owned())
    }

    pub(super) fn is_timeout(&self) -> bool {
        matches!(self, Failure::Unreachable(message) if message.starts_with(NO_ANSWER))
    }

    /// Whether it is for the password or the client certificate, and no outage.
    pub(super) fn is_about_credentials(&self) -> bool {
        let about = [WRONG_PASSWORD, REFUSED_CERTIFICATE];
        matches!(self, Failure::Unreachable(message) if about.iter().any(|about| message.contains(about)))
    }
}

impl From<etcd_client::Error> for Failure {
    fn from(error: etcd_client::Error) -> Self {
        use etcd_client::Error;
        match error {
            Error::LeaseKeepAliveError(message) if message.contains("not found") => {
                Failure::NoLease
            }
            Error::GRpcStatus(status) => from_status(&status),
            Error::InvalidArgs(message) => Failure::Refused(message),
            Error::TransportError(error) => Failure::Unreachable(with_causes(&error)),
            other => Failure::Unreachable(other.to_string()),
        }
    }
}

/// Said of a login, also with a user that does not exist.
const WRONG_PASSWORD: &str = "authentication failed";

/// Said of a request without a login.
const NO_USER: &str = "user name is empty";

/// Said of a login.
const NO_AUTHENTICATION: &str = "authentication is not enabled";

/// Whether etcd wants nobody to log in: then whoever has a password is as welcome as all others.
pub(super) fn wants_no_login(error: &etcd_client::Error) -> bool {
    matches!(error, etcd_client::Error::GRpcStatus(status) if status.message().contains(NO_AUTHENTICATION))
}

fn from_status(status: &tonic::Status) -> Failure {
    let message = status.message();
    match status.code() {
        Code::NotFound if message.contains("lease not found") => Failure::NoLease,
        // A token that aged, or a password that changed: a fresh connection reads the file and logs in anew.
        Code::Unauthenticated => Failure::Unreachable(message.to_owned()),
        Code::InvalidArgument if message.contains(WRONG_PASSWORD) => Failure::Unreachable(format!(
            "{message}; set store.etcd.username and what is in password_file"
        )),
        Code::InvalidArgument if message.contains(NO_USER) => Failure::Unreachable(format!(
            "{message}: etcd wants to know who asks; set store.etcd.username and password_file"
        )),
        Code::InvalidArgument if message.contains("auth") => {
            Failure::Unreachable(message.to_owned())
        }
        // No space left, or too many requests: a fresh connection would only add to them.
        Code::ResourceExhausted
        | Code::PermissionDenied
        | Code::InvalidArgument
        | Code::FailedPrecondition => Failure::Refused(message.to_owned()),
        _ => Failure::Unreachable(followed_by(message, status.source())),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoLease => f.write_str("no such lease"),
            Failure::Superseded => f.write_str("superseded by a fresh stream"),
            Failure::Refused(message) | Failure::Unreachable(message) => f.write_str(message),
        }
    }
}
