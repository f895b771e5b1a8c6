//! The requests of one candidate in one election.

use super::connections::Connection;
use super::error::Failure;
use super::keepalives::KeepAlives;
use super::layout;
use super::observer::Sight;
use super::requests::Requests;
use crate::clock;
use crate::election::{Event, Lease, LeaseId, Standing, Token};
use etcd_client::{
    Compare, CompareOp, GetOptions, LeaseGrantOptions, PutOptions, SortOrder, SortTarget, Txn,
    TxnOp, TxnOpResponse,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// What every request needs to know.
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) requests: Arc<Requests>,
    pub(super) keepalives: Arc<KeepAlives>,
    /// The prefix of the election's keys.
    pub(super) prefix: String,
    /// What this candidate's key holds.
    pub(super) value: String,
    /// What it holds once the candidate is leaving in order.
    pub(super) leaving: String,
    /// What to ask for.
    pub(super) ttl: Duration,
    /// The queue, while it is watched.
    pub(super) sights: watch::Receiver<Sight>,
}

impl Calls {
    /// Obtains a lease of that id, and puts a key that hangs on it.
    ///
    /// Where an answer is lost, the core has the lease revoked, which undoes whatever came of it.
    pub(super) async fn join(&self, id: LeaseId) -> Event {
        let sent_at = clock::now();
        let is_asked_for = AtomicBool::new(false);
        let joined = async {
            let ttl = self
                .requests
                .in_turn(async |at| {
                    is_asked_for.store(true, Ordering::Relaxed);
                    self.grant(at, id).await
                })
                .await?;
            self.wait_for_sight().await;
            let token = self
                .requests
                .in_turn(async |at| self.enter(at, id).await)
                .await?;
            Ok::<_, Failure>((ttl, token))
        };
        // Longer than its steps one by one, and shorter than the sum of what each may take.
        let bound = self.requests.bound * 3;
        let joined = self.requests.bounded_by(bound, joined).await;
        match joined.unwrap_or_else(|| Err(Failure::timed_out())) {
            Ok((ttl, token)) => Event::Joined(Lease {
                id,
                token,
                ttl,
                sent_at,
            }),
            Err(_) => Event::JoinFailed {
                lease: id,
                // The grant was received before now, if ever.
                gone_by: match is_asked_for.into_inner() {
                    true => clock::now() + self.ttl,
                    false => clock::now(),
                },
            },
        }
    }

    async fn grant(&self, connection: &Connection, id: LeaseId) -> Result<Duration, Failure> {
        let options = LeaseGrantOptions::new().with_id(layout::lease_number(id));
        let seconds = whole_seconds(self.ttl);
        let mut client = connection.client().lease_client();
        let granted = client.grant(seconds, Some(options)).await?.ttl();
        if granted != seconds {
            tracing::debug!(
                asked = seconds,
                granted,
                "etcd granted another ttl, in seconds"
            );
        }
        Ok(layout::seconds(granted))
    }

    /// A watch that begins before the newest change is told of it a tenth of a second later (etcd calls it unsynced,
    /// and looks after such watches now and then). So the own place is not taken before the watch is there: that is
    /// nearly always the case, and not worth a failure where it isn't.
    async fn wait_for_sight(&self) {
        let mut sights = self.sights.clone();
        let seen = sights.wait_for(Option::is_some);
        self.requests.bounded(seen).await;
    }

    async fn enter(&self, connection: &Connection, id: LeaseId) -> Result<Token, Failure> {
        let key = layout::key(&self.prefix, id);
        let lease = PutOptions::new().with_lease(layout::lease_number(id));
        let txn = Txn::new()
            .when([Compare::create_revision(key.as_str(), CompareOp::Equal, 0)])
            .and_then([TxnOp::put(key.as_str(), self.value.as_str(), Some(lease))])
            .or_else([TxnOp::get(key.as_str(), None)]);
        let mut client = connection.client().kv_client();
        let response = client.txn(txn).await?;
        if response.succeeded() {
            return header_revision(response.header());
        }
        // Ours already: the client repeated a request that had succeeded.
        for answer in response.op_responses() {
            if let TxnOpResponse::Get(found) = answer
                && let Some(kv) = found.kvs().first()
            {
                return Ok(layout::revision(kv.create_revision()));
            }
        }
        Err(Failure::Unreachable(
            "the key neither put nor found".to_owned(),
        ))
    }

