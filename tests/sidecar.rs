//! The real binary on real stores under real faults, judged from outside by the contract.

#![allow(clippy::unwrap_used, reason = "a test is to fail by it")]

mod support;

#[path = "sidecar/api.rs"]
mod api;
#[path = "sidecar/application.rs"]
mod application;
#[path = "sidecar/authentication.rs"]
mod authentication;
#[path = "sidecar/cli.rs"]
mod cli;
#[path = "sidecar/client_go.rs"]
mod client_go;
#[path = "sidecar/cluster_rotation.rs"]
mod cluster_rotation;
#[path = "sidecar/config.rs"]
mod config;
#[path = "sidecar/elections.rs"]
mod elections;
#[path = "sidecar/endpoints.rs"]
mod endpoints;
#[path = "sidecar/exec.rs"]
mod exec;
#[path = "sidecar/file.rs"]
mod file;
#[path = "sidecar/foreign.rs"]
mod foreign;
#[path = "sidecar/guard.rs"]
mod guard;
#[path = "sidecar/http.rs"]
mod http;
#[path = "sidecar/kubernetes.rs"]
mod kubernetes;
#[path = "sidecar/losses.rs"]
mod losses;
#[path = "sidecar/many.rs"]
mod many;
#[path = "sidecar/metrics.rs"]
mod metrics;
#[path = "sidecar/outages.rs"]
mod outages;
#[path = "sidecar/permissions.rs"]
mod permissions;
#[path = "sidecar/pod.rs"]
mod pod;
#[path = "sidecar/privileges.rs"]
mod privileges;
#[path = "sidecar/promises.rs"]
mod promises;
#[path = "sidecar/quorum.rs"]
mod quorum;
#[path = "sidecar/relayed.rs"]
mod relayed;
#[path = "sidecar/rotation.rs"]
mod rotation;
#[path = "sidecar/secrets.rs"]
mod secrets;
#[path = "sidecar/secured.rs"]
mod secured;
#[path = "sidecar/status_file.rs"]
mod status_file;
#[path = "sidecar/terminal.rs"]
mod terminal;
#[path = "sidecar/tls.rs"]
mod tls;
