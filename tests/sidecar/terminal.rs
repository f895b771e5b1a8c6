//! `tenure exec` on a terminal, a real one: `script` makes it, and types.

use crate::support::eventually;
use crate::support::process::EXIT_BOUND;
use crate::support::sidecar::{ROLE_BOUND, Spec};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use tempfile::TempDir;

/// The process id of an application's sidecar, as a shell that is the application finds it.
const SIDECAR: &str = "$(ps -o ppid= -p $PPID)";

/// A sidecar at a terminal, which runs a shell script.
struct Session {
    script: Child,
    keyboard: ChildStdin,
    directory: TempDir,
}

impl Session {
    /// The sidecar is started by a shell without job control, in the foreground.
    fn start(application: &str) -> Session {
        Session::start_in(application, "", "")
    }

    /// `before` and `after` stand around the sidecar's command in that shell.
    ///
    /// It stays until [`Session::exit_code`]: when the shell has ended, `script` waits ten milliseconds for what the kernel
    /// has still to pass on to it, and on a busy machine that is not enough.
    fn start_in(application: &str, before: &str, after: &str) -> Session {
        let start =
            |sidecar: &str| format!("{before} {sidecar} {after}; code=$?; read end; exit $code");
        Session::of(application, start, &[])
    }

    /// What the terminal's shell is to run, made of the sidecar's command; and variables that it has.
    fn of(
        application: &str,
        command: impl Fn(&str) -> String,
        environment: &[(&str, &str)],
    ) -> Session {
        let directory = TempDir::new().unwrap();
        let config = directory.path().join("tenure.yaml");
        let yaml = Spec::on_files("a", directory.path())
            .http("api: \"127.0.0.1:0\", probes: \"127.0.0.1:0\"")
            .yaml(0, 0);
        fs::write(&config, yaml).unwrap();
        fs::write(directory.path().join("application"), application).unwrap();
        let tenure = env!("CARGO_BIN_EXE_tenure");
        let sidecar = format!("{tenure} exec --config tenure.yaml -- bash application");
        let mut script = Command::new("script")
            .args(["--quiet", "--flush", "--return", "--command"])
            .arg(command(&sidecar))
            .arg("/dev/null")
            // What it runs the command with.
            .env("SHELL", "/bin/bash")
            .envs(environment.iter().copied())
            .current_dir(&directory)
            .stdin(Stdio::piped())
            .stdout(fs::File::create(directory.path().join("screen")).unwrap())
            .spawn()
            .expect("script is part of every Debian; install bsdutils or util-linux");
        Session {
            keyboard: script.stdin.take().unwrap(),
            script,
            directory,
        }
    }

    fn screen(&self) -> PathBuf {
        self.directory.path().join("screen")
    }

    fn type_in(&mut self, text: &[u8]) {
        self.keyboard.write_all(text).unwrap();
    }

    #[track_caller]
    fn see(&self, text: &str) {
        eventually(text, ROLE_BOUND, || {
            let screen = fs::read(self.screen()).unwrap();
            String::from_utf8_lossy(&screen)
                .contains(text)
                .then_some(())
        });
    }

    #[track_caller]
    fn exit_code(&mut self) -> Option<i32> {
        self.type_in(b"\n");
        eventually("its end", EXIT_BOUND, || self.script.try_wait().unwrap()).code()
    }
}

impl Drop for Session {
    #[expect(clippy::print_stderr, reason = "libtest shows it where a test fails")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let screen = fs::read(self.screen()).unwrap_or_default();
            let end = self.script.try_wait();
            let screen = String::from_utf8_lossy(&screen).into_owned();
            eprintln!("ended: {end:?}; the screen:\n{screen}");
        }
        // The terminal hangs up on whoever is left.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

#[test]
fn the_command_reads_what_is_typed() {
    let mut session = Session::start("echo ready; read line; echo \"got <$line>\"; exit 7");
    session.see("ready");
    session.type_in(b"three words here\n");
    session.see("got <three words here>");
    assert_eq!(session.exit_code(), Some(7));
}

#[test]
fn what_is_typed_to_interrupt_reaches_the_command() {
    let mut session = Session::start(
        "trap 'echo interrupted; exit 7' INT; echo ready; while :; do sleep 0.01; done",
    );
    session.see("ready");
    session.type_in(b"\x03");
    session.see("interrupted");
    assert_eq!(session.exit_code(), Some(7));
}

