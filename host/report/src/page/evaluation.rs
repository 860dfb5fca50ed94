//! What goes wrong where in an evaluation: precision over recall, and which class is taken for which.
//! Knows nothing of how it was counted.

use super::chart::{COLOURS, Chart, Line};
use super::text::{count, escape, number};
use crate::{Diagnosed, Point, RunData};

/// Classes of a matrix that can still be looked at as a table.
const MOST_CLASSES: usize = 24;
/// Mistakes of a longer list of classes.
const MOST_MISTAKES: usize = 20;

/// Charts and matrices of all sets.
pub(super) fn section(run: &RunData) -> String {
    let one = |diagnosed: &Diagnosed| {
        let name =
            if diagnosed.name.is_empty() { String::new() } else { format!("{}: ", diagnosed.name) };
        curves(&name, diagnosed) + &matrix(&name, diagnosed)
    };
    run.diagnoses.iter().map(one).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn points(precision: &[f64]) -> Vec<Point> {
    let point =
        |(recall, value): (usize, &f64)| Point { iter: recall as u64, epoch: 0, value: *value };
    precision.iter().enumerate().map(point).collect()
}

/// Precision at each recall of a class, and its AP.
struct Curve<'a> {
    name: &'a str,
    precision: &'a [f64],
    ap: f64,
}

/// The mean of all classes, and the classes with the least area below their curve.
fn curves(name: &str, diagnosed: &Diagnosed) -> String {
    let area = |class: usize, precision: &[f64]| {
        diagnosed.ap.get(class).copied().flatten().unwrap_or_else(|| mean(precision))
    };
    let named = diagnosed.classes.iter().zip(&diagnosed.precision).enumerate();
    let mut classes: Vec<Curve<'_>> = named
        .map(|(place, (name, precision))| Curve { name, precision, ap: area(place, precision) })
        .collect();
    classes.retain(|curve| !curve.precision.is_empty());
    if classes.is_empty() {
        return String::new();
    }
    let recalls = classes.iter().map(|curve| curve.precision.len()).min().unwrap_or(0);
    let all: Vec<f64> = (0..recalls)
        .map(|recall| {
            mean(&classes.iter().map(|curve| curve.precision[recall]).collect::<Vec<_>>())
        })
        .collect();
    let all_ap = mean(&classes.iter().map(|curve| curve.ap).collect::<Vec<_>>());
    let total = classes.len();
    classes.sort_by(|a, b| a.ap.total_cmp(&b.ap));
    classes.truncate(COLOURS - 1);
    let mut lines = Vec::new();
    if total > 1 {
        let name = format!("all {total} classes, AP {}", number(all_ap));
        lines.push(Line { name, points: points(&all), colour: 0 });
    }
    for Curve { name, precision, ap } in &classes {
        let name = format!("{name}, AP {}", number(*ap));
        lines.push(Line { name, points: points(precision), colour: lines.len() % COLOURS });
    }
    let shown = if total > classes.len() {
        format!(" · the {} weakest classes", classes.len())
    } else {
        String::new()
    };
    let chart = Chart {
        title: format!("{name}Precision over recall"),
        unit: format!("recall in % · IoU {}{shown}", number(diagnosed.iou)),
        lines,
        iterations: Some((0, 100)),
        counts: Some("recall in %:"),
        ..Chart::default()
    };
    chart.html()
}

fn matrix(name: &str, diagnosed: &Diagnosed) -> String {
    let has_any = diagnosed.confusion.iter().flatten().any(|count| *count > 0);
    if diagnosed.confusion.len() != diagnosed.classes.len() + 1 || !has_any {
        return String::new();
    }
    let content = if diagnosed.classes.len() <= MOST_CLASSES {
        table(diagnosed)
    } else {
        mistakes(diagnosed)
    };
    format!(
        "<figure class=\"card\"><div class=\"chart-head\"><h3>{}Which class is taken for which</h3>\
         <span>scores from {}</span></div><div class=\"scroll\">{content}</div></figure>\n",
        escape(name),
        number(f64::from(diagnosed.score_threshold)),
    )
}

fn label(diagnosed: &Diagnosed, place: usize, otherwise: &str) -> String {
    diagnosed
        .classes
        .get(place)
        .map_or_else(|| format!("<i>{otherwise}</i>"), |class| escape(class))
}

