//! The shim: becomes the application, once it is certain that it can't outlive its guardian.
//!
//! What it asks of the kernel holds for the process, not for the program, and so survives the exec.

use super::find::FindError;
use super::terminal;
use crate::clock;
use crate::election::Time;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What the shim is told on its command line.
#[derive(Clone, Debug)]
pub struct Guarded {
    /// The application's command line.
    pub command: Vec<OsString>,
    /// The guardian's process id.
    pub guardian: i32,
    /// When the application may no longer be started.
    pub start_before: Time,
    /// The process group that lends it the terminal at its standard input, if one does.
    pub takes_terminal_of: Option<i32>,
}

impl Guarded {
    /// The command line, as `tenure guarded` takes it.
    pub(super) fn to_args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec![
            "guarded".into(),
            format!("--guardian={}", self.guardian).into(),
            format!("--start-before={}", self.start_before.as_nanos()).into(),
        ];
        if let Some(lender) = self.takes_terminal_of {
            args.push(format!("--takes-terminal-of={lender}").into());
        }
        args.push("--".into());
        args.extend(self.command.iter().cloned());
        args
    }
}

/// The shim's main. It returns only where it could not become the application, with its exit status.
pub fn guarded(args: &Guarded) -> u8 {
    let (error, code) = become_application(args);
    let _ = terminal::from_background(|| writeln!(io::stderr(), "tenure: {error}"));
    code
}

fn become_application(args: &Guarded) -> (String, u8) {
    const FAILED: u8 = 1;
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return (
            format!("can't bind the application's life: {error}"),
            FAILED,
        );
    }
    // The guardian may have been gone before.
    if getppid().map(Pid::as_raw_pid) != Some(args.guardian) {
        return (
            "the application was not started: its guardian is gone".to_owned(),
            FAILED,
        );
    }
    if let Some(lender) = args.takes_terminal_of.and_then(Pid::from_raw) {
        terminal::take(lender);
    }
    if clock::now() >= args.start_before {
        return (
            "the application was not started: its time had passed".to_owned(),
            FAILED,
        );
    }
    let Some((program, rest)) = args.command.split_first() else {
        return ("no command is given; add one after --".to_owned(), FAILED);
    };
    let error = Command::new(program).args(rest).exec();
    let error = FindError::new(program, &error);
    (error.to_string(), error.exit_code())
}
