//! The metrics that every Prometheus client has of its own process, read from `/proc`.
//!
//! What can't be read is left out: a scrape without it is better than none.

use super::counters;
use super::gauges::{family, gauge};
use prometheus::proto::{Counter, Metric, MetricFamily};
use rustix::process::{Resource, getrlimit};
use std::fs;

/// In how many ticks `/proc` counts a second, on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// When the process started, in seconds since 1970.
pub(super) fn started() -> Option<f64> {
    let boot = number_after(&fs::read_to_string("/proc/stat").ok()?, "btime ")?;
    let stat = Stat::parse(&fs::read_to_string("/proc/self/stat").ok()?)?;
    Some(boot + stat.started_after_boot)
}

/// All of them, as of now.
pub(super) fn families(started: Option<f64>) -> Vec<MetricFamily> {
    let stat = fs::read_to_string("/proc/self/stat").ok();
    let stat = stat.as_deref().and_then(Stat::parse);
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = |key| number_after(&status, key).map(|number| number * 1024.0);
    // The directory that is being read is open as well.
    let open_fds = fs::read_dir("/proc/self/fd").map(|fds| fds.count().saturating_sub(1) as f64);
    let max_fds = getrlimit(Resource::Nofile).current;
    let cpu = stat.map(|stat| {
        let mut counter = Counter::default();
        counter.set_value(stat.cpu_seconds);
        let mut metric = Metric::default();
        metric.set_counter(counter);
        let help = "User and system CPU time spent.";
        counters::family("process_cpu_seconds_total", help, vec![metric])
    });
    let single = |name, help, value: Option<f64>| {
        value.map(|value| family(name, help, vec![gauge(&[], value)]))
    };
    [
        cpu,
        single("process_open_fds", "Open file descriptors.", open_fds.ok()),
        single(
            "process_max_fds",
            "How many file descriptors may be open.",
            max_fds.map(|max| max as f64),
        ),
        single(
            "process_virtual_memory_bytes",
            "Virtual memory.",
            kilobytes("VmSize:"),
        ),
        single(
            "process_resident_memory_bytes",
            "Resident memory.",
            kilobytes("VmRSS:"),
        ),
        single(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970.",
            started,
        ),
        single(
            "process_threads",
            "Threads.",
            number_after(&status, "Threads:"),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What is of interest in `/proc/self/stat`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    started_after_boot: f64,
}

impl Stat {
    fn parse(line: &str) -> Option<Stat> {
        // The second field is the program's name in parentheses, and may hold anything.
        let (_, rest) = line.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // Counted from 1 in the manual, where the first of `rest` is number 3.
        let seconds = |number: usize| -> Option<f64> {
            let ticks: f64 = fields.get(number - 3)?.parse().ok()?;
            Some(ticks / TICKS_PER_SECOND)
        };
        Some(Stat {
            cpu_seconds: seconds(14)? + seconds(15)?,
            started_after_boot: seconds(22)?,
        })
    }
}

/// The number that follows `key` at the start of a line.
fn number_after(text: &str, key: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_whose_name_looks_like_fields_is_still_read_right() {
        let line =
            "7 (a) S 1 (b) S 1 7 7 0 -1 4194304 200 0 0 0 150 27 0 0 20 0 4 0 98765 1000 300 0";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(stat.cpu_seconds, 1.77);
        assert_eq!(stat.started_after_boot, 987.65);
    }

    #[test]
    fn the_process_started_in_the_past_and_not_long_ago() {
        let now = crate::clock::date()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs_f64();
        let started = started().unwrap();
        assert!(started < now + 2.0 && now - started < 86_400.0, "{started}");
    }

    #[test]
    fn all_seven_can_be_read_of_this_process() {
        assert_eq!(families(started()).len(), 7);
    }
}
