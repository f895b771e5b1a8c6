//! What the pod shows of the elections.

use super::RunError;
use crate::config::{Config, PodConfig, StoreConfig};
use crate::kubernetes::Cluster;
use crate::pod::{About, Events, Label, Subject};
use crate::status::Board;
use kube::{Api, Client};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The tasks that see to it.
pub(super) struct ForPod {
    tasks: JoinSet<()>,
    /// How long they may take to end once the elections have.
    grace: Duration,
}

impl ForPod {
    /// Starts what the config asks for. Nothing is asked of the cluster yet.
    pub(super) fn start(config: &Config, board: &Board) -> Result<Self, RunError> {
        let mut all = ForPod {
            tasks: JoinSet::new(),
            grace: Duration::ZERO,
        };
        if let Some(pod) = &config.pod {
            let env = |name: &str| std::env::var(name).ok();
            let cluster = Cluster::find(&env).map_err(RunError::Kubernetes)?;
            let client = cluster.client(pod.timeout).map_err(RunError::Kubernetes)?;
            let namespace_of = |set: &Option<String>| {
                let set = set.as_deref();
                set.unwrap_or_else(|| cluster.namespace()).to_owned()
            };
            let namespace = namespace_of(&pod.namespace);
            all.grace = pod.timeout;
            all.label(pod, &client, &namespace, board);
            if pod.events {
                let (subject, namespace) = match &config.store {
                    StoreConfig::Kubernetes(store) => {
                        (Subject::Lease, namespace_of(&store.namespace))
                    }
                    _ if config.elections.len() > 1 => (Subject::PodOfSeveral, namespace),
                    _ => (Subject::Pod, namespace),
                };
                let about = About {
                    client,
                    namespace,
                    subject,
                    pod: pod.name.clone(),
                };
                all.tell(&about, pod.timeout, board);
            }
        }
        Ok(all)
    }

    fn label(&mut self, config: &PodConfig, client: &Client, namespace: &str, board: &Board) {
        let Some(values) = &config.label else {
            return;
        };
        for election in &board.elections {
            let pods = Api::namespaced(client.clone(), namespace);
            let (pod, values) = (config.name.clone(), values.clone());
            let label = Label::new(election.clone(), pods, pod, values, config.timeout);
            self.tasks.spawn(label.run());
        }
    }

    fn tell(&mut self, about: &About, timeout: Duration, board: &Board) {
        let turn = Arc::new(Semaphore::new(1));
        for election in &board.elections {
            let (about, turn) = (about.clone(), Arc::clone(&turn));
            let events = Events::new(election.clone(), about, timeout, turn);
            self.tasks.spawn(events.run());
        }
    }

    /// Once the elections have ended: takes the labels off, if the cluster's API lets that happen in time.
    pub(super) async fn finish(mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        // What is left is ended with the set.
        let _ = timeout(self.grace, all).await;
    }
}
