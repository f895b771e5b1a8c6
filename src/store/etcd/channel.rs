//! A channel to one endpoint. Names are resolved, TCP connected and TLS agreed on here, and every byte passes here:
//! so it can be told what goes wrong, of which the client above says only that the connection is closed.

use super::error::Failure;
use super::reasons::{CUT_OFF, ENCRYPTED, HANDSHAKE_CUT_OFF};
use super::tls::Tls;
use crate::causes::with_causes;
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
        let told = with_causes(&error);
        match overheard.told() {
            Some(reason) => Failure::Unreachable(reason),
            None if has_timed_out(&error) => Failure::timed_out(),
            None => Failure::Unreachable(told),
        }
    };
    let channel = Endpoint::from_shared(endpoint.to_owned())
        .map_err(failure)?
        .connect_with_connector(connector)
        .await
        .map_err(failure)?;
    Ok((channel, overheard))
}

fn has_timed_out(error: &tonic::transport::Error) -> bool {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let mut causes = causes.filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::TimedOut)
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
                    let told = with_causes(&error);
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
    /// What came first, or that nothing did.
    fn listen(&mut self, first: &[u8]) {
        self.is_new = false;
        let reason = match &self.tls {
            Some(tls) if first.is_empty() => tls.cut_off(),
            None if first.is_empty() => CUT_OFF.to_owned(),
            // What a server that speaks TLS has for one that does not: an alert, or a sentence in old HTTP.
            None if first.starts_with(&[0x15, 0x03]) || first.starts_with(b"HTTP/1") => {
                ENCRYPTED.to_owned()
            }
            _ => return,
        };
        self.overheard.note(reason);
    }

    fn failed(&mut self, error: &io::Error) {
        match self.tls.as_ref().and_then(|tls| tls.reason(error)) {
            Some(reason) => {
                self.is_new = false;
                self.overheard.note(reason);
            }
            None if self.is_new => self.listen(&[]),
            None => {}
        }
    }

    /// Where nothing can be written any more, the reason may have come, and nobody would read it.
    fn hear_out<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &written {
            let mut space = [0; 64];
            let mut buffer = ReadBuf::new(&mut space);
            match self.io.as_mut().poll_read(context, &mut buffer) {
                Poll::Ready(Err(last)) => self.failed(&last),
                _ => self.failed(error),
            }
        }
        written
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
            Err(error) => self.failed(error),
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
        let written = self.io.as_mut().poll_write(context, bytes);
        self.hear_out(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.io.as_mut().poll_write_vectored(context, bytes);
        self.hear_out(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = self.io.as_mut().poll_flush(context);
        self.hear_out(context, written)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_shutdown(context)
    }
}
