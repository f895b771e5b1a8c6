//! A few streams for the keepalives of all leases.
//!
//! etcd answers a stream's keepalives one after the other, and on a member that does not lead asks its leader for each:
//! so one stream is not enough for thousands. Its answers carry the lease's id, and no request's. So a lease has at most one keepalive outstanding on a
//! stream, and one that was never answered ends the stream for all: the late answer would be taken for that of a
//! newer keepalive.

use super::connections::{Connection, Connections};
use super::error::Failure;
use super::layout;
use crate::election::LeaseId;
use etcd_client::{LeaseKeepAliveStream, LeaseKeeper};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The streams in use, opened when there is something to ask.
#[derive(Debug)]
pub(super) struct KeepAlives {
    connections: Arc<Connections>,
    /// A lease is always kept alive on the same of them. Whoever opens one holds it meanwhile, and the others wait for
    /// what they would have to open themselves.
    streams: Vec<tokio::sync::Mutex<Option<Stream>>>,
}

/// On one stream.
const MOST_LEASES: usize = 32;

#[derive(Debug)]
struct Stream {
    /// Of the connection that it is on.
    generation: u64,
    keeper: LeaseKeeper,
    asked: Arc<Asked>,
    /// Ends with the stream, and then nobody who waits is answered.
    _reader: JoinSet<()>,
}

/// The keepalives without an answer, by lease; `None` once the stream has ended.
#[derive(Debug)]
struct Asked(Mutex<Option<HashMap<LeaseId, oneshot::Sender<Answer>>>>);

type Answer = Result<Duration, Failure>;

impl KeepAlives {
    /// For so many leases.
    pub(super) fn new(connections: Arc<Connections>, leases: usize) -> Self {
        let streams = 0..leases.div_ceil(MOST_LEASES).max(1);
        KeepAlives {
            connections,
            streams: streams.map(|_| tokio::sync::Mutex::default()).collect(),
        }
    }

    /// Renews a lease on this connection, and returns the ttl that it has now.
    ///
    /// Opening a stream takes a first keepalive, of whose answer the client shows only that it was good: `granted`
    /// is the ttl then.
    pub(super) async fn renew(
        &self,
        connection: &Connection,
        id: LeaseId,
        granted: Duration,
    ) -> Answer {
        let (mut keeper, answer) = {
            let index = id.0 % self.streams.len() as u64;
            let mut stream = self.streams[index as usize].lock().await;
            if connection.generation() != self.connections.generation() {
                // Given up while this one waited.
                return Err(Failure::Superseded);
            }
            let asked = stream
                .as_ref()
                .filter(|stream| stream.generation == connection.generation())
                .and_then(|stream| stream.ask(id));
            match asked {
                Some(asked) => asked,
                None => {
                    *stream = None;
                    // Boxed: it is rare, and every keepalive would take the memory for it.
                    *stream = Some(Box::pin(Stream::open(connection, id)).await?);
                    return Ok(granted);
                }
            }
        };
        keeper.keep_alive().await?;
        answer.await.unwrap_or(Err(Failure::Superseded))
    }
}

impl Stream {
    async fn open(connection: &Connection, id: LeaseId) -> Result<Self, Failure> {
        let mut client = connection.client().lease_client();
        let (keeper, answers) = client.keep_alive(layout::lease_number(id)).await?;
        let asked = Arc::new(Asked(Mutex::new(Some(HashMap::new()))));
        let mut reader = JoinSet::new();
        reader.spawn(read(answers, Arc::clone(&asked)));
        Ok(Stream {
            generation: connection.generation(),
            keeper,
            asked,
            _reader: reader,
        })
    }

    /// What to ask with, and where the answer will come; nothing where the stream is of no use to this lease.
    fn ask(&self, id: LeaseId) -> Option<(LeaseKeeper, oneshot::Receiver<Answer>)> {
        let mut asked = self.asked.lock();
        let Entry::Vacant(unanswered) = asked.as_mut()?.entry(id) else {
            return None;
        };
        let (sender, receiver) = oneshot::channel();
        unanswered.insert(sender);
        let keeper = LeaseKeeper {
            id: layout::lease_number(id),
            sender: self.keeper.sender.clone(),
        };
        Some((keeper, receiver))
    }
}

/// Hands out the answers until the stream ends, and then says why it did.
async fn read(mut answers: LeaseKeepAliveStream, asked: Arc<Asked>) {
    let failure = loop {
        match answers.message().await {
            Ok(Some(answer)) => {
                let renewed = match answer.ttl() {
                    ..=0 => Err(Failure::NoLease),
                    ttl => Ok(layout::seconds(ttl)),
                };
                asked.answer(layout::lease_id(answer.id()), renewed);
            }
            Ok(None) => break Failure::Unreachable("the keepalive stream ended".to_owned()),
            Err(error) => match error.into() {
                // Whose, it does not say.
                Failure::NoLease => break Failure::Unreachable("no such lease".to_owned()),
                failure => break failure,
            },
        }
    };
    for sender in asked
        .lock()
        .take()
        .into_iter()
        .flat_map(HashMap::into_values)
    {
        let _ = sender.send(Err(failure.clone()));
    }
}

impl Asked {
    fn answer(&self, id: LeaseId, answer: Answer) {
        let sender = self.lock().as_mut().and_then(|asked| asked.remove(&id));
        if let Some(sender) = sender {
            // Whoever asked may have given up.
            let _ = sender.send(answer);
        }
    }

    /// Nobody panics while holding it.
    fn lock(&self) -> MutexGuard<'_, Option<HashMap<LeaseId, oneshot::Sender<Answer>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
