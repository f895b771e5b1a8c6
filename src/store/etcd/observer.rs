//! Watching the queues of all elections: for each a read, then a watch from the revision after it, and all
//! watches on one stream.
//!
//! Every candidate keeps the whole queue in view, so that nobody has to ask who leads when leadership
//! passes. The same watch is a leader's watch of its own key.

use super::calls::header_revision;
use super::connections::{Connection, Turn};
use super::error::Failure;
use super::layout;
use super::requests::Requests;
use super::watches::{Watches, cancelled};
use crate::clock::{self, Alarm};
use crate::election::{Backoff, Token};
use crate::store::{Queue, random};
use etcd_client::{Event, EventType, GetOptions, WatchResponse};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The queue as seen, or `None` while it can't be seen.
pub(super) type Sight = Option<Queue>;

/// One election that is watched.
pub(super) struct Watched {
    /// Of its keys.
    pub(super) prefix: String,
    /// Where the queue is shown.
    sight: watch::Sender<Sight>,
    /// The queue that was read, until it is watched: shown before, it would be the last for a while, and changes
    /// that come between would be told late.
    read: Option<Queue>,
    keys: Keys,
}

/// The tokens of the keys in the queue: a deletion names only the key.
type Keys = HashMap<Vec<u8>, Token>;

impl Watched {
    pub(super) fn new(prefix: String, sight: watch::Sender<Sight>) -> Self {
        Watched {
            prefix,
            sight,
            read: None,
            keys: Keys::new(),
        }
    }

    /// It is being watched from the revision that was read.
    fn see(&mut self) {
        if let Some(queue) = self.read.take() {
            self.sight.send_replace(Some(queue));
        }
    }

    fn lose_sight(&mut self) {
        self.sight.send_if_modified(|sight| sight.take().is_some());
    }

    fn apply(&mut self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        self.sight.send_modify(|sight| {
            if let Some(queue) = sight {
                for event in events {
                    apply(queue, &mut self.keys, event);
                }
            }
        });
    }
}

/// Keeps the sights of these elections up to date until it is dropped.
pub(super) struct Observer {
    requests: Arc<Requests>,
    elections: Vec<Watched>,
    /// A watch stream that has been quiet for so long is asked whether it is still there: nothing else would tell.
    quiet: Duration,
    alarm: Alarm,
    backoff: Backoff,
    rng: fastrand::Rng,
}

/// A queue that is being read, by the election's index.
type Read = BoxFuture<'static, (usize, Result<(Queue, Keys), Failure>)>;

impl Observer {
    pub(super) fn new(
        requests: Arc<Requests>,
        elections: Vec<Watched>,
        quiet: Duration,
        alarm: Alarm,
    ) -> Self {
        Observer {
            requests,
            elections,
            quiet,
            alarm,
            backoff: Backoff::default(),
            rng: fastrand::Rng::with_seed(random()),
        }
    }

    pub(super) async fn observe(mut self) {
        let requests = Arc::clone(&self.requests);
        loop {
            // Where there is none, whoever made it has said why.
            if let Ok(connection) = requests.connections.current().await {
                let result = self.follow(&connection).await;
                self.elections.iter_mut().for_each(Watched::lose_sight);
                if let Err(failure) = result {
                    requests.connections.failed(&connection, &failure);
                }
            }
            // Between connections only: nothing is waited for that could be told. Short, where this one told anything.
            tokio::time::sleep(self.backoff.next_delay(&mut self.rng)).await;
        }
    }

