//! The requests of one candidate in one election. Each is bounded, and what each answer says goes into the ledger.

use super::error::{Failure, Troubles};
use super::ledger::{Claim, Ledger, Renewal};
use super::record::{Record, unheld};
use crate::clock::{self, Alarms};
use crate::election::{Event, Lease, LeaseId, Standing, Time, Token};
use k8s_openapi::api::coordination::v1::Lease as Object;
use kube::Api;
use kube::api::PostParams;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What every request needs to know.
pub(super) struct Calls {
    pub(super) leases: Api<Object>,
    /// The name of the Lease.
    pub(super) election: String,
    /// How long to wait for an answer.
    pub(super) bound: Duration,
    pub(super) alarms: Alarms,
    pub(super) troubles: Arc<Troubles>,
    pub(super) ledger: Mutex<Ledger>,
}

/// Longer than one request, shorter than three.
const STEPS: u32 = 2;

impl Calls {
    /// Takes the place that is free, or one that is not written.
    pub(super) async fn join(&self, id: LeaseId) -> Event {
        let sent_at = clock::now();
        self.ledger().join(id);
        let joined = async {
            self.read().await?;
            if self.ledger().record().is_none() {
                self.create().await?;
            }
            match self.claim(id).await? {
                // Deleted again already.
                Standing::Gone => Err(Failure::Missing),
                standing => Ok(standing),
            }
        };
        match self.bounded(self.bound * STEPS, joined).await {
            Ok(standing) => Event::Joined(Lease {
                id,
                token: token(standing),
                ttl: self.ledger().ttl(),
                sent_at,
            }),
            Err(_) => Event::JoinFailed {
                lease: id,
                gone_by: clock::now() + self.ledger().ttl(),
            },
        }
    }

    /// Renews the place if it is written, and otherwise sees that the API is there.
    pub(super) async fn keep_alive(&self, id: LeaseId) -> Event {
        let begun_at = clock::now();
        match self.bounded(self.bound, self.renew(id, begun_at)).await {
            Ok(Some(sent_at)) => Event::KeptAlive {
                lease: id,
                sent_at,
                ttl: self.ledger().ttl(),
            },
            Ok(None) => Event::LeaseGone(id),
            Err(_) => Event::KeepAliveFailed(id),
        }
    }

    /// Says since when the place is good; none where it is gone.
    async fn renew(&self, id: LeaseId, begun_at: Time) -> Result<Option<Time>, Failure> {
        let mut was_read = false;
        loop {
            let renewal = self.ledger().renewal(id, clock::now(), clock::date());
            match renewal {
                Renewal::Gone => return Ok(None),
                // An acquisition that is under way counts from when it was sent, not from when this was.
                Renewal::Unwritten { not_after } if was_read => {
                    return Ok(Some(not_after.unwrap_or(begun_at).min(begun_at)));
                }
                Renewal::Unwritten { .. } => {
                    self.read().await?;
                    was_read = true;
                }
                Renewal::Write(lease) => match self.replace(&lease).await {
                    Ok(answer) => {
                        self.ledger().renewed(id, begun_at);
                        self.take_in(answer, begun_at);
                        return Ok(Some(begun_at));
                    }
                    // Somebody has edited it, or has it.
                    Err(Failure::Conflict | Failure::Missing) => self.read().await?,
                    Err(failure) => return Err(failure),
                },
            }
        }
    }

    /// Finds the place; acquires the Lease where that is what it takes to be the first.
    pub(super) async fn verify(&self, id: LeaseId) -> Event {
        let verified = async {
            self.read().await?;
            self.claim(id).await
        };
        match self.bounded(self.bound * STEPS, verified).await {
            Ok(standing) => Event::Verified(id, standing),
            Err(_) => Event::VerifyFailed(id),
        }
    }

    async fn claim(&self, id: LeaseId) -> Result<Standing, Failure> {
        loop {
            let claim = self.ledger().claim(id, clock::now(), clock::date());
            let (lease, token) = match claim {
                Claim::Stands(standing) => return Ok(standing),
                Claim::Write(lease, token) => (lease, token),
            };
            let sent_at = clock::now();
            self.ledger().attempt(sent_at);
            match self.replace(&lease).await {
                Ok(answer) => {
                    self.ledger().acquired(id, token, sent_at);
                    self.take_in(answer, sent_at);
                }
                // Another was faster, or this one was and wasn't told.
                Err(Failure::Conflict | Failure::Missing) => self.read().await?,
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Gives the place up, and makes sure that it is.
    pub(super) async fn release(&self, id: LeaseId, in_order: bool) -> Event {
        let released = async {
            loop {
                let update = self.ledger().release(id, in_order, clock::date());
                let Some(lease) = update else {
                    return Ok(());
                };
                let sent_at = clock::now();
                match self.replace(&lease).await {
                    Ok(answer) => self.take_in(answer, sent_at),
                    Err(Failure::Conflict | Failure::Missing) => self.read().await?,
                    Err(failure) => return Err(failure),
                }
            }
        };
        match self.bounded(self.bound * STEPS, released).await {
            Ok(()) => Event::Released(id),
            Err(_) => Event::ReleaseFailed(id),
        }
    }

    /// Reads the Lease; the ledger knows it then.
    pub(super) async fn look(&self) -> Result<(), Failure> {
        self.bounded(self.bound, self.read()).await
    }

    async fn read(&self) -> Result<(), Failure> {
        let asked_at = clock::now();
        let found = self.leases.get_opt(&self.election).await?;
        let record = found.map(Record::read).transpose()?;
        self.take_in(record, asked_at);
        Ok(())
    }

    async fn create(&self) -> Result<(), Failure> {
        let asked_at = clock::now();
        let lease = unheld(&self.election);
        match self
            .leases
            .create(&PostParams::default(), &lease)
            .await
            .map_err(Failure::from)
        {
            Ok(made) => self.take_in(Some(Record::read(made)?), asked_at),
            // Somebody else did.
            Err(Failure::Conflict) => self.read().await?,
            Err(Failure::Missing) => {
                return Err(Failure::Refused(
                    "the namespace does not exist; create it, or set store.kubernetes.namespace"
                        .to_owned(),
                ));
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    async fn replace(&self, lease: &Object) -> Result<Option<Record>, Failure> {
        let parameters = PostParams::default();
        let written = self
            .leases
            .replace(&self.election, &parameters, lease)
            .await?;
        Record::read(written).map(Some)
    }

    fn take_in(&self, record: Option<Record>, asked_at: Time) {
        let version = record.as_ref().map(Record::version);
        self.ledger()
            .take_in(record, version, asked_at, clock::now());
    }

    async fn bounded<T>(
        &self,
        bound: Duration,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let answer = self.alarms.bounded(bound, call).await;
        let answer = answer.unwrap_or_else(|| Err(Failure::timed_out()));
        match &answer {
            Ok(_) => self.troubles.answered(),
            Err(failure) => self.troubles.failed(&self.election, failure),
        }
        if let Err(Failure::Refused(_)) = answer {
            tokio::time::sleep(self.bound).await;
        }
        answer
    }

    /// Nobody panics while holding it, and nobody waits.
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a place that was just joined has of it.
fn token(standing: Standing) -> Token {
    match standing {
        Standing::First(token) => token,
        Standing::Behind | Standing::Gone => 0,
    }
}
