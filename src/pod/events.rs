//! Events for people, as client-go's leader election records them.

use super::{Answer, Unanswered, within};
use crate::clock;
use crate::election::{Role, Token};
use crate::status::{ElectionHandle, rfc3339};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{GetParams, PostParams};
use kube::core::{PartialObjectMeta, Request, request};
use kube::{Client, Resource};
use serde::de::IgnoredAny;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;
use tokio::sync::broadcast::error::RecvError;

/// Tells of one election's leaderships of this candidate.
pub struct Events {
    election: ElectionHandle,
    about: About,
    /// For each request.
    timeout: Duration,
    /// However many elections there are, one request at a time.
    turn: Arc<Semaphore>,
    has_complained: bool,
}

/// What the events are about, and where they are created.
#[derive(Clone)]
pub struct About {
    /// Of the cluster.
    pub client: Client,
    /// Of the subject, and so of its events.
    pub namespace: String,
    /// The object itself.
    pub subject: Subject,
    /// This candidate's pod, which tells of it.
    pub pod: String,
}

/// An object that events are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The Lease that is named after the election.
    Lease,
    /// The pod.
    Pod,
    /// The pod, which is in other elections too.
    PodOfSeveral,
}

impl Events {
    /// Of `election`.
    pub fn new(
        election: ElectionHandle,
        about: About,
        timeout: Duration,
        turn: Arc<Semaphore>,
    ) -> Self {
        Events {
            election,
            about,
            timeout,
            turn,
            has_complained: false,
        }
    }

    /// Tells of what happens until the election has ended. What comes and goes while a request is under way is not told.
    pub async fn run(mut self) {
        let mut changes = self.election.status.subscribe();
        let mut led: Option<Token> = None;
        loop {
            let role = self.election.status.snapshot().view.role;
            let leads = role.claim().map(|claim| claim.token);
            if leads != led {
                if led.is_some() {
                    self.tell("stopped leading").await;
                }
                if leads.is_some() {
                    self.tell("became leader").await;
                }
                led = leads;
                continue;
            }
            if role == Role::Stopped {
                return;
            }
            if matches!(changes.recv().await, Err(RecvError::Closed)) {
                return;
            }
        }
    }

    async fn tell(&mut self, what: &str) {
        let date = clock::date();
        // It is never closed.
        let _turn = Arc::clone(&self.turn).acquire_owned().await;
        let Err(Unanswered::Refused(error) | Unanswered::Failed(error)) =
            self.create(what, date).await
        else {
            self.has_complained = false;
            return;
        };
        if !std::mem::replace(&mut self.has_complained, true) {
            let election = self.election.status.name();
            tracing::warn!(election, error, "an Event can't be created");
        }
    }

    async fn create(&self, what: &str, date: SystemTime) -> Answer<()> {
        let About {
            client,
            namespace,
            subject,
            pod,
        } = &self.about;
        let status = &self.election.status;
        let (api_version, kind, name, of_what) = match subject {
            Subject::Lease => ("coordination.k8s.io/v1", "Lease", status.name(), None),
            Subject::Pod => ("v1", "Pod", pod.as_str(), None),
            Subject::PodOfSeveral => ("v1", "Pod", pod.as_str(), Some(status.name())),
        };
        let (resource, url) = match subject {
            Subject::Lease => ("leases", Lease::url_path(&(), Some(namespace))),
            _ => ("pods", Pod::url_path(&(), Some(namespace))),
        };
        let unfit = |error: request::Error| Unanswered::Refused(error.to_string());
        let request = Request::new(url).get_metadata(name, &GetParams::default());
        // Whose metadata it is makes no difference.
        let found = client.request::<PartialObjectMeta<Pod>>(request.map_err(unfit)?);
        let object = within(self.timeout, "get", resource, found).await?.metadata;
        let of_what = of_what.map_or_else(String::new, |election| format!(" of {election}"));
        let message = format!("{} {what}{of_what}", status.candidate().id);
        let since_1970 = date.duration_since(SystemTime::UNIX_EPOCH);
        let nanos = since_1970.unwrap_or_default().as_nanos();
        let event = json!({
            "metadata": { "name": format!("{name}.{nanos:x}"), "namespace": namespace },
            "involvedObject": {
                "apiVersion": api_version, "kind": kind, "name": name, "namespace": namespace,
                "uid": object.uid, "resourceVersion": object.resource_version,
            },
            "type": "Normal",
            "reason": "LeaderElection",
            "message": message,
            "count": 1,
            "firstTimestamp": rfc3339(date),
            "lastTimestamp": rfc3339(date),
            "source": { "component": "tenure" },
            "reportingComponent": "tenure",
            "reportingInstance": pod,
        });
        let parameters = PostParams::default();
        let request = Request::new(Event::url_path(&(), Some(namespace)))
            .create(&parameters, event.to_string().into_bytes());
        // What was created is of no interest.
        let created = client.request::<IgnoredAny>(request.map_err(unfit)?);
        within(self.timeout, "create", "events", created).await?;
        Ok(())
    }
}
