//! The label by which a Service finds the leader.
//!
//! It is written when the state changes, again while that fails, and every now and then in case somebody else has
//! changed it. One write at a time; a change of state ends the one that is under way.

use super::{Answer, Unanswered, within};
use crate::clock;
use crate::config::PodLabel;
use crate::election::RoleName;
use crate::status::{Change, Command, ElectionHandle, Snapshot, state};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::sleep;

/// Between writes where nothing has changed: what somebody else has changed meanwhile is put right.
const RECONCILE: Duration = Duration::from_secs(30);

/// After the first failure; it doubles with each.
const FIRST_RETRY: Duration = Duration::from_millis(250);

/// One election's label on this pod.
pub struct Label {
    election: ElectionHandle,
    pods: Api<Pod>,
    pod: String,
    key: String,
    values: PodLabel,
    /// For each write.
    timeout: Duration,
    /// What it said after the last write, where that was answered.
    written: Option<Shown>,
    /// Whether a write was given up that may yet be carried out.
    unsure: bool,
    complaint: Option<String>,
}

/// What the label is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Leader,
    Follower,
    /// The sidecar has left.
    Nothing,
}

impl Label {
    /// The label of `election` on `pod`, one of `pods`.
    pub fn new(
        election: ElectionHandle,
        pods: Api<Pod>,
        pod: String,
        values: PodLabel,
        timeout: Duration,
    ) -> Self {
        Label {
            key: values.key_of(election.status.name()),
            election,
            pods,
            pod,
            values,
            timeout,
            written: None,
            unsure: false,
            complaint: None,
        }
    }

    /// Has the label say what is the case, until the election has ended and the label is off. What a killed sidecar has
    /// left is put right first.
    pub async fn run(mut self) {
        let mut changes = self.election.status.subscribe();
        let mut failures = 0;
        loop {
            let shown = Shown::of(&self.election.status.snapshot());
            if self.written != Some(shown) {
                self.election.status.set_label_synced(false);
            }
            let answer = tokio::select! {
                biased;
                () = until_other(shown, &mut changes) => {
                    self.unsure = true;
                    failures = 0;
                    continue;
                }
                answer = self.write(shown) => answer,
            };
            let may_be_tried_again = matches!(answer, Err(Unanswered::Failed(_)));
            let pause = match answer {
                Ok(()) => {
                    failures = 0;
                    self.succeeded(shown)
                }
                Err(error) => {
                    failures += 1;
                    self.failed(&error);
                    retry_after(failures)
                }
            };
            if !may_be_tried_again {
                match shown {
                    Shown::Leader => {}
                    Shown::Follower => self.deregister().await,
                    Shown::Nothing => return,
                }
            }
            tokio::select! {
                biased;
                () = until_other(shown, &mut changes) => failures = 0,
                () = sleep(pause) => {}
            }
        }
    }

    async fn write(&self, shown: Shown) -> Answer<()> {
        let value = match shown {
            Shown::Leader => Some(self.values.leader.as_str()),
            Shown::Follower => self.values.follower.as_deref(),
            Shown::Nothing => None,
        };
        let patch = Patch::Merge(json!({"metadata": {"labels": {&self.key: value}}}));
        let parameters = PatchParams::default();
        let request = self.pods.patch_metadata(&self.pod, &parameters, &patch);
        within(self.timeout, "patch", "pods", request).await?;
        Ok(())
    }

    /// How long until it is written again.
    fn succeeded(&mut self, shown: Shown) -> Duration {
        let election = self.election.status.name();
        if self.complaint.take().is_some() {
            tracing::info!(election, pod = self.pod, "the pod's label is written again");
        }
        self.written = Some(shown);
        self.election.status.set_label_synced(true);
        if std::mem::take(&mut self.unsure) {
            self.timeout
        } else {
            RECONCILE
        }
    }

    fn failed(&mut self, error: &Unanswered) {
        let (Unanswered::Refused(text) | Unanswered::Failed(text)) = error;
        self.unsure |= matches!(error, Unanswered::Failed(_));
        self.written = None;
        self.election.status.set_label_synced(false);
        if self.complaint.as_deref() != Some(text) {
            let election = self.election.status.name();
            tracing::warn!(
                election,
                pod = self.pod,
                label = self.key,
                error = text,
                "the pod's label can't be written; the election goes on"
            );
            self.complaint = Some(text.clone());
        }
    }

    /// The release of a leadership that is over waits for it no longer.
    async fn deregister(&self) {
        if let Some(token) = self.election.status.snapshot().own_token {
            // Fails where the election has ended.
            let _ = self
                .election
                .commands
                .send(Command::Deregistered(token))
                .await;
        }
    }
}

impl Shown {
    fn of(snapshot: &Snapshot) -> Self {
        match state(snapshot, clock::now()) {
            RoleName::Leader => Shown::Leader,
            RoleName::Starting | RoleName::Follower | RoleName::SteppingDown => Shown::Follower,
            RoleName::Stopped => Shown::Nothing,
        }
    }
}

/// Returns when the label is to say something else.
async fn until_other(shown: Shown, changes: &mut Receiver<(Change, Arc<Snapshot>)>) {
    loop {
        match changes.recv().await {
            Ok((_, snapshot)) if Shown::of(&snapshot) == shown => {}
            Ok(_) | Err(RecvError::Lagged(_)) => return,
            // Nothing changes any more.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn retry_after(failures: u32) -> Duration {
    FIRST_RETRY
        .saturating_mul(1 << (failures - 1).min(10))
        .min(RECONCILE)
}
