//! What the kernel says of a process.

use std::fs;
use std::time::Duration;

/// The CPU time of all its threads that still live.
pub(crate) fn cpu(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let nanos = threads.filter_map(|thread| {
        let schedstat = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        schedstat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// `VmRSS` or `RssAnon`, in MiB; or `Threads`.
pub(crate) fn status(pid: u32, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let mut words = line.unwrap().trim_start_matches(':').split_whitespace();
    let value: f64 = words.next().unwrap().parse().unwrap();
    match words.next() {
        Some("kB") => value / 1024.0,
        _ => value,
    }
}

/// How many files and sockets it has open.
pub(crate) fn open_files(pid: u32) -> f64 {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    files.count() as f64
}

/// The processes that it has started.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children
        .split_whitespace()
        .map(|child| child.parse().unwrap())
        .collect()
}
