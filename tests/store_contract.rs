//! The contract of `store`, held against every adapter: one suite, run on a real store, in real time.
//!
//! An adapter takes part with a [`Bench`](suite::Bench) and a line of [`contract_suite!`]. Each sentence of the
//! contract is a test.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "store_contract/etcd.rs"]
mod etcd;
#[path = "store_contract/file.rs"]
mod file;
#[path = "store_contract/kubernetes.rs"]
mod kubernetes;
#[path = "store_contract/peer.rs"]
mod peer;
#[path = "store_contract/suite.rs"]
mod suite;
mod support;

contract_suite!(on_the_file_store, crate::file::FileBench);
contract_suite!(on_the_etcd_store, crate::etcd::EtcdBench);
contract_suite!(on_the_kubernetes_store, crate::kubernetes::KubernetesBench);
