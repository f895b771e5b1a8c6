//! Two listeners, elections that are published by hand, drivers that only reply, and a client that sees bytes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tenure::clock;
use tenure::config::Readiness;
use tenure::election::{Candidate, Claim, Holder, LeaseId, Role, Time, Timing, Token, View};
use tenure::http::{Context, Limits, Surface, bind, serve_with};
use tenure::metrics::Metrics;
use tenure::status::{Board, Command, ElectionHandle, ElectionStatus};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub(crate) const ACCEPT_HTML: &str = "Accept: text/html,*/*;q=0.8\r\n";

const TTL: Duration = Duration::from_secs(10);

/// Longer than any wait that ends well.
const AT_MOST: Duration = Duration::from_secs(20);

/// Runs a test on a runtime like the sidecar's own for HTTP.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { timeout(AT_MOST, test).await.expect("the test hangs") });
}

pub(crate) fn leader_for(valid: Duration) -> View {
    leader_under(4711, valid)
}

pub(crate) fn leader_under(token: Token, valid: Duration) -> View {
    let valid_until = clock::now() + valid;
    View {
        held_back: None,
        role: Role::Leader(Claim {
            token,
            lease: LeaseId(0x1ab),
            valid_until,
            overdue_from: valid_until,
        }),
        holder: None,
    }
}

pub(crate) fn follower(holder: Option<Holder>) -> View {
    View {
        held_back: None,
        role: Role::Follower,
        holder,
    }
}

pub(crate) fn stopped() -> View {
    View {
        held_back: None,
        role: Role::Stopped,
        holder: None,
    }
}

pub(crate) fn holder(id: &str) -> Holder {
    Holder {
        lease: LeaseId(7),
        token: 12,
        id: id.into(),
        advertise: None,
    }
}

/// What a driver that only replies does, and has been asked.
#[derive(Default)]
struct Driver {
    release_after: Mutex<Option<Duration>>,
    hung: watch::Sender<bool>,
    pings: AtomicUsize,
    resigning: watch::Sender<usize>,
}

pub(crate) struct Fixture {
    addresses: [SocketAddr; 2],
    statuses: Vec<Arc<ElectionStatus>>,
    drivers: Vec<Arc<Driver>>,
    resignations: Arc<Mutex<Vec<(Duration, bool)>>>,
    stop: watch::Sender<bool>,
    servers: JoinSet<()>,
    _drivers: JoinSet<()>,
}

impl Fixture {
    pub(crate) async fn start(elections: &[&str]) -> Self {
        Self::start_with(elections, Limits::default(), Readiness::Participating).await
    }

    pub(crate) async fn start_with(
        elections: &[&str],
        limits: Limits,
        readiness: Readiness,
    ) -> Self {
        let candidate = Candidate {
            id: "a".into(),
            advertise: Some("http://a:8080".into()),
        };
        let resignations = Arc::new(Mutex::new(Vec::new()));
        let mut driver_tasks = JoinSet::new();
        let (mut handles, mut statuses, mut drivers) = (Vec::new(), Vec::new(), Vec::new());
        for name in elections {
            let (commands, received) = mpsc::channel(8);
            let status = ElectionStatus::new(name, &candidate, clock::date());
            let status = Arc::new(status.with_key_prefix(Some(format!("/tenure/{name}/"))));
            let driver = Arc::new(Driver::default());
            driver_tasks.spawn(drive(
                received,
                Arc::clone(&driver),
                Arc::clone(&resignations),
            ));
            handles.push(ElectionHandle {
                status: Arc::clone(&status),
                commands,
            });
            statuses.push(status);
            drivers.push(driver);
        }
        let board = Board {
            candidate,
            timing: Timing::new(TTL, TTL * 3 / 5, TTL / 5).unwrap(),
            store: "file",
            connected: Arc::new(AtomicBool::new(true)),
            credentials: Vec::new(),
            elections: handles,
        };
        let metrics = Arc::new(Metrics::new(board.clone(), "0.1.0").unwrap());
        let context = Context::new(board, metrics, readiness, "0.1.0");
        let stop = watch::Sender::new(false);
        let mut servers = JoinSet::new();
        let addresses = [Surface::Api, Surface::Probes].map(|surface| {
            let listener = bind("http.api", "127.0.0.1:0".parse().unwrap()).unwrap();
            let address = listener.local_addr().unwrap();
            let listener = TcpListener::from_std(listener).unwrap();
            let context = Arc::clone(&context);
            servers.spawn(serve_with(
                listener,
                surface,
                context,
                limits,
                stop.subscribe(),
            ));
            address
        });
        Fixture {
            addresses,
            statuses,
            drivers,
            resignations,
            stop,
            servers,
            _drivers: driver_tasks,
        }
    }

    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Returns once both listeners have ended.
    pub(crate) async fn end(mut self) {
        self.stop();
        while let Some(ended) = self.servers.join_next().await {
            ended.unwrap();
        }
    }

