//! The table of average precisions for people to read.
//! Knows nothing of where the numbers come from.

use std::fmt::Write;

const HEADERS: [&str; 6] = ["AP", "AP50", "AP75", "AP small", "AP medium", "AP large"];

/// One line for each class, one for all; a dash where there is nothing to be found.
pub(super) fn table(rows: &[(String, [f64; 6])], overall: &[f64; 6]) -> String {
    let widest = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max(5);
    let mut text = String::new();
    let mut line = |name: &str, cells: [String; 6]| {
        let padding = widest.saturating_sub(name.chars().count());
        let _ = write!(text, "{name}{}", " ".repeat(padding));
        for (cell, header) in cells.iter().zip(HEADERS) {
            let _ = write!(text, "  {cell:>width$}", width = header.len().max(5));
        }
        text.push('\n');
    };
    line("class", HEADERS.map(str::to_owned));
    line(&"-".repeat(widest), HEADERS.map(|h| "-".repeat(h.len().max(5))));
    for (name, values) in rows {
        line(name, values.map(shown));
    }
    line("all", overall.map(shown));
    text
}

fn shown(value: f64) -> String {
    if value < 0.0 { "-".to_owned() } else { format!("{value:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [("WBC".to_owned(), [0.5, 0.75, 0.25, -1.0, 0.1, 0.9])];
        let expected = "\
class     AP   AP50   AP75  AP small  AP medium  AP large
-----  -----  -----  -----  --------  ---------  --------
WBC    0.500  0.750  0.250         -      0.100     0.900
all    1.000  1.000  1.000     1.000      1.000     1.000
";
        assert_eq!(table(&rows, &[1.0; 6]), expected);
    }
}
