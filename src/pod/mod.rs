//! What a pod shows of its elections in its cluster: a label by which a Service finds the leader, and Events.
//!
//! Both are hints, for whoever directs traffic and for people. They run beside the elections, which go on whether or not
//! the cluster's API answers; only an orderly release waits for the label to be taken off, and for a bounded time.

mod events;
mod label;

pub use events::{About, Events, Subject};
pub use label::Label;

use crate::kubernetes::reason;
use kube::Error;
use std::time::Duration;

/// What became of a request.
type Answer<T> = Result<T, Unanswered>;

/// Why a request had no effect, as far as is known.
#[derive(Debug)]
enum Unanswered {
    /// It was refused, and would be again.
    Refused(String),
    /// It failed, or there was no answer in time: it may have had its effect, and may be tried again.
    Failed(String),
}

/// Waits for an answer, but not for ever. `verb` and `resource` are what a role has to allow.
async fn within<T>(
    bound: Duration,
    verb: &str,
    resource: &str,
    request: impl Future<Output = kube::Result<T>>,
) -> Answer<T> {
    match tokio::time::timeout(bound, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(Error::Api(status))) if status.code == 403 => Err(Unanswered::Refused(format!(
            "not allowed to {verb} {resource}: {}; bind the pod's service account to a role with the verb {verb} on {resource}",
            status.message
        ))),
        // A conflict, too many requests, or a server's own trouble pass.
        Ok(Err(Error::Api(status))) if status.code < 500 && !matches!(status.code, 409 | 429) => {
            let message = format!("{verb} {resource}: {}", status.message);
            Err(Unanswered::Refused(message))
        }
        Ok(Err(error)) => {
            let message = format!("{verb} {resource}: {}", reason(&error));
            Err(Unanswered::Failed(message))
        }
        Err(_) => Err(Unanswered::Failed(format!(
            "{verb} {resource}: the cluster's API doesn't answer within {bound:?}"
        ))),
    }
}
