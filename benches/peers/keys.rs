//! The keys of elections, seen from outside: who is queued, and when a key was put or deleted.

use crate::support::{eventually, ms};
use etcd_client::{Client, EventType, GetOptions, WatchOptions};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tenure::clock;
use tenure::election::Time;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// Longer than a healthy candidate takes to queue up.
const QUEUE_BOUND: Duration = ms(20_000);

/// What is stored, asked when wanted.
pub(crate) struct Keys {
    runtime: Runtime,
    client: Client,
}

pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) create_revision: i64,
    pub(crate) lease: i64,
}

impl Keys {
    pub(crate) fn of(endpoint: &str) -> Keys {
        let runtime = runtime();
        let client = runtime.block_on(Client::connect([endpoint], None)).unwrap();
        Keys { runtime, client }
    }

    /// The queue of an election, its leader first.
    pub(crate) fn queue(&self, prefix: &str) -> Vec<Key> {
        let options = GetOptions::new().with_prefix();
        let mut kv = self.client.kv_client();
        let get = kv.get(prefix, Some(options));
        let mut answer = self.runtime.block_on(get).unwrap();
        let mut queue: Vec<Key> = answer
            .take_kvs()
            .iter()
            .map(|kv| Key {
                name: kv.key_str().unwrap().to_owned(),
                value: kv.value_str().unwrap().to_owned(),
                create_revision: kv.create_revision(),
                lease: kv.lease(),
            })
            .collect();
        queue.sort_by_key(|key| key.create_revision);
        queue
    }

    /// Waits until so many are queued.
    #[track_caller]
    pub(crate) fn wait_queue(&self, prefix: &str, count: usize) -> Vec<Key> {
        eventually("a place in the queue", QUEUE_BOUND, || {
            let queue = self.queue(prefix);
            (queue.len() == count).then_some(queue)
        })
    }

    /// Ends a lease, as its expiry would.
    pub(crate) fn revoke(&self, lease: i64) {
        let mut leases = self.client.lease_client();
        self.runtime.block_on(leases.revoke(lease)).unwrap();
    }
}

/// What happens below a prefix, dated as it is told.
pub(crate) struct Watch {
    seen: Arc<Seen>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    deletions: Mutex<Vec<(Time, String)>>,
    changed: Condvar,
}

impl Watch {
    /// Begins; nothing is missed once this has returned.
    pub(crate) fn over(endpoint: &str, prefix: &str) -> Watch {
        let seen = Arc::new(Seen::default());
        let (end, ended) = oneshot::channel();
        let (begun, has_begun) = oneshot::channel();
        let (endpoint, prefix) = (endpoint.to_owned(), prefix.to_owned());
        let seeing = Arc::clone(&seen);
        let thread = thread::spawn(move || {
            runtime().block_on(async {
                tokio::select! {
                    () = seeing.watch(&endpoint, &prefix, begun) => {}
                    _ = ended => {}
                }
            });
        });
        has_begun.blocking_recv().unwrap();
        Watch {
            seen,
            end: Some(end),
            thread: Some(thread),
        }
    }

    /// When a key was deleted, waiting for it.
    ///
    /// # Panics
    /// Where it isn't within `bound`.
    #[track_caller]
    pub(crate) fn wait_deleted(&self, key: &str, bound: Duration) -> Time {
        let deletions = self.seen.deletions.lock().unwrap();
        let find = |deletions: &[(Time, String)]| {
            let mut found = deletions.iter().filter(|(_, name)| name == key);
            found.next().map(|(at, _)| *at)
        };
        let (deletions, _) = self
            .seen
            .changed
            .wait_timeout_while(deletions, bound, |deletions| find(deletions).is_none())
            .unwrap();
        find(&deletions).unwrap_or_else(|| panic!("{key} still stands after {bound:?}"))
    }

    /// The times of all deletions so far, in order.
    pub(crate) fn deletions(&self) -> Vec<Time> {
        let deletions = self.seen.deletions.lock().unwrap();
        deletions.iter().map(|(at, _)| *at).collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.end.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Seen {
    async fn watch(&self, endpoint: &str, prefix: &str, begun: oneshot::Sender<()>) {
        let client = Client::connect([endpoint], None).await.unwrap();
        let options = WatchOptions::new().with_prefix();
        let mut stream = client
            .watch_client()
            .watch(prefix, Some(options))
            .await
            .unwrap();
        let _ = begun.send(());
        while let Ok(Some(answer)) = stream.message().await {
            let at = clock::now();
            let deleted = answer
                .events()
                .iter()
                .filter(|event| event.event_type() == EventType::Delete);
            let names = deleted.map(|event| event.kv().unwrap().key_str().unwrap().to_owned());
            let mut deletions = self.deletions.lock().unwrap();
            deletions.extend(names.map(|name| (at, name)));
            self.changed.notify_all();
        }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}
