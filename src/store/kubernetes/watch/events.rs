//! The answer to a watch: an event a line, for as long as it lasts.
//!
//! It is read here, since kube makes of what goes wrong with it an error that links the text of all its errors: see
//! [`crate::kubernetes::reason`].

use crate::store::kubernetes::error::Failure;
use http_body_util::BodyExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{WatchEvent, WatchParams};
use kube::client::Body;
use kube::core::{Request, Status};
use kube::{Api, Error};

pub(super) struct Events {
    answer: Body,
    /// What has come of it, and is not read yet.
    received: Vec<u8>,
}

/// Longer than any object that the API stores.
const LONGEST_LINE: usize = 4 * 1024 * 1024;

/// Begins to watch what is there.
pub(super) async fn open(leases: &Api<Lease>, parameters: &WatchParams) -> Result<Events, Failure> {
    let request = Request::new(leases.resource_url()).watch(parameters, "");
    let request = request.map_err(Error::BuildRequest)?;
    let client = leases.clone().into_client();
    let (head, mut answer) = client.send(request.map(Body::from)).await?.into_parts();
    if head.status.is_success() {
        let received = Vec::new();
        return Ok(Events { answer, received });
    }
    let mut text = Vec::new();
    while let Some(frame) = answer.frame().await {
        text.extend(frame?.into_data().unwrap_or_default());
    }
    let status = serde_json::from_slice(&text).unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(&text);
        Status::failure(&text, "").with_code(head.status.as_u16())
    });
    Err(Error::Api(Box::new(status)).into())
}

impl Events {
    /// None at the end, and where it breaks off: why, those will say who read. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<Option<WatchEvent<Lease>>, Failure> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                let event = serde_json::from_slice(&line).map_err(Error::SerdeError)?;
                return Ok(Some(event));
            }
            let Some(Ok(frame)) = self.answer.frame().await else {
                return Ok(None);
            };
            self.received.extend(frame.into_data().unwrap_or_default());
            if self.received.len() > LONGEST_LINE {
                return Ok(None);
            }
        }
    }
}