#[test]
fn a_command_that_is_suspended_goes_on() {
    let mut session = Session::start("echo ready; read line; echo \"got <$line>\"");
    session.see("ready");
    session.type_in(b"\x1a");
    session.type_in(b"after\n");
    session.see("got <after>");
    assert_eq!(session.exit_code(), Some(0));
}

#[test]
fn the_terminal_is_given_back_as_it_was() {
    let mut session = Session::start_in(
        "stty -echo -icanon; echo ready; read line",
        "",
        "; stty -a; read line; echo \"shell got <$line>\"",
    );
    session.see("ready");
    session.type_in(b"end\n");
    session.see(" icanon");
    session.see(" echo ");
    session.type_in(b"mine\n");
    session.see("shell got <mine>");
}

#[test]
fn the_terminal_is_taken_back_from_a_job_that_was_killed_with_its_command() {
    let mut session = Session::start_in(
        "trap '' TERM; set -m; (echo ready; read line; echo \"job got <$line>\"; read line)",
        "timeout --foreground 4",
        "; read line; echo \"shell got <$line>\"",
    );
    session.see("ready");
    session.type_in(b"one\n");
    session.see("job got <one>");
    session.see("stopping");
    session.see("stopped");
    session.type_in(b"two\n");
    session.see("shell got <two>");
}

#[test]
fn in_a_pipeline_the_terminal_stays_with_the_sidecar_and_what_is_typed_stops_it_in_order() {
    let application =
        "trap 'echo asked to stop; exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    let mut session = Session::start_in(application, "set -o pipefail;", "| (trap '' INT; cat)");
    session.see("ready");
    session.type_in(b"\x03");
    session.see("asked to stop");
}

#[test]
fn a_sidecar_goes_on_writing_to_a_terminal_that_is_lent() {
    let application =
        format!("trap '' HUP; stty tostop; echo ready; read line; kill -HUP {SIDECAR}; read line");
    let mut session = Session::start(&application);
    session.see("ready");
    session.type_in(b"now\n");
    session.see("log level reread");
    session.type_in(b"end\n");
    session.see("stopped");
    assert_eq!(session.exit_code(), Some(0));
}

#[test]
fn a_sidecar_that_is_brought_to_the_foreground_lends_the_terminal_then() {
    let application = "echo ready; read line; echo \"got <$line>\"";
    let interactive = |_: &str| "bash --norc -i".to_owned();
    let mut session = Session::of(application, interactive, &[("PS1", "")]);
    let tenure = env!("CARGO_BIN_EXE_tenure");
    let line = format!("{tenure} exec --config tenure.yaml -- bash application &\n");
    session.type_in(line.as_bytes());
    session.see("ready");
    session.type_in(b"fg\n");
    session.type_in(b"words\n");
    session.see("got <words>");
}

#[test]
fn a_sidecar_that_was_stopped_lends_the_terminal_again_when_it_goes_on_in_the_foreground() {
    // Who has begun to read gets what is typed, whoever has the terminal by then.
    let application = format!(
        "kill -STOP {SIDECAR}; until [ -e go ]; do sleep 0.01; done; read line; echo \"got <$line>\""
    );
    let interactive = |_: &str| "bash --norc -i".to_owned();
    let mut session = Session::of(&application, interactive, &[("PS1", "")]);
    let tenure = env!("CARGO_BIN_EXE_tenure");
    let line = format!("{tenure} exec --config tenure.yaml -- bash application\n");
    session.type_in(line.as_bytes());
    session.see("Stopped");
    session.type_in(b"fg\n");
    fs::write(session.directory.path().join("go"), "").unwrap();
    session.type_in(b"words\n");
    session.see("got <words>");
}

#[test]
fn the_terminal_is_lent_also_where_what_is_printed_goes_to_a_file() {
    let application = "echo ready >&2; read line; echo \"got <$line>\" >&2";
    let mut session = Session::start_in(application, "", "> printed");
    session.see("ready");
    session.type_in(b"words\n");
    session.see("got <words>");
    assert_eq!(session.exit_code(), Some(0));
}

#[test]
fn the_terminal_is_lent_by_the_next_one_where_the_former_was_killed_and_could_not_give_it_back() {
    let application = format!(
        "if mkdir first; then kill -KILL {SIDECAR}; fi; echo ready; read line; echo \"got <$line>\""
    );
    let mut session = Session::of(&application, |sidecar| format!("{sidecar}; {sidecar}"), &[]);
    session.see("ready");
    session.type_in(b"words\n");
    session.see("got <words>");
}
