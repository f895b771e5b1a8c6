//! A fake API server: as much of a cluster's as leases, pods and events need, over real HTTP on a real port.
//!
//! It is a fake because no real one can be had where these tests run. It keeps to what the API's documentation says:
//! one counter of versions for all objects, updates that are conditional on the version read (`409 Conflict`), creation
//! that never replaces (`409 AlreadyExists`), an update that changes nothing is none, watches that begin with what is
//! there or go on from a version (`410 Expired` where that is not remembered), and a `Status` with each refusal. It
//! knows no schema, no admission and no permissions, and applies strategic patches as merge patches. And it fails in
//! the ways that clusters do, see [`Fault`].

mod objects;
mod patch;
mod secured;

use super::certificates::Certificates;
use super::free_port;
use futures_util::stream::{self, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use objects::{Answer, Objects, Place, Refusal};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
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

impl Shared {
    async fn serve(self: Arc<Self>, listener: std::net::TcpListener) {
        let listener = TcpListener::from_std(listener).unwrap();
        loop {
            let Ok((connection, _)) = listener.accept().await else {
                continue;
            };
            let shared = Arc::clone(&self);
            let mut tls = self.tls.subscribe();
            let acceptor = tls.borrow_and_update().clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = shared.welcome(connection, acceptor) => {}
                    _ = tls.changed() => {}
                }
            });
        }
    }

    async fn welcome(self: Arc<Self>, connection: TcpStream, acceptor: Option<TlsAcceptor>) {
        let Some(acceptor) = acceptor else {
            return self.converse(connection).await;
        };
        // Fails where the client doesn't trust it.
        let Ok(secured) = acceptor.accept(connection).await else {
            return;
        };
        let shown = secured.get_ref().1.peer_certificates();
        let shown = shown.map(|chain| chain[0].to_vec());
        *self.certificate.lock().unwrap() = shown;
        self.converse(secured).await;
    }

    async fn converse(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(|request| {
            // On a task of its own: what was asked is done though whoever asked hangs up.
            let answering = tokio::spawn(Arc::clone(&self).answer(request));
            async { answering.await.unwrap_or(Err("the server panicked")) }
        });
        let http = hyper::server::conn::http1::Builder::new();
        // Fails where either side hangs up.
        let _ = http.serve_connection(TokioIo::new(stream), service).await;
    }

    /// An error closes the connection.
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, &'static str> {
        let line = format!("{} {}", request.method(), request.uri());
        self.requests.lock().unwrap().push(line);
        for (name, last) in [
            ("authorization", &self.authorization),
            ("user-agent", &self.user_agent),
        ] {
            let shown = request.headers().get(name);
            let shown = shown.map_or("", |value| value.to_str().unwrap());
            *last.lock().unwrap() = shown.to_owned();
        }
        let (head, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|_| "the request has no end")?
            .to_bytes();
        let query = head.uri.query().unwrap_or_default().to_owned();
        let is_watch =
            value_of(&query, "watch").is_some_and(|value| value == "true" || value == "1");
        let fault = *self.fault.borrow();
        match fault {
            Fault::Closes => return Err("closed on purpose"),
            Fault::Silent => return std::future::pending().await,
            Fault::Refuses(code) => return Ok(refused(&refusal_for(code))),
            Fault::WatchesRefused(code) if is_watch => return Ok(refused(&refusal_for(code))),
            Fault::ChangesLate(late) if head.method != Method::GET => {
                tokio::time::sleep(late).await;
            }
            _ => {}
        }
        let Some((place, name)) = parse(head.uri.path()) else {
            return Ok(refused(&refusal_for(404)));
        };
        if is_watch {
            return Ok(self.watch(place, &query));
        }
        let kind = head
            .headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        let method = &head.method;
        let answer = self.apply(
            method,
            &place,
            name.as_deref(),
            kind.unwrap_or_default(),
            &query,
            &body,
        );
        match fault {
            Fault::AnswersLost => return std::future::pending().await,
            Fault::ChangesUnanswered if method != Method::GET => {
                return std::future::pending().await;
            }
            Fault::AnswersLate(late) => tokio::time::sleep(late).await,
            _ => {}
        }
        Ok(match answer {
            Ok(object) if method == Method::POST => json_response(201, &object),
            Ok(object) => json_response(200, &object),
            Err(refusal) => refused(&refusal),
        })
    }

    fn apply(
        &self,
        method: &Method,
        place: &Place,
        name: Option<&str>,
        kind: &str,
        query: &str,
        body: &[u8],
    ) -> Answer {
        if kind.contains("protobuf") || kind.contains("cbor") {
            return Err(refusal_for(415));
        }
        let body = match body {
            [] => Value::Null,
            body => serde_json::from_slice(body).map_err(|error| Refusal {
                code: 400,
                reason: "BadRequest",
                message: error.to_string(),
            })?,
        };
        match (method, name) {
            (&Method::GET, Some(name)) => self.objects.lock().unwrap().get(place, name),
            (&Method::GET, None) => {
                let objects = self.objects.lock().unwrap();
                Ok(json!({
                    "kind": "List", "apiVersion": "v1",
                    "metadata": { "resourceVersion": objects.version().to_string() },
                    "items": objects.list(place, selected_name(query).as_deref()),
                }))
            }
            (&Method::POST, None) => self.change(|objects| objects.create(place, body)),
            (&Method::PUT, Some(name)) => self.change(|objects| objects.replace(place, name, body)),
            (&Method::PATCH, Some(name)) => {
                self.change(|objects| objects.patch(place, name, kind, &body))
            }
            (&Method::DELETE, Some(name)) => {
                self.change(|objects| objects.delete(place, name, &body))
            }
            _ => Err(refusal_for(405)),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Objects) -> Answer) -> Answer {
        let mut objects = self.objects.lock().unwrap();
        let answer = change(&mut objects);
        self.version.send_replace(objects.version());
        answer
    }

    /// A stream of changes: of those after a version, or of what is there and all that comes after.
    fn watch(self: Arc<Self>, place: Place, query: &str) -> Response<Body> {
        let name = selected_name(query);
        let from = value_of(query, "resourceVersion").unwrap_or_default();
        let objects = self.objects.lock().unwrap();
        let (first, from) = match from.parse::<u64>() {
            Ok(version) if version > 0 => (Vec::new(), version),
            _ => {
                let there = objects.list(&place, name.as_deref());
                let there = there.iter().map(|object| event("ADDED", object)).collect();
                (there, objects.version())
            }
        };
        drop(objects);
        let timeout = value_of(query, "timeoutSeconds").and_then(|text| text.parse().ok());
        let changes = Changes {
            versions: self.version.subscribe(),
            faults: self.fault.subscribe(),
            shared: self,
            place,
            name,
            from,
            over: false,
        };
        let rest = stream::unfold(changes, async |mut changes| {
            let events = changes.next().await?;
            Some((events, changes))
        });
        let events = stream::iter([first])
            .chain(rest)
            .map(|events: Vec<String>| {
                let text = events.concat();
                Ok::<_, Infallible>(Frame::data(Bytes::from(text)))
            });
        let end = tokio::time::sleep(Duration::from_secs(timeout.unwrap_or(3600)));
        let body = StreamBody::new(events.take_until(Box::pin(end)));
        let mut response = Response::new(BodyExt::boxed_unsync(body));
        response.headers_mut().insert(CONTENT_TYPE, JSON);
        response
    }
}

