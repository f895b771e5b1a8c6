//! The etcd store on the bench: a real server for each test.

use crate::peer::{Peer, alarms};
use crate::suite::{self, Bench};
use crate::support::etcd::Etcd;
use crate::support::ms;
use crate::support::relay::{Mode, Relay};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tenure::config::EtcdConfig;
use tenure::election::{Action, Candidate, Event, Lease, Timing};
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
            .sessions(["contract"], candidate, &self.timing(), &alarms());
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
        let sessions = store.sessions(["contract"], &candidate, &timing, &alarms());
        let session = sessions.into_iter().next().unwrap();
        let mut a = Peer::with(Box::new(session), timing);
        let lease = a.join().await;
        assert!(matches!(
            a.keep_alive(lease.id).await,
            Event::KeptAlive { .. }
        ));

        relay.set(Mode::Delay(ms(600)));
        for _ in 0..4 {
            assert_eq!(
                try_once(&mut a, &lease).await,
                Event::KeepAliveFailed(lease.id)
            );
        }
        relay.set(Mode::Pass);
        assert!(matches!(
            a.keep_alive(lease.id).await,
            Event::KeptAlive { .. }
        ));
    });
}

/// Another election is answered meanwhile, so the connection is kept, and only the stream must not be.
#[test]
fn a_stream_that_owes_a_lease_an_answer_renews_it_no_more_though_it_answers_others() {
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
        let sessions = store.sessions(["slow", "other"], &candidate, &timing, &alarms());
        let mut peers = sessions
            .into_iter()
            .map(|session| Peer::with(Box::new(session), timing));
        let (mut slow, mut other) = (peers.next().unwrap(), peers.next().unwrap());
        let (lease, others) = (slow.join().await, other.join().await);
        slow.keep_alive(lease.id).await;
        other.keep_alive(others.id).await;

        relay.set(Mode::Delay(ms(250)));
        let answered = async {
            let outcome = try_once(&mut other, &others).await;
            // What was asked after this one, and is on its way, comes too late from now on.
            relay.set(Mode::Delay(ms(600)));
            assert!(matches!(outcome, Event::KeptAlive { .. }), "{outcome:?}");
        };
        let unanswered = async {
            tokio::time::sleep(ms(150)).await;
            try_once(&mut slow, &lease).await;
            // The late answer comes during this one, whose own would come after its bound.
            let outcome = try_once(&mut slow, &lease).await;
            assert_eq!(outcome, Event::KeepAliveFailed(lease.id));
        };
        tokio::join!(answered, unanswered);
    });
}

async fn try_once(peer: &mut Peer, lease: &Lease) -> Event {
    peer.session.begin(Action::KeepAlive(lease.id));
    loop {
        match peer.next().await {
            Event::Observed(_) | Event::Blind => {}
            event => return event,
        }
    }
}
