//! One connection to a sidecar, for one request. Every wait is bounded.

use super::Why;
use super::url::Url;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::future::pending;
use std::pin::{Pin, pin};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);

/// Longer than any answer of a sidecar.
const BODY_BYTES: usize = 4 * 1024 * 1024;

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
    pub(super) async fn open(url: &Url) -> Result<Self, Why> {
        let connecting = timeout(CONNECT, TcpStream::connect(url.authority()));
        let stream = connecting
            .await
            .map_err(|_| Why::no_answer(url, format!("no connection within {CONNECT:?}")))?
            .map_err(|err| Why::no_answer(url, err))?;
        let (requests, driver) = handshake(TokioIo::new(stream))
            .await
            .map_err(|err| Why::no_answer(url, err))?;
        Ok(Connection {
            requests,
            driver: Box::pin(driver),
        })
    }

    /// Asks, and reads the answer to its end.
    pub(super) async fn ask(self, url: &Url, method: Method, path: &str) -> Result<Answer, Why> {
        let exchange = async {
            let (response, driver) = self.send(url, method, path).await?;
            let status = response.status();
            let whole = Limited::new(response.into_body(), BODY_BYTES).collect();
            let body = beside(driver, whole)
                .await
                .map_err(|err| Why::no_answer(url, err))?;
            let body = body.to_bytes();
            Ok(Answer { status, body })
        };
        bounded(url, exchange).await
    }

    /// Asks, and leaves the body of the answer to be read as it comes.
    pub(super) async fn stream(self, url: &Url, path: &str) -> Result<(StatusCode, Chunks), Why> {
        let (response, driver) = bounded(url, self.send(url, Method::GET, path)).await?;
        let status = response.status();
        let chunks = Chunks {
            body: response.into_body(),
            driver: Some(driver),
        };
        Ok((status, chunks))
    }

    async fn send(
        self,
        url: &Url,
        method: Method,
        path: &str,
    ) -> Result<(Response<Incoming>, Driver), Why> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, url.authority())
            .header(CONNECTION, "close")
            .body(Empty::new())
            .map_err(|err| Why::no_answer(url, err))?;
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
        let response = response.map_err(|err| Why::no_answer(url, err))?;
        Ok((response, driver))
    }
}

async fn bounded<T>(url: &Url, wait: impl Future<Output = Result<T, Why>>) -> Result<T, Why> {
    let late = |_| Why::no_answer(url, format!("connected, but no answer within {ANSWER:?}"));
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