/// A watch that is open.
struct Changes {
    shared: Arc<Shared>,
    versions: watch::Receiver<u64>,
    faults: watch::Receiver<Fault>,
    place: Place,
    name: Option<String>,
    from: u64,
    over: bool,
}

impl Changes {
    async fn next(&mut self) -> Option<Vec<String>> {
        if self.over {
            return None;
        }
        loop {
            self.versions.borrow_and_update();
            let speaks = self.faults.wait_for(|fault| {
                !matches!(
                    fault,
                    Fault::Silent | Fault::WatchesSilent | Fault::AnswersLost
                )
            });
            if *speaks.await.ok()? == Fault::Closes {
                return None;
            }
            let events = self.events();
            if !events.is_empty() {
                return Some(events);
            }
            tokio::select! {
                changed = self.versions.changed() => changed.ok()?,
                changed = self.faults.changed() => changed.ok()?,
            }
        }
    }

    fn events(&mut self) -> Vec<String> {
        let objects = self.shared.objects.lock().unwrap();
        let changes = match objects.changes_since(self.from) {
            Ok(changes) => changes,
            Err(refusal) => {
                self.over = true;
                return vec![event("ERROR", &status(&refusal))];
            }
        };
        let of_here = changes.iter().filter(|change| {
            change.place == self.place && self.name.as_ref().is_none_or(|name| *name == change.name)
        });
        let events = of_here.map(|change| event(change.kind, &change.object));
        let events = events.collect();
        self.from = self.from.max(objects.version());
        events
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

fn event(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({ "type": kind, "object": object }))
}

fn json_response(code: u16, body: &Value) -> Response<Body> {
    let body = BodyExt::boxed_unsync(Full::new(Bytes::from(body.to_string())));
    let response = Response::builder().status(code).header(CONTENT_TYPE, JSON);
    response.body(body).unwrap()
}

fn refused(refusal: &Refusal) -> Response<Body> {
    json_response(refusal.code, &status(refusal))
}

fn status(refusal: &Refusal) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": refusal.message, "reason": refusal.reason, "code": refusal.code,
    })
}

