//! Runs the statements of one file over its names and its live base, and freezes what comes out.
//!
//! Knows nothing of files: it is given the syntax tree and the base's values.

use std::sync::Arc;

use indexmap::IndexMap;

use super::heap::{Heap, Slot, Value};
use super::syntax::{Expression, ExpressionKind, Statement, StatementKind};
use crate::error::Problem;
use crate::limits::Limits;
use crate::location::At;
use crate::tree::{Data, Entries, Key};

/// The name under which a file sees its base.
pub(crate) const BASE: &str = "_base_";

/// A result, or the line and what is wrong there.
pub(super) type Evaluate<T> = Result<T, (u32, Problem)>;

/// What a file leaves behind: its own names, and its base with the changes it made to it.
pub(crate) struct Evaluated {
    pub(crate) own: Entries,
    pub(crate) base: Entries,
}

/// The evaluator's state: names, containers and what may still be spent.
pub(super) struct Evaluator<'a> {
    pub(super) heap: Heap,
    pub(super) names: IndexMap<Arc<str>, Slot>,
    /// Names of the comprehensions around the current expression, innermost last.
    pub(super) locals: Vec<(Arc<str>, Value)>,
    pub(super) limits: &'a mut Limits,
    pub(super) file: u32,
}

/// Evaluates a file's statements.
pub(crate) fn evaluate(
    statements: &[Statement],
    file: u32,
    base: Entries,
    limits: &mut Limits,
) -> Evaluate<Evaluated> {
    let mut evaluator = Evaluator::new(file, limits);
    let base = evaluator.heap.thaw_entries(base);
    let base = Slot { at: At { file, line: 1 }, value: base };
    evaluator.names.insert(BASE.into(), base);
    for statement in statements.iter().filter(|s| base_assignment(s).is_none()) {
        evaluator.statement(statement)?;
    }
    evaluator.finish()
}

/// The bases that a file names in its assignment to `_base_`, with the line.
///
/// The expression is evaluated by itself: it sees no other name. A string, or a list or tuple of them.
pub(crate) fn base_names(
    statements: &[Statement],
    limits: &mut Limits,
) -> Evaluate<Vec<(u32, String)>> {
    let mut assignments = statements.iter().filter_map(|s| Some((s.line, base_assignment(s)?)));
    let Some((line, value)) = assignments.next() else { return Ok(Vec::new()) };
    if let Some((line, _)) = assignments.next() {
        let message = "`_base_`: expected one assignment, found a second one";
        return Err((line, Problem::Value(message.to_owned())));
    }
    let mut evaluator = Evaluator::new(0, limits);
    let bases = evaluator.expression(value)?;
    let expected = || {
        let message = "`_base_`: expected a path or a list of paths, as strings";
        (line, Problem::Value(message.to_owned()))
    };
    match bases {
        Value::Str(path) => Ok(vec![(line, path.to_string())]),
        Value::List(id) | Value::Tuple(id) => evaluator
            .heap
            .items(id)
            .iter()
            .map(|slot| match &slot.value {
                Value::Str(path) => Ok((slot.at.line, path.to_string())),
                _ => Err(expected()),
            })
            .collect(),
        _ => Err(expected()),
    }
}

/// The value of a statement that assigns to `_base_`.
fn base_assignment(statement: &Statement) -> Option<&Expression> {
    let StatementKind::Assign { targets, value } = &statement.kind else { return None };
    match &targets[0].kind {
        ExpressionKind::Name(name) if &**name == BASE => Some(value),
        _ => None,
    }
}

impl<'a> Evaluator<'a> {
    fn new(file: u32, limits: &'a mut Limits) -> Self {
        let (names, locals) = (IndexMap::new(), Vec::new());
        Self { heap: Heap::default(), names, locals, limits, file }
    }

    pub(super) fn at(&self, line: u32) -> At {
        At { file: self.file, line }
    }

    fn statement(&mut self, statement: &Statement) -> Evaluate<()> {
        match &statement.kind {
            StatementKind::Assign { targets, value } => {
                let value = self.expression(value)?;
                targets.iter().try_for_each(|target| self.assign(target, value.clone()))
            }
            StatementKind::AugmentedAssign { target, operator, value } => {
                self.assign_augmented(target, *operator, value)
            }
            StatementKind::Delete(targets) => {
                targets.iter().try_for_each(|target| self.delete(target))
            }
            StatementKind::Evaluate(value) => self.expression(value).map(drop),
        }
    }

    fn finish(mut self) -> Evaluate<Evaluated> {
        let mut base = Entries::new();
        if let Some(slot) = self.names.shift_remove(BASE) {
            match self.heap.freeze(&slot, self.limits).map_err(|p| (slot.at.line, p))?.data {
                Data::Dict(entries) => base = entries,
                other => {
                    let message = format!("`_base_`: expected a dict, found {}", other.type_name());
                    return Err((slot.at.line, Problem::Value(message)));
                }
            }
        }
        let mut own = Entries::new();
        for (name, slot) in &self.names {
            if !name.starts_with("__") {
                let node = self.heap.freeze(slot, self.limits).map_err(|p| (slot.at.line, p))?;
                own.insert(Key::Str(name.clone()), node);
            }
        }
        Ok(Evaluated { own, base })
    }
}
