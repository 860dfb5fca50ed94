//! The schedule as a picture for browsers, light and dark. Knows nothing of files.

use super::Table;
use super::curve::{bounds, changes, columns, shown};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 52.0;
const PANEL: f64 = 240.0;
const GAP: f64 = 64.0;
/// Points of a curve: more than pixels.
const POINTS: usize = 1600;

const STYLE: &str = "
  .back { fill: #ffffff } text { fill: #333333; font: 13px system-ui, sans-serif }
  .title { font-size: 15px; font-weight: 600 } .grid { stroke: #e3e3e3 } .axis { stroke: #888888 }
  .curve { fill: none; stroke-width: 2; stroke-linejoin: round }
  .g0 { stroke: #1667b7 } .g1 { stroke: #c2410c } .g2 { stroke: #15803d } .g3 { stroke: #7e22ce } .g4 { stroke: #a16207 }
  @media (prefers-color-scheme: dark) {
    .back { fill: #16181c } text { fill: #d8d8d8 } .grid { stroke: #2c3036 } .axis { stroke: #7a7f87 }
    .g0 { stroke: #6cb2f5 } .g1 { stroke: #fb923c } .g2 { stroke: #4ade80 } .g3 { stroke: #c084fc } .g4 { stroke: #facc15 }
  }";

/// A picture with a curve of the learning rate of each group and, where it changes, of the momentum.
pub(crate) fn as_svg(name: &str, table: &Table) -> String {
    let mut panels = vec![("learning rate", &table.learning_rates)];
    if changes(&table.momenta) {
        panels.push(("momentum", &table.momenta));
    }
    let height = TOP + panels.len() as f64 * (PANEL + GAP);
    let iterations = table.iterations();
    let title =
        format!("{}: {iterations} iterations, epochs of {}", escaped(name), table.epoch_length);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" aria-label=\"{title}\">\n<style>{STYLE}\n</style>\n\
         <rect class=\"back\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text class=\"title\" x=\"{LEFT}\" y=\"24\">{title}</text>\n"
    );
    for (index, (name, groups)) in panels.into_iter().enumerate() {
        svg += &panel(name, groups, (table, TOP + index as f64 * (PANEL + GAP)));
    }
    svg + "</svg>\n"
}

fn panel(name: &str, groups: &[Vec<f64>], (table, top): (&Table, f64)) -> String {
    let (low, high) = bounds(groups.iter().flatten());
    let (width, bottom) = (WIDTH - LEFT - RIGHT, top + PANEL);
    let x = |share: f64| LEFT + share * width;
    let y = |value: f64| bottom - (value - low) / (high - low) * PANEL;
    let mut svg = format!("<text x=\"{LEFT}\" y=\"{:.1}\">{name}</text>\n", top - 8.0);
    for step in 0..=4 {
        let value = low + (high - low) * f64::from(step) / 4.0;
        let (right, at) = (WIDTH - RIGHT, y(value));
        svg += &format!(
            "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
            LEFT - 8.0,
            at + 4.0,
            shown(value)
        );
    }
    svg += &time_axis(table, (x(0.0), width, bottom));
    for (group, values) in groups.iter().enumerate().rev() {
        svg += &curve(values, (group, &x, &y));
    }
    if groups.len() > 1 {
        svg += &legend(groups.len(), top - 8.0);
    }
    svg
}

fn time_axis(table: &Table, (left, width, bottom): (f64, f64, f64)) -> String {
    let mut svg = format!(
        "<line class=\"axis\" x1=\"{left}\" y1=\"{bottom}\" x2=\"{:.1}\" y2=\"{bottom}\"/>\n",
        left + width
    );
    let has_epochs = table.max_epochs > 1;
    let end = if has_epochs { table.max_epochs } else { table.iterations() };
    let unit = if has_epochs { "epoch" } else { "iteration" };
    for at in ticks(end) {
        let x = left + at as f64 / end as f64 * width;
        svg += &format!(
            "<line class=\"axis\" x1=\"{x:.1}\" y1=\"{bottom}\" x2=\"{x:.1}\" y2=\"{:.1}\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{at}</text>\n",
            bottom + 5.0,
            bottom + 20.0
        );
    }
    svg + &format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{unit}</text>\n",
        left + width / 2.0,
        bottom + 38.0
    )
}

/// About eight round numbers from 0 to `end`.
fn ticks(end: u64) -> Vec<u64> {
    let rough = (end as f64 / 8.0).max(1.0);
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough);
    let step = (factor.unwrap_or(10.0) * power) as u64;
    (0..=end).step_by(step.max(1) as usize).collect()
}

/// From a share or a value to pixels.
type Axis<'a> = &'a dyn Fn(f64) -> f64;

fn curve(values: &[f64], (group, x, y): (usize, Axis<'_>, Axis<'_>)) -> String {
    let spans = columns(values, POINTS);
    let count = spans.len() as f64;
    let mut points = String::new();
    for (index, span) in spans.iter().enumerate() {
        // A value holds for its whole iteration, so that steps are drawn as steps.
        let (from, to) = (x(index as f64 / count), x((index as f64 + 1.0) / count));
        let is_rising = spans.get(index + 1).is_some_and(|next| next.high > span.high);
        let (first, last) = if is_rising { (span.low, span.high) } else { (span.high, span.low) };
        points += &format!("{from:.1},{:.1} {to:.1},{:.1} ", y(first), y(last));
    }
    format!("<polyline class=\"curve g{}\" points=\"{}\"/>\n", group.min(4), points.trim_end())
}

fn legend(groups: usize, y: f64) -> String {
    let mut svg = String::new();
    for group in 0..groups.min(5) {
        let x = LEFT + 140.0 + 110.0 * group as f64;
        let label =
            if group == 4 && groups > 5 { "others".to_owned() } else { format!("group {group}") };
        svg += &format!(
            "<line class=\"curve g{group}\" x1=\"{x}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>\
             <text x=\"{:.1}\" y=\"{y:.1}\">{label}</text>\n",
            y - 4.0,
            x + 24.0,
            y - 4.0,
            x + 30.0
        );
    }
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(ticks(300), [0, 50, 100, 150, 200, 250, 300]);
        assert_eq!(ticks(12), [0, 2, 4, 6, 8, 10, 12]);
        assert_eq!(ticks(1), [0, 1]);
        assert!(ticks(90_000).len() <= 10);
    }
}
