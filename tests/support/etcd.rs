//! Real etcd servers on loopback.

use super::certificates::Certificates;
use super::etcdctl::Etcdctl;
use super::http::Client;
use super::process::Process;
use super::relay::{Mode, Relay};
use super::{eventually, free_port, ms};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const REMEDY: &str = "install it: apt-get install etcd-server etcd-client";

/// Another version than the system's is tested where `TENURE_ETCD` names its binary.
fn program() -> String {
    env::var("TENURE_ETCD").unwrap_or_else(|_| "etcd".to_owned())
}

/// A server of etcd, alone or a member of a cluster. Its data and its ports outlive its process.
pub struct Etcd {
    name: String,
    scheme: &'static str,
    port: u16,
    peer_port: u16,
    /// Where the other members reach it.
    peer_url: String,
    /// Without TLS at any time: for metrics and health.
    metrics_port: u16,
    initial_cluster: String,
    more: Vec<String>,
    directory: TempDir,
    process: Option<Process>,
}

impl Etcd {
    /// A server of its own, ready to answer.
    pub fn started() -> Etcd {
        let mut etcd = Etcd::absent();
        etcd.start();
        etcd.wait_until_healthy();
        etcd
    }

    /// A server whose address is known, and which is not there yet.
    pub fn absent() -> Etcd {
        let [port, peer_port, metrics_port] = [0; 3].map(|_| free_port());
        Etcd {
            name: "single".to_owned(),
            scheme: "http",
            port,
            peer_port,
            peer_url: format!("http://127.0.0.1:{peer_port}"),
            metrics_port,
            initial_cluster: format!("single=http://127.0.0.1:{peer_port}"),
            more: Vec::new(),
            directory: TempDir::new().unwrap(),
            process: None,
        }
    }

    /// A server that shows a certificate, and wants one. It has to be started.
    pub fn with_tls(certificates: &Certificates) -> Etcd {
        Etcd::with_tls_in(certificates.directory())
    }

    /// The same, of files in a directory: `ca.pem`, `server.pem` and `server.key`.
    pub fn with_tls_in(directory: &Path) -> Etcd {
        let ca_file = directory.join("ca.pem");
        let trusted = format!("--trusted-ca-file={}", ca_file.display());
        Etcd::with_server_tls_in(directory).with(&[&trusted, "--client-cert-auth"])
    }

    /// A server that shows a certificate. It has to be started.
    pub fn with_server_tls(certificates: &Certificates) -> Etcd {
        Etcd::with_server_tls_in(certificates.directory())
    }

    fn with_server_tls_in(directory: &Path) -> Etcd {
        let file = |name| directory.join(name);
        let etcd = Etcd {
            scheme: "https",
            ..Etcd::absent()
        };
        etcd.with(&[
            &format!("--cert-file={}", file("server.pem").display()),
            &format!("--key-file={}", file("server.key").display()),
        ])
    }

    /// With more arguments, from its next start on.
    pub fn with(mut self, arguments: &[&str]) -> Etcd {
        let arguments = arguments.iter().map(|&argument| argument.to_owned());
        self.more.extend(arguments);
        self
    }

