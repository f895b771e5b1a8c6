//! Watching the queue of an election: one read, then a watch from the revision after it.
//!
//! Every candidate keeps the whole queue in view, so that nobody has to ask who leads when leadership
//! passes. The same watch is a leader's watch of its own key.

use super::connections::{Connection, Connections};
use super::error::Failure;
use super::layout;
use crate::election::{Backoff, Token};
use crate::store::{Queue, random};
use etcd_client::{Event, EventType, GetOptions, WatchOptions, WatchStream};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// The queue as seen, or `None` while it can't be seen.
pub(super) type Sight = Option<Queue>;

/// Keeps `sight` up to date until it is dropped. A watch that has been quiet for long is asked whether it is still
/// there: nothing else would tell.
pub(super) async fn observe(
    connections: Arc<Connections>,
    prefix: String,
    bound: Duration,
    quiet: Duration,
    sight: watch::Sender<Sight>,
) {
    let mut backoff = Backoff::default();
    let mut rng = fastrand::Rng::with_seed(random());
    loop {
        // Where there is none, whoever made it has said why.
        if let Ok(connection) = connections.current().await {
            let result = follow(
                &connections,
                &connection,
                &prefix,
                bound,
                quiet,
                &sight,
                &mut backoff,
            )
            .await;
            sight.send_if_modified(|sight| sight.take().is_some());
            match result {
                Ok(()) => continue,
                Err(failure) => connections.failed(connection.generation(), &failure),
            }
        }
        // Between tries only: nothing is waited for that could be told.
        tokio::time::sleep(backoff.next_delay(&mut rng)).await;
    }
}

/// Follows the queue on one connection. Returns when another is to be used.
async fn follow(
    connections: &Connections,
    connection: &Connection,
    prefix: &str,
    bound: Duration,
    quiet: Duration,
    sight: &watch::Sender<Sight>,
    backoff: &mut Backoff,
) -> Result<(), Failure> {
    let mut generations = connections.generations();
    let start = async {
        let keys = read(connection, prefix, sight).await?;
        let watch = watch_from(connection, prefix, sight).await?;
        Ok((keys, watch))
    };
    let (mut keys, mut watch) = timeout(bound, start)
        .await
        .unwrap_or_else(|_| Err(Failure::timed_out()))?;
    connections.answered(connection);
    let mut asked = false;
    loop {
        let patience = if asked { bound } else { quiet };
        let message = tokio::select! {
            message = watch.message() => message?,
            () = tokio::time::sleep(patience) => {
                if asked {
                    return Err(Failure::Unreachable("the watch is silent".to_owned()));
                }
                watch.request_progress().await?;
                asked = true;
                continue;
            }
            () = another(&mut generations, connection.generation()) => return Ok(()),
        };
        asked = false;
        let Some(response) = message else {
            return Err(Failure::Unreachable("the watch ended".to_owned()));
        };
        if response.canceled() {
            // Compacted since the read: read again. Otherwise the reason says what is wrong.
            return match response.compact_revision() {
                0 => Err(Failure::Unreachable(format!(
                    "the watch was cancelled: {}",
                    response.cancel_reason()
                ))),
                _ => Ok(()),
            };
        }
        *backoff = Backoff::default();
        if !response.events().is_empty() {
            sight.send_modify(|sight| {
                if let Some(queue) = sight {
                    for event in response.events() {
                        apply(queue, &mut keys, event);
                    }
                }
            });
        }
    }
}

/// Waits until another connection is to be used.
async fn another(generations: &mut watch::Receiver<u64>, than: u64) {
    // Fails only when everything ends.
    let _ = generations.wait_for(|now| *now != than).await;
}

/// The tokens of the keys in the queue: a deletion names only the key.
type Keys = HashMap<Vec<u8>, Token>;

async fn read(
    connection: &Connection,
    prefix: &str,
    sight: &watch::Sender<Sight>,
) -> Result<Keys, Failure> {
    let options = GetOptions::new().with_prefix();
    let mut client = connection.client.kv_client();
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
    sight.send_replace(Some(queue));
    Ok(keys)
}

async fn watch_from(
    connection: &Connection,
    prefix: &str,
    sight: &watch::Sender<Sight>,
) -> Result<WatchStream, Failure> {
    let seen = sight.borrow().as_ref().map_or(0, |queue| queue.revision);
    let options = WatchOptions::new()
        .with_prefix()
        .with_start_revision(seen.cast_signed() + 1);
    let mut client = connection.client.watch_client();
    Ok(client.watch(prefix, Some(options)).await?)
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
                queue.places.remove(&token);
            }
        }
    }
}

/// The store's revision when it answered.
pub(super) fn header_revision(
    header: Option<&etcd_client::ResponseHeader>,
) -> Result<u64, Failure> {
    header
        .map(|header| layout::revision(header.revision()))
        .ok_or_else(|| Failure::Unreachable("an answer without a header".to_owned()))
}