/// Rows are true classes; a cell is as dark as its share of the row.
fn table(diagnosed: &Diagnosed) -> String {
    let head =
        |place: usize| format!("<th class=\"n\">{}</th>", label(diagnosed, place, "not found"));
    let cells = |row: &Vec<u64>| -> String {
        let total = row.iter().sum::<u64>().max(1) as f64;
        let cell = |found: &u64| {
            let share = 100.0 * *found as f64 / total;
            let text = if *found == 0 { "·".to_owned() } else { count(*found) };
            format!(
                "<td class=\"n cell\" style=\"--share:{share:.0}%\" title=\"{share:.1} % of the row\">{text}</td>"
            )
        };
        row.iter().map(cell).collect()
    };
    let heads: String = (0..diagnosed.confusion.len()).map(head).collect();
    let row = |(place, row): (usize, &Vec<u64>)| {
        format!("<tr><th>{}</th>{}</tr>", label(diagnosed, place, "background"), cells(row))
    };
    let rows: String = diagnosed.confusion.iter().enumerate().map(row).collect();
    format!("<table class=\"matrix\"><tr><th>true \\ found as</th>{heads}</tr>{rows}</table>")
}

/// The most frequent mistakes between classes.
fn mistakes(diagnosed: &Diagnosed) -> String {
    let classes = diagnosed.classes.len();
    let mut all: Vec<(u64, usize, usize)> = Vec::new();
    for (truth, row) in diagnosed.confusion.iter().enumerate().take(classes) {
        let own = row.iter().enumerate().take(classes);
        all.extend(
            own.filter(|(found, count)| *found != truth && **count > 0)
                .map(|(f, c)| (*c, truth, f)),
        );
    }
    all.sort_by_key(|(count, ..)| std::cmp::Reverse(*count));
    let row = |(times, truth, found): &(u64, usize, usize)| {
        let of = diagnosed.confusion[*truth].iter().sum::<u64>();
        format!(
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            label(diagnosed, *truth, ""),
            label(diagnosed, *found, ""),
            count(*times),
            count(of)
        )
    };
    let rows: String = all.iter().take(MOST_MISTAKES).map(row).collect();
    format!(
        "<table><tr><th>a</th><th>was taken for a</th><th class=\"n\">times</th><th class=\"n\">of</th></tr>{rows}</table>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosed(classes: usize) -> Diagnosed {
        let mut confusion = vec![vec![0; classes + 1]; classes + 1];
        confusion[0][0] = 8;
        confusion[0][1] = 2;
        Diagnosed {
            name: "night".into(),
            classes: (0..classes).map(|class| format!("c{class}<")).collect(),
            precision: vec![vec![0.5; 101]; classes],
            ap: Vec::new(),
            iou: 0.5,
            confusion,
            score_threshold: 0.3,
        }
    }

    #[test]
    fn a_small_matrix_is_a_table_and_a_large_one_a_list_of_mistakes() {
        let small = matrix("", &diagnosed(3));
        assert!(small.contains("--share:80%") && small.contains("<i>not found</i>"), "{small}");
        assert!(small.contains("c1&lt;") && !small.contains("c1<<"));
        let large = matrix("", &diagnosed(80));
        assert!(large.contains("was taken for a") && large.matches("<tr>").count() == 2, "{large}");
    }

    #[test]
    fn curves_show_the_mean_and_at_most_as_many_classes_as_colours() {
        let html = curves("night: ", &diagnosed(80));
        assert!(html.contains("all 80 classes, AP 0.5") && html.contains("the 7 weakest classes"));
        assert_eq!(html.matches("<polyline").count(), COLOURS);
        assert!(curves("", &Diagnosed::default()).is_empty());
        let voc = Diagnosed { ap: vec![Some(0.625), None, Some(0.25)], ..diagnosed(3) };
        let html = curves("", &voc);
        assert!(html.contains("c0&lt;, AP 0.625") && html.contains("c1&lt;, AP 0.5"), "{html}");
        assert!(html.contains("c2&lt;, AP 0.25") && html.contains("all 3 classes, AP 0.458"));
    }
}
