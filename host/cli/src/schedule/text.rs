//! The schedule drawn with letters. Knows nothing of terminals: it is the same in a pipe.

use super::Table;
use super::curve::{Span, bounds, changes, columns, shown};

const WIDTH: usize = 64;
const HEIGHT: usize = 12;

/// Curves of the learning rate and, where it changes, of the momentum, and where they begin, turn and end.
pub(crate) fn as_text(name: &str, table: &Table) -> String {
    let (iterations, epochs) = (table.iterations(), table.max_epochs);
    let mut text = format!("{name}: {iterations} iterations");
    if epochs > 1 || iterations == table.epoch_length {
        text += &format!(", {epochs} epochs of {}", table.epoch_length);
    }
    text += "\n";
    text += &panel("learning rate", &table.learning_rates, table);
    if changes(&table.momenta) {
        text += &panel("momentum", &table.momenta, table);
    }
    if table.follows_a_metric {
        text += "\nA schedule follows a metric of the validation: it is drawn as if that became better and better.\n";
    }
    text
}

fn panel(name: &str, groups: &[Vec<f64>], table: &Table) -> String {
    let mut text = format!("\n{name}\n");
    text += &plot(groups, table);
    for (group, values) in groups.iter().enumerate() {
        let label = if groups.len() == 1 { String::new() } else { format!("group {group}: ") };
        text += &format!("  {label}{}\n", summary(values, table));
    }
    text
}

fn plot(groups: &[Vec<f64>], table: &Table) -> String {
    let (low, high) = bounds(groups.iter().flatten());
    let mut cells = vec![vec![' '; WIDTH]; HEIGHT];
    for (group, values) in groups.iter().enumerate().rev() {
        let mark = ['•', '+', 'x', 'o', '*'][group.min(4)];
        let spans = columns(values, WIDTH);
        for column in 0..WIDTH {
            let Span { low: least, high: largest } = spans[column * spans.len() / WIDTH];
            let (bottom, top) = (row(least, low, high), row(largest, low, high));
            (top..=bottom).for_each(|row| cells[row][column] = mark);
        }
    }
    let labels = [(0, high), (HEIGHT / 2, high - (high - low) * 0.5), (HEIGHT - 1, low)];
    let label = |row| labels.iter().find(|(at, _)| *at == row).map(|(_, value)| shown(*value));
    let mut text = String::new();
    for (row, line) in cells.iter().enumerate() {
        let label = label(row).unwrap_or_default();
        let line: String = line.iter().collect();
        text += format!("{label:>10} │{line}").trim_end();
        text.push('\n');
    }
    let last = table.iterations();
    text += &format!("{:>10} └{}\n", "", "─".repeat(WIDTH));
    let right = match table.max_epochs {
        1 => last.to_string(),
        epochs => format!("{last} (epoch {epochs})"),
    };
    text += &format!("{:>10}  0{right:>width$}\n", "", width = WIDTH - 1);
    text
}

fn row(value: f64, low: f64, high: f64) -> usize {
    let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
    // NaN becomes 0: the lowest row.
    HEIGHT - 1 - (share * (HEIGHT - 1) as f64).round() as usize
}

/// First, largest, least and last value, each once.
fn summary(values: &[f64], table: &Table) -> String {
    let find = |is_better: fn(f64, f64) -> bool| {
        (1..values.len())
            .fold(0, |best, at| if is_better(values[at], values[best]) { at } else { best })
    };
    let last = values.len() - 1;
    let points = [
        ("first", 0),
        ("largest", find(|a, b| a > b)),
        ("least", find(|a, b| a < b)),
        ("last", last),
    ];
    let mut parts: Vec<String> = Vec::new();
    for (index, (name, at)) in points.into_iter().enumerate() {
        if (1..3).contains(&index) && (at == 0 || values[at] == values[last]) {
            continue;
        }
        let place = match table.max_epochs {
            1 => format!("iteration {at}"),
            _ => format!("iteration {at}, epoch {}", table.epoch(at as u64)),
        };
        parts.push(format!("{name} {} ({place})", shown(values[at])));
    }
    parts.join(", ")
}
