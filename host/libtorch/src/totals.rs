//! Adds up operators by name. Knows nothing of how they were heard.

use std::collections::HashMap;
use std::time::Duration;

use crate::Operator;

/// All calls of one operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// The operator's name.
    pub name: String,
    /// How often it was called.
    pub calls: u64,
    /// In it and in what it called.
    pub total: Duration,
    /// In it alone.
    pub own: Duration,
}

/// Calls and times of each operator, the one with most time of its own first.
pub fn totals(operators: &[Operator]) -> Vec<Total> {
    let mut order: Vec<&Operator> = operators.iter().collect();
    // Of two that begin at once the longer one called the other.
    order.sort_by(|a, b| {
        (a.thread, a.began).cmp(&(b.thread, b.began)).then_with(|| b.took.cmp(&a.took))
    });
    let mut found: HashMap<&str, Total> = HashMap::new();
    let mut open: Vec<&Operator> = Vec::new();
    for operator in order {
        while open.last().is_some_and(|outer| !holds(outer, operator)) {
            open.pop();
        }
        if let Some(caller) = open.last().and_then(|outer| found.get_mut(outer.name.as_str())) {
            caller.own = caller.own.saturating_sub(operator.took);
        }
        // An operator that calls itself counts its time once.
        let is_nested = open.iter().any(|outer| outer.name == operator.name);
        let total = found.entry(&operator.name).or_insert_with(|| Total {
            name: operator.name.clone(),
            calls: 0,
            total: Duration::ZERO,
            own: Duration::ZERO,
        });
        total.calls += 1;
        total.own += operator.took;
        total.total += if is_nested { Duration::ZERO } else { operator.took };
        open.push(operator);
    }
    let mut all: Vec<Total> = found.into_values().collect();
    all.sort_by(|a, b| b.own.cmp(&a.own).then_with(|| a.name.cmp(&b.name)));
    all
}

fn holds(outer: &Operator, inner: &Operator) -> bool {
    outer.thread == inner.thread && inner.began + inner.took <= outer.began + outer.took
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value as Json;
    use std::time::Instant;

    #[test]
    fn an_operators_own_time_is_without_what_it_calls() {
        let zero = Instant::now();
        let micros = Duration::from_micros;
        let one = |name: &str, thread, from, to| Operator {
            name: name.to_owned(),
            thread,
            began: zero + micros(from),
            took: micros(to - from),
            shapes: Json::Null,
        };
        let operators = [
            one("copy", 0, 12, 20),
            one("mm", 0, 20, 50),
            one("matmul", 0, 10, 60),
            one("mm", 0, 70, 75),
            one("mm", 1, 10, 20),
        ];
        let of = |name: &str, calls, total, own| Total {
            name: name.to_owned(),
            calls,
            total: micros(total),
            own: micros(own),
        };
        let expected = [of("mm", 3, 45, 45), of("matmul", 1, 50, 12), of("copy", 1, 8, 8)];
        assert_eq!(totals(&operators), expected);
        assert!(totals(&[]).is_empty());
    }
}
