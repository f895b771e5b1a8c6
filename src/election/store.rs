//! What the core and a store say to each other. Which store it is, the core can't tell.

use super::Time;
use std::fmt;
use std::time::Duration;

/// The name of a lease: positive as a signed number, and not zero. The candidate draws it at random before
/// it asks the store for the lease, so that one whose grant was never answered can still be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u64);

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// The fencing token: greater for every later leadership of an election.
///
/// It is the revision of the store at which a candidate took its place in the queue, so it orders the
/// queue as well. Where a store writes down nobody's place but the leader's, it is zero until the place is written.
pub type Token = u64;

/// A lease that the store granted, with the place in the queue that hangs on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its name.
    pub id: LeaseId,
    /// The fencing token under which its candidate will lead; zero where [`Standing::First`] tells it.
    pub token: Token,
    /// How long the store keeps it without a keepalive: what was granted, not what was asked.
    pub ttl: Duration,
    /// When the last answered request that renewed it was sent. The store counts from later.
    pub sent_at: Time,
}

/// A candidate as the store records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Whose it is; the only thing that is compared.
    pub lease: LeaseId,
    /// Its fencing token.
    pub token: Token,
    /// For display.
    pub id: String,
    /// Where its application is reached, if it said so.
    pub advertise: Option<String>,
}

/// The queue as seen at one revision of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The store's revision then.
    pub revision: u64,
    /// The first in the queue.
    pub holder: Option<Holder>,
    /// Whether the place that hangs on this candidate's own lease is in the queue.
    pub present: bool,
    /// Whether the place of any other candidate is.
    pub contested: bool,
    /// Whether whoever led last is known to have handed over in order.
    pub handed_over: bool,
}

impl Observation {
    /// Whether the first in the queue hangs on this lease.
    pub fn is_first(&self, lease: LeaseId) -> bool {
        self.holder
            .as_ref()
            .is_some_and(|holder| holder.lease == lease)
    }
}

/// Where a linearizable read found this candidate's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// First in the queue, and written down under this token.
    First(Token),
    /// In the queue, behind another.
    Behind,
    /// Not in the queue any more.
    Gone,
}

/// What a candidate says of itself. It is displayed, never compared: ownership is by lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub id: String,
    /// Where its application is reached.
    pub advertise: Option<String>,
}
