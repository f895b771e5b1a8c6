//! The port to a store: what the election needs of one, in words and types.
//!
//! # The contract
//! A store keeps, for each election, a queue of candidates' places, ordered by *token*. Every adapter
//! is held to this by one suite of tests (`tests/store_contract.rs`):
//!
//! - **Join** obtains a lease of the given id and the configured ttl, and takes a place at the end of the
//!   queue that hangs on it. The token of a place is greater than that of every place there ever was. The
//!   time in [`Lease::sent_at`](crate::election::Lease) was read before the first request went out.
//!   Where an answer is lost, the join has failed, and the core has whatever came of it revoked.
//! - A **lease** that nobody renews for its ttl goes away, and its place with it: not earlier than ttl after
//!   the last renewal was received.
//! - **KeepAlive** renews, and says so with the time at which it was *sent*. At most one of a lease
//!   is outstanding; after one without an answer the next goes out on a fresh stream, so that no late answer is
//!   taken for its own.
//!   A lease that is not there is [`Event::LeaseGone`]; a lost answer never is.
//! - **Verify** reads linearizably: it reflects every change that was complete before it was asked.
//! - **Release** sends no keepalive from then on, and is answered with [`Event::Released`] only when the lease
//!   does not exist any more.
//! - **Observations** come without asking, in order of revision, and reflect every change of the queue's head and
//!   of the own place. [`Event::Blind`] says that they have stopped for now, and [`Event::OutOfSight`] that others may
//!   lead meanwhile, for what they can tell.
//! - Every operation but the observing ends within two retry_periods or three, whatever the store does.

pub mod etcd;
pub mod file;
pub mod kubernetes;
mod lane;
mod queue;

pub use lane::Lane;
pub use queue::{Namesakes, Place, Queue};

use crate::election::{Action, Event};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::Pin;

/// One candidate's dealings with a store in one election. Dropping it drops all that is under way.
pub trait Session: Send {
    /// Begins [`Action::Join`], [`Action::KeepAlive`], [`Action::Verify`] or [`Action::Release`]; the outcome comes
    /// from [`next`](Self::next). Never waits. Other actions are none of its business.
    fn begin(&mut self, action: Action);

    /// What happens next: an outcome, or an observation. Dropping the future loses nothing.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Event> + Send + '_>>;
}

/// Sixty-four bits that the operating system's randomness went into.
pub fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
