//! A chart as SVG with its labels in HTML, so that lines stretch with the page and letters do not.
//! Knows nothing of what the curves mean.

use serde_json::{Value as Json, json};

use super::scale::Scale;
use super::text::{escape, json_in_script, number, numbers_apart};
use crate::Point;

/// Points that a curve is drawn with; more would not be seen.
const MOST_POINTS: usize = 700;

/// From this many points on, a smoothed line is drawn over the measured one.
const SMOOTHED_FROM: usize = 120;

/// A curve of a chart.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<Point>,
    /// Number of the colour in the style sheet.
    pub(super) colour: usize,
}

/// What a chart shows.
#[derive(Clone, Debug, Default)]
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) unit: String,
    pub(super) lines: Vec<Line>,
    /// Whether each point is a measurement of its own, such as a validation, and is shown as a dot.
    pub(super) has_dots: bool,
    /// Whether the axis may be logarithmic.
    pub(super) may_be_log: bool,
    /// Whether long curves are smoothed.
    pub(super) is_smoothed: bool,
    /// Iterations of the axis, so that the charts of a page line up.
    pub(super) iterations: Option<(u64, u64)>,
    /// What the axis counts, if not iterations.
    pub(super) counts: Option<&'static str>,
}

/// Colours of the style sheet.
pub(super) const COLOURS: usize = 8;

impl Chart {
    /// The figure; nothing where there is no number to draw.
    pub(super) fn html(&self) -> String {
        let values = || self.lines.iter().flat_map(|line| &line.points);
        let Some(y) = Scale::of(values().map(|point| point.value), self.may_be_log) else {
            return String::new();
        };
        let finite = || values().filter(|point| point.value.is_finite()).map(|point| point.iter);
        let own = (finite().min().unwrap_or(0), finite().max().unwrap_or(0));
        let (first, last) = self.iterations.unwrap_or(own);
        let x = Scale::between(first as f64, last as f64);
        let scale = if y.is_log() { "log scale" } else { "" };
        let head: Vec<&str> =
            [self.unit.as_str(), scale].into_iter().filter(|word| !word.is_empty()).collect();
        format!(
            "<figure class=\"card chart\"><div class=\"chart-head\"><h3>{}</h3><span>{}</span></div>\n\
             <div class=\"plot\" role=\"img\" aria-label=\"{}\">{}{}<div class=\"cross\"></div><div class=\"tip\"></div></div>\n\
             {}<script type=\"application/json\">{}</script></figure>\n",
            escape(&self.title),
            escape(&head.join(" · ")),
            escape(&self.title),
            self.svg(x, y),
            labels(x, y),
            self.legend(),
            json_in_script(&self.data(x))
        )
    }

    fn svg(&self, x: Scale, y: Scale) -> String {
        let mut svg = String::from("<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\">");
        for tick in y.ticks(5) {
            let at = 1000.0 * (1.0 - y.place(tick));
            svg += &format!("<line x1=\"0\" x2=\"1000\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>");
        }
        for (index, line) in self.lines.iter().enumerate() {
            let is_smoothed = self.is_smoothed && line.points.len() >= SMOOTHED_FROM;
            let style = |class: &str| {
                format!(
                    "class=\"{class}\" data-series=\"{index}\" style=\"stroke:var(--c{})\"",
                    line.colour
                )
            };
            let raw = style(if is_smoothed { "raw" } else { "line" });
            let thinned = thinned(&line.points);
            for part in runs_of_numbers(&thinned) {
                svg += &format!("<polyline {raw} points=\"{}\"/>", places(part, x, y));
            }
            if is_smoothed {
                for part in runs_of_numbers(&thinned_evenly(&smoothed(&line.points))) {
                    svg +=
                        &format!("<polyline {} points=\"{}\"/>", style("line"), places(part, x, y));
                }
            }
            if self.has_dots || line.points.len() == 1 {
                svg += &format!(
                    "<g class=\"dots\"><path {} d=\"{}\"/></g>",
                    style(""),
                    dots(&thinned, x, y)
                );
            }
        }
        svg + "</svg>"
    }

    fn legend(&self) -> String {
        let button = |(index, line): (usize, &Line)| {
            format!(
                "<button type=\"button\" data-series=\"{index}\" aria-pressed=\"true\"><i class=\"swatch\" \
                 style=\"background:var(--c{})\"></i>{}</button>",
                line.colour,
                escape(&line.name)
            )
        };
        let buttons: String = self.lines.iter().enumerate().map(button).collect();
        format!("<div class=\"legend\">{buttons}</div>")
    }

    /// What the script shows under the pointer: `[iteration, value, epoch]` of each point.
    fn data(&self, x: Scale) -> Json {
        let point = |point: &Point| {
            let value = if point.value.is_finite() { json!(point.value) } else { Json::Null };
            json!([point.iter, value, point.epoch])
        };
        let series = |line: &Line| {
            let points: Vec<Json> = thinned(&line.points).iter().map(point).collect();
            json!({ "name": line.name, "colour": line.colour, "points": points })
        };
        let series: Vec<Json> = self.lines.iter().map(series).collect();
        let counts = self.counts.unwrap_or("iteration");
        json!({ "x": [x.ends().0, x.ends().1], "counts": counts, "series": series })
    }
}

