//! The etcd store on the bench: a real server for each test.

use crate::peer::Peer;
use crate::suite::{self, Bench};
use crate::support::etcd::Etcd;
use crate::support::ms;
use crate::support::relay::{Mode, Relay};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tenure::config::EtcdConfig;
use tenure::election::{Action, Candidate, Event, Timing};
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
        let sessions = self
            .store
            .sessions(["contract"], candidate, &self.timing());
        Box::new(sessions.into_iter().next().unwrap())
    }

    async fn restart(&mut self) {
        self.store = open(&self.server);
    }
}

fn shortest() -> Timing {
    suite::timing(Duration::from_secs(2))
}

fn open(server: &Etcd) -> EtcdStore {
    let config = config(server.endpoint());
    EtcdStore::open(&config, &shortest(), Arc::new(AtomicBool::new(false))).unwrap()
}

fn config(endpoint: String) -> EtcdConfig {
    EtcdConfig {
        endpoints: vec![endpoint],
        prefix: "/tenure/".to_owned(),
        user: None,
        tls: None,
    }
}

/// Each answer comes after its keepalive was given up. Whoever takes it for that of the next one believes the lease to
/// be younger than it is.
#[test]
fn an_answer_that_comes_after_its_bound_is_never_taken_for_that_of_a_newer_keepalive() {
    suite::run(async {
        let server = Etcd::started();
        let relay = Relay::to(server.port());
        let timing = Timing::new(ms(30_000), ms(20_000), ms(400)).unwrap();
        let config = config(relay.endpoint());
        let store = EtcdStore::open(&config, &timing, Arc::new(AtomicBool::new(false))).unwrap();
        let candidate = Candidate {
            id: "a".to_owned(),
            advertise: None,
        };
        let sessions = store.sessions(["contract"], &candidate, &timing);
        let session = sessions.into_iter().next().unwrap();
        let mut a = Peer::with(Box::new(session), timing);
        let lease = a.join().await;
        assert!(matches!(
            a.keep_alive(lease.id).await,
            Event::KeptAlive { .. }
        ));

        relay.set(Mode::Delay(ms(600)));
        for _ in 0..4 {
            a.session.begin(Action::KeepAlive(lease.id));
            let outcome = loop {
                match a.next().await {
                    Event::Observed(_) | Event::Blind => {}
                    event => break event,
                }
            };
            assert_eq!(outcome, Event::KeepAliveFailed(lease.id));
        }
        relay.set(Mode::Pass);
        assert!(matches!(
            a.keep_alive(lease.id).await,
            Event::KeptAlive { .. }
        ));
    });
}
