//! http: `wrk` on `/leader` and `/metrics` of the probes listener, and on nginx with a static file of the same size;
//! and whether the leader, asked like that, is late with a keepalive.

use crate::Effort;
use crate::contender::{Contender, Kind, LEAD_BOUND, TTL};
use crate::figures::{Rounds, Spread, Unit};
use crate::proc::{children, cpu};
use crate::report::Section;
use crate::scrape::Scrape;
use crate::support::etcd::Etcd;
use crate::support::http::Client;
use crate::support::process::{EXIT_BOUND, Process, run as run_program};
use crate::support::{eventually, free_port, let_pass, ms};
use rustix::process::Signal;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tempfile::TempDir;

const PATHS: [&str; 2] = ["/leader", "/metrics"];
const CONNECTIONS: &str = "-c16";

/// What `wrk` says, and what the server spent.
struct Load {
    per_second: f64,
    per_cpu_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

pub(crate) fn run(effort: Effort) -> Section {
    let etcd = Etcd::started();
    let leader = Contender::start(Kind::Tenure, &etcd.endpoint(), "http", "leader", TTL);
    leader.wait_leading(LEAD_BOUND);
    let port = leader.port.unwrap();
    let bodies = PATHS.map(|path| Client::new(port, ms(5_000)).get(path).unwrap().body);
    let nginx = Nginx::serving(&PATHS, &bodies);
    let seconds = effort.of(4, 1);

    let names = ["tenure", "nginx"];
    let mut rates: [[Rounds; 4]; 2] = [(); 2].map(|()| [(); 4].map(|()| Rounds::of(&names)));
    let before = Scrape::of(port);
    let mut least_valid = f64::INFINITY;
    for _ in 0..effort.of(5, 1) {
        for (path, rates) in PATHS.iter().zip(&mut rates) {
            let (own, valid) = watch_validity(port, || load(port, path, leader.pid, seconds));
            least_valid = least_valid.min(valid);
            let theirs = load(nginx.port, path, nginx.worker, seconds);
            let figures: [fn(&Load) -> f64; 4] = [
                |load| load.per_second,
                |load| load.per_cpu_second,
                |load| load.p50_ms,
                |load| load.p99_ms,
            ];
            for (rounds, figure) in rates.iter_mut().zip(figures) {
                rounds.push(vec![Some(figure(&own)), Some(figure(&theirs))]);
            }
        }
    }
    let after = Scrape::of(port);
    let mut section = Section::titled(
        "HTTP",
        &format!(
            "`wrk -t1 {CONNECTIONS} -d{seconds}s` on the probes listener of a leader, and on nginx ({}, one worker, no \
             access log, kept connections) with a static file of the same size, turn by turn, on the same cores as \
             wrk itself. CPU from the threads' `schedstat`.",
            nginx_version()
        ),
    );
    for ((path, body), rates) in PATHS.iter().zip(&bodies).zip(&rates) {
        let what = |figure: &str| format!("`{path}`, {} bytes: {figure}", body.len());
        section.compare(&what("requests a second"), Unit::Plain(""), &rates[0]);
        section.compare(&what("requests per CPU second"), Unit::Plain(""), &rates[1]);
        section.compare(&what("p50"), Unit::Millis, &rates[2]);
        section.compare(&what("p99"), Unit::Millis, &rates[3]);
    }
    let counted = |name, labels: &[&str]| after.sum(name, labels) - before.sum(name, labels);
    section.say(&format!(
        "Meanwhile it led with a ttl of 5 s (keepalives every 1 s, deadline 3.33 s): {} keepalives answered, {} failed, \
         {} step-downs. Its lease was never valid for less than {least_valid:.2} s (`tenure_lease_valid_seconds`, \
         scraped ten times a second under load): 2.33 s is the least of one that is never late.",
        counted("tenure_keepalives_total", &["result=\"ok\""]),
        counted("tenure_keepalives_total", &["result=\"failed\""]),
        counted("tenure_step_downs_total", &[]),
    ));
    section
}

fn load(port: u16, path: &str, server: u32, seconds: u64) -> Load {
    let url = format!("http://127.0.0.1:{port}{path}");
    let spent_before = cpu(server);
    let duration = format!("-d{seconds}s");
    let output = run_program(
        Command::new("wrk").args(["-t1", CONNECTIONS, &duration, "--latency", &url]),
        "install it: .ci/install bench",
    );
    let spent = (cpu(server) - spent_before).as_secs_f64();
    let said = output.stdout;
    assert!(
        !said.contains("Non-2xx") && !said.contains("Socket errors"),
        "{said}"
    );
    let after = |label: &str| {
        let mut lines = said.lines().map(str::trim);
        let rest = lines.find_map(|line| line.strip_prefix(label));
        rest.unwrap_or_else(|| panic!("no {label} in {said}"))
            .trim()
    };
    let requests: f64 = said
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "))
        .and_then(|(requests, _)| requests.parse().ok())
        .unwrap();
    Load {
        per_second: after("Requests/sec:").parse().unwrap(),
        per_cpu_second: requests / spent,
        p50_ms: latency(after("50%")),
        p99_ms: latency(after("99%")),
    }
}

/// As `wrk` writes it, in milliseconds.
fn latency(text: &str) -> f64 {
    let units = [("us", 1e-3), ("ms", 1.0), ("s", 1e3)];
    let (number, scale) = units
        .iter()
        .find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)))
        .unwrap();
    number.parse::<f64>().unwrap() * scale
}

