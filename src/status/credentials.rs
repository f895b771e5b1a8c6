//! What became of the files with credentials: written by the store, read at a scrape.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The credentials that the store uses, and how often they were exchanged for what the files held then.
#[derive(Debug, Default)]
pub struct Credentials {
    reloads: AtomicU64,
    failures: AtomicU64,
    outdated: AtomicBool,
    expiry: AtomicU64,
}

/// What a scrape shows of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialsSeen {
    /// How often what was read anew was taken into use.
    pub reloads: u64,
    /// How often it could not be read, or not be used.
    pub failures: u64,
    /// Whether what the files hold is what is in use.
    pub valid: bool,
    /// Until when the client certificate in use holds, in seconds since 1970; 0 where there is none.
    pub client_certificate_expiry: u64,
}

impl Credentials {
    /// These are in use: at the start, or after an exchange.
    pub fn in_use(&self, client_certificate_expiry: Option<u64>) {
        let expiry = client_certificate_expiry.unwrap_or(0);
        self.expiry.store(expiry, Ordering::Relaxed);
        self.outdated.store(false, Ordering::Relaxed);
    }

    /// What was read anew is in use.
    pub fn reloaded(&self) {
        self.reloads.fetch_add(1, Ordering::Relaxed);
    }

    /// What the files hold now can't be used; what was in use still is.
    pub fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.outdated.store(true, Ordering::Relaxed);
    }

    /// As of now.
    pub fn seen(&self) -> CredentialsSeen {
        CredentialsSeen {
            reloads: self.reloads.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            valid: !self.outdated.load(Ordering::Relaxed),
            client_certificate_expiry: self.expiry.load(Ordering::Relaxed),
        }
    }
}
