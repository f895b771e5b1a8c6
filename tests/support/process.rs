//! A process of ours, and the signals it gets.

use super::{eventually, ms};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A running process that logs into a file. It is killed on drop.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it. `remedy` says how to get the program where it isn't installed.
    #[track_caller]
    pub fn start(name: &str, command: &mut Command, log: &Path, remedy: &str) -> Process {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} can't be started ({error}): {remedy}"));
        Process {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        }
    }

    /// Takes over one that was started otherwise, and that logs nowhere.
    pub fn adopt(name: &str, child: Child) -> Process {
        Process {
            name: name.to_owned(),
            child,
            log: PathBuf::new(),
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, if the process still runs.
    pub fn signal(&mut self, signal: Signal) {
        // Until it has been waited for, its id is nobody else's.
        if self.exit_status().is_none() {
            let pid = Pid::from_child(&self.child);
            kill_process(pid, signal).unwrap();
        }
    }

    /// Kills it, and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    /// How it ended, if it has.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait_exit(&mut self, bound: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        eventually(&what, bound, || self.child.try_wait().unwrap())
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            show(&self.name, &self.log());
        }
    }
}

#[expect(clippy::print_stderr, reason = "libtest shows it where a test fails")]
fn show(name: &str, log: &str) {
    const LINES: usize = 60;
    let skipped = log.lines().count().saturating_sub(LINES);
    eprintln!("── the last lines of {name} ──");
    for line in log.lines().skip(skipped) {
        eprintln!("{line}");
    }
}

/// Runs a program to its end.
#[track_caller]
pub fn run(command: &mut Command, remedy: &str) -> Output {
    run_on(command, Stdio::null(), remedy)
}

#[track_caller]
fn run_on(command: &mut Command, input: Stdio, remedy: &str) -> Output {
    let output = command
        .stdin(input)
        .output()
        .unwrap_or_else(|error| panic!("{command:?} can't be started ({error}): {remedy}"));
    Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The same, with something to read.
#[track_caller]
pub fn run_with_input(command: &mut Command, input: &str, remedy: &str) -> Output {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input.as_bytes()).unwrap();
    file.rewind().unwrap();
    run_on(command, Stdio::from(file), remedy)
}

/// What a program left.
#[derive(Debug)]
pub struct Output {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Longer than any healthy process takes to end.
pub const EXIT_BOUND: Duration = ms(5_000);
