//! What a run says: `report.md`, and `report.svg` beside it.

use crate::figures::{Rounds, Spread, Unit};
use crate::machine::Machine;
use crate::picture;
use crate::programs::output_directory;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// What one scenario says.
pub(crate) struct Section {
    pub(crate) markdown: String,
    pub(crate) bars: Vec<Bar>,
}

/// A measure of one competitor for the picture, in milliseconds.
pub(crate) struct Bar {
    pub(crate) measure: &'static str,
    pub(crate) who: String,
    pub(crate) spread: Spread,
}

impl Section {
    /// `how` says what was measured, and how.
    pub(crate) fn titled(title: &str, how: &str) -> Section {
        Section {
            markdown: format!("## {title}\n\n{how}\n"),
            bars: Vec::new(),
        }
    }

    pub(crate) fn failed(name: &str) -> Section {
        Section::titled(name, "**This scenario failed: nothing was measured.**")
    }

    pub(crate) fn say(&mut self, prose: &str) {
        let _ = writeln!(self.markdown, "\n{prose}");
    }

    pub(crate) fn compare(&mut self, what: &str, unit: Unit, rounds: &Rounds) {
        let _ = write!(self.markdown, "\n{}", rounds.table(what, unit));
    }

    /// Rows of a table of any form, the first of them its head.
    pub(crate) fn table(&mut self, rows: &[Vec<String>]) {
        self.markdown.push('\n');
        for (number, row) in rows.iter().enumerate() {
            let _ = writeln!(self.markdown, "| {} |", row.join(" | "));
            if number == 0 {
                let _ = writeln!(self.markdown, "|---|{}", "---:|".repeat(row.len() - 1));
            }
        }
    }

    /// Puts a measure, in milliseconds, into the picture.
    pub(crate) fn picture(&mut self, measure: &'static str, rounds: &Rounds) {
        for (who, spread) in rounds.spreads() {
            let bar = spread.map(|spread| Bar {
                measure,
                who: who.to_owned(),
                spread,
            });
            self.bars.extend(bar);
        }
    }
}

/// Writes both files.
pub(crate) fn write(machine: &Machine, is_quick: bool, sections: &[Section]) {
    let mut text = "# tenure beside its peers\n\n`make bench` writes this page; \
        [`benches/peers`](peers) says how. In every table the competitors were measured in the same run, turn by turn \
        or side by side. A ratio is the median of the ratios within rounds. **tenure**: the sidecar's release build, \
        asked at its `/leader` on `http.probes`. **go**: [a program](peers/go/main.go) on etcd's `clientv3/concurrency`. \
        **etcdctl**: etcd's own command line; `elect` has a ttl of 60 s that can't be set, so where the ttl matters \
        `lock`, the same recipe, stands for it.\n\n![hand-over, takeover, answers lost, outage](report.svg)\n\n"
        .to_owned();
    if is_quick {
        text += "**A quick run: fewer rounds, shorter waits. Not for publication.**\n\n";
    }
    text += "| | |\n|---|---|\n";
    for (what, value) in &machine.rows {
        let _ = writeln!(text, "| {what} | {value} |");
    }
    for section in sections {
        let _ = write!(text, "\n{}", section.markdown);
    }
    let bars = sections.iter().flat_map(|section| &section.bars);
    let directory = output_directory();
    fs::write(directory.join("report.md"), text).unwrap();
    fs::write(
        directory.join("report.svg"),
        picture::draw(&bars.collect::<Vec<_>>()),
    )
    .unwrap();
}

/// Copies both to where they are kept.
pub(crate) fn publish() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
    for name in ["report.md", "report.svg"] {
        fs::copy(output_directory().join(name), kept.join(name)).unwrap();
    }
}
