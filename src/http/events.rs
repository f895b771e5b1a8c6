//! The event stream of one election, or of all of them.
//!
//! An event is made at the moment when the connection has room for it, and so a leader's is a promise of
//! that moment, unless none was asked for. A reader that is slow gets fewer events, and costs no memory: at most a few changes wait,
//! past them it is told the newest state.
//!
//! Whoever was told that this candidate leads is told of the end of that by an event of its own, whatever else was
//! missed meanwhile: it is what an application has to act on.

use super::Limits;
use super::body::{Body, Chunks};
use super::server::stopped;
use super::slots::Busy;
use super::validity::Validity;
use crate::clock;
use crate::election::{Role, Token};
use crate::status::{Answer, Change, ElectionHandle, ElectionStatus, Snapshot};
use futures_util::StreamExt;
use futures_util::stream::{SelectAll, select_all, unfold};
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

/// All events of these elections from now until each of them or the server stops.
pub(super) fn body<'a>(
    elections: impl IntoIterator<Item = &'a ElectionHandle>,
    validity: Validity,
    limits: &Limits,
    stop: watch::Receiver<bool>,
    hold: Hold,
) -> Body {
    hold.busy.streams();
    let elections = elections.into_iter().map(|handle| {
        let election = Events::of(Arc::clone(&handle.status), validity);
        let events: Chunks = Box::pin(unfold(election, Events::next));
        events
    });
    let mut heartbeat = interval(limits.heartbeat);
    heartbeat.reset();
    let merged = Merged {
        events: select_all(elections),
        heartbeat,
        stop,
        _hold: hold,
    };
    let chunks: Chunks = Box::pin(unfold(merged, Merged::next));
    Body::Stream(chunks)
}

struct Merged {
    events: SelectAll<Chunks>,
    heartbeat: Interval,
    stop: watch::Receiver<bool>,
    _hold: Hold,
}

impl Merged {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        let chunk = tokio::select! {
            biased;
            chunk = self.events.next() => chunk?,
            () = stopped(&mut self.stop) => return None,
            _ = self.heartbeat.tick() => Bytes::from_static(b": ping\n\n"),
        };
        self.heartbeat.reset();
        Some((chunk, self))
    }
}

/// Those of one election.
struct Events {
    status: Arc<ElectionStatus>,
    validity: Validity,
    changes: Receiver<(Change, Arc<Snapshot>)>,
    /// The number of transitions in the last event: it never goes back.
    told: Option<u64>,
    /// The fencing token in the last event, where that said that this candidate leads.
    led_under: Option<Token>,
    /// Whether the last event has been told.
    ended: bool,
}

impl Events {
    fn of(status: Arc<ElectionStatus>, validity: Validity) -> Self {
        Events {
            changes: status.subscribe(),
            status,
            validity,
            told: None,
            led_under: None,
            ended: false,
        }
    }

    async fn next(mut self) -> Option<(Bytes, Self)> {
        if self.ended {
            return None;
        }
        if self.told.is_none() {
            let chunk = self.current();
            return Some((chunk, self));
        }
        loop {
            let chunk = match self.changes.recv().await {
                Ok((change, snapshot)) => self.tell(change, &snapshot),
                Err(RecvError::Lagged(_)) => Some(self.current()),
                Err(RecvError::Closed) => return None,
            };
            if let Some(chunk) = chunk {
                return Some((chunk, self));
            }
        }
    }

    /// The state now, whatever came before.
    fn current(&mut self) -> Bytes {
        let answer = self.validity.answer(&self.status, clock::now());
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
                let answer = self.validity.answer(&self.status, now);
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
        let mut chunk = String::new();
        let over = self.led_under.is_some() && self.led_under != answer.fencing_token;
        for name in over.then_some("stepping_down").into_iter().chain([name]) {
            chunk += &format!("event: {name}\ndata: {data}\n\n");
        }
        self.led_under = answer.fencing_token;
        Bytes::from(chunk)
    }
}
