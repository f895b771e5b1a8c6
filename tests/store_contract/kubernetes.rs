//! The kubernetes store on the bench: a fake API server for each test, or the cluster that `TENURE_TEST_KUBECONFIG` names.

use crate::peer::alarms;
use crate::suite::{self, Bench};
use crate::support::api_server::ApiServer;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tempfile::NamedTempFile;
use tenure::election::{Candidate, Timing};
use tenure::kubernetes::Cluster;
use tenure::store::Session;
use tenure::store::kubernetes::KubernetesStore;

/// A server of its own, or an election of its own in a cluster that is there.
pub(crate) struct KubernetesBench {
    _server: Option<ApiServer>,
    cluster: Arc<Cluster>,
    election: String,
    store: KubernetesStore,
}

impl Bench for KubernetesBench {
    const QUEUES: bool = false;

    async fn set_up() -> Self {
        let (server, cluster) = match std::env::var("TENURE_TEST_KUBECONFIG") {
            Ok(file) => (None, find(&file)),
            Err(_) => {
                let server = ApiServer::started();
                let cluster = cluster(server.port());
                (Some(server), cluster)
            }
        };
        KubernetesBench {
            _server: server,
            election: format!("contract-{:x}", tenure::store::random()),
            store: open(&cluster),
            cluster,
        }
    }

    /// A Lease counts whole seconds.
    fn timing(&self) -> Timing {
        suite::timing(Duration::from_secs(2))
    }

    fn session(&self, candidate: &Candidate) -> Box<dyn Session> {
        let elections = [self.election.as_str()];
        let sessions = self
            .store
            .sessions(elections, candidate, &self.timing(), &alarms());
        Box::new(sessions.unwrap().into_iter().next().unwrap())
    }

    async fn restart(&mut self) {
        self.store = open(&self.cluster);
    }
}

fn open(cluster: &Arc<Cluster>) -> KubernetesStore {
    KubernetesStore::new(Arc::clone(cluster), None, Arc::new(AtomicBool::new(false)))
}

fn cluster(port: u16) -> Arc<Cluster> {
    let file = NamedTempFile::new().unwrap();
    fs::write(&file, ApiServer::kubeconfig(port, "default")).unwrap();
    find(file.path().to_str().unwrap())
}

fn find(kubeconfig: &str) -> Arc<Cluster> {
    let env = |name: &str| (name == "KUBECONFIG").then(|| kubeconfig.to_owned());
    Arc::new(Cluster::find(&env).unwrap())
}
