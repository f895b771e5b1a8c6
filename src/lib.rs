//! A leader-election sidecar.

pub mod clock;
pub mod config;
pub mod election;
pub mod status;
pub mod store;