    /// Renews the lease.
    pub(super) async fn keep_alive(&self, id: LeaseId, granted: Duration) -> Event {
        let sent_at = clock::now();
        let renewed = self
            .requests
            .at_once(async |connection| self.keepalives.renew(connection, id, granted).await);
        match renewed.await {
            Ok(ttl) => Event::KeptAlive {
                lease: id,
                sent_at,
                ttl,
            },
            Err(Failure::NoLease) => Event::LeaseGone(id),
            Err(_) => Event::KeepAliveFailed(id),
        }
    }

    /// Reads, linearizably, who is first.
    pub(super) async fn verify(&self, id: LeaseId, token: Token) -> Event {
        let first = self.requests.in_turn(async |connection| {
            let options = GetOptions::new()
                .with_prefix()
                .with_sort(SortTarget::Create, SortOrder::Ascend)
                .with_limit(1);
            let mut client = connection.client().kv_client();
            let response = client.get(self.prefix.as_str(), Some(options)).await?;
            Ok(response.kvs().first().map(layout::place))
        });
        match first.await {
            Ok(Some((token, place))) if place.lease == id => {
                Event::Verified(id, Standing::First(token))
            }
            Ok(Some((ahead, _))) if ahead < token => Event::Verified(id, Standing::Behind),
            Ok(_) => Event::Verified(id, Standing::Gone),
            Err(_) => Event::VerifyFailed(id),
        }
    }

    /// Says in the key that it is given up in order, and releases. Where saying fails, whoever comes next waits for
    /// longer, and that is all.
    pub(super) async fn hand_over(&self, id: LeaseId) -> Event {
        let key = layout::key(&self.prefix, id);
        let said = self.requests.in_turn(async |connection| {
            // Only where it is there still: nothing is put without a lease.
            let exists = Compare::version(key.as_str(), CompareOp::Greater, 0);
            let keep_lease = PutOptions::new().with_ignore_lease();
            let put = TxnOp::put(key.as_str(), self.leaving.as_str(), Some(keep_lease));
            let txn = Txn::new().when([exists]).and_then([put]);
            let mut client = connection.client().kv_client();
            client.txn(txn).await?;
            Ok(())
        });
        // Requests tell of failures themselves.
        let _ = said.await;
        self.release(id).await
    }

    /// Revokes the lease, and with it the key. Also asks on the connection that answered last: where only
    /// answers are lost, no new connection comes about, but a request on the old one arrives.
    pub(super) async fn release(&self, id: LeaseId) -> Event {
        let requests = &self.requests;
        let current = requests.in_turn(async |connection| revoke(connection, id).await);
        let released = match requests.connections.abandoned() {
            None => current.await,
            Some(old) => {
                let abandoned = async {
                    requests
                        .bounded(revoke(&old, id))
                        .await
                        .unwrap_or_else(|| Err(Failure::timed_out()))
                };
                Box::pin(either_succeeds(current, abandoned)).await
            }
        };
        match released {
            Ok(()) => Event::Released(id),
            Err(_) => Event::ReleaseFailed(id),
        }
    }
}

async fn revoke(connection: &Connection, id: LeaseId) -> Result<(), Failure> {
    let mut client = connection.client().lease_client();
    match client.revoke(layout::lease_number(id)).await {
        Ok(_) => Ok(()),
        Err(error) => match Failure::from(error) {
            Failure::NoLease => Ok(()),
            failure => Err(failure),
        },
    }
}

/// The first success, or the last failure.
async fn either_succeeds<T>(
    a: impl Future<Output = Result<T, Failure>>,
    b: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::pin!(a, b);
    tokio::select! {
        result = &mut a => match result {
            Ok(value) => Ok(value),
            Err(_) => b.await,
        },
        result = &mut b => match result {
            Ok(value) => Ok(value),
            Err(_) => a.await,
        },
    }
}

/// etcd counts ttls in whole seconds: rounded up, so that the lease never ends before its time.
fn whole_seconds(ttl: Duration) -> i64 {
    let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// The store's revision when it answered.
pub(super) fn header_revision(
    header: Option<&etcd_client::ResponseHeader>,
) -> Result<u64, Failure> {
    header
        .map(|header| layout::revision(header.revision()))
        .ok_or_else(|| Failure::Unreachable("an answer without a header".to_owned()))
}
