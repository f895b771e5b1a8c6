//! The pure core: what a candidate does, and when, decided from events and the time.
//!
//! It assumes one thing: that clocks run at nearly the same *rate* everywhere. It never compares the
//! reading of one clock with that of another.
//!
//! There is no async, no clock, no I/O and no logging in here, and `tests/architecture.rs` keeps it so. A
//! driver calls [`Election::step`] with the time and what happened, publishes [`Election::view`], and
//! then carries out the [`Action`]s; a simulation does the same with a variable for a clock.

mod backoff;
mod event;
mod held;
mod machine;
mod policy;
mod state;
mod store;
mod time;
mod timing;
mod view;

pub use backoff::Backoff;
pub use event::{Action, Event, Reason, Transition};
pub use machine::Election;
pub use policy::{Application, Hold, Policy, ShutdownWait};
pub use store::{Candidate, Holder, Lease, LeaseId, Observation, Standing, Token};
pub use time::Time;
pub use timing::{BudgetError, Timing};
pub use view::{Claim, Deadline, Role, RoleName, View};

#[cfg(test)]
mod tests;
