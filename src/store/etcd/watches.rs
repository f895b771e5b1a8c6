//! The watches of many elections on one stream.

use super::connections::Connection;
use super::error::Failure;
use etcd_client::{WatchClient, WatchOptions, WatchResponse, WatchResponseStream, WatchStream};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A stream of watches. It is opened by the first.
pub(super) struct Watches {
    asks: mpsc::UnboundedSender<Ask>,
    opening: Option<oneshot::Receiver<Result<WatchResponseStream, Failure>>>,
    stream: Option<WatchResponseStream>,
    /// Whose watch is created next: etcd answers in the order in which it was asked.
    asked: VecDeque<usize>,
    /// Whose watch each is, by the number that etcd gave it.
    elections: HashMap<i64, usize>,
    /// Asks, so that answers are read meanwhile: etcd takes no more requests where its answers pile up.
    _asker: JoinSet<()>,
}

enum Ask {
    Watch {
        prefix: String,
        options: WatchOptions,
    },
    Progress,
}

impl Watches {
    /// Nothing is asked yet. The first answer is awaited for so long.
    pub(super) fn new(connection: &Connection, bound: Duration) -> Self {
        let (asks, asked) = mpsc::unbounded_channel();
        let (open, opening) = oneshot::channel();
        let mut asker = JoinSet::new();
        asker.spawn(ask(connection.client().watch_client(), bound, asked, open));
        Watches {
            asks,
            opening: Some(opening),
            stream: None,
            asked: VecDeque::new(),
            elections: HashMap::new(),
            _asker: asker,
        }
    }

    /// Begins to watch an election's keys, from a revision on.
    pub(super) fn watch(&mut self, election: usize, prefix: &str, from: u64) {
        self.asked.push_back(election);
        let options = WatchOptions::new()
            .with_prefix()
            .with_start_revision(from.cast_signed());
        let prefix = prefix.to_owned();
        self.ask(Ask::Watch { prefix, options });
    }

    /// Whether there is anything that etcd could say.
    pub(super) fn are_asked_for(&self) -> bool {
        !(self.asked.is_empty() && self.elections.is_empty())
    }

    /// Has etcd say something, if it is there.
    pub(super) fn ask_for_progress(&self) {
        self.ask(Ask::Progress);
    }

    /// What etcd says next, and of which election; none where it is about the stream. Dropping the future loses
    /// nothing.
    pub(super) async fn message(&mut self) -> Result<(WatchResponse, Option<usize>), Failure> {
        if let Some(opening) = &mut self.opening {
            let opened = opening.await.unwrap_or_else(|_| Err(ended()));
            self.opening = None;
            self.stream = Some(opened?);
        }
        let stream = self.stream.as_mut().ok_or_else(ended)?;
        let response = stream.message().await?.ok_or_else(ended)?;
        let id = response.watch_id();
        let created = response.created().then(|| self.asked.pop_front()).flatten();
        if let Some(election) = created
            && !response.canceled()
        {
            self.elections.insert(id, election);
        }
        let election = if response.canceled() {
            let cancelled_watch = created.or_else(|| self.elections.remove(&id));
            Some(cancelled_watch.ok_or_else(|| cancelled(&response))?)
        } else {
            self.elections.get(&id).copied()
        };
        Ok((response, election))
    }

    fn ask(&self, ask: Ask) {
        // Fails where the stream has ended, of which `message` tells.
        let _ = self.asks.send(ask);
    }
}

async fn ask(
    mut client: WatchClient,
    bound: Duration,
    mut asked: mpsc::UnboundedReceiver<Ask>,
    open: oneshot::Sender<Result<WatchResponseStream, Failure>>,
) {
    let Some(Ask::Watch { prefix, options }) = asked.recv().await else {
        return;
    };
    let opened = match timeout(bound, client.watch(prefix, Some(options))).await {
        Ok(opened) => opened.map_err(Failure::from),
        Err(_) => Err(Failure::timed_out()),
    };
    let (opened, sender) = match opened.map(WatchStream::split) {
        Ok((sender, responses)) => (Ok(responses), Some(sender)),
        Err(failure) => (Err(failure), None),
    };
    let _ = open.send(opened);
    let Some(mut sender) = sender else {
        return;
    };
    while let Some(ask) = asked.recv().await {
        let sent = match ask {
            Ask::Watch { prefix, options } => sender.watch(prefix, Some(options)).await,
            Ask::Progress => sender.request_progress().await,
        };
        if sent.is_err() {
            return;
        }
    }
}

fn ended() -> Failure {
    Failure::Unreachable("the watch ended".to_owned())
}

/// Why it was cancelled.
pub(super) fn cancelled(response: &WatchResponse) -> Failure {
    let reason = response.cancel_reason();
    Failure::Unreachable(format!("a watch was cancelled: {reason}"))
}
