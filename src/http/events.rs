//! The event stream of one election.
//!
//! An event is made at the moment when the connection has room for it, and so a leader's is a promise of
//! that moment. A reader that is slow gets fewer events, and costs no memory: at most a few changes wait,
//! past them it is told the newest state.

use super::Limits;
use super::body::{Body, Chunks};
use super::server::stopped;
use super::slots::Busy;
use crate::clock;
use crate::election::Role;
use crate::status::{Answer, Change, ElectionStatus, Snapshot};
use futures_util::stream::unfold;
use hyper::body::Bytes;
use std::sync::Arc;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Interval, interval};

/// What keeps a connection known as a stream, for as long as it is one.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) busy: Busy,
    pub(super) _permit: OwnedSemaphorePermit,
}

/// All events from now until the election or the server stops.
pub(super) fn body(
    status: Arc<ElectionStatus>,
    limits: &Limits,
    stop: watch::Receiver<bool>,
    hold: Hold,
) -> Body {
    hold.busy.streams();
    let mut heartbeat = interval(limits.heartbeat);
    heartbeat.reset();
    let events = Events {
        changes: status.subscribe(),
        status,
        heartbeat,
        stop,
        told: None,
        ended: false,
        _hold: hold,
    };
    let chunks: Chunks = Box::pin(unfold(events, Events::next));
    Body::Stream(chunks)
}

#[derive(Debug)]
struct Events {
    status: Arc<ElectionStatus>,
    changes: Receiver<(Change, Arc<Snapshot>)>,
    heartbeat: Interval,
    stop: watch::Receiver<bool>,
    /// The number of transitions in the last event: it never goes back.
    told: Option<u64>,
    /// Whether the last event has been told.
    ended: bool,
    _hold: Hold,
}

impl Events {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        if self.ended {
            return None;
        }
        if self.told.is_none() {
            let chunk = self.current();
            return Some((chunk, self));
        }
        loop {
            let chunk = tokio::select! {
                biased;
                change = self.changes.recv() => match change {
                    Ok((change, snapshot)) => self.tell(change, &snapshot),
                    Err(RecvError::Lagged(_)) => Some(self.current()),
                    Err(RecvError::Closed) => return None,
                },
                () = stopped(&mut self.stop) => return None,
                _ = self.heartbeat.tick() => Some(Bytes::from_static(b": ping\n\n")),
            };
            if let Some(chunk) = chunk {
                self.heartbeat.reset();
                return Some((chunk, self));
            }
        }
    }

    /// The state now, whatever came before.
    fn current(&mut self) -> Bytes {
        let answer = self.status.promise(clock::now());
        self.event("state", &answer)
    }

    /// A change that was published a while ago; nothing, where it has been told or is not true any more.
    fn tell(&mut self, change: Change, snapshot: &Snapshot) -> Option<Bytes> {
        if self.told.is_some_and(|told| snapshot.transitions < told) {
            return None;
        }
        let now = clock::now();
        let answer = match snapshot.view.role {
            Role::Leader(_) => {
                let answer = self.status.promise(now);
                if !answer.is_leader {
                    // The next change says so.
                    return None;
                }
                answer
            }
            _ => self.status.answer_of(snapshot, now),
        };
        let name = match change {
            Change::State => "state",
            Change::Renewed => "renewed",
        };
        Some(self.event(name, &answer))
    }

    fn event(&mut self, name: &str, answer: &Answer) -> Bytes {
        self.told = Some(answer.transitions);
        self.ended = answer.state == "stopped";
        // Nothing in an answer can fail to serialize. JSON has no line breaks, so one `data` line does.
        let data = serde_json::to_string(answer).unwrap_or_default();
        Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
    }
}
