//! What a ledger knows, told as sentences: candidates that share a Lease, and an API server as far as versions go.

#[path = "tests/acquisition.rs"]
mod acquisition;
#[path = "tests/edits.rs"]
mod edits;
#[path = "tests/expiry.rs"]
mod expiry;
#[path = "tests/restores.rs"]
mod restores;

use super::super::record::unheld;
use super::*;
use crate::election::Candidate;

const TTL: Duration = Duration::from_secs(10);
const A: LeaseId = LeaseId(0xa);
const B: LeaseId = LeaseId(0xb);
const C: LeaseId = LeaseId(0xc);
const D: LeaseId = LeaseId(0xd);

fn at(seconds: u64) -> Time {
    Time::ORIGIN + Duration::from_secs(seconds)
}

fn date() -> SystemTime {
    SystemTime::UNIX_EPOCH
}

fn author(id: &str) -> Author {
    Author {
        candidate: Candidate {
            id: id.to_owned(),
            advertise: None,
        },
        ttl: TTL,
    }
}

/// An API server, as far as versions go.
struct Api {
    version: u64,
    object: Lease,
}

impl Api {
    fn new() -> Self {
        let mut object = unheld("e");
        object.metadata.uid = Some("one".to_owned());
        Api {
            version: 100,
            object,
        }
    }

    fn record(&self) -> Record {
        let mut object = self.object.clone();
        object.metadata.resource_version = Some(self.version.to_string());
        Record::read(object).unwrap()
    }

    /// Applies an update if it is conditional on this version.
    fn apply(&mut self, update: &Lease) -> bool {
        let condition = update.metadata.resource_version.as_deref();
        let holds = condition == Some(self.version.to_string().as_str());
        if holds {
            self.version += 1;
            self.object = update.clone();
        }
        holds
    }
}

/// Reads: the answer comes at once.
fn read(ledger: &mut Ledger, api: &Api, now: Time) {
    ledger.answered(Some(api.record()), now, now);
}

fn joined(id: LeaseId, api: &Api, now: Time) -> Ledger {
    let mut ledger = Ledger::new(author(&id.to_string()));
    ledger.join(id);
    read(&mut ledger, api, now);
    ledger
}

fn claim(ledger: &Ledger, id: LeaseId, now: Time) -> Option<(Box<Lease>, Token)> {
    match ledger.claim(id, now, date()) {
        Claim::Write(update, token) => Some((update, token)),
        Claim::Stands(_) => None,
    }
}

/// Acquires, answered at once.
fn acquire(ledger: &mut Ledger, id: LeaseId, api: &mut Api, now: Time) -> Token {
    let (update, token) = claim(ledger, id, now).unwrap();
    ledger.attempt(token, now);
    assert!(api.apply(&update));
    ledger.acquired(id, token, now);
    read(ledger, api, now);
    token
}

fn renew(ledger: &mut Ledger, id: LeaseId, api: &mut Api, now: Time) {
    let Renewal::Write(update) = ledger.renewal(id, now, date()) else {
        panic!("nothing to renew");
    };
    assert!(api.apply(&update));
    ledger.renewed(id, now);
    read(ledger, api, now);
}

fn is_first(ledger: &Ledger, id: LeaseId, now: Time) -> bool {
    ledger.observation(now).unwrap().is_first(id)
}
