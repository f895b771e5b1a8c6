//! The two HTTP listeners: `api` for the application beside the sidecar, and `probes` for everybody else.
//!
//! An answer is a pure function of a published snapshot and the time; no handler holds a lock, and none can
//! make the election wait: the drivers live on another thread, and what is sent to them is few and bounded.
//! Only a GET on `api` gives promises.
//!
//! What a stranger can do to a listener is bounded as well: by [`Limits`], and by what happens when all
//! connections are taken. Then a new one takes the place of the one that has been idle for longest, or,
//! where all are busy, of the one whose request came first; event streams are spared, and are fewer than
//! connections. So neither idle nor slow peers can lock a probe out.

mod admission;
mod body;
mod control;
mod events;
mod fence;
mod io;
mod liveness;
mod page;
mod query;
mod respond;
mod route;
mod server;
mod slots;

pub use server::{serve, serve_with};

use crate::config::Readiness;
use crate::metrics::Metrics;
use crate::status::Board;
use liveness::Liveness;
use std::net::{SocketAddr, TcpListener};
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
    /// How many event streams may be open at a time.
    pub const MAX_STREAMS: usize = 64;

    /// The same for both listeners.
    pub fn new(
        board: Board,
        metrics: Arc<Metrics>,
        readiness: Readiness,
        version: &'static str,
    ) -> Arc<Self> {
        Arc::new(Context {
            board,
            metrics,
            readiness,
            version,
            liveness: Liveness::default(),
            streams: Arc::new(Semaphore::new(Self::MAX_STREAMS)),
        })
    }
}

/// What a peer may take of a listener.
///
/// Two more are fixed: a request's head is of at most 100 headers and 16 KiB, and a body of at most 64 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections; more than [`Context::MAX_STREAMS`].
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
            connections: 256,
            head: Duration::from_secs(5),
            body: Duration::from_secs(5),
            stall: Duration::from_secs(15),
            grace: Duration::from_secs(2),
            heartbeat: Duration::from_secs(15),
        }
    }
}

/// So many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Listens on `address`, which `key` of the config says; ready to be handed to tokio.
///
/// # Errors
/// Where nobody can listen there; the error names the key and a remedy.
pub fn bind(key: &str, address: SocketAddr) -> std::io::Result<TcpListener> {
    // On Unix, `std` sets SO_REUSEADDR: a restart does not wait for old connections to be forgotten.
    let bound = TcpListener::bind(address).and_then(|listener| {
        // `std` lets 128 wait to be accepted; a probe must not queue behind a burst of others, and be sent again.
        rustix::net::listen(&listener, BACKLOG)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|err| {
        use std::io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
        let why = match err.kind() {
            AddrInUse => format!(
                "address already in use; stop what listens there, or choose another with {key}"
            ),
            AddrNotAvailable => format!("this host has no such address; choose another with {key}"),
            PermissionDenied => {
                format!("not permitted; choose a port from 1024 on with {key}")
            }
            _ => err.to_string(),
        };
        std::io::Error::new(err.kind(), format!("{key}: {address}: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_is_refused_with_the_key_and_a_remedy() {
        let first = bind("http.api", "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        let error = bind("http.api", address).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "http.api: {address}: address already in use; stop what listens there, or choose another with http.api"
            )
        );
    }

    #[test]
    fn event_streams_cannot_take_all_connections() {
        assert!(Context::MAX_STREAMS < Limits::default().connections);
    }
}
