//! What an error of the API means for an election, and how people are told of it.

use crate::kubernetes::reason;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The object is not the one that was read any more, or there already: read it again.
    Conflict,
    /// There is no such object.
    Missing,
    /// The API understood, and refused: asking again soon would be refused again.
    Refused(String),
    /// No answer, or one that says nothing of the Lease.
    Unreachable(String),
}

impl Failure {
    pub(super) fn timed_out() -> Self {
        Failure::Unreachable("no answer in time".to_owned())
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            return Failure::Unreachable(reason(&error));
        };
        let message = &status.message;
        match status.code {
            404 => Failure::Missing,
            409 => Failure::Conflict,
            401 => Failure::Refused(format!(
                "the API doesn't know who asks ({message}); see that the service account's token or the kubeconfig's user \
                 is valid"
            )),
            403 => Failure::Refused(format!(
                "not allowed: {message}; grant get, create, update and watch on leases.coordination.k8s.io in the namespace"
            )),
            408 | 429 => Failure::Unreachable(message.clone()),
            400..500 => Failure::Refused(message.clone()),
            _ => Failure::Unreachable(message.clone()),
        }
    }
}

/// What is wrong, as far as people were told, for all elections of a process.
#[derive(Debug)]
pub(super) struct Troubles {
    connected: Arc<AtomicBool>,
    said: Mutex<BTreeSet<String>>,
}

/// An outage has that much to say at most.
const MOST: usize = 32;

impl Troubles {
    pub(super) fn new(connected: Arc<AtomicBool>) -> Self {
        Troubles {
            connected,
            said: Mutex::default(),
        }
    }

    /// The API has answered.
    pub(super) fn answered(&self) {
        if !self.connected.swap(true, Ordering::Relaxed) {
            tracing::info!("store connected");
            self.said().clear();
        }
    }

    /// Says what is wrong, each thing once, until the API answers again.
    pub(super) fn failed(&self, election: &str, failure: &Failure) {
        let message = match failure {
            Failure::Conflict | Failure::Missing => return,
            Failure::Refused(message) => message,
            Failure::Unreachable(message) => {
                self.connected.store(false, Ordering::Relaxed);
                message
            }
        };
        let mut said = self.said();
        if said.len() < MOST && said.insert(message.clone()) {
            tracing::warn!(election, error = message, "store trouble");
        }
    }

    fn said(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
