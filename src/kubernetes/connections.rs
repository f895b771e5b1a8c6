//! The connections to a cluster's API, and what each request on them shows.
//!
//! A new one is made with what the files held last. Those that are open go on; but not where the certificate that they
//! showed has been exchanged: the API looks at it with each request, and one day it has expired. Nor where somebody waited for
//! an answer in vain, and nobody got one meanwhile: then the others may be as dead, and each would cost whoever is given it
//! another wait. Where others were answered it is the request that is slow.

use super::tls::Tls;
use super::{Credentials, reason};
use crate::clock;
use crate::election::Time;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use http_body_util::combinators::MapErr;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderValue, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Builder, Client, Error, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::Body;
use rustls::pki_types::CertificateDer;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::TcpStream;
use tower::{BoxError, Service};

pub(super) struct Connections {
    connector: Connector,
    open: Client<Connector, Sent>,
    /// What those that are open were made with, as far as it matters to them.
    made_with: Option<Arc<Tls>>,
    signs: Arc<Signs>,
    /// Who waits for no more than half of this has not waited in vain.
    bound: Duration,
}

/// What is known of the connections that are open.
#[derive(Default)]
struct Signs {
    /// So many answers have come.
    answers: AtomicU64,
    /// Somebody waited in vain, and nobody got one meanwhile.
    are_dead: AtomicBool,
}

impl Connections {
    /// None is made yet. They belong to the runtime in which they are asked for something. An address takes its share of
    /// `bound` to connect, where the API's name has several.
    pub(super) fn new(credentials: Arc<Credentials>, bound: Duration) -> Self {
        let connector = Connector::new(credentials, bound);
        Connections {
            open: none_yet(&connector),
            made_with: connector.credentials.tls(),
            connector,
            signs: Arc::default(),
            bound,
        }
    }

    fn leave_those_of_no_more_use(&mut self) {
        let now = self.connector.credentials.tls();
        if shown(&now) != shown(&self.made_with) || self.signs.are_dead.load(Ordering::Relaxed) {
            // What is being answered on them is answered to the end.
            self.open = none_yet(&self.connector);
            self.signs = Arc::default();
        }
        self.made_with = now;
    }
}

fn shown(tls: &Option<Arc<Tls>>) -> &[CertificateDer<'static>] {
    tls.as_ref().map_or(&[], |tls| &tls.shown)
}

impl Service<Request<Body>> for Connections {
    type Response = Response<Incoming>;
    type Error = Error;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Answer {
        self.leave_those_of_no_more_use();
        // By this, who runs the cluster finds in its audit log who asks so often.
        let agent = HeaderValue::from_static(concat!("tenure/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(USER_AGENT, agent);
        if let Some(bearer) = self.connector.credentials.bearer() {
            request.headers_mut().insert(AUTHORIZATION, bearer);
        }
        Answer {
            response: self.open.request(request.map(sent)),
            in_vain_from: Some(clock::now() + self.bound / 2),
            answers_before: self.signs.answers.load(Ordering::Relaxed),
            signs: Arc::clone(&self.signs),
        }
    }
}

/// An answer that is waited for.
pub(super) struct Answer {
    response: ResponseFuture,
    /// None once it has come.
    in_vain_from: Option<Time>,
    answers_before: u64,
    signs: Arc<Signs>,
}

impl Future for Answer {
    type Output = Result<Response<Incoming>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(Pin::new(&mut self.response).poll(context));
        self.in_vain_from = None;
        if response.is_ok() {
            self.signs.answers.fetch_add(1, Ordering::Relaxed);
        }
        Poll::Ready(response)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let was_in_vain = self.in_vain_from.is_some_and(|from| from <= clock::now());
        if was_in_vain && self.signs.answers.load(Ordering::Relaxed) == self.answers_before {
            self.signs.are_dead.store(true, Ordering::Relaxed);
        }
    }
}

/// A request's body, whose errors are told in words: see [`reason`].
type Sent = MapErr<Body, fn(kube::Error) -> String>;

fn sent(body: Body) -> Sent {
    body.map_err(|error| reason(&error))
}

fn none_yet(connector: &Connector) -> Client<Connector, Sent> {
    Builder::new(TokioExecutor::new()).build(connector.clone())
}

#[derive(Clone)]
struct Connector {
    tcp: HttpConnector,
    credentials: Arc<Credentials>,
}

impl Connector {
    fn new(credentials: Arc<Credentials>, bound: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(bound));
        Connector { tcp, credentials }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(BoxError::from)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let Some(tls) = self.credentials.tls() else {
            let connecting = self.tcp.call(to);
            return Box::pin(async { Ok(MaybeHttpsStream::Http(connecting.await?)) });
        };
        let tcp = self.tcp.clone();
        HttpsConnector::new(tcp, Arc::clone(&tls.config), true, tls.names()).call(to)
    }
}
