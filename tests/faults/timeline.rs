//! A picture of the history: a strip for each minute, in it a lane for each sidecar and each member.
//!
//! In a sidecar's lane: coloured where it claimed to lead, below that what befell its process, and
//! below that what befell its links. Triangles are what takes no time.

use super::record::{History, Target, name};
use super::schedule::{KINDS, Kind, MEMBERS, SIDECARS};
use std::fmt::Write;
use tenure::election::Time;

const SECONDS_PER_STRIP: f64 = 60.0;
const PIXELS_PER_SECOND: f64 = 20.0;
const LEFT: f64 = 70.0;
const WIDTH: f64 = LEFT + SECONDS_PER_STRIP * PIXELS_PER_SECOND + 20.0;
const LANE: f64 = 22.0;
const LANES: usize = SIDECARS + MEMBERS;
const STRIP: f64 = LANES as f64 * LANE + 34.0;
const TOP: f64 = 76.0;
const LEADERS: [&str; SIDECARS] = ["#2f7ed8", "#3fa34d", "#e08e0b", "#8e5bb5", "#c0417f"];

/// As SVG.
pub(crate) fn draw(history: &History) -> String {
    let strips = (history.seconds(history.ended) / SECONDS_PER_STRIP).ceil();
    let height = TOP + strips * STRIP;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    legend(&mut svg);
    for strip in 0..strips as usize {
        grid(&mut svg, strip);
    }
    let mut picture = Picture { history, svg };
    for period in &history.periods {
        let colour = LEADERS[period.who];
        let tip = format!("{} leads with token {}", name(period.who), period.token);
        picture.bar(
            period.who,
            (2.0, 10.0),
            (period.from, period.until),
            colour,
            &tip,
        );
    }
    for fault in &history.inflicted {
        let until = fault.until.unwrap_or(history.ended);
        let (lane, rows) = match fault.target {
            Target::Process(who) => (who, (12.0, 4.0)),
            Target::Links(who) => (who, (16.0, 4.0)),
            Target::Member(member) => (SIDECARS + member, (4.0, 12.0)),
            Target::Cluster => (SIDECARS, (0.0, 0.0)),
        };
        let tip = format!("{}. {} {}", fault.number, fault.kind.name(), fault.detail);
        let colour = colour(fault.kind);
        if is_instant(fault.kind) {
            picture.triangle(lane, fault.from, colour, &tip);
        } else {
            picture.bar(lane, rows, (fault.from, until), colour, &tip);
        }
    }
    picture.svg + "</svg>\n"
}

struct Picture<'a> {
    history: &'a History,
    svg: String,
}

impl Picture<'_> {
    /// Goes on in the next strip where it crosses the end of one.
    fn bar(&mut self, lane: usize, rows: (f64, f64), time: (Time, Time), colour: &str, tip: &str) {
        let (mut from, until) = (self.history.seconds(time.0), self.history.seconds(time.1));
        loop {
            let end = ((from / SECONDS_PER_STRIP).floor() + 1.0) * SECONDS_PER_STRIP;
            let (x, y) = place(lane, from);
            let width = ((until.min(end) - from) * PIXELS_PER_SECOND).max(1.0);
            let _ = writeln!(
                self.svg,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{}\" fill=\"{colour}\"><title>{tip}</title></rect>",
                y + rows.0,
                rows.1
            );
            if until <= end {
                return;
            }
            from = end;
        }
    }

    fn triangle(&mut self, lane: usize, time: Time, colour: &str, tip: &str) {
        let (x, y) = place(lane, self.history.seconds(time));
        let _ = writeln!(
            self.svg,
            "<path d=\"M{:.1} {:.1}h8l-4 9z\" fill=\"{colour}\" stroke=\"white\" stroke-width=\"0.6\"><title>{tip}</title></path>",
            x - 4.0,
            y + 1.0
        );
    }
}

fn place(lane: usize, seconds: f64) -> (f64, f64) {
    let strip = (seconds / SECONDS_PER_STRIP).floor();
    let x = LEFT + (seconds - strip * SECONDS_PER_STRIP) * PIXELS_PER_SECOND;
    (x, TOP + strip * STRIP + lane as f64 * LANE)
}

fn grid(svg: &mut String, strip: usize) {
    let begins = strip as f64 * SECONDS_PER_STRIP;
    for lane in 0..LANES {
        let (x, y) = place(lane, begins);
        let label = match lane.checked_sub(SIDECARS) {
            None => name(lane).to_string(),
            Some(member) => format!("member{member}"),
        };
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" fill=\"#f4f4f4\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{label}</text>",
            SECONDS_PER_STRIP * PIXELS_PER_SECOND,
            LANE - 2.0,
            x - 6.0,
            y + 13.0
        );
    }
    for tenth in 0..6 {
        let seconds = begins + f64::from(tenth) * 10.0;
        let (x, y) = place(LANES, seconds);
        let _ = writeln!(
            svg,
            "<path d=\"M{x} {y}v-{}\" stroke=\"#ccc\"/><text x=\"{x}\" y=\"{}\" fill=\"#555\">{seconds:.0} s</text>",
            LANES as f64 * LANE,
            y + 11.0
        );
    }
}

fn legend(svg: &mut String) {
    let _ = writeln!(
        svg,
        "<text x=\"8\" y=\"16\">Broad and coloured: claims to lead. Below: faults of the process, then of its links. Triangles: what takes no time.</text>"
    );
    for (i, (kind, kind_name, _)) in KINDS.iter().enumerate() {
        let (x, y) = (8 + i % 7 * 180, 26 + i / 7 * 18);
        let mark = if is_instant(*kind) {
            format!("M{} {y}h8l-4 9z", x + 2)
        } else {
            format!("M{x} {y}h12v9h-12z")
        };
        let _ = writeln!(
            svg,
            "<path d=\"{mark}\" fill=\"{}\"/><text x=\"{}\" y=\"{}\">{kind_name}</text>",
            colour(*kind),
            x + 17,
            y + 9
        );
    }
}

fn is_instant(kind: Kind) -> bool {
    use Kind::{DeleteKey, MoveRaftLeader, Resign, RevokeLease};
    matches!(kind, Resign | MoveRaftLeader | RevokeLease | DeleteKey)
}

fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::Freeze | Kind::FreezeMember => "#5ec6e8",
        Kind::Kill | Kind::KillMember => "#222222",
        Kind::Term => "#8a8a8a",
        Kind::Resign => "#3fa34d",
        Kind::LoseAnswers => "#e8a33d",
        Kind::LoseRequests => "#b87318",
        Kind::Cut => "#d62728",
        Kind::Silence | Kind::MuteMember => "#7b2d8b",
        Kind::Delay => "#e6cf3c",
        Kind::MoveRaftLeader => "#2f4b7c",
        Kind::RevokeLease => "#d62728",
        Kind::DeleteKey => "#222222",
    }
}
