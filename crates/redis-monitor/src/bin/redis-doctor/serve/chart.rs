//! A chart as SVG.

use crate::history::{Chart, Line, Unit};
use maud::{Markup, html};
use std::fmt::Write;

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 132.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 20.0;
/// As many lines as there are colours and dashes to tell them apart.
const LINES: usize = 6;
/// A chart has at least this width in seconds, so that the first minute does not run about.
const SHORTEST_S: f64 = 60.0;

/// The figure with its legend, which has the newest values as text.
pub(crate) fn figure(chart: &Chart) -> Markup {
    let frame = Frame::around(chart);
    let more = chart.lines.len().saturating_sub(LINES);
    html! {
        figure.chart id={ "chart-" (chart.id) } {
            figcaption { (chart.title) }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(said(chart)) {
                @for step in 0..=2 {
                    @let (value, y) = frame.grid(step);
                    line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y) y2=(y) {}
                    text x=(LEFT - 6.0) y=(y + 3.5) text-anchor="end" { (chart.unit.text(value)) }
                }
                text x=(LEFT) y=(HEIGHT - 5.0) { "−" (span(frame.seconds)) }
                text x=(WIDTH - RIGHT) y=(HEIGHT - 5.0) text-anchor="end" { "now" }
                @for (index, line) in chart.lines.iter().take(LINES).enumerate() {
                    path class={ "line l" (index) } d=(frame.path(line)) {}
                }
            }
            ul.legend {
                @for (index, line) in chart.lines.iter().take(LINES).enumerate() {
                    li {
                        svg.key viewBox="0 0 18 4" aria-hidden="true" { path class={ "line l" (index) } d="M0 2H18" {} }
                        bdi { (line.name) } " "
                        b { (line.newest().map_or("–".to_owned(), |value| chart.unit.text(value))) }
                    }
                }
                @if more > 0 { li { "and " (more) " more" } }
            }
        }
    }
}

/// The chart in a sentence.
fn said(chart: &Chart) -> String {
    let mut said = format!("{} over time.", chart.title);
    for line in chart.lines.iter().take(LINES) {
        let values = || line.values.iter().filter_map(|(_, value)| *value);
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
        let text = |value| chart.unit.text(value);
        if let Some(newest) = line.newest() {
            let name = &line.name;
            let _ = write!(said, " {name}: now {}, from {} to {}.", text(newest), text(low), text(high));
        }
    }
    said
}

fn span(seconds: f64) -> String {
    if seconds < 120.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}

/// What the axes span.
struct Frame {
    seconds: f64,
    top: f64,
}

impl Frame {
    fn around(chart: &Chart) -> Self {
        let points = || chart.lines.iter().flat_map(|line| &line.values);
        let seconds = points().map(|(at, _)| -at).fold(SHORTEST_S, f64::max);
        let highest = points().filter_map(|(_, value)| *value).fold(0.0, f64::max);
        Self { seconds, top: round_up(highest, chart.unit) }
    }

    /// The value and height of one of the three lines of the grid.
    fn grid(&self, step: u32) -> (f64, f64) {
        let value = self.top * f64::from(step) / 2.0;
        (value, self.y(value))
    }

    fn x(&self, at: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (1.0 + at / self.seconds)
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - value / self.top)
    }

    /// One stroke for each run of values without a gap.
    fn path(&self, line: &Line) -> String {
        let mut path = String::new();
        let mut pen = 'M';
        for (at, value) in &line.values {
            match value {
                Some(value) => {
                    let _ = write!(path, "{pen}{:.1} {:.1}", self.x(*at), self.y(*value));
                    // A run of one value is a dot: round ends show a stroke of no length.
                    if pen == 'M' {
                        path.push_str("h0");
                    }
                    pen = 'L';
                }
                None => pen = 'M',
            }
        }
        path
    }
}

/// The next of 2, 4, 10, 20, 40, 100 ..: half of each is a number for people, too.
fn round_up(highest: f64, unit: Unit) -> f64 {
    let least = if unit == Unit::Bytes { 1e6 } else { 2.0 };
    let highest = highest.max(least);
    let power = 10_f64.powf(highest.log10().floor());
    [1.0, 2.0, 4.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|top| *top >= highest)
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        let top = |highest| round_up(highest, Unit::Count);
        assert_eq!(
            [0.0, 2.0, 3.0, 5.0, 11.0, 400.0, 401.0].map(top),
            [2.0, 2.0, 4.0, 10.0, 20.0, 400.0, 1000.0]
        );
    }

    #[test]
    fn a_gap_parts_the_stroke_and_one_value_is_a_dot() {
        let frame = Frame { seconds: 60.0, top: 2.0 };
        let line = |values: &[Option<f64>]| {
            let values = values.iter().map(|value| (0.0, *value)).collect();
            frame.path(&Line { name: String::new(), values })
        };
        assert_eq!(line(&[Some(0.0)]), "M352.0 112.0h0");
        assert_eq!(line(&[Some(0.0), None, Some(2.0)]), "M352.0 112.0h0M352.0 8.0h0");
        assert_eq!(line(&[]), "");
    }

    #[test]
    fn names_cannot_leave_the_picture() {
        let line = Line { name: "<script>\"&".into(), values: vec![(0.0, Some(1.0))] };
        let chart = Chart { id: "x", title: "X", unit: Unit::Count, lines: vec![line] };
        let drawn = figure(&chart).into_string();
        assert!(!drawn.contains("<script>") && drawn.contains("&lt;script&gt;&quot;&amp;"), "{drawn}");
    }
}
