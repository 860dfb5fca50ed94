//! Python's indexes and slices: negative ones count from the end.

use super::evaluate::{Evaluate, Evaluator};
use super::heap::Value;
use super::syntax::Slice;
use crate::error::Problem;

impl Evaluator<'_> {
    pub(super) fn slice(&mut self, holder: &Value, slice: &Slice, line: u32) -> Evaluate<Value> {
        let fail = |problem| (line, problem);
        let mut bounds = [None; 3];
        let parts = [&slice.lower, &slice.upper, &slice.step];
        for (bound, part) in bounds.iter_mut().zip(parts) {
            let Some(part) = part else { continue };
            let value = self.expression(part)?;
            if matches!(value, Value::None) {
                continue;
            }
            let message = format!("slice: expected int, found {}", value.type_name());
            *bound = Some(value.as_int().ok_or_else(|| fail(Problem::Value(message)))?);
        }
        self.sliced(holder, bounds).map_err(fail)
    }

    fn sliced(&mut self, holder: &Value, bounds: [Option<i64>; 3]) -> Result<Value, Problem> {
        match holder {
            Value::List(id) | Value::Tuple(id) => {
                let items = self.heap.items(*id);
                let picked = slice_positions(bounds, items.len())?;
                self.limits.elements(picked.len())?;
                let items = picked.into_iter().map(|i| items[i].clone()).collect();
                let is_list = matches!(holder, Value::List(_));
                Ok(if is_list { self.heap.list(items) } else { self.heap.tuple(items) })
            }
            Value::Str(text) => {
                self.limits.text(text.len().saturating_mul(4))?;
                let letters: Vec<char> = text.chars().collect();
                let picked = slice_positions(bounds, letters.len())?;
                Ok(Value::Str(picked.into_iter().map(|i| letters[i]).collect::<String>().into()))
            }
            other => {
                Err(Problem::Value(format!("slice of {}: it has no items", other.type_name())))
            }
        }
    }
}

/// The position that a Python index means, negative ones from the end.
pub(super) fn position(index: &Value, length: usize) -> Result<usize, Problem> {
    let Some(index) = index.as_int() else {
        let message = format!("index: expected int, found {}", index.type_name());
        return Err(Problem::Value(message));
    };
    let position = if index < 0 { index.checked_add(length as i64) } else { Some(index) };
    position
        .and_then(|position| usize::try_from(position).ok())
        .filter(|position| *position < length)
        .ok_or_else(|| Problem::Value(format!("index {index}: expected one of {length} items")))
}

/// The positions that a Python slice picks.
fn slice_positions(bounds: [Option<i64>; 3], length: usize) -> Result<Vec<usize>, Problem> {
    let [lower, upper, step] = bounds;
    let (length, step) = (length as i64, step.unwrap_or(1));
    if step == 0 {
        return Err(Problem::Value("slice: expected a step other than 0".to_owned()));
    }
    let (lowest, highest) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clamp = |bound: i64| {
        let from_start = if bound < 0 { bound.saturating_add(length) } else { bound };
        from_start.clamp(lowest, highest)
    };
    let (first, end) = if step > 0 { (lowest, highest) } else { (highest, lowest) };
    let mut at = lower.map_or(first, clamp);
    let end = upper.map_or(end, clamp);
    let mut positions = Vec::new();
    while if step > 0 { at < end } else { at > end } {
        positions.push(at as usize);
        at = at.saturating_add(step);
    }
    Ok(positions)
}
