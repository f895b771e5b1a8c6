//! Events for people, as client-go's leader election records them.

use super::{Answer, Unanswered, within};
use crate::clock;
use crate::election::{Role, Token};
use crate::status::{ElectionHandle, rfc3339};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Api;
use kube::api::PostParams;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;
use tokio::sync::broadcast::error::RecvError;

/// Tells of one election's leaderships of this candidate.
pub struct Events {
    election: ElectionHandle,
    events: Api<Event>,
    subject: Subject,
    /// Goes after the message, where the subject doesn't say which election is meant.
    of_what: String,
    /// For each request.
    timeout: Duration,
    /// However many elections there are, one request at a time.
    turn: Arc<Semaphore>,
    has_complained: bool,
}

/// The object that the events are about.
#[derive(Clone)]
pub struct Subject {
    /// The pod of this candidate,
    pub pods: Api<Pod>,
    /// by its name,
    pub pod: String,
    /// in this namespace.
    pub namespace: String,
}

impl Events {
    /// Of `election`, and about the subject; `is_one_of_several` where that has other elections too.
    pub fn new(
        election: ElectionHandle,
        events: Api<Event>,
        subject: Subject,
        is_one_of_several: bool,
        timeout: Duration,
        turn: Arc<Semaphore>,
    ) -> Self {
        let of_what = if is_one_of_several {
            format!(" of {}", election.status.name())
        } else {
            String::new()
        };
        Events {
            election,
            events,
            subject,
            of_what,
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
        let Subject {
            pods,
            pod,
            namespace,
        } = &self.subject;
        let found = within(self.timeout, "get", "pods", pods.get_metadata(pod)).await?;
        let id = &self.election.status.candidate().id;
        let message = format!("{id} {what}{}", self.of_what);
        let since_1970 = date.duration_since(SystemTime::UNIX_EPOCH);
        let nanos = since_1970.unwrap_or_default().as_nanos();
        let event = json!({
            "metadata": { "name": format!("{pod}.{nanos:x}"), "namespace": namespace },
            "involvedObject": {
                "apiVersion": "v1", "kind": "Pod", "name": pod, "namespace": namespace,
                "uid": found.metadata.uid, "resourceVersion": found.metadata.resource_version,
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
        let event: Event = serde_json::from_value(event)
            .map_err(|error| Unanswered::Refused(error.to_string()))?;
        let parameters = PostParams::default();
        let request = self.events.create(&parameters, &event);
        within(self.timeout, "create", "events", request).await?;
        Ok(())
    }
}
