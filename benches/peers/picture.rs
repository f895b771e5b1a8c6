//! The picture: for each measure a group of lanes, in each lane a competitor's range and median, on one logarithmic
//! axis of time. It has no background, and its colours follow the reader's light or dark theme.

use crate::figures::Unit;
use crate::report::Bar;
use std::fmt::Write;

const LEFT: f64 = 210.0;
const AXIS: f64 = 470.0;
const WIDTH: f64 = LEFT + AXIS + 90.0;
const TOP: f64 = 46.0;
const LANE: f64 = 18.0;
const GAP: f64 = 16.0;

const STYLE: &str = "<style>
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.head { font-weight: 600 }
.faint { fill: #59636e }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.own { fill: #0969da }
.peer { fill: #8c6a3f }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.faint { fill: #9198a1 }
.grid { stroke: #3d444d }
.own { fill: #58a6ff }
.peer { fill: #d1a867 }
}
</style>";

/// As SVG. Bars of one measure follow each other.
pub(crate) fn draw(bars: &[&Bar]) -> String {
    let groups: Vec<&[&Bar]> = bars.chunk_by(|a, b| a.measure == b.measure).collect();
    let height = TOP + groups.len() as f64 * GAP + bars.len() as f64 * LANE + 8.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\">\n{STYLE}\n\
         <text x=\"8\" y=\"16\" class=\"faint\">How long it takes: median (dot) and range (line), less is better. Each step is ten times as long.</text>\n"
    );
    let axis = Axis::over(bars);
    axis.draw(&mut svg, height);
    let mut y = TOP + GAP;
    for group in groups {
        let _ = writeln!(
            svg,
            "<text x=\"8\" y=\"{:.0}\" class=\"head\">{}</text>",
            y + 4.0,
            group[0].measure
        );
        for bar in group {
            lane(&mut svg, &axis, bar, y);
            y += LANE;
        }
        y += GAP;
    }
    svg + "</svg>\n"
}

/// Whole decades of milliseconds.
struct Axis {
    from: i32,
    until: i32,
}

impl Axis {
    fn over(bars: &[&Bar]) -> Axis {
        let decade = |value: f64| value.max(0.1).log10();
        let least = bars.iter().map(|bar| decade(bar.spread.min));
        let most = bars.iter().map(|bar| decade(bar.spread.max));
        let from = least.fold(0.0, f64::min).floor() as i32;
        let until = most.fold(1.0, f64::max).ceil() as i32;
        Axis { from, until }
    }

    fn x(&self, millis: f64) -> f64 {
        let lowest = f64::from(self.from);
        let decade = millis.max(0.1).log10().max(lowest) - lowest;
        LEFT + decade / f64::from(self.until - self.from) * AXIS
    }

    fn draw(&self, svg: &mut String, height: f64) {
        for decade in self.from..=self.until {
            let millis = 10_f64.powi(decade);
            let label = match decade {
                ..=-1 => format!("{millis} ms"),
                0..=2 => format!("{millis:.0} ms"),
                3.. => format!("{:.0} s", millis / 1e3),
            };
            let x = self.x(millis);
            let _ = writeln!(
                svg,
                "<path d=\"M{x:.1} {TOP}V{:.0}\" class=\"grid\"/>\
                 <text x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"middle\" class=\"faint\">{label}</text>",
                height - 6.0,
                TOP - 6.0
            );
        }
    }
}

fn lane(svg: &mut String, axis: &Axis, bar: &Bar, y: f64) {
    let [min, median, max] =
        [bar.spread.min, bar.spread.median, bar.spread.max].map(|millis| axis.x(millis));
    let class = if bar.who.starts_with("tenure") {
        "own"
    } else {
        "peer"
    };
    let _ = writeln!(
        svg,
        "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
         <rect x=\"{min:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"3\" class=\"{class}\" opacity=\"0.55\"/>\
         <circle cx=\"{median:.1}\" cy=\"{y:.1}\" r=\"4.5\" class=\"{class}\"/>\
         <text x=\"{:.1}\" y=\"{:.0}\">{}</text>",
        LEFT - 12.0,
        y + 4.0,
        bar.who,
        y - 1.5,
        (max - min).max(1.0),
        max + 9.0,
        y + 4.0,
        Unit::Millis.write(bar.spread.median)
    );
}
