//! The etcd store on the bench: a real server for each test.

use crate::suite::{self, Bench};
use crate::support::etcd::Etcd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tenure::config::EtcdConfig;
use tenure::election::{Candidate, Timing};
use tenure::store::Session;
use tenure::store::etcd::EtcdStore;

/// A server of its own.
pub(crate) struct EtcdBench {
    server: Etcd,
    store: EtcdStore,
}

impl Bench for EtcdBench {
    async fn set_up() -> Self {
        let server = Etcd::started();
        let store = open(&server);
        EtcdBench { server, store }
    }

    /// etcd grants whole seconds, and at least two.
    fn timing(&self) -> Timing {
        shortest()
    }

    fn session(&self, candidate: &Candidate) -> Box<dyn Session> {
        Box::new(self.store.session("contract", candidate, &self.timing()))
    }

    async fn restart(&mut self) {
        self.store = open(&self.server);
    }
}

fn shortest() -> Timing {
    suite::timing(Duration::from_secs(2))
}

fn open(server: &Etcd) -> EtcdStore {
    let config = EtcdConfig {
        endpoints: vec![server.endpoint()],
        prefix: "/tenure/".to_owned(),
        user: None,
        tls: None,
    };
    EtcdStore::open(&config, &shortest(), Arc::new(AtomicBool::new(false))).unwrap()
}