fn refusal_for(code: u16) -> Refusal {
    let (reason, message) = match code {
        401 => ("Unauthorized", "Unauthorized"),
        403 => (
            "Forbidden",
            "leases.coordination.k8s.io is forbidden: User \"fake\" cannot do that in the namespace",
        ),
        404 => (
            "NotFound",
            "the server could not find the requested resource",
        ),
        405 => (
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        ),
        415 => (
            "UnsupportedMediaType",
            "the body of the request was in an unknown format",
        ),
        429 => (
            "TooManyRequests",
            "too many requests, please try again later",
        ),
        503 => (
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        ),
        _ => (
            "InternalError",
            "an error on the server has prevented the request from succeeding",
        ),
    };
    Refusal {
        code,
        reason,
        message: message.to_owned(),
    }
}

/// `/apis/GROUP/VERSION/namespaces/NS/RESOURCE/NAME`, or `/api/VERSION/…` for the core group.
fn parse(path: &str) -> Option<(Place, Option<String>)> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (group, rest) = match parts.as_slice() {
        ["api", rest @ ..] => ("", rest),
        ["apis", group, rest @ ..] => (*group, rest),
        _ => return None,
    };
    let (version, namespace, resource, name) = match rest {
        [version, "namespaces", namespace, resource] => (version, namespace, resource, None),
        [version, "namespaces", namespace, resource, name] => {
            (version, namespace, resource, Some(name))
        }
        _ => return None,
    };
    let place = Place {
        group: group.to_owned(),
        version: (*version).to_owned(),
        namespace: (*namespace).to_owned(),
        resource: (*resource).to_owned(),
    };
    Some((place, name.map(|name| (*name).to_owned())))
}

/// Of a query whose values need little decoding.
fn value_of(query: &str, key: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value)
        .next();
    value.map(|value| value.replace("%3D", "=").replace("%2F", "/"))
}

fn selected_name(query: &str) -> Option<String> {
    let selector = value_of(query, "fieldSelector")?;
    selector.strip_prefix("metadata.name=").map(str::to_owned)
}
