//! Where values go: assignment, augmented assignment, `del`, and the names of loops.

use super::evaluate::{BASE, Evaluate, Evaluator};
use super::expressions::{plain_dict_has_no_attributes, unknown_key};
use super::heap::{Slot, Value};
use super::slices::position;
use super::syntax::{BinaryOperator, Expression, ExpressionKind};
use crate::error::Problem;
use crate::tree::Key;

impl Evaluator<'_> {
    pub(super) fn assign(&mut self, target: &Expression, value: Value) -> Evaluate<()> {
        let fail = |problem| (target.line, problem);
        let at = self.at(target.line);
        match &target.kind {
            ExpressionKind::Name(name) if &**name == BASE => {
                let message = "`_base_`: expected one assignment, at the top level of the file";
                Err(fail(Problem::Value(message.to_owned())))
            }
            ExpressionKind::Name(name) => {
                self.limits.elements(1).map_err(fail)?;
                self.names.insert(name.clone(), Slot { at, value });
                Ok(())
            }
            ExpressionKind::Attribute { holder, name } => {
                let holder = self.raw(holder)?;
                match holder {
                    Value::Dict(id) if self.heap.entries(id).is_config => {
                        self.set_entry(id, Key::Str(name.clone()), Slot { at, value }).map_err(fail)
                    }
                    Value::Dict(_) => Err(fail(plain_dict_has_no_attributes(name))),
                    other => Err(fail(no_items("attribute", &other))),
                }
            }
            ExpressionKind::Subscript { index, .. } | ExpressionKind::Starred(index)
                if is_refused(&target.kind, &index.kind) =>
            {
                Err(fail(refused(&target.kind)))
            }
            ExpressionKind::Subscript { holder, index } => {
                let holder = self.raw(holder)?;
                let index = self.expression(index)?;
                self.set_item(&holder, &index, Slot { at, value }).map_err(fail)
            }
            ExpressionKind::Tuple(targets) | ExpressionKind::List(targets) => {
                let items = self.unpacked(targets, &value, target.line)?;
                targets.iter().zip(items).try_for_each(|(t, slot)| self.assign(t, slot.value))
            }
            _ => Err(fail(cannot_assign())),
        }
    }

    /// Binds the target of a comprehension's loop, in names that the loop's end forgets.
    pub(super) fn bind(&mut self, target: &Expression, value: Value) -> Evaluate<()> {
        match &target.kind {
            ExpressionKind::Name(name) => {
                self.locals.push((name.clone(), value));
                Ok(())
            }
            ExpressionKind::Tuple(targets) | ExpressionKind::List(targets) => {
                let items = self.unpacked(targets, &value, target.line)?;
                targets.iter().zip(items).try_for_each(|(t, slot)| self.bind(t, slot.value))
            }
            _ => Err((target.line, cannot_assign())),
        }
    }

    fn unpacked(
        &mut self,
        targets: &[Expression],
        value: &Value,
        line: u32,
    ) -> Evaluate<Vec<Slot>> {
        let items = self.iterate(value, line).map_err(|problem| (line, problem))?;
        if items.len() != targets.len() {
            let (expected, found) = (targets.len(), items.len());
            let message = format!("unpacking: expected {expected} values, found {found}");
            return Err((line, Problem::Value(message)));
        }
        Ok(items)
    }

    /// Stores an entry; dicts of the base rebuild what they are given, as MMEngine's do.
    pub(super) fn set_entry(&mut self, id: usize, key: Key, mut slot: Slot) -> Result<(), Problem> {
        self.limits.elements(1)?;
        self.limits.work(key.as_str().map_or(0, str::len))?;
        if self.heap.entries(id).is_config {
            slot.value = self.heap.hook(slot.value, self.limits, 0)?;
        }
        self.heap.entries_mut(id).entries.insert(key, slot);
        Ok(())
    }

    fn set_item(&mut self, holder: &Value, index: &Value, slot: Slot) -> Result<(), Problem> {
        match holder {
            Value::Dict(id) => {
                let key = index.to_key(self.limits)?;
                self.set_entry(*id, key, slot)
            }
            Value::List(id) => {
                let position = position(index, self.heap.items(*id).len())?;
                self.heap.items_mut(*id)[position] = slot;
                Ok(())
            }
            other => Err(no_items("item", other)),
        }
    }

    pub(super) fn assign_augmented(
        &mut self,
        target: &Expression,
        operator: BinaryOperator,
        value: &Expression,
    ) -> Evaluate<()> {
        let fail = |problem| (target.line, problem);
        let left = self.raw(target)?;
        let right = self.expression(value)?;
        // `+=` changes a list in place, so that other names of it see the change.
        if let (Value::List(id), BinaryOperator::Add) = (&left, operator) {
            let items = self.iterate(&right, value.line).map_err(fail)?;
            self.heap.items_mut(*id).extend(items);
            return self.assign(target, left);
        }
        let result = self.binary(operator, &left, &right).map_err(fail)?;
        self.assign(target, result)
    }

    pub(super) fn delete(&mut self, target: &Expression) -> Evaluate<()> {
        let fail = |problem| (target.line, problem);
        match &target.kind {
            ExpressionKind::Name(name) => {
                self.limits.work(self.names.len().saturating_mul(4)).map_err(fail)?;
                match self.names.shift_remove(name) {
                    Some(_) => Ok(()),
                    None => Err(fail(self.unknown_name(name))),
                }
            }
            ExpressionKind::Attribute { holder, name } => match self.raw(holder)? {
                Value::Dict(id) if self.heap.entries(id).is_config => {
                    self.remove_entry(id, &Key::Str(name.clone()), target.line).map_err(fail)
                }
                Value::Dict(_) => Err(fail(plain_dict_has_no_attributes(name))),
                other => Err(fail(no_items("attribute", &other))),
            },
            ExpressionKind::Subscript { index, .. } if is_refused(&target.kind, &index.kind) => {
                Err(fail(refused(&target.kind)))
            }
            ExpressionKind::Subscript { holder, index } => {
                let holder = self.raw(holder)?;
                let index = self.expression(index)?;
                self.delete_item(&holder, &index, target.line).map_err(fail)
            }
            _ => Err(fail(cannot_assign())),
        }
    }

    fn delete_item(&mut self, holder: &Value, index: &Value, line: u32) -> Result<(), Problem> {
        match holder {
            Value::Dict(id) => {
                let key = index.to_key(self.limits)?;
                self.remove_entry(*id, &key, line)
            }
            Value::List(id) => {
                let position = position(index, self.heap.items(*id).len())?;
                self.limits.work(self.heap.items(*id).len())?;
                self.heap.items_mut(*id).remove(position);
                self.cuts.insert(*id, line);
                Ok(())
            }
            other => Err(no_items("item", other)),
        }
    }

    fn remove_entry(&mut self, id: usize, key: &Key, line: u32) -> Result<(), Problem> {
        self.limits.work(self.heap.entries(id).entries.len().saturating_mul(4))?;
        match self.heap.entries_mut(id).entries.shift_remove(key) {
            Some(_) => self.note_removal(id, key, line),
            None => Err(unknown_key(self.heap.entries(id), &key.to_string())),
        }
    }

    /// Remembers which line removed an entry of a dict of the base.
    pub(super) fn note_removal(&mut self, id: usize, key: &Key, line: u32) -> Result<(), Problem> {
        if self.heap.entries(id).is_config {
            self.limits.elements(1)?;
            self.removals.entry(id).or_default().insert(key.clone(), line);
        }
        Ok(())
    }
}

/// Targets of Python that are not part of the language: `a[1:2]` and `*a`.
fn is_refused(target: &ExpressionKind, index: &ExpressionKind) -> bool {
    matches!(target, ExpressionKind::Starred(_)) || matches!(index, ExpressionKind::Slice(_))
}

fn refused(target: &ExpressionKind) -> Problem {
    let (what, hint) = match target {
        ExpressionKind::Starred(_) => ("targets with `*`", "take the parts out by slices"),
        _ => ("changes of slices", "build a new list of slices, as in `a[:1] + [x] + a[2:]`"),
    };
    Problem::NotInLanguage { what: what.to_owned(), hint }
}

fn cannot_assign() -> Problem {
    Problem::Value("expected a name, an attribute or an item to change".to_owned())
}

fn no_items(what: &str, holder: &Value) -> Problem {
    Problem::Value(format!("{what} of {}: it cannot be changed", holder.type_name()))
}