/// The least validity of the lease that was seen meanwhile.
fn watch_validity<T>(port: u16, work: impl FnOnce() -> T) -> (T, f64) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut valid = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                valid.push(Scrape::of(port).sum("tenure_lease_valid_seconds", &[]));
                let_pass(ms(100));
            }
            Spread::of(valid).unwrap().min
        });
        let done = work();
        is_over.store(true, Ordering::Relaxed);
        (done, watching.join().unwrap())
    })
}

struct Nginx {
    port: u16,
    /// The process that answers.
    worker: u32,
    process: Process,
    _directory: TempDir,
}

impl Nginx {
    fn serving(paths: &[&str], bodies: &[String]) -> Nginx {
        let directory = TempDir::new().unwrap();
        let root = directory.path();
        for (path, body) in paths.iter().zip(bodies) {
            fs::write(root.join(path.trim_start_matches('/')), body).unwrap();
        }
        let port = free_port();
        let user = if rustix::process::getuid().is_root() {
            "user root;"
        } else {
            ""
        };
        let here = root.display();
        let config = format!(
            "{user} daemon off; worker_processes 1; pid {here}/pid; error_log {here}/error.log;\n\
             events {{}}\n\
             http {{\n\
             access_log off; keepalive_requests 1000000000; default_type application/json;\n\
             client_body_temp_path {here}/body; proxy_temp_path {here}/proxy; fastcgi_temp_path {here}/fastcgi;\n\
             uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;\n\
             server {{ listen 127.0.0.1:{port}; root {here}; }}\n\
             }}\n"
        );
        let file = root.join("nginx.conf");
        fs::write(&file, config).unwrap();
        let child = nginx()
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let master = child.id();
        let process = Process::adopt("nginx", child);
        let worker = eventually("nginx", ms(10_000), || {
            Client::new(port, ms(500)).get(paths[0]).ok()?;
            children(master).first().copied()
        });
        Nginx {
            port,
            worker,
            process,
            _directory: directory,
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // A killed master would leave its worker behind.
        self.process.signal(Signal::TERM);
        self.process.wait_exit(EXIT_BOUND);
    }
}

/// Debian has it where not everybody looks.
fn nginx() -> Command {
    let debian = "/usr/sbin/nginx";
    let exists = fs::exists(debian).unwrap_or(false);
    Command::new(if exists { debian } else { "nginx" })
}

fn nginx_version() -> String {
    let output = run_program(nginx().arg("-v"), "install it: .ci/install bench");
    let version = output.stderr.trim().rsplit('/').next();
    version.unwrap_or_default().to_owned()
}
