//! A channel to one endpoint. Names are resolved, TCP connected and TLS agreed on here, and every byte passes here:
//! so it can be told what goes wrong, of which the client above says only that the connection is closed.

use super::error::{Failure, because};
use super::reasons::{CUT_OFF, ENCRYPTED, HANDSHAKE_CUT_OFF};
use super::tls::Tls;
use futures_util::future::BoxFuture;
use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tower_service::Service;

/// Connects to an endpoint. Whoever asks bounds the wait; an address takes its share of `bound` where a name has several.
/// What is overheard on the connection is kept for whoever wonders why it failed.
pub(super) async fn open(
    endpoint: &str,
    tls: Option<Arc<Tls>>,
    bound: Duration,
) -> Result<(Channel, Arc<Overheard>), Failure> {
    let overheard = Arc::new(Overheard::default());
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(bound));
    let connector = Connector {
        tcp,
        tls,
        overheard: Arc::clone(&overheard),
    };
    let failure = |error: tonic::transport::Error| {
        let told = because(&error.to_string(), std::error::Error::source(&error));
        Failure::Unreachable(overheard.told().unwrap_or(told))
    };
    let channel = Endpoint::from_shared(endpoint.to_owned())
        .map_err(failure)?
        .connect_with_connector(connector)
        .await
        .map_err(failure)?;
    Ok((channel, overheard))
}

/// What was last seen to go wrong on a connection.
#[derive(Debug, Default)]
pub(super) struct Overheard(Mutex<Option<String>>);

impl Overheard {
    /// A failure, with its reason where that is known.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        match (failure, self.told()) {
            (Failure::Unreachable(message), Some(reason)) if !message.contains(&reason) => {
                Failure::Unreachable(format!("{message}: {reason}"))
            }
            (failure, _) => failure,
        }
    }

    fn told(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, reason: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }
}

/// Makes the connections of a channel, also those with which it replaces one that broke.
#[derive(Clone)]
struct Connector {
    tcp: HttpConnector,
    tls: Option<Arc<Tls>>,
    overheard: Arc<Overheard>,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_ready(context).map_err(io::Error::other)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.tcp.call(uri.clone());
        let (tls, overheard) = (self.tls.clone(), Arc::clone(&self.overheard));
        Box::pin(async move {
            let connected = match connecting.await {
                Ok(tcp) => secure(tcp.into_inner(), &uri, tls.as_deref()).await,
                Err(error) => {
                    let told = because(&error.to_string(), std::error::Error::source(&error));
                    Err(io::Error::other(told))
                }
            };
            match connected {
                Ok(io) => Ok(TokioIo::new(Stream {
                    io,
                    tls,
                    overheard,
                    is_new: true,
                })),
                Err(error) => {
                    overheard.note(error.to_string());
                    Err(error)
                }
            }
        })
    }
}

async fn secure(tcp: tokio::net::TcpStream, uri: &Uri, tls: Option<&Tls>) -> io::Result<BoxedIo> {
    let Some(tls) = tls else {
        return Ok(Box::pin(tcp));
    };
    let host = uri.host().unwrap_or_default();
    let name = tls.expected_name(host).map_err(io::Error::other)?;
    let connector = TlsConnector::from(Arc::clone(&tls.config));
    match connector.connect(name, tcp).await {
        Ok(stream) => Ok(Box::pin(stream)),
        Err(error) => Err(io::Error::other(match tls.reason(&error) {
            Some(reason) => reason,
            // What a server that expects something else does with a handshake, mostly.
            None if ended(&error) => HANDSHAKE_CUT_OFF.to_owned(),
            None => format!("the handshake failed: {error}"),
        })),
    }
}

fn ended(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::UnexpectedEof | Kind::ConnectionReset)
}

trait Io: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Io for T {}

type BoxedIo = Pin<Box<dyn Io>>;

/// A connection that is listened to.
struct Stream {
    io: BoxedIo,
    tls: Option<Arc<Tls>>,
    overheard: Arc<Overheard>,
    /// Nothing has come yet.
    is_new: bool,
}

impl Stream {
    /// What a server that speaks TLS has for one that does not: nothing, an alert, or a sentence in old HTTP.
    fn listen(&mut self, first: &[u8]) {
        self.is_new = false;
        if self.tls.is_some() {
            return;
        }
        if first.is_empty() {
            self.overheard.note(CUT_OFF.to_owned());
        } else if first.starts_with(&[0x15, 0x03]) || first.starts_with(b"HTTP/1") {
            self.overheard.note(ENCRYPTED.to_owned());
        }
    }

    fn note(&self, error: &io::Error) {
        let reason = self.tls.as_ref().and_then(|tls| tls.reason(error));
        if let Some(reason) = reason {
            self.overheard.note(reason);
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(self.io.as_mut().poll_read(context, buffer));
        match &read {
            Err(_) if self.is_new && self.tls.is_none() => self.listen(&[]),
            Err(error) => self.note(error),
            Ok(()) if self.is_new => self.listen(&buffer.filled()[before..]),
            Ok(()) => {}
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io.as_mut().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io.as_mut().poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_shutdown(context)
    }
}
