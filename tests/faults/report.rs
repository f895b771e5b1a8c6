//! Writes what happened into `target/faults`: `history.jsonl`, `report.md` and `timeline.svg`.

use super::record::{History, Target, name};
use super::schedule::KINDS;
use super::timeline;
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tenure::election::Time;

/// Figures, of which some are asserted.
pub(crate) struct Figures {
    pub(crate) led: Duration,
    pub(crate) lasted: Duration,
    /// From when to when nobody led for longest.
    pub(crate) longest_without: (Time, Time),
    /// From the last claim of one to the first of the next, in order of length.
    pub(crate) takeovers: Vec<Duration>,
}

impl Figures {
    pub(crate) fn of(history: &History) -> Figures {
        let mut periods: Vec<_> = history.periods.iter().collect();
        periods.sort_by_key(|period| period.from);
        let mut led = Duration::ZERO;
        let mut longest_without = (history.began, history.began);
        let mut known_until = history.began;
        for period in periods {
            let (from, until) = longest_without;
            if period.from.since(known_until) > until.since(from) {
                longest_without = (known_until, period.from);
            }
            led += period.until.since(period.from.max(known_until));
            known_until = known_until.max(period.until);
        }
        let all: Vec<_> = history.leaderships.values().collect();
        let pairs = all.windows(2);
        let mut takeovers: Vec<_> = pairs
            .map(|pair| pair[1].first_answered.since(pair[0].last_asked))
            .collect();
        takeovers.sort();
        Figures {
            led,
            lasted: history.ended.since(history.began),
            longest_without,
            takeovers,
        }
    }

    pub(crate) fn share(&self) -> f64 {
        self.led.as_secs_f64() / self.lasted.as_secs_f64()
    }
}

/// Tells the report, which is on disk then.
pub(crate) fn write(history: &History, seed: u64) -> String {
    let directory = directory();
    fs::create_dir_all(&directory).unwrap();
    let report = report(history, seed);
    fs::write(directory.join("history.jsonl"), lines(history, seed)).unwrap();
    fs::write(directory.join("timeline.svg"), timeline::draw(history)).unwrap();
    fs::write(directory.join("report.md"), &report).unwrap();
    report
}

/// Cargo's target directory is the parent of the one that it gives to tests.
fn directory() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    target.unwrap().join("faults")
}

fn report(history: &History, seed: u64) -> String {
    let figures = Figures::of(history);
    let (from, until) = figures.longest_without;
    let claims: u64 = history.leaderships.values().map(|one| one.claims).sum();
    let seconds = |duration: Duration| format!("{:.2} s", duration.as_secs_f64());
    let takeover = |index: usize| figures.takeovers.get(index).copied().unwrap_or_default();
    let count = figures.takeovers.len();
    let overlaps = history.tampered_overlaps();
    let longest_overlap = overlaps.iter().max().copied().unwrap_or_default();
    let violations = history.violations();
    let faults = history.inflicted.len();
    let rows = [
        ("faults", faults.to_string()),
        (
            "passed over: nobody to strike",
            history.passed_over.to_string(),
        ),
        ("time", seconds(figures.lasted)),
        ("answers on probes", history.answers.to_string()),
        ("scrapes of the metrics", history.scrapes.to_string()),
        ("promises given on api", history.promises.to_string()),
        ("claims", claims.to_string()),
        ("leaderships", history.leaderships.len().to_string()),
        (
            "share of time with a leader",
            format!("{:.1} %", figures.share() * 100.0),
        ),
        ("longest time without one", seconds(until.since(from))),
        ("take-over, median", seconds(takeover(count / 2))),
        (
            "take-over, longest",
            seconds(takeover(count.saturating_sub(1))),
        ),
        (
            "leaders tampered with",
            history.tamperings.len().to_string(),
        ),
        (
            "of these, claiming beside the successor",
            overlaps.len().to_string(),
        ),
        ("for at most", seconds(longest_overlap)),
        ("violations", violations.len().to_string()),
    ];
    let mut report = format!(
        "# Real faults\n\n`TENURE_SEED={seed} TENURE_FAULTS={faults} cargo test --test faults -- --nocapture`\n\n| | |\n|---|---|\n"
    );
    for (what, figure) in rows {
        let _ = writeln!(report, "| {what} | {figure} |");
    }
    report += "\n| fault | times |\n|---|---|\n";
    for (kind, kind_name, _) in KINDS {
        let times = history.inflicted.iter().filter(|fault| fault.kind == kind);
        let _ = writeln!(report, "| {kind_name} | {} |", times.count());
    }
    report += "\nWhat ailed whom while nobody led for longest, in seconds:\n\n| from | to | |\n|---|---|---|\n";
    report += &row(history, from, Some(until), "**nobody leads**");
    for fault in &history.inflicted {
        if fault.from < until && fault.until.is_none_or(|healed| healed > from) {
            let what = format!(
                "{} {} {}",
                fault.kind.name(),
                target(fault.target),
                fault.detail
            );
            report += &row(history, fault.from, fault.until, &what);
        }
    }
    if !violations.is_empty() {
        report += "\nViolations:\n\n";
    }
    for violation in violations {
        let _ = writeln!(report, "- {violation}");
    }
    report
}

fn row(history: &History, from: Time, until: Option<Time>, what: &str) -> String {
    let until = until.unwrap_or(history.ended);
    let [from, until] = [from, until].map(|time| history.seconds(time));
    format!("| {from:.2} | {until:.2} | {what} |\n")
}

/// A line for the run, and one for each fault, tampering, claim period and violation, by time.
fn lines(history: &History, seed: u64) -> String {
    let at = |time: Time| (history.seconds(time) * 1_000.0).round() / 1_000.0;
    let mut lines: Vec<(Time, Value)> = Vec::new();
    for period in &history.periods {
        let line = json!({"what": "claims", "who": name(period.who).to_string(), "token": period.token,
            "from": at(period.from), "until": at(period.until), "answers": period.answers});
        lines.push((period.from, line));
    }
    for fault in &history.inflicted {
        let line = json!({"what": "fault", "number": fault.number, "kind": fault.kind.name(),
            "target": target(fault.target), "from": at(fault.from), "until": fault.until.map(at),
            "detail": fault.detail});
        lines.push((fault.from, line));
    }
    for tampering in &history.tamperings {
        let line = json!({"what": "tampering", "token": tampering.token, "from": at(tampering.tried_at),
            "until": at(tampering.done_at), "certain": tampering.is_certain});
        lines.push((tampering.tried_at, line));
    }
    lines.sort_by_key(|(time, _)| *time);
    let mut text = format!("{}\n", json!({"what": "run", "seed": seed}));
    for (_, line) in lines {
        let _ = writeln!(text, "{line}");
    }
    for violation in history.violations() {
        let _ = writeln!(text, "{}", json!({"what": "violation", "how": violation}));
    }
    text
}

fn target(target: Target) -> String {
    match target {
        Target::Process(who) => name(who).to_string(),
        Target::Links(who) => format!("links of {}", name(who)),
        Target::Member(member) => format!("member{member}"),
        Target::Cluster => "etcd".to_owned(),
    }
}