    pub(crate) fn publish(&self, election: usize, view: View) {
        self.statuses[election].publish(view, clock::date());
    }

    pub(crate) fn promised_until(&self, election: usize) -> Time {
        self.statuses[election].promised_until()
    }

    pub(crate) fn release_after(&self, election: usize, wait: Option<Duration>) {
        *self.drivers[election].release_after.lock().unwrap() = wait;
    }

    pub(crate) fn hang(&self, election: usize) {
        self.drivers[election].hung.send_replace(true);
    }

    pub(crate) fn unhang(&self, election: usize) {
        self.drivers[election].hung.send_replace(false);
    }

    /// Returns once a resignation has reached the driver, hung or not.
    pub(crate) async fn resigning(&self, election: usize) {
        let mut resigning = self.drivers[election].resigning.subscribe();
        resigning.wait_for(|count| *count > 0).await.unwrap();
    }

    pub(crate) fn pings(&self, election: usize) -> usize {
        self.drivers[election].pings.load(Ordering::Relaxed)
    }

    pub(crate) fn resignations(&self) -> Vec<(Duration, bool)> {
        self.resignations.lock().unwrap().clone()
    }

    pub(crate) fn url(&self, surface: Surface) -> String {
        format!("http://{}", self.address(surface))
    }

    pub(crate) async fn connect(&self, surface: Surface) -> Wire {
        let stream = TcpStream::connect(self.address(surface)).await.unwrap();
        Wire {
            stream,
            unread: String::new(),
        }
    }

    pub(crate) async fn get(&self, surface: Surface, path: &str) -> Reply {
        self.request(surface, "GET", path, "").await
    }

    pub(crate) async fn head(&self, surface: Surface, path: &str) -> Reply {
        self.request(surface, "HEAD", path, "").await
    }

    pub(crate) async fn post(&self, surface: Surface, path: &str) -> Reply {
        self.request(surface, "POST", path, "").await
    }

    /// A request on a connection of its own; `headers` end with a line break each.
    pub(crate) async fn request(
        &self,
        surface: Surface,
        method: &str,
        path: &str,
        headers: &str,
    ) -> Reply {
        let mut wire = self.connect(surface).await;
        wire.send(&format!("{method} {path} HTTP/1.1\r\n{headers}\r\n"))
            .await;
        wire.reply(method == "HEAD").await
    }

    /// The status with which an event stream begins.
    pub(crate) async fn head_then_get_events(&self) -> u16 {
        let mut wire = self.connect(Surface::Api).await;
        wire.send("GET /events HTTP/1.1\r\n\r\n").await;
        wire.reply(true).await.status
    }

    fn address(&self, surface: Surface) -> SocketAddr {
        self.addresses[surface as usize]
    }
}