/// A curve alone, for a tile.
pub(super) fn sparkline(points: &[Point], colour: usize) -> String {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::new() };
    let x = Scale::between(first.iter as f64, last.iter as f64);
    let may_be_log = points.iter().all(|point| !point.value.is_finite() || point.value > 0.0);
    let Some(y) = Scale::of(points.iter().map(|point| point.value), may_be_log) else {
        return String::new();
    };
    if points.len() < 2 {
        return String::new();
    }
    let thinned = thinned(points);
    let parts: String = runs_of_numbers(&thinned)
        .map(|part| {
            format!(
                "<polyline fill=\"none\" stroke=\"var(--c{colour})\" stroke-width=\"2\" vector-effect=\"non-scaling-stroke\" points=\"{}\"/>",
                places(part, x, y)
            )
        })
        .collect();
    format!(
        "<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" aria-hidden=\"true\">{parts}</svg>"
    )
}

fn labels(x: Scale, y: Scale) -> String {
    let mut html = String::new();
    let ticks = y.ticks(5);
    for (tick, text) in ticks.iter().zip(numbers_apart(&ticks)) {
        let place = 100.0 * y.place(*tick);
        html += &format!("<span class=\"y\" style=\"bottom:{place:.2}%\">{text}</span>");
    }
    for tick in x.ticks(5).into_iter().filter(|tick| tick.fract() == 0.0) {
        html += &format!(
            "<span class=\"x\" style=\"left:{:.2}%\">{}</span>",
            100.0 * x.place(tick),
            thousands(tick)
        );
    }
    html
}

/// A count of iterations in few letters: `150k`.
fn thousands(count: f64) -> String {
    match count {
        1e6.. => format!("{}M", number(count / 1e6)),
        1e4.. => format!("{}k", number(count / 1e3)),
        _ => number(count),
    }
}

fn places(points: &[Point], x: Scale, y: Scale) -> String {
    let place = |point: &Point| {
        let across = 1000.0 * x.place(point.iter as f64);
        format!("{across:.1},{:.1}", 1000.0 * (1.0 - y.place(point.value)))
    };
    points.iter().map(place).collect::<Vec<_>>().join(" ")
}

/// A dot is a line without length and with round ends, which keeps its shape when the plot is stretched.
fn dots(points: &[Point], x: Scale, y: Scale) -> String {
    let numbers = points.iter().filter(|point| point.value.is_finite());
    let dot = |point: &Point| {
        let across = 1000.0 * x.place(point.iter as f64);
        format!("M{across:.1} {:.1}h0", 1000.0 * (1.0 - y.place(point.value)))
    };
    numbers.map(dot).collect()
}

/// The stretches of a curve between values that are no numbers.
fn runs_of_numbers(points: &[Point]) -> impl Iterator<Item = &[Point]> {
    points.split(|point| !point.value.is_finite()).filter(|part| !part.is_empty())
}

/// At most [`MOST_POINTS`] of the points: of each stretch the least and the greatest, so that no peak is lost, and
/// any value that is no number.
fn thinned(points: &[Point]) -> Vec<Point> {
    if points.len() <= MOST_POINTS {
        return points.to_vec();
    }
    let size = points.len().div_ceil(MOST_POINTS / 2);
    let mut kept = Vec::new();
    for part in points.chunks(size) {
        let by_value = |a: &&Point, b: &&Point| a.value.total_cmp(&b.value);
        let ends = [part.iter().min_by(by_value), part.iter().max_by(by_value)];
        let mut ends: Vec<Point> = ends.into_iter().flatten().copied().collect();
        ends.sort_by_key(|point| point.iter);
        ends.dedup_by_key(|point| point.iter);
        kept.extend(ends);
    }
    kept
}

fn thinned_evenly(points: &[Point]) -> Vec<Point> {
    let step = points.len().div_ceil(MOST_POINTS).max(1);
    points.iter().step_by(step).chain(points.last()).copied().collect()
}

/// An exponential mean over about a fortieth of the curve, without the pull towards its first value.
fn smoothed(points: &[Point]) -> Vec<Point> {
    let keep = 1.0 - 1.0 / (points.len() as f64 / 40.0).max(2.0);
    let (mut mean, mut weight) = (0.0, 0.0);
    let smooth = |point: &Point| {
        if point.value.is_finite() {
            mean = keep * mean + (1.0 - keep) * point.value;
            weight = keep * weight + (1.0 - keep);
            Point { value: mean / weight, ..*point }
        } else {
            *point
        }
    };
    points.iter().map(smooth).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: &[f64]) -> Vec<Point> {
        let point =
            |(index, value): (usize, &f64)| Point { iter: index as u64, epoch: 1, value: *value };
        values.iter().enumerate().map(point).collect()
    }

    fn chart(values: &[f64]) -> Chart {
        let line = Line { name: "<loss>".into(), points: curve(values), colour: 0 };
        Chart { title: "Loss".into(), lines: vec![line], ..Chart::default() }
    }

    #[test]
    fn a_curve_is_broken_where_it_has_no_number() {
        let html = chart(&[1.0, 2.0, f64::NAN, 1.5, 1.0]).html();
        assert_eq!(html.matches("<polyline").count(), 2);
        assert!(html.contains("&lt;loss&gt;</button>"));
        assert_eq!(chart(&[f64::NAN]).html(), "");
    }

    #[test]
    fn peaks_survive_thinning() {
        let mut values = vec![1.0; 100_000];
        values[54_321] = 9.0;
        let thinned = thinned(&curve(&values));
        assert!(thinned.len() <= MOST_POINTS + 2, "{}", thinned.len());
        assert!(thinned.iter().any(|point| point.value == 9.0));
        assert!(thinned.windows(2).all(|pair| pair[0].iter < pair[1].iter));
    }

    #[test]
    fn a_smoothed_constant_is_the_constant() {
        assert!(
            smoothed(&curve(&[3.0; 200])).iter().all(|point| (point.value - 3.0).abs() < 1e-12)
        );
    }
}
