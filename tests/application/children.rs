//! The children of a process, in which nobody else may wait for any.

use crate::support::{eventually, ms};
use rustix::process::{Pid, Signal, getpid};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;
use tenure::application::Children;

const BOUND: Duration = ms(20_000);

#[test]
fn who_starts_a_child_learns_of_its_end_and_orphans_are_waited_for() {
    let mut parent = Command::new(std::env::current_exe().unwrap());
    parent.args(["--exact", "parent", "--ignored"]);
    let output = parent.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

pub(crate) fn parent() {
    let children = Children::start().unwrap();
    each_learns_of_its_own(&children);
    what_is_not_there_is_an_error(&children);
    a_signal_reaches_the_group(&children);
    eventually("no child to be left", BOUND, || {
        let list = format!("/proc/self/task/{}/children", getpid().as_raw_pid());
        fs::read_to_string(list).unwrap().is_empty().then_some(())
    });
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).stdout(Stdio::piped());
    command
}

fn each_learns_of_its_own(children: &Children) {
    thread::scope(|scope| {
        for first in [0, 50, 100, 150] {
            scope.spawn(move || {
                for code in first..first + 25 {
                    // Each leaves an orphan, too.
                    let script = format!("(true &) ; exit {code}");
                    let child = children.spawn(&mut shell(&script)).unwrap();
                    assert_eq!(child.status.blocking_recv().unwrap().code(), Some(code));
                }
            });
        }
    });
}

fn what_is_not_there_is_an_error(children: &Children) {
    for _ in 0..25 {
        let error = children.spawn(&mut Command::new("/nowhere/absent"));
        assert_eq!(error.unwrap_err().kind(), std::io::ErrorKind::NotFound);
    }
}

fn a_signal_reaches_the_group(children: &Children) {
    let mut child = children
        .spawn(&mut shell("sleep 1000 & echo $!; wait"))
        .unwrap();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    let below = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
    child.signal(Signal::TERM);
    let status = eventually("its end", BOUND, || child.status.try_recv().ok());
    assert_eq!(status.signal(), Some(Signal::TERM.as_raw()));
    crate::stage::wait_gone(below);
    // It has ended: its id may be another's by now.
    child.signal(Signal::KILL);
}
