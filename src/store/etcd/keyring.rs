//! The credentials in use, and those that the files hold by now.
//!
//! What was read anew is an *offer*: it is used by nobody until a connection made with it has been answered. Until then,
//! and where it is refused, everything goes on with what is in use. So a bad file costs nothing, and neither does
//! one that comes before the server knows of it: whoever connects tries the offer, first where it was not refused before.

use super::credentials::Credentials;
use super::error::Failure;
use crate::status;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Shared by who reads the files and who connects.
pub(super) struct Keyring {
    held: Mutex<Held>,
    /// Counts the offers.
    offers: watch::Sender<u64>,
    status: Arc<status::Credentials>,
}

struct Held {
    in_use: Arc<Credentials>,
    offered: Option<Offered>,
}

/// What was read anew, and is not in use yet.
#[derive(Clone)]
pub(super) struct Offered {
    pub(super) credentials: Arc<Credentials>,
    /// It was complained about already.
    pub(super) was_refused: bool,
}

impl Keyring {
    pub(super) fn new(credentials: Credentials) -> Self {
        let status = status::Credentials::new("store.etcd", status::Certificate::Client);
        status.in_use(credentials.client_certificate_expiry());
        Keyring {
            held: Mutex::new(Held {
                in_use: Arc::new(credentials),
                offered: None,
            }),
            offers: watch::Sender::new(0),
            status: Arc::new(status),
        }
    }

    pub(super) fn status(&self) -> Arc<status::Credentials> {
        Arc::clone(&self.status)
    }

    /// Whether what is in use was refused by the server, or answered.
    pub(super) fn in_use_is_refused(&self, refused: bool) {
        self.status.refused(refused);
    }

    /// These were read anew.
    pub(super) fn offer(&self, credentials: Credentials) {
        self.held().offered = Some(Offered {
            credentials: Arc::new(credentials),
            was_refused: false,
        });
        self.offers.send_modify(|offers| *offers += 1);
    }

    /// The files can't be read, or hold nothing that could be tried.
    pub(super) fn unreadable(&self, error: &str) {
        // Older than what is in the files.
        self.held().offered = None;
        self.status.failed();
        tracing::error!(%error, "credentials not reread; the former stay in use");
    }

    /// Changes with every offer.
    pub(super) fn offers(&self) -> watch::Receiver<u64> {
        self.offers.subscribe()
    }

    /// What has been offered, and is not in use yet.
    pub(super) fn offered(&self) -> Option<Offered> {
        self.held().offered.clone()
    }

    /// What is in use.
    pub(super) fn in_use(&self) -> Arc<Credentials> {
        Arc::clone(&self.held().in_use)
    }

    /// A connection that was made with this offer has been answered.
    pub(super) fn accept(&self, offer: &Arc<Credentials>, endpoint: &str) {
        let mut held = self.held();
        if held.is_offered(offer).is_none() {
            return;
        }
        held.in_use = Arc::clone(offer);
        held.offered = None;
        self.status.in_use(offer.client_certificate_expiry());
        self.status.reloaded();
        tracing::info!(endpoint, "credentials reread, and in use");
    }

    /// A connection that was made with this offer has failed where others don't. Said once of each.
    pub(super) fn refuse(&self, offer: &Arc<Credentials>, endpoint: &str, failure: &Failure) {
        let mut held = self.held();
        let Some(offer) = held.is_offered(offer).filter(|offer| !offer.was_refused) else {
            return;
        };
        offer.was_refused = true;
        self.status.failed();
        tracing::error!(
            endpoint,
            error = %failure,
            "credentials reread, but not accepted; the former stay in use, and these are tried again"
        );
    }

    /// Nobody panics while holding it, and nobody waits.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// A newer offer may have taken its place.
    fn is_offered(&mut self, credentials: &Arc<Credentials>) -> Option<&mut Offered> {
        let offer = self.offered.as_mut()?;
        Arc::ptr_eq(&offer.credentials, credentials).then_some(offer)
    }
}
