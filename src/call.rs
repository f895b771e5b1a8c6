//! Calls to the application: a request to an `http://` URL, or a program that is run. Bounded in time, whatever is called.
//!
//! A call that is dropped is over: its connection is closed, its program killed with all of its process group.

use crate::application::{Children, Spawned};
use crate::config::CallConfig;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustix::io::ioctl_fionbio;
use rustix::process::Signal;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// Why a call did not succeed.
#[derive(Debug, Error)]
pub enum CallError {
    /// Nobody listens there.
    #[error("nothing listens at {0}")]
    Refused(String),
    /// It was answered, but not with a 2xx.
    #[error("answered {0}")]
    Answered(hyper::StatusCode),
    /// The program ended with a failure.
    #[error("the program ended with {0}")]
    Ended(std::process::ExitStatus),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// What is told: as a body to a URL, on the standard input to a program, which finds the rest in its environment.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// JSON.
    pub body: Bytes,
    /// Variables.
    pub env: Vec<(&'static str, String)>,
}

/// Makes calls. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller(Option<Children>);

impl Caller {
    /// Programs are started as these children; without, only requests are made.
    pub fn new(children: Option<Children>) -> Self {
        Caller(children)
    }

    /// Tells something: a POST, or a program. Succeeds where it is answered with a 2xx, or ends with 0.
    ///
    /// # Errors
    /// Where it does not, or not in time.
    pub async fn tell(
        &self,
        call: &CallConfig,
        message: Message,
        within: Duration,
    ) -> Result<(), CallError> {
        bounded(within, async {
            match call {
                CallConfig::Http(url) => request(Method::POST, url, message.body).await,
                CallConfig::Command(command) => self.run(command, message).await,
            }
        })
        .await
    }

    /// Asks whether all is well: a GET, or a program.
    ///
    /// # Errors
    /// Where it is not, or there is no answer in time.
    pub async fn ask(&self, call: &CallConfig, within: Duration) -> Result<(), CallError> {
        bounded(within, async {
            match call {
                CallConfig::Http(url) => request(Method::GET, url, Bytes::new()).await,
                CallConfig::Command(command) => self.run(command, Message::default()).await,
            }
        })
        .await
    }

    async fn run(&self, command: &[String], message: Message) -> Result<(), CallError> {
        let [program, arguments @ ..] = command else {
            return Ok(());
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs(message.env)
            .stdin(Stdio::piped())
            // It may log, and what it prints is not asked for.
            .stdout(Stdio::null());
        let failed =
            |error: io::Error| CallError::Failed(format!("{program:?} can't be started: {error}"));
        let unsupported = || failed(io::ErrorKind::Unsupported.into());
        let children = self.0.clone().ok_or_else(unsupported)?;
        // To start one takes as long as its file system does. One that starts too late is ended at once.
        let starting = spawn_blocking(move || children.spawn(&mut command).map(Running));
        let started = starting
            .await
            .map_err(|error| failed(io::Error::other(error)))?;
        let mut running = started.map_err(failed)?;
        if let Some(mut stdin) = running.0.stdin.take() {
            // It need not read it; more than the pipe holds, it does not get.
            let _ = ioctl_fionbio(&stdin, true).map_err(io::Error::from);
            let _ = stdin.write_all(&message.body);
        }
        match (&mut running.0.status).await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(CallError::Ended(status)),
            Err(_) => Err(CallError::Failed(
                "the program was lost sight of".to_owned(),
            )),
        }
    }
}

/// A program whose caller waits for it.
struct Running(Spawned);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.signal(Signal::KILL);
    }
}

async fn bounded(
    within: Duration,
    call: impl Future<Output = Result<(), CallError>>,
) -> Result<(), CallError> {
    let late = |_| Err(CallError::Late(within));
    timeout(within, call).await.unwrap_or_else(late)
}

async fn request(method: Method, url: &str, body: Bytes) -> Result<(), CallError> {
    let failed = |error: &dyn std::fmt::Display| CallError::Failed(error.to_string());
    let uri: Uri = url.parse().map_err(|error| failed(&error))?;
    let host = uri.host().unwrap_or_default();
    let authority = uri.authority().map_or(host, |authority| authority.as_str());
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = (bare, uri.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await.map_err(|error| {
        if error.kind() == io::ErrorKind::ConnectionRefused {
            CallError::Refused(authority.to_owned())
        } else {
            failed(&error)
        }
    })?;
    let (mut requests, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed(&error))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, authority)
        .header(CONNECTION, "close");
    if !body.is_empty() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    let request = request
        .body(Full::new(body))
        .map_err(|error| failed(&error))?;
    let answer = async {
        let answer = requests.send_request(request).await;
        answer.map(|answer| answer.status())
    };
    // Nothing is sent or received but while the connection is polled, too.
    let (status, _) = tokio::join!(answer, async {
        // Its failure is the answer's.
        let _ = connection.await;
    });
    match status.map_err(|error| failed(&error))? {
        status if status.is_success() => Ok(()),
        status => Err(CallError::Answered(status)),
    }
}
