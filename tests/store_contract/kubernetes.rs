//! The kubernetes store on the bench: a fake API server for each test, or the cluster that `TENURE_TEST_KUBECONFIG` names.

use crate::peer::{Peer, alarms, draw_lease_id};
use crate::suite::{self, Bench};
use crate::support::api_server::{ApiServer, Fault};
use crate::support::ms;
use serde_json::json;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tempfile::NamedTempFile;
use tenure::clock;
use tenure::election::{Action, Candidate, Event, Lease, LeaseId, Timing};
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

/// The Lease of the tests below.
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases/contract";

/// Candidates of one election on a server that fails on command.
struct Scene {
    server: ApiServer,
    store: KubernetesStore,
    timing: Timing,
}

impl Scene {
    fn new() -> Self {
        let server = ApiServer::started();
        Scene {
            store: open(&cluster(server.port())),
            server,
            timing: Timing::new(ms(6_000), ms(4_000), ms(400)).unwrap(),
        }
    }

    fn candidate(&self, id: &str) -> Peer {
        let candidate = Candidate {
            id: id.to_owned(),
            advertise: None,
        };
        let sessions = self
            .store
            .sessions(["contract"], &candidate, &self.timing, &alarms());
        let session = sessions.unwrap().into_iter().next().unwrap();
        Peer {
            queues: false,
            ..Peer::with(Box::new(session), self.timing)
        }
    }

    fn holder(&self) -> String {
        let lease = self.server.get(LEASE).unwrap();
        lease["spec"]["holderIdentity"].as_str().unwrap().to_owned()
    }
}

/// What comes of it, be it a failure.
async fn once(peer: &mut Peer, action: Action) -> Event {
    peer.session.begin(action);
    loop {
        match peer.next().await {
            Event::Observed(_) | Event::Blind => {}
            event => return event,
        }
    }
}

async fn keeps_alive(peer: &mut Peer, lease: &Lease) -> bool {
    matches!(
        once(peer, Action::KeepAlive(lease.id)).await,
        Event::KeptAlive { .. }
    )
}

/// A keepalive of a place that is not written is a read, and proves nothing of an acquisition that is under way.
#[test]
fn a_keepalive_during_an_acquisition_never_makes_the_place_look_younger_than_that() {
    suite::run(async {
        let scene = Scene::new();
        let mut a = scene.candidate("a");
        let held = a.join().await;
        let mut b = scene.candidate("b");
        let lease = b.join().await;
        a.release(held.id).await;

        scene.server.set(Fault::ChangesLate(ms(900)));
        let updates = || {
            let requests = scene.server.requests();
            requests
                .iter()
                .filter(|request| request.starts_with("PUT"))
                .count()
        };
        let before = updates();
        b.session.begin(Action::Verify(lease.id));
        while updates() == before {
            let next = tokio::time::timeout(ms(5), b.next()).await;
            assert!(
                !matches!(next, Ok(Event::Verified(..))),
                "acquired without an update"
            );
        }
        let acquisition_sent_before = clock::now();
        b.session.begin(Action::KeepAlive(lease.id));
        let mut kept = None;
        let outcome = loop {
            match b.next().await {
                Event::KeptAlive { sent_at, .. } => kept = Some(sent_at),
                Event::Observed(_) | Event::Blind => {}
                event => break event,
            }
        };
        assert!(kept.expect("the read is answered at once") < acquisition_sent_before);
        // It is applied when nobody waits for the answer any more; which the next verification finds.
        assert_eq!(outcome, Event::VerifyFailed(lease.id));
        scene.server.set(Fault::None);
        b.see(|seen| seen.is_first(lease.id) && !scene.holder().is_empty())
            .await;
        let updates_until_then = updates();
        b.verify_first(&lease).await;
        assert_eq!(updates(), updates_until_then);
    });
}

#[test]
fn what_is_applied_and_never_answered_is_found_out_and_nothing_is_left_behind() {
    suite::run(async {
        let scene = Scene::new();
        let mut a = scene.candidate("a");
        let held = a.join().await;

        scene.server.set(Fault::ChangesUnanswered);
        assert_eq!(
            once(&mut a, Action::KeepAlive(held.id)).await,
            Event::KeepAliveFailed(held.id)
        );
        scene.server.set(Fault::None);
        assert!(keeps_alive(&mut a, &held).await);

        let mut b = scene.candidate("b");
        let waiting = b.join().await;
        scene.server.set(Fault::ChangesUnanswered);
        assert_eq!(
            once(&mut a, Action::Release(held.id)).await,
            Event::ReleaseFailed(held.id)
        );
        assert_eq!(
            once(&mut b, Action::Verify(waiting.id)).await,
            Event::VerifyFailed(waiting.id)
        );
        // It is written by now, so this is an update, and not answered either.
        let kept = once(&mut b, Action::KeepAlive(waiting.id)).await;
        assert_eq!(kept, Event::KeepAliveFailed(waiting.id));
        scene.server.set(Fault::None);
        a.release(held.id).await;
        assert!(b.verify_first(&waiting).await > held.token);
        assert!(keeps_alive(&mut b, &waiting).await);
        b.release(waiting.id).await;

        scene.server.set(Fault::ChangesUnanswered);
        let id = draw_lease_id();
        assert!(
            matches!(once(&mut a, Action::Join(id)).await, Event::JoinFailed { lease, .. } if lease == id)
        );
        assert!(scene.holder().starts_with("a_"));
        scene.server.set(Fault::None);
        a.release(id).await;
        assert_eq!(scene.holder(), "");
    });
}

