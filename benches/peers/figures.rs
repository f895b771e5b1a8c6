//! Medians, ranges, and ratios within rounds.

use std::fmt::Write;
use std::time::Duration;
use tenure::election::Time;

/// Milliseconds from one moment to another; negative where that was before.
pub(crate) fn millis_between(from: Time, to: Time) -> f64 {
    (to.as_nanos() as f64 - from.as_nanos() as f64) / 1e6
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// How figures are written.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Millis,
    /// With this name behind them.
    Plain(&'static str),
}

impl Unit {
    pub(crate) fn write(self, value: f64) -> String {
        match self {
            Unit::Millis if value.abs() >= 1e3 => format!("{:.2} s", value / 1e3),
            Unit::Millis if value.abs() >= 100.0 => format!("{value:.0} ms"),
            Unit::Millis if value.abs() >= 10.0 => format!("{value:.1} ms"),
            Unit::Millis => format!("{value:.2} ms"),
            Unit::Plain(name) => format!("{} {name}", plain(value)).trim_end().to_owned(),
        }
    }
}

/// Whole, or three figures that count.
fn plain(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || size.fract() == 0.0 => thousands(value.round() as i64),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn thousands(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0 { format!("-{text}") } else { text }
}

/// What was measured of one competitor.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) count: usize,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let count = values.len();
        let (min, max) = (*values.first()?, *values.last()?);
        let median = (values[(count - 1) / 2] + values[count / 2]) / 2.0;
        Some(Spread {
            median,
            min,
            max,
            count,
        })
    }

    /// The median, and the range where it is one.
    pub(crate) fn write(self, unit: Unit) -> String {
        let median = unit.write(self.median);
        if self.min == self.max {
            return median;
        }
        format!(
            "{median} ({}–{})",
            unit.write(self.min),
            unit.write(self.max)
        )
    }
}

/// One measure of all competitors, round by round. The first of them is what the others are compared with.
pub(crate) struct Rounds {
    names: Vec<String>,
    rounds: Vec<Vec<Option<f64>>>,
}

impl Rounds {
    pub(crate) fn of(names: &[&str]) -> Rounds {
        Rounds {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            rounds: Vec::new(),
        }
    }

    /// In the order of the names; none where it was not to be measured.
    pub(crate) fn push(&mut self, round: Vec<Option<f64>>) {
        assert_eq!(round.len(), self.names.len());
        self.rounds.push(round);
    }

    pub(crate) fn spreads(&self) -> impl Iterator<Item = (&str, Option<Spread>)> {
        self.names.iter().enumerate().map(|(who, name)| {
            let values = self.rounds.iter().filter_map(|round| round[who]);
            (name.as_str(), Spread::of(values))
        })
    }

    /// As Markdown.
    pub(crate) fn table(&self, what: &str, unit: Unit) -> String {
        let mut table = format!(
            "| {what} | median | min | max | n | against {}, pair by pair |\n|---|---:|---:|---:|---:|---:|\n",
            self.names[0]
        );
        for (who, (name, spread)) in self.spreads().enumerate() {
            let Some(spread) = spread else {
                let _ = writeln!(table, "| {name} | not measured | | | 0 | |");
                continue;
            };
            let [median, min, max] = [spread.median, spread.min, spread.max].map(|v| unit.write(v));
            let ratio = match self.ratio(who) {
                Some(ratio) if who > 0 => format!("× {ratio:.2}"),
                _ => String::new(),
            };
            let count = spread.count;
            let _ = writeln!(
                table,
                "| {name} | {median} | {min} | {max} | {count} | {ratio} |"
            );
        }
        table
    }

    /// The median of its ratios to the first in the same round.
    fn ratio(&self, who: usize) -> Option<f64> {
        let ratios = self.rounds.iter().filter_map(|round| {
            let (first, own) = (round[0]?, round[who]?);
            (first > 0.0 && own > 0.0).then(|| own / first)
        });
        Some(Spread::of(ratios)?.median)
    }
}
