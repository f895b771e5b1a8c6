//! Beside client-go's own candidates, where there are any.
//!
//! `TENURE_CLIENT_GO` names the program of `tests/sidecar/client_go`. Where it isn't set nothing is tested, and that is said:
//! client-go is a Go module, and the systems that tests run on don't all have it. Debian 13 does:
//! `apt-get install golang-go golang-k8s-client-go-dev`, and then, in that folder,
//! `GO111MODULE=off GOPATH=/usr/share/gocode go build -o /tmp/client-go-candidate main.go`.

use crate::kubernetes::Cluster;
use crate::support::process::Process;
use crate::support::sidecar::{RETRY_PERIOD, ROLE_BOUND, Sidecar, TTL};
use crate::support::witness::Witnesses;
use crate::support::{eventually, let_pass};
use rustix::process::Signal;
use std::path::PathBuf;
use std::process::Command;
use tenure::clock;
use tenure::election::Time;

/// A candidate of client-go's.
struct Candidate {
    process: Process,
    ended_at: Option<Time>,
}

impl Candidate {
    fn start(cluster: &Cluster, program: &PathBuf, id: &str) -> Candidate {
        let mut command = Command::new(program);
        command.arg(cluster.kubeconfig(cluster.server.port()));
        command.args(["elections", "payments", id]);
        let log = cluster.directory.path().join(id);
        Candidate {
            process: Process::start(id, &mut command, &log, "see tests/sidecar/client_go.rs"),
            ended_at: None,
        }
    }

    fn said(&self, what: &str) -> Option<Time> {
        let log = self.process.log();
        let line = log.lines().find(|line| line.starts_with(what))?;
        let nanos = line.rsplit(' ').next()?.parse().ok()?;
        Some(Time::from_nanos(nanos))
    }

    #[track_caller]
    fn wait_leading(&self) -> Time {
        eventually("client-go leads", TTL + ROLE_BOUND, || self.said("leading"))
    }

    fn end(&mut self, signal: Signal) {
        self.process.signal(signal);
        self.process.wait_exit(ROLE_BOUND);
        self.ended_at = Some(clock::now());
    }

    /// From when to when it believed to lead.
    fn leadership(&self) -> (Time, Time) {
        let until = self.said("stopped").or(self.ended_at).unwrap();
        (self.said("leading").unwrap(), until)
    }
}

#[track_caller]
fn follows(sidecar: &Sidecar, leader: &str) {
    eventually("the leader is known", TTL + ROLE_BOUND, || {
        let election = sidecar.probe_leader()?;
        (election["leader"]["id"] == *leader).then_some(())
    });
}

#[test]
#[ignore = "no package of Debian 12 has client-go; see CONTRIBUTING.md"]
fn candidates_of_client_go_and_these_take_over_from_each_other_and_never_lead_at_once() {
    let program = std::env::var_os("TENURE_CLIENT_GO").map(PathBuf::from);
    let program = program.expect("TENURE_CLIENT_GO names a candidate of client-go's");
    let cluster = Cluster::new();
    let mut a = cluster.candidate("a").start_leading();
    let mut witnesses = Witnesses::of(&[&a]);
    // From ours to theirs: in order, and after a crash.
    let mut go = Candidate::start(&cluster, &program, "go-1");
    let_pass(TTL + RETRY_PERIOD);
    assert!(go.said("leading").is_none());
    a.end_well();
    go.wait_leading();

    // And back: in order, and after a crash.
    let mut b = cluster.candidate("b").start();
    witnesses.also(&b);
    follows(&b, "go-1");
    go.end(Signal::TERM);
    let first = b.wait_leading(ROLE_BOUND);
    let mut again = Candidate::start(&cluster, &program, "go-2");
    let_pass(RETRY_PERIOD);
    b.kill();
    again.wait_leading();
    let c = cluster.candidate("c").start();
    witnesses.also(&c);
    follows(&c, "go-2");
    again.end(Signal::KILL);
    assert!(c.wait_leading(TTL + ROLE_BOUND) > first);

    let history = witnesses.judged();
    assert_eq!(history.succession(), ["a", "b", "c"]);
    for (from, until) in [go.leadership(), again.leadership()] {
        let overlapping = history
            .claims
            .iter()
            .find(|claim| from < claim.asked_at && claim.answered_at < until);
        assert!(
            overlapping.is_none(),
            "{overlapping:?} within {from:?} to {until:?}"
        );
    }
    // What they write is what the others count.
    assert_eq!(cluster.lease()["spec"]["leaseTransitions"], 5);
}
