//! A listener: accepts, serves each connection in a task of its own, and ends in order.

use super::admission::Gate;
use super::listener::{Accepted, Listener};
use super::slots::{Activity, Slots};
use super::{Context, Limits, Surface, route};
use crate::clock;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// For the start line and all headers together; a request that has more is answered with 431.
const HEAD_BYTES: usize = 16 * 1024;

/// How long to wait where accepting fails for want of something that only time brings back.
const PAUSE: Duration = Duration::from_millis(50);

/// Answers until `stop` turns true; then no later than a grace after, however many requests are open.
pub async fn serve(
    listener: impl Into<Listener>,
    surface: Surface,
    context: Arc<Context>,
    stop: watch::Receiver<bool>,
) {
    serve_with(listener, surface, context, Limits::default(), stop).await;
}

/// [`serve`] with other limits.
pub async fn serve_with(
    listener: impl Into<Listener>,
    surface: Surface,
    context: Arc<Context>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let mut tasks = JoinSet::new();
    let mut slots = Slots::default();
    let mut pausing = false;
    let listener = listener.into();
    let gate = Arc::new(listener.gate());
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(ended) = tasks.join_next_with_id() => {
                slots.remove(ended.map_or_else(|err| err.id(), |(id, ())| id));
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok(stream) => {
                pausing = false;
                stream
            }
            Err(err) if concerns_one_connection(&err) => continue,
            Err(err) => {
                if !std::mem::replace(&mut pausing, true) {
                    tracing::warn!(error = %err, ?surface, "can't accept connections for the moment");
                }
                sleep(PAUSE).await;
                continue;
            }
        };
        while slots.len() >= limits.connections {
            slots.evict();
            let Some(ended) = tasks.join_next_with_id().await else {
                break;
            };
            slots.remove(ended.map_or_else(|err| err.id(), |(id, ())| id));
        }
        let peer = Arc::new(Peer {
            surface,
            context: Arc::clone(&context),
            limits,
            gate: Arc::clone(&gate),
            activity: Activity::new(clock::now()),
            stop: stop.clone(),
        });
        let activity = Arc::clone(&peer.activity);
        slots.add(tasks.spawn(connection(stream, peer)), activity);
    }
    drop(listener);
    let all = async { while tasks.join_next().await.is_some() {} };
    if timeout(limits.grace, all).await.is_err() {
        tasks.shutdown().await;
    }
}

/// What a handler knows of the connection that it answers on.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) surface: Surface,
    pub(super) context: Arc<Context>,
    pub(super) limits: Limits,
    /// Counts on the api.
    pub(super) gate: Arc<Gate>,
    pub(super) activity: Arc<Activity>,
    pub(super) stop: watch::Receiver<bool>,
}

/// Returns when it is time to stop. Whoever dropped the other end wants it too.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Both results mean the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn connection(accepted: Accepted, peer: Arc<Peer>) {
    let mut stop = peer.stop.clone();
    let limits = peer.limits;
    let opened = tokio::select! {
        opened = accepted.open(limits.stall, limits.head) => opened,
        () = stopped(&mut stop) => return,
    };
    let io = match opened {
        Ok(stream) => TokioIo::new(stream),
        Err(err) => return tracing::debug!(error = %err, "a handshake failed"),
    };
    let service = service_fn(move |request| {
        let peer = Arc::clone(&peer);
        async move { Ok::<_, Infallible>(route::answer(request, peer).await) }
    });
    // The most headers are 100, hyper's default; to say so would cost an allocation for each request.
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(io, service)
    );
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(err) = result {
        tracing::debug!(error = %err, "a connection failed");
    }
}

/// A peer that went away before it was accepted; the next one is not concerned.
fn concerns_one_connection(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
