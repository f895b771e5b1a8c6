//! A sidecar that does as the test tells it over a socket, and the application that it runs: a shell script.

use crate::support::process::Process;
use crate::support::{eventually, ms};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;
use tempfile::TempDir;
use tenure::application::{Application, Children, End, Exec};
use tenure::clock;
use tenure::election::Deadline;
use tenure::election::Time;

/// How long the application may take to stop on an order.
pub(crate) const STOP_TIMEOUT: Duration = ms(600);

/// Longer than any machine takes to do anything.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// Later than any test ends.
pub(crate) fn far() -> Deadline {
    within(ms(300_000), ms(400_000))
}

pub(crate) fn within(stop: Duration, kill: Duration) -> Deadline {
    let now = clock::now();
    Deadline {
        stop_at: now + stop,
        kill_at: now + kill,
    }
}

/// The sidecar, and where its application leaves its notes.
pub(crate) struct Stage {
    pub(crate) process: Process,
    pub(crate) directory: TempDir,
    orders: UnixStream,
    reports: BufReader<UnixStream>,
}

impl Stage {
    /// With a script for an application, whose working directory is the stage's.
    pub(crate) fn new(script: &str) -> Stage {
        Stage::with_command(&["/bin/sh", "-c", script], |command| {
            command.stdin(Stdio::null())
        })
    }

    pub(crate) fn with_command(
        words: &[&str],
        prepare: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Stage {
        let (stage, _) = Stage::with_child(words, prepare);
        stage
    }

    /// Gives the streams of the sidecar, too.
    pub(crate) fn with_child(
        words: &[&str],
        prepare: impl FnOnce(&mut Command) -> &mut Command,
    ) -> (Stage, Streams) {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("orders");
        let listener = UnixListener::bind(&socket).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "sidecar", "--ignored", "--nocapture"])
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .env("STAGE_WORDS", words.join("\u{1f}"));
        let mut child = prepare(&mut command).spawn().unwrap();
        let streams = Streams::of(&mut child);
        let process = Process::adopt("the sidecar", child);
        let (orders, _) = listener.accept().unwrap();
        orders.set_read_timeout(Some(BOUND)).unwrap();
        let stage = Stage {
            process,
            directory,
            reports: BufReader::new(orders.try_clone().unwrap()),
            orders,
        };
        (stage, streams)
    }

    pub(crate) fn run(&mut self, token: u64, deadline: Deadline) {
        self.order(&format!("run {token} {}", numbers(deadline)));
    }

    pub(crate) fn extend(&mut self, deadline: Deadline) {
        self.order(&format!("extend {}", numbers(deadline)));
    }

    pub(crate) fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// The next report, in words.
    #[track_caller]
    pub(crate) fn report(&mut self) -> String {
        let mut line = String::new();
        self.reports.read_line(&mut line).expect("no report");
        assert!(line.ends_with('\n'), "the sidecar is gone: {line:?}");
        line.trim_end().to_owned()
    }

    /// What the application has written into a file, once it has written a line.
    #[track_caller]
    pub(crate) fn note(&self, name: &str) -> String {
        eventually(name, BOUND, || self.try_note(name))
    }

    pub(crate) fn try_note(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.directory.path().join(name)).ok()?;
        text.ends_with('\n').then(|| text.trim_end().to_owned())
    }

    #[track_caller]
    pub(crate) fn pid(&self, name: &str) -> Pid {
        Pid::from_raw(number(&self.note(name))).unwrap()
    }
}

/// Another process than the sidecar.
pub(crate) fn signal(pid: Pid, signal: Signal) {
    kill_process(pid, signal).unwrap();
}

/// Whether it runs, or could. What has ended and is waited for by nobody does not.
pub(crate) fn is_alive(pid: Pid) -> bool {
    state(pid).is_some_and(|state| !"ZX".contains(state))
}

/// As the kernel abbreviates it; `None` where it is gone.
pub(crate) fn state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[track_caller]
pub(crate) fn wait_gone(pid: Pid) {
    eventually("its end", BOUND, || (!is_alive(pid)).then_some(()));
}

/// The standard streams that a test asked for.
pub(crate) struct Streams {
    pub(crate) stdin: Option<std::process::ChildStdin>,
    pub(crate) stdout: Option<std::process::ChildStdout>,
}

impl Streams {
    fn of(child: &mut Child) -> Streams {
        Streams {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
        }
    }
}

/// The sidecar's main.
pub(crate) fn sidecar() {
    let words = std::env::var("STAGE_WORDS").unwrap();
    let stream = UnixStream::connect("orders").unwrap();
    let application = Application {
        command: words.split('\u{1f}').map(Into::into).collect(),
        env: vec![("STAGE_PAIR".to_owned(), "a pair".to_owned())],
        stop_timeout: STOP_TIMEOUT,
        tenure: env!("CARGO_BIN_EXE_tenure").into(),
    };
    let reports = Mutex::new(stream.try_clone().unwrap());
    let exec = Exec::start(application, Children::start().unwrap(), move |report| {
        let token = report
            .token
            .map_or("-".to_owned(), |token| token.to_string());
        let end = match report.end {
            // One of the others follows.
            End::Near => return,
            End::Stopped(None) => "stopped -".to_owned(),
            End::Stopped(Some(code)) => format!("stopped {code}"),
            End::Exited(code) => format!("exited {code}"),
            End::Failed(reason) => format!("failed {reason}"),
        };
        let _ = writeln!(reports.lock().unwrap(), "{token} {end}");
    })
    .unwrap();
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["run", token, stop, kill] => exec.run(number(token), deadline(stop, kill)),
            ["extend", stop, kill] => exec.extend(deadline(stop, kill)),
            ["stop"] => exec.stop(false),
            ["kill"] => exec.stop(true),
            ["signal", raw] => exec.forward(Signal::from_named_raw(number(raw)).unwrap()),
            ["drop"] => break,
            _ => panic!("{line}"),
        }
    }
    drop(exec);
    // It is killed by the test, or leaves the application to it.
    std::thread::park();
}

fn numbers(deadline: Deadline) -> String {
    let Deadline { stop_at, kill_at } = deadline;
    format!("{} {}", stop_at.as_nanos(), kill_at.as_nanos())
}

fn deadline(stop: &str, kill: &str) -> Deadline {
    Deadline {
        stop_at: Time::from_nanos(number(stop)),
        kill_at: Time::from_nanos(number(kill)),
    }
}

fn number<T: FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}
