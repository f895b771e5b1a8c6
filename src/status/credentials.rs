//! What became of the files with credentials: written by who reads them, read at a scrape.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Credentials from files, and how often they were exchanged for what those held then.
#[derive(Debug)]
pub struct Credentials {
    key: &'static str,
    certificate: Certificate,
    reloads: AtomicU64,
    failures: AtomicU64,
    outdated: AtomicBool,
    refused: AtomicBool,
    expiry: AtomicU64,
}

/// What a certificate among them is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// It says who asks.
    Client,
    /// It says who answers.
    Server,
}

/// What a scrape shows of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialsSeen {
    /// The key of the config that names the files.
    pub key: &'static str,
    /// How often what was read anew was taken into use.
    pub reloads: u64,
    /// How often it could not be read, or not be used.
    pub failures: u64,
    /// Whether what the files hold is what is in use, and not refused.
    pub valid: bool,
    /// What the certificate among them is for.
    pub certificate: Certificate,
    /// Until when the certificate in use holds, in seconds since 1970; 0 where there is none.
    pub expiry: u64,
}

impl Credentials {
    /// Those from the files that this key of the config names.
    pub fn new(key: &'static str, certificate: Certificate) -> Self {
        Credentials {
            key,
            certificate,
            reloads: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            outdated: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            expiry: AtomicU64::new(0),
        }
    }

    /// These are in use: at the start, or after an exchange. `expiry` is the certificate's, in seconds since 1970.
    pub fn in_use(&self, expiry: Option<u64>) {
        self.expiry.store(expiry.unwrap_or(0), Ordering::Relaxed);
        self.outdated.store(false, Ordering::Relaxed);
        self.refused(false);
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

    /// Whether what is in use was refused to whoever used it last.
    pub fn refused(&self, refused: bool) {
        self.refused.store(refused, Ordering::Relaxed);
    }

    /// As of now.
    pub fn seen(&self) -> CredentialsSeen {
        CredentialsSeen {
            key: self.key,
            reloads: self.reloads.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            valid: !self.outdated.load(Ordering::Relaxed) && !self.refused.load(Ordering::Relaxed),
            certificate: self.certificate,
            expiry: self.expiry.load(Ordering::Relaxed),
        }
    }
}

impl Certificate {
    /// As in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Certificate::Client => "client",
            Certificate::Server => "server",
        }
    }
}
