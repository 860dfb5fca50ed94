//! List and dict comprehensions; their names end with them.

use super::evaluate::{Evaluate, Evaluator};
use super::heap::{Dict, Slot, Value};
use super::syntax::{Expression, ExpressionKind, Loop};
use crate::error::Problem;

impl Evaluator<'_> {
    pub(super) fn comprehension(&mut self, expr: &Expression) -> Evaluate<Value> {
        let line_of = |line| if line == 0 { expr.line } else { line };
        self.rounds(expr).map_err(|(line, problem)| (line_of(line), problem))
    }

    fn rounds(&mut self, expr: &Expression) -> Evaluate<Value> {
        let mut items = Vec::new();
        let mut dict = Dict::default();
        let depth = self.locals.len();
        match &expr.kind {
            ExpressionKind::ListComprehension { element, loops } => {
                self.repeat(loops, &mut |this| {
                    let value = this.expression(element)?;
                    items.push(Slot { at: this.at(element.line), value });
                    Ok(())
                })?;
                self.locals.truncate(depth);
                Ok(self.heap.list(items))
            }
            ExpressionKind::DictComprehension { entry, loops } => {
                self.repeat(loops, &mut |this| {
                    let key = this.expression(&entry.0)?;
                    let key = key.to_key(this.limits).map_err(|p| (entry.0.line, p))?;
                    let value = this.expression(&entry.1)?;
                    dict.entries.insert(key, Slot { at: this.at(entry.0.line), value });
                    Ok(())
                })?;
                self.locals.truncate(depth);
                Ok(self.heap.dict(dict))
            }
            _ => Err((expr.line, Problem::Value("expected a value".to_owned()))),
        }
    }

    /// Runs `body` for every round of nested loops; leaves the loops' names for the caller to drop.
    fn repeat(
        &mut self,
        loops: &[Loop],
        body: &mut dyn FnMut(&mut Self) -> Evaluate<()>,
    ) -> Evaluate<()> {
        let Some((Loop { target, source, conditions }, inner)) = loops.split_first() else {
            self.limits.elements(1).map_err(|problem| (0, problem))?;
            return body(self);
        };
        let items = self.expression(source)?;
        let items = self.iterate(&items, source.line).map_err(|p| (source.line, p))?;
        let depth = self.locals.len();
        'rounds: for item in items {
            self.locals.truncate(depth);
            self.bind(target, item.value)?;
            for condition in conditions {
                let value = self.expression(condition)?;
                if !self.heap.is_truthy(&value) {
                    continue 'rounds;
                }
            }
            self.repeat(inner, body)?;
        }
        self.locals.truncate(depth);
        Ok(())
    }
}
