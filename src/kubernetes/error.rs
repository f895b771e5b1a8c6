//! What went wrong with a request, for people.

use crate::causes::with_causes;
use kube::Error;

/// What went wrong, with its causes.
///
/// The error itself is not asked for its text: that of all that can go wrong in the client, the reading of its kubeconfigs and
/// the running of its programs among it, would become part of this program.
pub fn reason(error: &Error) -> String {
    match error {
        Error::Api(status) => status.message.clone(),
        // Not of this API's making: a proxy's page, for instance.
        Error::SerdeError(error) => format!("an answer that is none of the API's: {error}"),
        Error::FromUtf8(error) => format!("an answer that is none of the API's: {error}"),
        Error::Service(error) => with_causes(&**error),
        Error::HyperError(error) => with_causes(error),
        Error::ReadEvents(error) => with_causes(error),
        Error::BuildRequest(error) => with_causes(error),
        Error::HttpError(error) => with_causes(error),
        _ => "the client failed".to_owned(),
    }
}