    /// Follows the queues on one connection. Returns when another is to be used.
    async fn follow(&mut self, connection: &Connection) -> Result<(), Failure> {
        let mut turns = self.requests.connections.turns();
        let mut watches = Watches::new(connection, self.requests.bound);
        let mut reads: FuturesUnordered<Read> = FuturesUnordered::new();
        for index in 0..self.elections.len() {
            reads.push(self.read(index, Duration::ZERO));
        }
        let (mut asked, mut heard_at) = (false, clock::now());
        loop {
            let bound = self.requests.bound;
            // Asked while a keepalive is being sent, if one is: alone, the question would cost as much as that does.
            let (earliest, latest) = if asked {
                (heard_at + bound, heard_at + bound)
            } else {
                (
                    heard_at + self.quiet.saturating_sub(bound),
                    heard_at + self.quiet,
                )
            };
            tokio::select! {
                biased;
                message = watches.message() => {
                    asked = false;
                    heard_at = clock::now();
                    let (response, index) = message?;
                    if let Some(index) = index {
                        self.take_in(index, &response)?;
                        if response.canceled() {
                            // Compacted since the read, or refused.
                            let delay = self.backoff.next_delay(&mut self.rng);
                            reads.push(self.read(index, delay));
                        }
                    }
                }
                Some((index, read)) = reads.next() => match read {
                    Ok((queue, keys)) => {
                        let election = &mut self.elections[index];
                        watches.watch(index, &election.prefix, queue.revision + 1);
                        election.read = Some(queue);
                        election.keys = keys;
                    }
                    Err(_) => {
                        let delay = self.backoff.next_delay(&mut self.rng);
                        reads.push(self.read(index, delay));
                    }
                },
                () = self.alarm.wait_between(earliest, latest), if watches.are_asked_for() => {
                    if asked {
                        return Err(Failure::Unreachable("the watch is silent".to_owned()));
                    }
                    watches.ask_for_progress();
                    asked = true;
                    heard_at = clock::now();
                }
                () = another(&mut turns, connection.generation()) => return Ok(()),
            }
        }
    }

    fn take_in(&mut self, index: usize, response: &WatchResponse) -> Result<(), Failure> {
        let election = &mut self.elections[index];
        if !response.canceled() {
            self.backoff = Backoff::default();
            election.see();
            election.apply(response.events());
            return Ok(());
        }
        election.lose_sight();
        if response.compact_revision() != 0 {
            return Ok(());
        }
        if response.cancel_reason().contains("permission denied") {
            // What may be read may be watched: the token that the stream was opened with has aged.
            return Err(Failure::Superseded);
        }
        Err(cancelled(response))
    }

    /// Reads a queue, after a while.
    fn read(&self, index: usize, delay: Duration) -> Read {
        let requests = Arc::clone(&self.requests);
        let prefix = self.elections[index].prefix.clone();
        Box::pin(async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            let read = requests
                .in_turn(async |connection| read(connection, &prefix).await)
                .await;
            (index, read)
        })
    }
}

/// Waits until another connection is to be used.
async fn another(turns: &mut watch::Receiver<Turn>, than: u64) {
    // Fails only when everything ends.
    let _ = turns.wait_for(|now| now.generation != than).await;
}

async fn read(connection: &Connection, prefix: &str) -> Result<(Queue, Keys), Failure> {
    let options = GetOptions::new().with_prefix();
    let mut client = connection.client().kv_client();
    let response = client.get(prefix, Some(options)).await?;
    let mut keys = Keys::new();
    let mut queue = Queue {
        revision: header_revision(response.header())?,
        ..Queue::default()
    };
    for kv in response.kvs() {
        let (token, place) = layout::place(kv);
        keys.insert(kv.key().to_vec(), token);
        queue.places.insert(token, place);
    }
    Ok((queue, keys))
}

fn apply(queue: &mut Queue, keys: &mut Keys, event: &Event) {
    let Some(kv) = event.kv() else {
        return;
    };
    queue.revision = queue.revision.max(layout::revision(kv.mod_revision()));
    match event.event_type() {
        EventType::Put => {
            let (token, place) = layout::place(kv);
            keys.insert(kv.key().to_vec(), token);
            queue.places.insert(token, place);
        }
        EventType::Delete => {
            if let Some(token) = keys.remove(kv.key()) {
                queue.remove(token);
            }
        }
    }
}
