//! A curve in as many columns as a drawing has. Knows nothing of what is drawn with.

/// The least and the largest value of a column's iterations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) low: f64,
    pub(super) high: f64,
}

/// The values in `count` columns, or fewer where there are fewer values; neighbours meet, so that steep parts are drawn
/// as lines.
pub(super) fn columns(values: &[f64], count: usize) -> Vec<Span> {
    let count = count.min(values.len());
    let mut spans = Vec::with_capacity(count);
    for column in 0..count {
        let start = column * values.len() / count;
        let end = ((column + 1) * values.len() / count).max(start + 1);
        let part = values[start..end].iter().copied().filter(|value| value.is_finite());
        let first = values[start];
        let span = part.fold(Span { low: first, high: first }, |span, value| Span {
            low: span.low.min(value),
            high: span.high.max(value),
        });
        spans.push(span);
    }
    spans
}

/// The least and the largest finite value of all; a flat curve gets room around it.
pub(super) fn bounds<'a>(all: impl Iterator<Item = &'a f64>) -> (f64, f64) {
    let finite = all.copied().filter(|value| value.is_finite());
    let (low, high) =
        finite.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return (0.0, 1.0);
    }
    if low == high {
        let room = if low == 0.0 { 1.0 } else { low.abs() * 0.5 };
        return (low - room, high + room);
    }
    // Rates are shares of the largest: the axis begins at 0 unless all are far from it.
    (if low > 0.0 && low < high * 0.5 { 0.0 } else { low }, high)
}

/// Whether a value of any group ever changes.
pub(super) fn changes(columns: &[Vec<f64>]) -> bool {
    columns.iter().any(|column| column.iter().any(|value| *value != column[0]))
}

/// A value for people: `1e-5`, `0.01`, `0.000507`.
pub(super) fn shown(value: f64) -> String {
    let size = value.abs();
    if value != 0.0 && !(1e-4..1e4).contains(&size) {
        return trimmed(format!("{value:.3e}"));
    }
    let digits = if size == 0.0 { 0 } else { (3 - size.log10().floor() as i32).max(0) as usize };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

fn trimmed(scientific: String) -> String {
    match scientific.split_once('e') {
        Some((digits, exponent)) if digits.contains('.') => {
            format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => scientific,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_keep_the_extremes_of_their_iterations() {
        let spans = columns(&[1.0, 5.0, 2.0, 2.0], 2);
        assert_eq!(spans, [Span { low: 1.0, high: 5.0 }, Span { low: 2.0, high: 2.0 }]);
        assert_eq!(columns(&[1.0], 10).len(), 1);
    }

    #[test]
    fn numbers_are_short() {
        let shown: Vec<String> =
            [0.01, 0.000_507_21, 1e-5, 1.0, 0.0, 1.25e-7, 20_000.0].map(shown).to_vec();
        assert_eq!(shown, ["0.01", "0.0005072", "1e-5", "1", "0", "1.25e-7", "2e4"]);
    }

    #[test]
    fn flat_curves_have_room_and_others_begin_at_zero() {
        assert_eq!(bounds([2.0, 2.0].iter()), (1.0, 3.0));
        assert_eq!(bounds([0.1, 1.0].iter()), (0.0, 1.0));
        assert_eq!(bounds([0.85, 0.95].iter()), (0.85, 0.95));
        assert_eq!(bounds([f64::NAN].iter()), (0.0, 1.0));
    }
}
