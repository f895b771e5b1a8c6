//! The connections to a cluster's API, and what each request on them shows.
//!
//! A new one is made with what the files held last. Those that are open go on; but not where the certificate that they
//! showed has been exchanged: the API looks at it with each request, and one day it has expired.

use super::tls::Tls;
use super::{Credentials, reason};
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
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tower::{BoxError, Service};

pub(super) struct Connections {
    connector: Connector,
    open: Client<Connector, Sent>,
    /// What those that are open were made with, as far as it matters to them.
    made_with: Option<Arc<Tls>>,
}

impl Connections {
    /// None is made yet. They belong to the runtime in which they are asked for something.
    pub(super) fn new(credentials: Arc<Credentials>) -> Self {
        let connector = Connector::new(credentials);
        Connections {
            open: none_yet(&connector),
            made_with: connector.credentials.tls(),
            connector,
        }
    }

    fn leave_those_of_a_former_certificate(&mut self) {
        let now = self.connector.credentials.tls();
        if shown(&now) != shown(&self.made_with) {
            // What is being answered on them is answered to the end.
            self.open = none_yet(&self.connector);
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
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> ResponseFuture {
        self.leave_those_of_a_former_certificate();
        // By this, who runs the cluster finds in its audit log who asks so often.
        let agent = HeaderValue::from_static(concat!("tenure/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(USER_AGENT, agent);
        if let Some(bearer) = self.connector.credentials.bearer() {
            request.headers_mut().insert(AUTHORIZATION, bearer);
        }
        self.open.request(request.map(sent))
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
    fn new(credentials: Arc<Credentials>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
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
