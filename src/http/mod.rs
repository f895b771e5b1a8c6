//! The two HTTP listeners: `api` for the application beside the sidecar, and `probes` for everybody else.
//!
//! An answer is a pure function of a published snapshot and the time; no handler holds a lock, and none can
//! make the election wait: the drivers live on another thread, and what is sent to them is few and bounded.
//! Only a GET on `api` gives promises, and not where it says `promise=false`.
//!
//! What a stranger can do to a listener is bounded as well: by [`Limits`], and by what happens when all
//! connections are taken. Then a new one takes the place of the one that has been idle for longest, or,
//! where all are busy, of the one whose request came first; event streams are spared, and are fewer than
//! connections. So neither idle nor slow peers can lock a probe out.

mod admission;
mod body;
mod control;
mod credentials;
mod events;
mod fence;
mod fresh;
mod io;
mod listener;
mod liveness;
mod page;
mod plain;
mod query;
mod respond;
mod route;
mod server;
mod slots;
mod socket;
mod status;
mod validity;

pub use credentials::{Credentials, keep_fresh};
pub use listener::{Listener, bind};
pub use server::{serve, serve_with};

use crate::config::Readiness;
use crate::metrics::Metrics;
use crate::status::Board;
use liveness::Liveness;
use rustix::process::{Resource, getrlimit};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Which of the two listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// Everything, and answers that are promises.
    Api,
    /// Read-only, and no promises.
    Probes,
}

/// What both listeners answer from.
#[derive(Debug)]
pub struct Context {
    board: Board,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    version: &'static str,
    liveness: Liveness,
    streams: Arc<Semaphore>,
}

impl Context {
    /// How many event streams may be open at a time; fewer where few connections may.
    pub const MAX_STREAMS: usize = 64;

    /// The same for both listeners.
    pub fn new(
        board: Board,
        metrics: Arc<Metrics>,
        readiness: Readiness,
        version: &'static str,
    ) -> Arc<Self> {
        let connections = Limits::default().connections;
        Arc::new(Context {
            board,
            metrics,
            readiness,
            version,
            liveness: Liveness::default(),
            streams: Arc::new(Semaphore::new(affordable_streams(connections))),
        })
    }
}

/// What a peer may take of a listener.
///
/// Two more are fixed: a request's head is of at most 100 headers and 16 KiB, and a body of at most 64 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections; more than event streams. By default 256, or a quarter of the files that this process may open:
    /// the elections need some as well.
    pub connections: usize,
    /// From the end of an answer, or from connecting, to the end of the next request's head: so idle
    /// connections live no longer than this either.
    pub head: Duration,
    /// For a request's body.
    pub body: Duration,
    /// How long a peer may take nothing of what is written to it.
    pub stall: Duration,
    /// From stop to the end of the open requests.
    pub grace: Duration,
    /// Between comments on an event stream where nothing else happens.
    pub heartbeat: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: affordable_connections(getrlimit(Resource::Nofile).current),
            head: Duration::from_secs(5),
            body: Duration::from_secs(5),
            stall: Duration::from_secs(15),
            grace: Duration::from_secs(2),
            heartbeat: Duration::from_secs(15),
        }
    }
}

/// On a listener, where so many files may be opened.
fn affordable_connections(files: Option<u64>) -> usize {
    let quarter = usize::try_from(files.unwrap_or(u64::MAX) / 4);
    quarter.map_or(256, |quarter| quarter.clamp(2, 256))
}

/// On all listeners, where a listener takes so many connections.
fn affordable_streams(connections: usize) -> usize {
    Context::MAX_STREAMS.min(connections / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_streams_cannot_take_all_connections_however_few_there_are() {
        let files = (0..2_000).map(Some).chain([None]);
        for connections in files.map(affordable_connections) {
            let streams = affordable_streams(connections);
            assert!((1..connections).contains(&streams), "{connections}");
            assert!(streams <= Context::MAX_STREAMS);
        }
        assert_eq!(affordable_connections(Some(1_024)), 256);
        assert_eq!(affordable_streams(256), Context::MAX_STREAMS);
    }
}
