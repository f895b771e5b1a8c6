//! On what was measured.

use crate::programs::tenure;
use crate::support::process::run;
use std::fs;
use std::path::Path;
use std::process::Command;
use tenure::clock;

/// What the report says of the machine, as rows of a table.
pub(crate) struct Machine {
    pub(crate) rows: Vec<(&'static str, String)>,
}

/// What else keeps the machine busy, on average over the last minute. To be asked before anything is built.
pub(crate) fn load() -> String {
    first_word("/proc/loadavg")
}

/// Puts etcd's data, and all else that is temporary, on a tmpfs where there is one; tells where they are.
pub(crate) fn prepare(load: &str) -> Machine {
    let memory = Path::new("/dev/shm");
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let is_tmpfs = mounts
        .lines()
        .any(|line| line.split(' ').skip(1).take(2).eq(["/dev/shm", "tmpfs"]));
    let data = if is_tmpfs && tempfile::env::override_temp_dir(memory).is_ok() {
        "on a tmpfs, so that no disk is measured".to_owned()
    } else {
        format!(
            "in {}: its disk is measured too",
            std::env::temp_dir().display()
        )
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let date = humantime::format_rfc3339_seconds(clock::date()).to_string();
    Machine {
        rows: vec![
            ("date", date[..10].to_owned()),
            ("processor", format!("{cores} cores, {}", processor())),
            ("load before it began", format!("{load} in the last minute")),
            ("kernel", first_word("/proc/sys/kernel/osrelease")),
            ("tenure", first_line(tenure().arg("version"))),
            ("etcd", first_line(Command::new("etcd").arg("--version"))),
            ("etcd's data", data),
            ("network", "loopback".to_owned()),
        ],
    }
}

fn processor() -> String {
    let all = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = all.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split(": ").nth(1));
    model.unwrap_or("of unknown make").to_owned()
}

fn first_word(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn first_line(command: &mut Command) -> String {
    let output = run(command, "install it: .ci/install bench");
    output.stdout.lines().next().unwrap_or_default().to_owned()
}
