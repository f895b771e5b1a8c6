//! `tenure`: a leader-election sidecar.
//!
//! The command is what is meant to be used; this library is its inside, open for tests, simulations and
//! benchmarks. Begin with [`election`], which decides everything, and [`daemon`], which puts it together.

#![warn(clippy::unwrap_used)]

pub mod application;
pub mod call;
pub mod causes;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod driver;
pub mod election;
pub mod health;
pub mod hooks;
pub mod http;
pub mod kubernetes;
pub mod logging;
pub mod metrics;
pub mod pod;
pub mod secret;
pub mod shutdown;
pub mod status;
pub mod status_file;
pub mod store;
pub mod tls;
pub mod watched_files;
