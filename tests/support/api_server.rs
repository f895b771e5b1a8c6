//! A fake API server: as much of a cluster's as leases, pods and events need, over real HTTP on a real port.
//!
//! It is a fake because no real one can be had where these tests run. It keeps to what the API's documentation says:
//! one counter of versions for all objects, updates that are conditional on the version read (`409 Conflict`), creation
//! that never replaces (`409 AlreadyExists`), an update that changes nothing is none, watches that begin with what is
//! there or go on from a version (`410 Expired` where that is not remembered), and a `Status` with each refusal. It
//! knows no schema, no admission and no permissions, and applies strategic patches as merge patches. And it fails in
//! the ways that clusters do, see [`Fault`].

mod answers;
mod objects;
mod patch;
mod paths;
mod secured;
mod serving;
mod watching;

use super::certificates::Certificates;
use super::free_port;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Bytes;
use objects::{Answer, Objects};
use paths::parse;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsAcceptor;

/// What is wrong with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It accepts connections and never says anything, on watches that are open neither. Nothing is applied.
    Silent,
    /// It applies what it is asked to, and never says so.
    AnswersLost,
    /// It applies changes and never says so, but answers whoever reads.
    ChangesUnanswered,
    /// Each answer comes so much later; what was asked is applied at once.
    AnswersLate(Duration),
    /// Changes are applied so much later, and then answered. Whoever reads is answered at once.
    ChangesLate(Duration),
    /// It closes the connection instead of answering. Nothing is applied.
    Closes,
    /// It refuses everything with this status.
    Refuses(u16),
    /// Watches alone say nothing.
    WatchesSilent,
    /// It refuses watches alone, with this status.
    WatchesRefused(u16),
}

/// A server, until it is dropped.
pub struct ApiServer {
    port: u16,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Shared {
    objects: Mutex<Objects>,
    /// Changes with each change of an object.
    version: watch::Sender<u64>,
    fault: watch::Sender<Fault>,
    requests: Mutex<Vec<String>>,
    /// The last request's `Authorization`.
    authorization: Mutex<String>,
    /// The last request's `User-Agent`.
    user_agent: Mutex<String>,
    /// None: plain HTTP.
    tls: watch::Sender<Option<TlsAcceptor>>,
    /// What the client of the last connection over TLS has shown, in DER.
    certificate: Mutex<Option<Vec<u8>>>,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

impl ApiServer {
    pub fn started() -> ApiServer {
        let port = free_port();
        let shared = Arc::new(Shared {
            objects: Mutex::new(Objects::new()),
            version: watch::Sender::new(0),
            fault: watch::Sender::new(Fault::None),
            requests: Mutex::default(),
            authorization: Mutex::default(),
            user_agent: Mutex::default(),
            tls: watch::Sender::new(None),
            certificate: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&shared);
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = serving.serve(listener) => {}
                    _ = stopped => {}
                }
            });
        });
        ApiServer {
            port,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// A kubeconfig for it, or for a relay in front of it, whose context has this namespace.
    pub fn kubeconfig(port: u16, namespace: &str) -> String {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "fake",
            "clusters": [{ "name": "fake", "cluster": { "server": format!("http://127.0.0.1:{port}") } }],
            "users": [{ "name": "fake", "user": { "token": "fake-token" } }],
            "contexts": [{ "name": "fake", "context": { "cluster": "fake", "user": "fake", "namespace": namespace } }],
        });
        config.to_string()
    }

    /// From now on it shows the server's of these, takes clients' of those authorities, and hangs up on whoever is connected.
    pub fn secure(&self, certificates: &Certificates, authorities: &str) {
        let acceptor = secured::acceptor(certificates, authorities);
        self.shared.tls.send_replace(Some(acceptor));
    }

    /// From now on, also for watches that are open.
    pub fn set(&self, fault: Fault) {
        self.shared.fault.send_replace(fault);
    }

    /// The object at a path of the API, such as `/api/v1/namespaces/default/pods/pod-0`.
    pub fn get(&self, path: &str) -> Option<Value> {
        let (place, name) = parse(path).expect("no path of an object");
        self.shared
            .objects
            .lock()
            .unwrap()
            .get(&place, &name.unwrap())
            .ok()
    }

    /// The objects of a collection, such as `/api/v1/namespaces/default/events`.
    pub fn list(&self, path: &str) -> Vec<Value> {
        let (place, _) = parse(path).expect("no path of a collection");
        self.shared.objects.lock().unwrap().list(&place, None)
    }

    /// The objects of a collection that were changed, as each change left them, in their order since the last compaction.
    pub fn changes(&self, path: &str) -> Vec<Value> {
        let (place, _) = parse(path).expect("no path of a collection");
        self.shared.objects.lock().unwrap().changes(&place)
    }

    /// Creates an object in a collection, as somebody else would.
    #[track_caller]
    pub fn create(&self, path: &str, object: Value) -> Value {
        let (place, _) = parse(path).expect("no path of a collection");
        self.change(|objects| objects.create(&place, object))
    }

    /// Merges a patch into an object, as `kubectl patch --type=merge` would.
    #[track_caller]
    pub fn patch(&self, path: &str, patch: Value) -> Value {
        let (place, name) = parse(path).expect("no path of an object");
        let kind = "application/merge-patch+json";
        self.change(|objects| objects.patch(&place, &name.unwrap(), kind, &patch))
    }

    /// Deletes an object, as `kubectl delete` would.
    #[track_caller]
    pub fn delete(&self, path: &str) {
        let (place, name) = parse(path).expect("no path of an object");
        self.change(|objects| objects.delete(&place, &name.unwrap(), &Value::Null));
    }

    /// Forgets all changes so far: who watches from a former version is told that it has expired.
    pub fn compact(&self) {
        self.shared.objects.lock().unwrap().compact();
    }

    /// As after a restore of an old backup.
    pub fn set_version_back(&self, version: u64) {
        self.shared
            .objects
            .lock()
            .unwrap()
            .set_version_back(version);
    }

    /// What was asked so far: `GET /apis/…`.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Who asked last: the value of its `Authorization`.
    pub fn authorization(&self) -> String {
        self.shared.authorization.lock().unwrap().clone()
    }

    /// What asked last: the value of its `User-Agent`.
    pub fn user_agent(&self) -> String {
        self.shared.user_agent.lock().unwrap().clone()
    }

    /// What the client of the last connection over TLS has shown, in DER.
    pub fn certificate(&self) -> Option<Vec<u8>> {
        self.shared.certificate.lock().unwrap().clone()
    }

    #[track_caller]
    fn change(&self, change: impl FnOnce(&mut Objects) -> Answer) -> Value {
        self.shared.change(change).unwrap()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
        let _ = self.thread.take().unwrap().join();
    }
}
