//! Requests, each bounded in time, so many at once, and with the books kept on the connection.

use super::connections::{Connection, Connections};
use super::error::Failure;
use crate::clock::Alarms;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// So many requests may be under way; the others stand in line. Thousands of elections that begin at once would
/// otherwise take memory for all of their requests, and etcd would be no faster for it.
const AT_ONCE: usize = 64;

/// The way to etcd that all elections of a process share.
#[derive(Debug)]
pub(super) struct Requests {
    pub(super) connections: Arc<Connections>,
    /// How long to wait for an answer.
    pub(super) bound: Duration,
    line: Semaphore,
    alarms: Alarms,
}

impl Requests {
    pub(super) fn new(connections: Arc<Connections>, bound: Duration, alarms: &Alarms) -> Self {
        Requests {
            connections,
            bound,
            line: Semaphore::new(AT_ONCE),
            alarms: alarms.clone(),
        }
    }

    /// Does something on the connection in use, when it is its turn.
    pub(super) async fn in_turn<T>(
        &self,
        call: impl AsyncFnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let answer = match self.bounded(self.line.acquire()).await {
            // Boxed, so that whoever stands in line takes little memory.
            Some(_turn) => Box::pin(self.attempt(call)).await,
            None => Err(Failure::timed_out()),
        };
        self.pause_if_refused(answer).await
    }

    /// Does something on the connection in use, whoever stands in line.
    pub(super) async fn at_once<T>(
        &self,
        call: impl AsyncFnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let answer = self.attempt(call).await;
        self.pause_if_refused(answer).await
    }

    async fn attempt<T>(
        &self,
        call: impl AsyncFnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut used = None;
        let attempt = async {
            // Without a connection, whoever makes it knows what is wrong.
            let connection = self.connections.current().await?;
            let (connection, _) = used.insert((connection.clone(), connection.answers()));
            let answer = call(connection).await;
            match &answer {
                Ok(_) | Err(Failure::NoLease) => self.connections.answered(connection),
                Err(failure) => self.connections.failed(connection, failure),
            }
            answer
        };
        if let Some(answer) = self.bounded(attempt).await {
            return answer;
        }
        // Where others were answered meanwhile, it is the request that is slow and not the connection: to give
        // that up would cost all who use it.
        if let Some((connection, answers)) = used
            && connection.answers() == answers
        {
            let silent = Failure::timed_out();
            self.connections.failed(&connection, &silent);
        }
        Err(Failure::timed_out())
    }

    /// What comes of a wait for etcd, unless it takes too long.
    pub(super) async fn bounded<T>(&self, wait: impl Future<Output = T>) -> Option<T> {
        self.bounded_by(self.bound, wait).await
    }

    /// The same, for a wait of several steps.
    pub(super) async fn bounded_by<T>(
        &self,
        bound: Duration,
        wait: impl Future<Output = T>,
    ) -> Option<T> {
        self.alarms.bounded(bound, wait).await
    }

    /// Asking again soon would be refused again, at some cost to the store.
    async fn pause_if_refused<T>(&self, answer: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(Failure::Refused(_)) = answer {
            tokio::time::sleep(self.bound).await;
        }
        answer
    }
}
