//! Benchmark: tenure beside what people use instead, on the same etcd, in the same run.
//!
//! ```sh
//! make bench                                                 # all of it, about 15 minutes
//! cargo bench --bench peers -- [--quick] [--publish] [SCENARIO…]
//! ```
//! A scenario is named as its file, or `speed`, `safety` or `many` for a group of them. Competitors take turns
//! round by round (A B C A B C…), or run side by side where all they do is wait; ratios are taken within a round,
//! and the median of them is told. Writes `target/bench/report.md` and `report.svg`; `--publish` copies both
//! to `benches/`, unless something was left out or failed. `TENURE_BIN` names the binary to measure;
//! without it the release is built first.

#![allow(
    clippy::unwrap_used,
    reason = "a measurement that can't be made ends its scenario"
)]

#[path = "../../tests/support/mod.rs"]
mod support;

mod contender;
mod figures;
mod keys;
mod lanes;
mod machine;
mod picture;
mod proc;
mod programs;
mod report;
mod sampler;
mod scrape;

mod answers_lost;
mod crash;
mod footprint;
mod freeze;
mod frozen_waiter;
mod handover;
mod http;
mod late_answers;
mod many;
mod outage;
mod partition;
mod queue;
mod silence;
mod start;

use report::Section;
use std::panic::catch_unwind;
use std::process::ExitCode;
use tenure::clock;

/// How thorough a run is.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    is_quick: bool,
}

impl Effort {
    /// So many in full, so many to see whether it works.
    pub(crate) fn of<T>(self, full: T, quick: T) -> T {
        if self.is_quick { quick } else { full }
    }
}

struct Scenario {
    group: &'static str,
    name: &'static str,
    run: fn(Effort) -> Section,
}

const fn scenario(group: &'static str, name: &'static str, run: fn(Effort) -> Section) -> Scenario {
    Scenario { group, name, run }
}

const SCENARIOS: [Scenario; 13] = [
    scenario("speed", "start", start::run),
    scenario("speed", "handover", handover::run),
    scenario("speed", "crash", crash::run),
    scenario("speed", "answers_lost", answers_lost::run),
    scenario("speed", "outage", outage::run),
    scenario("speed", "footprint", footprint::run),
    scenario("speed", "queue", queue::run),
    scenario("speed", "http", http::run),
    scenario("safety", "freeze", freeze::run),
    scenario("safety", "silence", silence::run),
    scenario("safety", "late_answers", late_answers::run),
    scenario("safety", "frozen_waiter", frozen_waiter::run),
    scenario("many", "many", many::run),
];

fn main() -> ExitCode {
    let (flags, names): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    let has = |flag: &str| flags.iter().any(|given| given == flag);
    let known = ["--bench", "--quick", "--publish"];
    let is_known = |name: &str| SCENARIOS.iter().any(|one| one.is_called(name));
    let unknown_flag = flags.iter().find(|flag| !known.contains(&flag.as_str()));
    if let Some(unknown) = unknown_flag.or(names.iter().find(|name| !is_known(name))) {
        let all = SCENARIOS.map(|one| one.name).join(" ");
        println!("{unknown}: unknown; [--quick] [--publish] [speed] [safety] [many] [{all}]");
        return ExitCode::from(2);
    }

    if has("--publish") && (has("--quick") || !names.is_empty()) {
        println!("--publish: only of all scenarios, in full");
        return ExitCode::from(2);
    }

    let effort = Effort {
        is_quick: has("--quick"),
    };
    let load = machine::load();
    programs::build_tenure();
    programs::build_go();
    let machine = machine::prepare(&load);
    let chosen = SCENARIOS
        .iter()
        .filter(|one| names.is_empty() || names.iter().any(|name| one.is_called(name)));
    let (mut sections, mut failed) = (Vec::new(), false);
    for one in chosen {
        println!("== {}", one.name);
        let began = clock::now();
        let section = catch_unwind(|| (one.run)(effort)).unwrap_or_else(|_| {
            failed = true;
            Section::failed(one.name)
        });
        println!("{}", section.markdown);
        println!("({:.0} s)\n", clock::now().since(began).as_secs_f64());
        sections.push(section);
        // After each, so that a run cut short leaves what it has measured.
        report::write(&machine, effort.is_quick, &sections);
    }
    if has("--publish") && !failed {
        report::publish();
    }
    ExitCode::from(u8::from(failed))
}

impl Scenario {
    fn is_called(&self, name: &str) -> bool {
        name == self.name || name == self.group
    }
}
