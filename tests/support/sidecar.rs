//! The sidecar's own binary, with a config of its own.

use super::etcd::Etcd;
use super::http::{Client, Response};
use super::process::{EXIT_BOUND, Output, Process, run};
use super::{eventually, free_port, ms};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;
use tempfile::TempDir;

/// The election that tests hold.
pub const ELECTION: &str = "payments";

/// Where etcd keeps its keys.
pub const PREFIX: &str = "/tenure/payments/";

pub const TTL: Duration = ms(3_000);
pub const RENEW_DEADLINE: Duration = ms(2_000);
pub const RETRY_PERIOD: Duration = ms(500);

/// Longer than a healthy sidecar takes to find its role, on a busy machine.
pub const ROLE_BOUND: Duration = ms(10_000);

/// `tenure` with no setting from the environment.
pub fn tenure() -> Command {
    clean(env!("CARGO_BIN_EXE_tenure"))
}

fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    for name in [
        "POD_NAME",
        "POD_IP",
        "TENURE_URL",
        "RUST_LOG",
        "KUBECONFIG",
        "KUBERNETES_SERVICE_HOST",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs `tenure` to its end.
#[track_caller]
pub fn run_tenure(arguments: &[&str]) -> Output {
    run(tenure().args(arguments), "cargo builds it")
}

/// What a sidecar is to be like.
#[derive(Clone)]
pub struct Spec {
    id: String,
    elections: String,
    lease: (Duration, Duration, Duration),
    takeover_delay: String,
    store: String,
    more: String,
    http: String,
    command: Vec<String>,
    environment: Vec<(String, PathBuf)>,
    launcher: Vec<String>,
}

impl Spec {
    /// A candidate on these endpoints of etcd.
    pub fn on_endpoints(id: &str, endpoints: &[String]) -> Spec {
        Spec::on_secured(id, endpoints, "")
    }

    /// A candidate on these endpoints, with more settings of `store.etcd`.
    pub fn on_secured(id: &str, endpoints: &[String], settings: &str) -> Spec {
        let store = format!("etcd: {{ endpoints: {endpoints:?}, {settings} }}");
        Spec::on_store(id, store)
    }

    pub fn on_etcd(id: &str, etcd: &Etcd) -> Spec {
        Spec::on_endpoints(id, &[etcd.endpoint()])
    }

    /// A candidate on the embedded store.
    pub fn on_files(id: &str, directory: &Path) -> Spec {
        let store = format!("file: {{ directory: {directory:?} }}");
        Spec::on_store(id, store)
    }

    /// A candidate on the Leases of the cluster that this kubeconfig names.
    pub fn on_kubernetes(id: &str, kubeconfig: &Path) -> Spec {
        let spec = Spec::on_store(id, "kubernetes: {}".to_owned());
        spec.environment("KUBECONFIG", kubeconfig)
    }

    fn on_store(id: &str, store: String) -> Spec {
        Spec {
            id: id.to_owned(),
            elections: format!("election: {ELECTION}"),
            lease: (TTL, RENEW_DEADLINE, RETRY_PERIOD),
            takeover_delay: "0s".to_owned(),
            store,
            more: String::new(),
            http: "api: \"127.0.0.1:API\", probes: \"127.0.0.1:PROBES\"".to_owned(),
            command: Vec::new(),
            environment: Vec::new(),
            launcher: Vec::new(),
        }
    }

    pub fn lease(self, ttl: Duration, renew_deadline: Duration, retry_period: Duration) -> Spec {
        let lease = (ttl, renew_deadline, retry_period);
        Spec { lease, ..self }
    }

    /// It waits for so long before it takes over what was not handed over.
    pub fn takeover_delay(self, delay: &str) -> Spec {
        let takeover_delay = delay.to_owned();
        Spec {
            takeover_delay,
            ..self
        }
    }

    /// Several elections in one sidecar.
    pub fn elections(self, names: &[&str]) -> Spec {
        let elections = format!("elections: {names:?}");
        Spec { elections, ..self }
    }

    /// The settings of `http`, in which `API` and `PROBES` stand for the two ports.
    pub fn http(self, settings: &str) -> Spec {
        let http = settings.to_owned();
        Spec { http, ..self }
    }

    /// More lines of the config.
    pub fn with(mut self, line: &str) -> Spec {
        self.more += line;
        self.more += "\n";
        self
    }

    /// A variable of its environment.
    pub fn environment(mut self, name: &str, value: &Path) -> Spec {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// It is started by a program that becomes it, and gets its arguments as its last ones.
    pub fn launched_by(self, launcher: &[&str]) -> Spec {
        let launcher = launcher.iter().map(|&word| word.to_owned());
        Spec {
            launcher: launcher.collect(),
            ..self
        }
    }

    /// It runs this command while it leads.
    pub fn exec(self, command: &[&str]) -> Spec {
        let command = command.iter().map(|&word| word.to_owned());
        Spec {
            command: command.collect(),
            ..self
        }
    }

    /// The config, as YAML.
    pub fn yaml(&self, api: u16, probes: u16) -> String {
        let Spec {
            id,
            elections,
            store,
            more,
            takeover_delay,
            http,
            ..
        } = self;
        let http = http.replace("API", &api.to_string());
        let http = http.replace("PROBES", &probes.to_string());
        let [ttl, deadline, retry] =
            [self.lease.0, self.lease.1, self.lease.2].map(|lease| lease.as_millis());
        format!(
            "{elections}\n\
             candidate: {{ id: {id:?}, advertise: \"http://{id}.test:8080\" }}\n\
             lease: {{ ttl: {ttl}ms, renew_deadline: {deadline}ms, retry_period: {retry}ms, takeover_delay: {takeover_delay} }}\n\
             store: {{ {store} }}\n\
             http: {{ {http} }}\n\
             {more}"
        )
    }

    /// Starts it, and waits for nothing.
    #[track_caller]
    pub fn start(&self) -> Sidecar {
        let directory = TempDir::new().unwrap();
        let (api, probes) = (free_port(), free_port());
        let config = directory.path().join("tenure.yaml");
        fs::write(&config, self.yaml(api, probes)).unwrap();
        let mut sidecar = Sidecar {
            id: self.id.clone(),
            api,
            probes,
            config,
            command: self.command.clone(),
            environment: self.environment.clone(),
            launcher: self.launcher.clone(),
            log: directory.path().join("log"),
            _directory: directory,
            process: None,
        };
        sidecar.restart();
        sidecar
    }

    /// Starts it, and waits until it leads.
    #[track_caller]
    pub fn start_leading(&self) -> Sidecar {
        let sidecar = self.start();
        sidecar.wait_state("leader", ROLE_BOUND);
        sidecar
    }

    /// Starts it, and waits until it follows a leader that it knows.
    #[track_caller]
    pub fn start_following(&self) -> Sidecar {
        let sidecar = self.start();
        sidecar.wait_state("follower", ROLE_BOUND);
        sidecar
    }
}

/// A sidecar. Its config and its ports outlive its process.
pub struct Sidecar {
    pub id: String,
    pub api: u16,
    pub probes: u16,
    pub config: PathBuf,
    command: Vec<String>,
    environment: Vec<(String, PathBuf)>,
    launcher: Vec<String>,
    log: PathBuf,
    process: Option<Process>,
    _directory: TempDir,
}

impl Sidecar {
    /// Starts it again; kills it first, if it still runs.
    #[track_caller]
    pub fn restart(&mut self) {
        self.process = None;
        let mut command = match self.launcher.split_first() {
            None => tenure(),
            Some((program, arguments)) => {
                let mut command = clean(program);
                command.args(arguments).arg(env!("CARGO_BIN_EXE_tenure"));
                command
            }
        };
        let verb = if self.command.is_empty() {
            "run"
        } else {
            "exec"
        };
        command.envs(self.environment.iter().cloned());
        command.arg(verb).arg("--config").arg(&self.config);
        if !self.command.is_empty() {
            command.arg("--").args(&self.command);
        }
        let name = format!("sidecar {}", self.id);
        let process = Process::start(&name, &mut command, &self.log, "cargo builds it");
        self.process = Some(process);
    }

    pub fn term(&mut self) {
        self.signal(Signal::TERM);
    }

    pub fn kill(&mut self) {
        self.process.as_mut().unwrap().kill();
    }

    pub fn freeze(&mut self) {
        self.signal(Signal::STOP);
    }

    pub fn thaw(&mut self) {
        self.signal(Signal::CONT);
    }

    pub fn signal(&mut self, signal: Signal) {
        self.process.as_mut().unwrap().signal(signal);
    }

    pub fn id(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().unwrap().exit_status().is_none()
    }

    #[track_caller]
    pub fn wait_exit(&mut self, bound: Duration) -> ExitStatus {
        self.process.as_mut().unwrap().wait_exit(bound)
    }

    /// Asks it to end, and sees that it ends well.
    #[track_caller]
    pub fn end_well(&mut self) {
        self.term();
        let status = self.wait_exit(EXIT_BOUND);
        assert_eq!(status.code(), Some(0), "{}: {status}", self.id);
    }

    pub fn log(&self) -> String {
        self.process.as_ref().unwrap().log()
    }

    /// Where `--url` finds it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.api)
    }

    /// Asks on `probes`, where no promise is given.
    #[track_caller]
    pub fn probe(&self, path: &str) -> Response {
        self.must_answer(self.probes, "GET", path)
    }

    /// Asks on `api`: what is answered is a promise.
    #[track_caller]
    pub fn ask(&self, path: &str) -> Response {
        self.must_answer(self.api, "GET", path)
    }

    #[track_caller]
    pub fn post(&self, path: &str) -> Response {
        self.must_answer(self.api, "POST", path)
    }

    #[track_caller]
    fn must_answer(&self, port: u16, method: &str, path: &str) -> Response {
        Client::new(port, ms(5_000))
            .request(method, path, &[])
            .unwrap_or_else(|error| panic!("{method} {path} to {}: {error}", self.id))
    }

    /// The election as it stands, if it answers. Promises nothing.
    pub fn probe_leader(&self) -> Option<Value> {
        let answer = Client::new(self.probes, ms(1_000)).get("/leader").ok()?;
        serde_json::from_str(&answer.body).ok()
    }

    /// The status of a probe, if it answers.
    pub fn status_of(&self, path: &str) -> Option<u16> {
        let answer = Client::new(self.probes, ms(1_000)).get(path).ok()?;
        Some(answer.status)
    }

    pub fn leads(&self) -> bool {
        self.probe_leader()
            .is_some_and(|election| election["is_leader"] == true)
    }

    /// Waits until its election is in this state, as told on `probes`.
    #[track_caller]
    pub fn wait_state(&self, state: &str, bound: Duration) -> Value {
        let what = format!("{} in state {state}", self.id);
        eventually(&what, bound, || {
            self.probe_leader()
                .filter(|election| election["state"] == state)
        })
    }

    /// Waits until it leads, and tells its fencing token.
    #[track_caller]
    pub fn wait_leading(&self, bound: Duration) -> u64 {
        let election = self.wait_state("leader", bound);
        election["fencing_token"].as_u64().unwrap()
    }

    /// The value of a metric in the line that contains all `labels`; 0 where there is none.
    #[track_caller]
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let metrics = self.probe("/metrics").body;
        metrics
            .lines()
            .filter(|line| {
                let rest = line.strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
            })
            .find(|line| labels.iter().all(|label| line.contains(label)))
            .and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or(0.0)
    }
}

