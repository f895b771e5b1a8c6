//! Those who compete: each a process of its own, all in queues of the same layout in etcd.

use crate::programs;
use crate::sampler::{self, CLOSELY};
use crate::support::process::Process;
use crate::support::{eventually, free_port, let_pass, ms};
use rustix::process::Signal;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use tenure::clock;
use tenure::election::Time;

/// What all are given, where they can be given one.
pub(crate) const TTL: Duration = ms(5_000);

/// Longer than anybody takes to lead who may, on a busy machine.
pub(crate) const LEAD_BOUND: Duration = ms(20_000);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tenure,
    /// A program of ours on etcd's `clientv3/concurrency`.
    Go,
    /// The same, and it keeps track of who leads, as a sidecar does.
    GoObserving,
    /// Its ttl can't be set: 60 s.
    Elect,
    /// The same recipe with a ttl that can be set.
    Lock,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Tenure => "tenure",
            Kind::Go => "go",
            Kind::GoObserving => "go, observing",
            Kind::Elect => "etcdctl elect",
            Kind::Lock => "etcdctl lock",
        }
    }
}

/// Where the keys of an election are.
pub(crate) fn prefix(election: &str) -> String {
    format!("/tenure/{election}/")
}

/// What a candidate printed, and when that was read.
type Lines = Arc<Mutex<Vec<(Time, String)>>>;

/// A candidate. It is killed on drop.
pub(crate) struct Contender {
    pub(crate) pid: u32,
    /// Before it was forked.
    pub(crate) started: Time,
    /// Where it answers `GET /leader`, if it does.
    pub(crate) port: Option<u16>,
    lines: Lines,
    process: Process,
    directory: TempDir,
}

impl Contender {
    pub(crate) fn start(
        kind: Kind,
        endpoint: &str,
        election: &str,
        id: &str,
        ttl: Duration,
    ) -> Contender {
        let directory = TempDir::new().unwrap();
        let queue = prefix(election);
        let queue = queue.trim_end_matches('/');
        let seconds = ttl.as_secs();
        let is_asked = !matches!(kind, Kind::Elect | Kind::Lock);
        let port = is_asked.then(free_port);
        let mut command = match kind {
            Kind::Tenure => {
                let elections = format!("election: {election}");
                sidecar(&directory, endpoint, &elections, id, ttl, port.unwrap())
            }
            Kind::Go | Kind::GoObserving => {
                let mut command = Command::new(programs::go_path());
                command
                    .args(["-endpoint", endpoint, "-election", queue, "-id", id])
                    .arg(format!("-ttl={seconds}"))
                    .arg(format!("-http=127.0.0.1:{}", port.unwrap()))
                    .arg(format!("-observe={}", kind == Kind::GoObserving));
                command
            }
            Kind::Elect => etcdctl(endpoint, &["elect", queue, id]),
            Kind::Lock => etcdctl(endpoint, &["lock", queue, &format!("--ttl={seconds}")]),
        };
        let log = File::create(directory.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stderr(log);
        command.stdout(if kind == Kind::Tenure {
            Stdio::null()
        } else {
            Stdio::piped()
        });
        Contender::spawn(kind.name(), &mut command, port, directory)
    }

    /// A sidecar with several elections.
    pub(crate) fn start_many(
        endpoint: &str,
        elections: &[String],
        id: &str,
        ttl: Duration,
    ) -> Contender {
        let directory = TempDir::new().unwrap();
        let port = free_port();
        let elections = format!("elections: [{}]", elections.join(", "));
        let mut command = sidecar(&directory, endpoint, &elections, id, ttl, port);
        let log = File::create(directory.path().join("log")).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        Contender::spawn("tenure", &mut command, Some(port), directory)
    }

    fn spawn(
        name: &str,
        command: &mut Command,
        port: Option<u16>,
        directory: TempDir,
    ) -> Contender {
        let started = clock::now();
        let mut child: Child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} can't be started: {error}"));
        let lines = Lines::default();
        if let Some(stdout) = child.stdout.take() {
            let lines = Arc::clone(&lines);
            thread::spawn(move || read(stdout, &lines));
        }
        Contender {
            pid: child.id(),
            started,
            port,
            lines,
            process: Process::adopt(name, child),
            directory,
        }
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.exit_status().is_none()
    }

    /// Asks it to end, and waits until it has.
    #[track_caller]
    pub(crate) fn end(&mut self) {
        self.signal(Signal::TERM);
        self.process.wait_exit(LEAD_BOUND);
    }

    /// When it first says that it leads: by HTTP where it can be asked, and else by what it prints.
    #[track_caller]
    pub(crate) fn wait_leading(&self, bound: Duration) -> Time {
        match self.port {
            Some(port) => {
                let mut client = sampler::client(port);
                let led = soon(bound, || {
                    sampler::ask(&mut client).map(|claim| claim.answered)
                });
                led.unwrap_or_else(|| panic!("no leader within {bound:?}; {}", self.log()))
            }
            None => self.wait_line(bound).0,
        }
    }

    /// What it has told on stderr.
    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// When it first printed that it leads, and its key.
    #[track_caller]
    pub(crate) fn wait_line(&self, bound: Duration) -> (Time, String) {
        eventually("a line that says who leads", bound, || {
            self.lines_with_key().into_iter().next()
        })
    }

    /// Every line with which it said that it leads: when it was read, and the key in it.
    pub(crate) fn lines_with_key(&self) -> Vec<(Time, String)> {
        let lines = self.lines.lock().unwrap();
        let keys = lines.iter().filter_map(|(at, line)| {
            let key = line.strip_prefix("elected ").unwrap_or(line);
            key.starts_with('/').then(|| (*at, key.to_owned()))
        });
        keys.collect()
    }
}

fn sidecar(
    directory: &TempDir,
    endpoint: &str,
    elections: &str,
    id: &str,
    ttl: Duration,
    port: u16,
) -> Command {
    let config = directory.path().join("tenure.yaml");
    let yaml = format!(
        "{elections}\n\
         candidate: {{ id: {id:?} }}\n\
         lease: {{ ttl: {}ms }}\n\
         store: {{ etcd: {{ endpoints: [{endpoint:?}] }} }}\n\
         http: {{ api: \"127.0.0.1:0\", probes: \"127.0.0.1:{port}\" }}\n",
        ttl.as_millis()
    );
    fs::write(&config, yaml).unwrap();
    let mut command = programs::tenure();
    command.arg("run").arg("--config").arg(config);
    command
}

fn etcdctl(endpoint: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(programs::etcdctl_path());
    command
        .env("ETCDCTL_API", "3")
        .args(["--endpoints", endpoint])
        .args(arguments);
    command
}

fn read(stdout: ChildStdout, lines: &Lines) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        lines.lock().unwrap().push((clock::now(), line));
    }
}

/// Asks ten times a millisecond, until there is an answer or the time is over.
fn soon<T>(bound: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let give_up = clock::now() + bound;
    loop {
        let answer = ask();
        if answer.is_some() || clock::now() >= give_up {
            return answer;
        }
        let_pass(CLOSELY);
    }
}