#[test]
fn an_answer_that_comes_after_its_bound_counts_for_no_other_request() {
    suite::run(async {
        let scene = Scene::new();
        let mut a = scene.candidate("a");
        let lease = a.join().await;
        scene.server.set(Fault::AnswersLate(ms(600)));
        for _ in 0..4 {
            assert!(!keeps_alive(&mut a, &lease).await);
        }
        scene.server.set(Fault::None);
        assert!(keeps_alive(&mut a, &lease).await);
    });
}

#[test]
fn an_edit_by_somebody_else_costs_nothing_whether_a_watch_tells_of_it_or_not() {
    suite::run(async {
        let scene = Scene::new();
        let mut a = scene.candidate("a");
        let lease = a.join().await;
        for (fault, value) in [(Fault::None, "1"), (Fault::WatchesSilent, "2")] {
            scene.server.set(fault);
            let patch = json!({ "metadata": { "annotations": { "note": value } } });
            scene.server.patch(LEASE, patch);
            assert!(keeps_alive(&mut a, &lease).await);
            a.verify_first(&lease).await;
            let annotations = &scene.server.get(LEASE).unwrap()["metadata"]["annotations"];
            assert_eq!(annotations["note"], value);
        }
        assert!(
            a.seen
                .iter()
                .all(|seen| seen.revision < lease.token || seen.present)
        );
    });
}

#[test]
fn where_watches_say_nothing_or_are_refused_what_is_read_makes_up_for_them() {
    for fault in [Fault::WatchesSilent, Fault::WatchesRefused(403)] {
        suite::run(async {
            let scene = Scene::new();
            scene.server.set(fault);
            let (mut a, mut b) = (scene.candidate("a"), scene.candidate("b"));
            let (held, waiting) = (a.join().await, b.join().await);
            b.see_first(held.id).await;
            a.release(held.id).await;
            b.see_first(waiting.id).await;
        });
    }
}

#[test]
fn a_watch_that_has_fallen_too_far_behind_is_opened_anew() {
    suite::run(async {
        let scene = Scene::new();
        let mut a = scene.candidate("a");
        let lease = a.join().await;
        scene.server.set(Fault::WatchesSilent);
        assert!(keeps_alive(&mut a, &lease).await);
        scene.server.compact();
        scene.server.set(Fault::None);
        let watches = || {
            let requests = scene.server.requests();
            requests
                .iter()
                .filter(|request| request.contains("watch=true"))
                .count()
        };
        let before = watches();
        assert_eq!(before, 1);
        let give_up = clock::now() + suite::NEVER;
        while watches() == before {
            assert!(clock::now() < give_up);
            let _ = tokio::time::timeout(ms(5), a.next()).await;
        }
    });
}

#[test]
fn where_the_server_says_nothing_every_request_ends_and_the_candidate_knows_that_it_is_blind() {
    for fault in [
        Fault::Silent,
        Fault::Closes,
        Fault::Refuses(500),
        Fault::Refuses(401),
    ] {
        suite::run(async {
            let scene = Scene::new();
            let mut a = scene.candidate("a");
            let lease = a.join().await;
            a.see_first(lease.id).await;
            scene.server.set(fault);
            while a.next().await != Event::Blind {}
            let (id, bound) = (lease.id, scene.timing.retry_period() * 3 + ms(200));
            let actions = [
                (Action::KeepAlive(id), Event::KeepAliveFailed(id)),
                (Action::Verify(id), Event::VerifyFailed(id)),
            ];
            for (action, failed) in actions {
                let begun = clock::now();
                assert_eq!(once(&mut a, action).await, failed, "{fault:?}");
                assert!(clock::now().since(begun) <= bound, "{fault:?}");
            }
            let begun = clock::now();
            assert_eq!(
                once(&mut a, Action::Release(id)).await,
                Event::ReleaseFailed(id)
            );
            assert!(clock::now().since(begun) <= bound, "{fault:?}");

            scene.server.set(Fault::None);
            a.release(id).await;
            a.see(|seen| seen.holder.is_none()).await;
        });
    }
}

#[test]
fn tokens_go_on_rising_though_the_lease_is_deleted_and_though_versions_are_set_back() {
    suite::run(async {
        let scene = Scene::new();
        let mut a = scene.candidate("a");
        let first = a.join().await;
        scene.server.delete(LEASE);
        a.see(|seen| !seen.present && seen.revision > first.token)
            .await;
        a.release(first.id).await;
        // Who knows how long it held the deleted one, even if it was itself?
        let second = a.join().await;
        assert_eq!(second.token, 0);
        a.see_first(second.id).await;
        let second_token = a.verify_first(&second).await;
        assert!(second_token > first.token);
        scene.server.set_version_back(7);
        a.release(second.id).await;
        let third = a.join().await;
        // At once, or where the giving up is the first that is seen of the versions, after a whole lease.
        a.see_first(third.id).await;
        let third_token = a.verify_first(&third).await;
        assert!(third_token > second_token);
        assert!(keeps_alive(&mut a, &third).await);
        assert_eq!(a.keep_alive(LeaseId(1)).await, Event::LeaseGone(LeaseId(1)));
    });
}
