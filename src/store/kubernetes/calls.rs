//! The requests of one candidate in one election. Each is bounded, and what each answer says goes into the ledger.

use super::errand::{Errand, Request, Step};
use super::error::{Failure, Troubles};
use super::ledger::Ledger;
use super::record::{Record, unheld};
use crate::clock::{self, Alarms};
use crate::election::Event;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::PostParams;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What every request needs to know.
pub(super) struct Calls {
    pub(super) leases: Api<Lease>,
    /// The name of the Lease.
    pub(super) election: String,
    /// How long to wait for an answer.
    pub(super) bound: Duration,
    pub(super) alarms: Alarms,
    pub(super) troubles: Arc<Troubles>,
    pub(super) ledger: Mutex<Ledger>,
}

impl Calls {
    /// Carries out what the core wants done.
    pub(super) async fn run(&self, mut errand: Errand) -> Event {
        let bound = self.bound * errand.requests();
        let done = self.bounded(bound, self.carry_out(&mut errand)).await;
        done.unwrap_or_else(|_| errand.failed(&self.ledger(), clock::now()))
    }

    async fn carry_out(&self, errand: &mut Errand) -> Result<Event, Failure> {
        let mut step = errand.set_out(&mut self.ledger(), clock::now(), clock::date())?;
        loop {
            let request = match step {
                Step::Ask(request) => request,
                Step::Done(event) => return Ok(event),
            };
            let answer = self.ask(request).await;
            let (now, date) = (clock::now(), clock::date());
            step = errand.answered(answer, &mut self.ledger(), now, date)?;
        }
    }

    /// Reads the Lease; the ledger knows it then.
    pub(super) async fn look(&self) -> Result<(), Failure> {
        let asked_at = clock::now();
        let record = self.bounded(self.bound, self.ask(Request::Read)).await?;
        self.ledger().answered(record, asked_at, clock::now());
        Ok(())
    }

    async fn ask(&self, request: Request) -> Result<Option<Record>, Failure> {
        let (leases, name) = (&self.leases, self.election.as_str());
        let parameters = PostParams::default();
        let answer = match request {
            Request::Read => leases.get_opt(name).await?,
            Request::Create => Some(leases.create(&parameters, &unheld(name)).await?),
            Request::Replace(lease) => Some(leases.replace(name, &parameters, &lease).await?),
        };
        self.troubles.answered();
        answer.map(Record::read).transpose()
    }

    async fn bounded<T>(
        &self,
        bound: Duration,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let answer = self.alarms.bounded(bound, call).await;
        let answer = answer.unwrap_or_else(|| Err(Failure::timed_out()));
        if let Err(failure) = &answer {
            self.troubles.failed(&self.election, failure);
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