    /// Starts it; it takes a while until it is healthy.
    pub fn start(&mut self) {
        let client = self.endpoint();
        let peer = format!("http://127.0.0.1:{}", self.peer_port);
        let mut command = Command::new(program());
        command
            .args(["--name", &self.name])
            .arg("--data-dir")
            .arg(self.directory.path().join("data"))
            .args(["--listen-client-urls", &client])
            .args(["--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &self.peer_url])
            .arg(format!(
                "--listen-metrics-urls=http://127.0.0.1:{}",
                self.metrics_port
            ))
            .args(&self.more)
            // Passwords needn't be hard to guess here.
            .arg("--bcrypt-cost=4")
            .args(["--initial-cluster", &self.initial_cluster])
            .args(["--initial-cluster-token", &self.initial_cluster]);
        let name = format!("etcd {}", self.name);
        let log = self.directory.path().join("log");
        self.process = Some(Process::start(&name, &mut command, &log, REMEDY));
    }

    /// Kills it. Its data stay.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Stops its process, connections open.
    pub fn freeze(&mut self) {
        self.process.as_mut().unwrap().signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&mut self) {
        self.process.as_mut().unwrap().signal(Signal::CONT);
    }

    /// Waits until it answers, which takes a quorum.
    #[track_caller]
    pub fn wait_until_healthy(&mut self) {
        let mut client = Client::new(self.metrics_port, ms(500));
        eventually("a healthy etcd", ms(30_000), || {
            let process = self.process.as_mut().unwrap();
            let exit = process.exit_status();
            assert!(exit.is_none(), "etcd ended: {exit:?}");
            let response = client.get("/health").ok()?;
            (response.status == 200 && response.body.contains("true")).then_some(())
        });
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn endpoint(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    pub fn ctl(&self) -> Etcdctl {
        Etcdctl::new(&[self.endpoint()])
    }

    /// How often each method was called so far, streams counted once.
    #[track_caller]
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.counted("grpc_server_started_total")
    }

    /// How many messages each method was sent so far, on its streams as well.
    #[track_caller]
    pub fn messages(&self) -> BTreeMap<String, u64> {
        self.counted("grpc_server_msg_received_total")
    }

    #[track_caller]
    fn counted(&self, counter: &str) -> BTreeMap<String, u64> {
        let metrics = Client::new(self.metrics_port, ms(2_000))
            .get("/metrics")
            .unwrap();
        let mut calls = BTreeMap::new();
        for line in metrics.body.lines() {
            let Some(labels) = line.strip_prefix(counter) else {
                continue;
            };
            let (labels, count) = labels.split_once("} ").unwrap();
            let method = labels.split("grpc_method=\"").nth(1).unwrap();
            let method = method.split('"').next().unwrap();
            let count: f64 = count.parse().unwrap();
            *calls.entry(method.to_owned()).or_default() += count as u64;
        }
        calls
    }
}

/// A cluster of three.
pub struct EtcdCluster {
    pub members: Vec<Etcd>,
    /// In front of each member, for the others. etcd's members dial whom they want to hear: a member whose relay is
    /// silent hears the others, and they don't hear it.
    peer_relays: Vec<Relay>,
}

impl EtcdCluster {
    /// Three members that have elected a leader among them.
    pub fn started() -> EtcdCluster {
        let mut members: Vec<Etcd> = (0..3).map(|_| Etcd::absent()).collect();
        let relays = members.iter().map(|member| Relay::to(member.peer_port));
        let peer_relays: Vec<Relay> = relays.collect();
        for (i, member) in members.iter_mut().enumerate() {
            member.name = format!("member{i}");
            member.peer_url = peer_relays[i].endpoint();
        }
        let peers: Vec<String> = members
            .iter()
            .map(|member| format!("{}={}", member.name, member.peer_url))
            .collect();
        for member in &mut members {
            member.initial_cluster = peers.join(",");
            member.start();
        }
        for member in &mut members {
            member.wait_until_healthy();
        }
        EtcdCluster {
            members,
            peer_relays,
        }
    }

    /// What the other members hear of one.
    pub fn set_peers_of(&self, member: usize, mode: Mode) {
        self.peer_relays[member].set(mode);
    }

    /// Cuts a member off from the others, both ways; clients go on reaching it.
    #[track_caller]
    pub fn cut_off(&self, member: usize) {
        let ids = self.members[member].ctl().raft_ids();
        let (own, _) = ids.expect("it answers");
        // The members say who they are to each other.
        let words = format!("X-Server-From: {own:x}");
        for (i, relay) in self.peer_relays.iter().enumerate() {
            if i == member {
                relay.set(Mode::Silent);
            } else {
                relay.silence(Some(words.clone()));
            }
        }
    }

    /// Lets all members speak to each other again.
    pub fn heal(&self) {
        for relay in &self.peer_relays {
            relay.set(Mode::Pass);
            relay.silence(None);
        }
    }

    /// Where its members answer, beginning with the one at `first`.
    pub fn endpoints_from(&self, first: usize) -> Vec<String> {
        let members = self.members.iter().cycle().skip(first);
        members.take(3).map(Etcd::endpoint).collect()
    }

    /// Which member leads the others.
    #[track_caller]
    pub fn raft_leader(&self) -> usize {
        eventually("a leader of the etcd cluster", ms(10_000), || {
            self.members
                .iter()
                .position(|member| member.process.is_some() && member.ctl().is_raft_leader())
        })
    }
}

/// Starts a server on which `app`, whose password is `right-4242`, may touch no more than it needs to. Others ask as root.
#[track_caller]
pub fn with_users(mut etcd: Etcd) -> (Etcd, Etcdctl) {
    etcd.start();
    etcd.wait_until_healthy();
    for command in [
        "user add root:secret",
        "user grant-role root root",
        "role add candidate",
        "role grant-permission candidate readwrite /tenure/ --prefix=true",
        "user add app:right-4242",
        "user grant-role app candidate",
        "auth enable",
    ] {
        let arguments: Vec<&str> = command.split(' ').collect();
        etcd.ctl().run(&arguments);
    }
    let root = etcd.ctl().with_user("root:secret");
    (etcd, root)
}
