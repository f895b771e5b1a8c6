//! One connection to a sidecar, for one request. Every wait is bounded.

use super::Why;
use super::sidecar::Sidecar;
use super::url::{Url, bare};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONNECTION, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::future::pending;
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;

const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);

/// Longer than any answer of a sidecar.
const BODY_BYTES: usize = 4 * 1024 * 1024;

/// Whichever way it is connected. As one type, so that HTTP is not compiled for each.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Has to be polled for anything to be sent or received.
type Driver = Pin<Box<dyn Future<Output = Result<(), hyper::Error>> + Send>>;

pub(super) struct Connection {
    requests: SendRequest<Empty<Bytes>>,
    driver: Driver,
}

/// All of an answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Connection {
    pub(super) async fn open(to: &Sidecar) -> Result<Self, Why> {
        timeout(CONNECT, Self::connect(to))
            .await
            .map_err(|_| Why::no_answer(to, format!("no connection within {CONNECT:?}")))?
            .map_err(|err| Why::failed(to, &err))
    }

    async fn connect(to: &Sidecar) -> io::Result<Self> {
        let stream: Box<dyn Stream> = match (&to.url, &to.tls) {
            (Url::Unix(path), _) => Box::new(UnixStream::connect(path).await?),
            (Url::Tcp { host, .. }, Some(tls)) => {
                let stream = TcpStream::connect(to.url.authority()).await?;
                let name = ServerName::try_from(bare(host).to_owned()).map_err(io::Error::other)?;
                Box::new(tls.connect(name, stream).await?)
            }
            (Url::Tcp { .. }, None) => Box::new(TcpStream::connect(to.url.authority()).await?),
        };
        let (requests, driver) = handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        Ok(Connection {
            requests,
            driver: Box::pin(driver),
        })
    }

    /// Asks, and reads the answer to its end.
    pub(super) async fn ask(self, to: &Sidecar, method: Method, path: &str) -> Result<Answer, Why> {
        let exchange = async {
            let (response, driver) = self.send(to, method, path).await?;
            let status = response.status();
            let whole = Limited::new(response.into_body(), BODY_BYTES).collect();
            let body = beside(driver, whole)
                .await
                .map_err(|err| Why::no_answer(to, err))?;
            let body = body.to_bytes();
            Ok(Answer { status, body })
        };
        bounded(to, exchange).await
    }

    /// Asks, and leaves the body of the answer to be read as it comes.
    pub(super) async fn stream(
        self,
        to: &Sidecar,
        path: &str,
    ) -> Result<(StatusCode, Chunks), Why> {
        let (response, driver) = bounded(to, self.send(to, Method::GET, path)).await?;
        let status = response.status();
        let chunks = Chunks {
            body: response.into_body(),
            driver: Some(driver),
        };
        Ok((status, chunks))
    }

    async fn send(
        self,
        to: &Sidecar,
        method: Method,
        path: &str,
    ) -> Result<(Response<Incoming>, Driver), Why> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, to.url.authority())
            .header(CONNECTION, "close");
        if let Some(token) = &to.token {
            request = request.header(AUTHORIZATION, token.authorization());
        }
        let request = request
            .body(Empty::new())
            .map_err(|err| Why::no_answer(to, err))?;
        let (mut requests, mut driver) = (self.requests, self.driver);
        let mut response = pin!(requests.send_request(request));
        let response = tokio::select! {
            biased;
            response = response.as_mut() => response,
            ended = &mut driver => {
                // It must not be polled again.
                driver = Box::pin(pending());
                match ended {
                    // What has been received by now is with the response.
                    Ok(()) => response.await,
                    Err(err) => Err(err),
                }
            }
        };
        let response = response.map_err(|err| Why::broken(to, &err))?;
        Ok((response, driver))
    }
}

async fn bounded<T>(to: &Sidecar, wait: impl Future<Output = Result<T, Why>>) -> Result<T, Why> {
    let late = |_| Why::no_answer(to, format!("connected, but no answer within {ANSWER:?}"));
    timeout(ANSWER, wait).await.map_err(late)?
}

/// The output of `wait`, which needs the driver to get on.
async fn beside<T>(mut driver: Driver, wait: impl Future<Output = T>) -> T {
    let mut wait = pin!(wait);
    tokio::select! {
        biased;
        output = &mut wait => output,
        // All that was received is with the reader by now.
        _ = &mut driver => wait.await,
    }
}

/// The body of an answer that comes in chunks.
pub(super) struct Chunks {
    body: Incoming,
    driver: Option<Driver>,
}

impl Chunks {
    /// The next chunk; none at the end, however it came.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            let frame = match &mut self.driver {
                None => self.body.frame().await,
                Some(driver) => tokio::select! {
                    biased;
                    frame = self.body.frame() => frame,
                    _ = driver => {
                        self.driver = None;
                        continue;
                    }
                },
            };
            match frame?.ok()?.into_data() {
                Ok(data) => return Some(data),
                Err(_) => continue,
            }
        }
    }
}