/// Waits until exactly one of them leads, and tells which.
#[track_caller]
pub fn wait_for_one_leader(sidecars: &[&Sidecar], bound: Duration) -> usize {
    eventually("exactly one leader", bound, || {
        let mut leaders = (0..sidecars.len()).filter(|i| sidecars[*i].leads());
        let leader = leaders.next()?;
        leaders.next().is_none().then_some(leader)
    })
}

/// Three candidates `a`, `b` and `c` on one etcd, queued in this order.
#[track_caller]
pub fn three_in_order(etcd: &Etcd) -> [Sidecar; 3] {
    ["a", "b", "c"].map(|id| queue_up(&Spec::on_etcd(id, etcd), etcd))
}

/// Starts a candidate, and waits until it has taken its place.
#[track_caller]
pub fn queue_up(spec: &Spec, etcd: &Etcd) -> Sidecar {
    let places = etcd.ctl().places(PREFIX).len();
    let sidecar = spec.start();
    let role = if places == 0 { "leader" } else { "follower" };
    sidecar.wait_state(role, ROLE_BOUND);
    wait_for_places(etcd, places + 1);
    sidecar
}

/// Waits until so many candidates are queued.
#[track_caller]
pub fn wait_for_places(etcd: &Etcd, count: usize) {
    eventually("a place in the queue", ROLE_BOUND, || {
        (etcd.ctl().places(PREFIX).len() == count).then_some(())
    });
}
