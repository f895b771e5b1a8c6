//! What an error of etcd means for a lease.

use std::fmt;
use tonic::Code;

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
        Failure::Unreachable("no answer in time".to_owned())
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
            Error::TransportError(error) => Failure::Unreachable(because(
                &error.to_string(),
                std::error::Error::source(&error),
            )),
            other => Failure::Unreachable(other.to_string()),
        }
    }
}

fn from_status(status: &tonic::Status) -> Failure {
    let message = status.message();
    match status.code() {
        Code::NotFound if message.contains("lease not found") => Failure::NoLease,
        // A token that aged, or a password that changed: a fresh connection reads the file and logs in anew.
        Code::Unauthenticated => Failure::Unreachable(message.to_owned()),
        Code::InvalidArgument if message.contains("auth") => {
            Failure::Unreachable(message.to_owned())
        }
        // No space left, or too many requests: a fresh connection would only add to them.
        Code::ResourceExhausted
        | Code::PermissionDenied
        | Code::InvalidArgument
        | Code::FailedPrecondition => Failure::Refused(message.to_owned()),
        _ => Failure::Unreachable(because(message, std::error::Error::source(status))),
    }
}

/// A sentence, and the causes that it does not name yet.
fn because(message: &str, mut cause: Option<&(dyn std::error::Error + 'static)>) -> String {
    let mut text = message.to_owned();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
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
