//! From a connection to an answer, or to what the fault has it be.

use super::answers::{json_response, refusal_for, refused};
use super::objects::{Answer, Objects, Place, Refusal};
use super::paths::{parse, selected_name, value_of};
use super::{Body, Fault, Shared};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

impl Shared {
    pub(super) async fn serve(self: Arc<Self>, listener: std::net::TcpListener) {
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

    pub(super) fn change(&self, change: impl FnOnce(&mut Objects) -> Answer) -> Answer {
        let mut objects = self.objects.lock().unwrap();
        let answer = change(&mut objects);
        self.version.send_replace(objects.version());
        answer
    }
}