async fn drive(
    mut commands: mpsc::Receiver<Command>,
    driver: Arc<Driver>,
    resignations: Arc<Mutex<Vec<(Duration, bool)>>>,
) {
    let mut hung = driver.hung.subscribe();
    while let Some(command) = commands.recv().await {
        if let Command::Resign { .. } = command {
            driver.resigning.send_modify(|count| *count += 1);
        }
        hung.wait_for(|hung| !*hung).await.unwrap();
        match command {
            Command::Ping(reply) => {
                driver.pings.fetch_add(1, Ordering::Relaxed);
                let _ = reply.send(());
            }
            Command::Resign {
                cooldown,
                stopped,
                reply,
            } => {
                resignations.lock().unwrap().push((cooldown, stopped));
                let wait = *driver.release_after.lock().unwrap();
                let _ = reply.send(wait.map(|wait| clock::now() + wait));
            }
            Command::Pause { reply } => {
                let wait = *driver.release_after.lock().unwrap();
                let _ = reply.send(wait.map(|wait| clock::now() + wait));
            }
            Command::Resume { reply } => {
                let _ = reply.send(());
            }
            _ => {}
        }
    }
}

/// A connection, and what has been received on it but not looked at.
pub(crate) struct Wire {
    stream: TcpStream,
    unread: String,
}

impl Wire {
    pub(crate) async fn send(&mut self, text: &str) {
        // A peer that refuses early may have closed already: the reply is what counts.
        let _ = self.stream.write_all(text.as_bytes()).await;
    }

    /// The next reply; `head` where it comes without the body that its length announces.
    pub(crate) async fn reply(&mut self, head: bool) -> Reply {
        loop {
            if let Some(end) = Self::complete(&self.unread) {
                let mut reply = Reply::parse(&self.unread[..end]).unwrap();
                let length = match reply.headers.get("content-length") {
                    Some(length) if !head => length.parse().unwrap(),
                    _ => 0,
                };
                if self.unread.len() >= end + length {
                    reply.body = self.unread[end..end + length].to_owned();
                    self.unread.drain(..end + length);
                    return reply;
                }
            }
            assert!(self.read().await, "ended after {:?}", self.unread);
        }
    }

    /// Where the head ends, if all of it is there.
    pub(crate) fn complete(text: &str) -> Option<usize> {
        text.find("\r\n\r\n").map(|at| at + 4)
    }

    /// The next event or comment of a stream, chunk sizes and the head aside.
    pub(crate) async fn block(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.find("\n\n") {
                let block: String = self.unread.drain(..end + 2).collect();
                let start = ["event:", ": ping"].iter().find_map(|s| block.find(s));
                return block[start.unwrap()..].trim_end().to_owned();
            }
            assert!(self.read().await, "ended after {:?}", self.unread);
        }
    }

    pub(crate) async fn event(&mut self) -> (String, serde_json::Value) {
        let block = self.block().await;
        let (name, data) = block.split_once("\ndata: ").unwrap();
        let name = name.strip_prefix("event: ").unwrap().to_owned();
        (name, serde_json::from_str(data).unwrap())
    }

    pub(crate) async fn state(&mut self) -> (String, String) {
        let (name, json) = self.event().await;
        (name, json["state"].as_str().unwrap().to_owned())
    }

    /// Returns at the end of a stream; the connection goes on.
    pub(crate) async fn last_chunk(&mut self) {
        while !self.unread.ends_with("\r\n0\r\n\r\n") {
            assert!(self.read().await, "ended after {:?}", self.unread);
        }
    }

    /// Whether the peer ends the connection.
    pub(crate) async fn ends(&mut self) -> bool {
        while self.read().await {}
        true
    }

    /// Whether sending and never reading ends with an error.
    pub(crate) async fn fails_to_send_for_ever(&mut self, text: &str) -> bool {
        while self.stream.write_all(text.as_bytes()).await.is_ok() {}
        true
    }

    async fn read(&mut self) -> bool {
        let mut buffer = vec![0; 64 * 1024];
        let read = self.stream.read(&mut buffer).await.unwrap_or(0);
        self.unread += std::str::from_utf8(&buffer[..read]).unwrap();
        read > 0
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn parse(head: &str) -> Option<Reply> {
        let (start, headers) = head.split_once("\r\n")?;
        let headers = headers.lines().filter_map(|line| line.split_once(": "));
        Some(Reply {
            status: start.split(' ').nth(1)?.parse().ok()?,
            headers: headers
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect(),
            body: String::new(),
        })
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn headers_but_date(&self) -> BTreeMap<String, String> {
        let mut headers = self.headers.clone();
        headers.remove("date");
        headers
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        self.body.clone()
    }
}
