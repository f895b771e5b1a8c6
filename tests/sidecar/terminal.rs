//! `tenure exec` on a terminal, a real one: `script` makes it, and types.

use crate::support::eventually;
use crate::support::process::EXIT_BOUND;
use crate::support::sidecar::{ROLE_BOUND, Spec};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use tempfile::TempDir;

/// A sidecar at a terminal, which runs a shell script.
struct Session {
    script: Child,
    keyboard: ChildStdin,
    directory: TempDir,
}

impl Session {
    fn start(application: &str) -> Session {
        Session::start_in(application, "")
    }

    /// `how` comes after the command of the sidecar, in the terminal's shell.
    fn start_in(application: &str, how: &str) -> Session {
        let directory = TempDir::new().unwrap();
        let config = directory.path().join("tenure.yaml");
        let yaml = Spec::on_files("a", directory.path())
            .http("api: \"127.0.0.1:0\", probes: \"127.0.0.1:0\"")
            .yaml(0, 0);
        fs::write(&config, yaml).unwrap();
        fs::write(directory.path().join("application"), application).unwrap();
        let command = format!(
            "cd {:?}; {} exec --config tenure.yaml -- sh application {how}",
            directory.path(),
            env!("CARGO_BIN_EXE_tenure"),
        );
        let mut script = Command::new("script")
            .args(["--quiet", "--flush", "--return", "--command", &command])
            .arg("/dev/null")
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
        eventually("its end", EXIT_BOUND, || self.script.try_wait().unwrap()).code()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
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
        "; stty -a; read line; echo \"shell got <$line>\"",
    );
    session.see("ready");
    session.type_in(b"end\n");
    session.see(" icanon");
    session.see(" echo ");
    session.type_in(b"mine\n");
    session.see("shell got <mine>");
}
