//! etcd's own command line.

use super::process::{Output, Process, run, run_with_input};
use serde_json::Value;
use std::process::Command;
use tempfile::TempDir;

const REMEDY: &str = "install it: apt-get install etcd-client";

/// `etcdctl` on some endpoints.
pub struct Etcdctl {
    endpoints: String,
    user: Option<String>,
}

/// A key of an election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub key: String,
    pub value: String,
    pub create_revision: u64,
    /// In lower-case hex, as in the key.
    pub lease: String,
}

impl Etcdctl {
    pub fn new(endpoints: &[String]) -> Etcdctl {
        Etcdctl {
            endpoints: endpoints.join(","),
            user: None,
        }
    }

    /// As a user, `name:password`.
    pub fn with_user(self, user: &str) -> Etcdctl {
        let user = Some(user.to_owned());
        Etcdctl { user, ..self }
    }

    /// Runs it; it must succeed.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.try_run(arguments);
        assert_eq!(output.code, Some(0), "etcdctl {arguments:?}: {output:?}");
        output.stdout
    }

    #[track_caller]
    pub fn try_run(&self, arguments: &[&str]) -> Output {
        run(self.command().args(arguments), REMEDY)
    }

    /// Whether the comparisons of a transaction held, as `etcdctl txn` reads it.
    #[track_caller]
    pub fn transaction(&self, text: &str) -> bool {
        let mut command = self.command();
        command.arg("txn");
        let output = run_with_input(&mut command, text, REMEDY);
        assert_eq!(output.code, Some(0), "{text}: {output:?}");
        match output.stdout.lines().next() {
            Some("SUCCESS") => true,
            Some("FAILURE") => false,
            _ => panic!("{text}: {output:?}"),
        }
    }

    /// What stands under a prefix, in the order of the queue.
    #[track_caller]
    pub fn places(&self, prefix: &str) -> Vec<Place> {
        let fields = self.run(&["get", prefix, "--prefix", "-w", "fields"]);
        parse_fields(&fields)
    }

    /// The same, where etcd answers soon.
    pub fn try_places(&self, prefix: &str) -> Option<Vec<Place>> {
        let query = ["get", prefix, "--prefix", "-w", "fields"];
        let output = self.try_run(&[&["--command-timeout=1s"], &query[..]].concat());
        (output.code == Some(0)).then(|| parse_fields(&output.stdout))
    }

    /// How many leases there are.
    #[track_caller]
    pub fn lease_count(&self) -> usize {
        let list = self.run(&["lease", "list"]);
        let count = list.split_whitespace().nth(1).map(str::parse);
        match count {
            Some(Ok(count)) => count,
            _ => panic!("{list:?}"),
        }
    }

    /// Whether the one endpoint is that of the member that leads its cluster.
    pub fn is_raft_leader(&self) -> bool {
        let ids = self.raft_ids();
        ids.is_some_and(|(own, leader)| own == leader)
    }

    /// The ids of the member at the one endpoint and of the leader it knows.
    pub fn raft_ids(&self) -> Option<(u64, u64)> {
        let arguments = ["--command-timeout=500ms", "endpoint", "status", "-w=json"];
        let output = self.try_run(&arguments);
        let status: Value = serde_json::from_str(&output.stdout).ok()?;
        let status = &status[0]["Status"];
        let own = status["header"]["member_id"].as_u64()?;
        Some((own, status["leader"].as_u64()?))
    }

    /// A candidate that etcd's own command line runs, until it is killed or interrupted.
    #[track_caller]
    pub fn elect(&self, election: &str, value: &str) -> Elect {
        self.start(&["elect", election, value])
    }

    /// An observer that prints everyone who leads.
    #[track_caller]
    pub fn observe(&self, election: &str) -> Elect {
        self.start(&["elect", "--listen", election])
    }

    #[track_caller]
    fn start(&self, arguments: &[&str]) -> Elect {
        let directory = TempDir::new().unwrap();
        let log = directory.path().join("log");
        let mut command = self.command();
        command.args(arguments);
        Elect {
            process: Process::start("etcdctl elect", &mut command, &log, REMEDY),
            _directory: directory,
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("etcdctl");
        command
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.endpoints]);
        if let Some(user) = &self.user {
            command.args(["--user", user]);
        }
        command
    }
}

/// A foreign candidate.
pub struct Elect {
    pub process: Process,
    _directory: TempDir,
}

impl Elect {
    /// It prints its key once it leads.
    pub fn leads(&self) -> bool {
        let log = self.process.log();
        log.lines().any(|line| line.starts_with('/'))
    }
}

/// In the order of the queue.
fn parse_fields(fields: &str) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for line in fields.lines() {
        let Some((name, value)) = line.split_once(" : ") else {
            continue;
        };
        if name == "\"Key\"" {
            let key: String = serde_json::from_str(value).unwrap();
            places.push(Place {
                lease: key.rsplit('/').next().unwrap().to_owned(),
                key,
                value: String::new(),
                create_revision: 0,
            });
        }
        let Some(place) = places.last_mut() else {
            continue;
        };
        match name {
            "\"CreateRevision\"" => place.create_revision = value.parse().unwrap(),
            "\"Value\"" => place.value = serde_json::from_str(value).unwrap(),
            _ => {}
        }
    }
    places.sort_by_key(|place| place.create_revision);
    places
}
