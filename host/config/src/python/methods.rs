//! Methods of dicts, lists and tuples.
//!
//! Source: `ConfigDict` in MMEngine's `mmengine/config/config.py` for dicts of the base.

use super::builtins::{pairs, sorted};
use super::evaluate::Evaluator;
use super::expressions::{Arguments, unknown_key};
use super::heap::{Slot, Value};
use super::slices::position;
use crate::error::Problem;
use crate::limits::check_depth;
use crate::merge::DELETE;
use crate::nearest::nearest;
use crate::tree::Key;

const DICT_METHODS: &[&str] =
    &["update", "merge", "pop", "get", "setdefault", "keys", "values", "items", "copy", "clear"];
const LIST_METHODS: &[&str] = &[
    "append", "extend", "insert", "pop", "remove", "index", "count", "copy", "reverse", "sort",
    "clear",
];
const TUPLE_METHODS: &[&str] = &["index", "count"];
impl Evaluator<'_> {
    pub(super) fn method(
        &mut self,
        holder: &Value,
        name: &str,
        arguments: Arguments,
    ) -> Result<Value, Problem> {
        let takes_keywords = matches!(name, "update" | "sort" | "format");
        if let Some((keyword, _)) = arguments.keywords.first().filter(|_| !takes_keywords) {
            let message = format!("`.{name}()`: expected no keywords, found `{keyword}`");
            return Err(Problem::Value(message));
        }
        match holder {
            Value::Dict(id) => self.dict_method(*id, name, arguments),
            Value::List(id) => self.list_method(*id, name, arguments),
            Value::Tuple(id) => match (name, &arguments.positional[..]) {
                ("index", [item]) => self.index_of(*id, &item.value),
                ("count", [item]) => self.count_of(*id, &item.value),
                _ => Err(unknown_method("tuple", name, TUPLE_METHODS)),
            },
            Value::Str(text) => self.string_method(text, name, arguments),
            other => Err(unknown_method(other.type_name(), name, &[])),
        }
    }

    fn dict_method(
        &mut self,
        id: usize,
        name: &str,
        arguments: Arguments,
    ) -> Result<Value, Problem> {
        let line = arguments.line;
        match (name, &arguments.positional[..]) {
            ("update", [] | [_]) => self.update(id, arguments),
            ("merge", [Slot { value: Value::Dict(other), .. }]) => {
                let other = *other;
                let mut entries = self.heap.entries(other).entries.clone();
                let deletes = entries.shift_remove(&Key::from(DELETE));
                if deletes.is_some_and(|slot| self.heap.is_truthy(&slot.value)) {
                    self.heap.entries_mut(id).entries.clear();
                }
                self.heap.entries_mut(id).is_config = true;
                self.update_with(id, entries.into_iter().collect(), 0)?;
                Ok(Value::None)
            }
            ("pop", [key, default @ ..]) if default.len() < 2 => {
                let default = default.first().map(|default| default.value.clone());
                let key = key.value.to_key(self.limits)?;
                self.pop(id, &key, default, line)
            }
            ("get", [key, default @ ..]) if default.len() < 2 => {
                let default = default.first().map(|default| default.value.clone());
                let key = key.value.to_key(self.limits)?;
                Ok(self.get(id, &key).or(default).unwrap_or(Value::None))
            }
            ("setdefault", [key, default]) => {
                let key = key.value.to_key(self.limits)?;
                if self.get(id, &key).is_none() {
                    self.set_entry(id, key.clone(), default.clone())?;
                }
                Ok(self.get(id, &key).unwrap_or(Value::None))
            }
            ("setdefault", [key]) => {
                let key = key.value.to_key(self.limits)?;
                if self.get(id, &key).is_none() {
                    let none = Slot { at: self.at(line), value: Value::None };
                    self.set_entry(id, key.clone(), none)?;
                }
                Ok(self.get(id, &key).unwrap_or(Value::None))
            }
            ("keys" | "values" | "items", []) => self.listed(id, name, line),
            ("copy", []) => {
                let dict = self.heap.entries(id).clone();
                self.limits.elements(dict.entries.len())?;
                Ok(self.heap.dict(dict))
            }
            ("clear", []) => {
                self.heap.entries_mut(id).entries.clear();
                Ok(Value::None)
            }
            _ => Err(unknown_method("dict", name, DICT_METHODS)),
        }
    }

    fn get(&self, id: usize, key: &Key) -> Option<Value> {
        self.heap.entries(id).entries.get(key).map(|slot| slot.value.clone())
    }

    /// Dicts of the base give None for a missing key, plain ones fail.
    fn pop(
        &mut self,
        id: usize,
        key: &Key,
        default: Option<Value>,
        line: u32,
    ) -> Result<Value, Problem> {
        self.limits.work(self.heap.entries(id).entries.len().saturating_mul(4))?;
        if let Some(slot) = self.heap.entries_mut(id).entries.shift_remove(key) {
            self.note_removal(id, key, line)?;
            return Ok(slot.value);
        }
        let dict = self.heap.entries(id);
        match default {
            Some(default) => Ok(default),
            None if dict.is_config => Ok(Value::None),
            None => Err(unknown_key(dict, &key.to_string())),
        }
    }

    fn update(&mut self, id: usize, arguments: Arguments) -> Result<Value, Problem> {
        let mut added = match arguments.positional.first() {
            Some(source) => pairs(self, &source.value, arguments.line)?,
            None => Vec::new(),
        };
        added.extend(arguments.keywords.into_iter().map(|(name, slot)| (Key::Str(name), slot)));
        self.update_with(id, added, 0)?;
        Ok(Value::None)
    }

    /// Deep for dicts of the base, where `_delete_` replaces; shallow for plain ones.
    fn update_with(
        &mut self,
        id: usize,
        added: Vec<(Key, Slot)>,
        depth: usize,
    ) -> Result<(), Problem> {
        check_depth(depth)?;
        self.limits.elements(added.len())?;
        for (key, slot) in added {
            let is_config = self.heap.entries(id).is_config;
            match (self.get(id, &key), &slot.value) {
                (Some(Value::Dict(old)), Value::Dict(new)) if is_config && old != *new => {
                    let mut entries = self.heap.entries(*new).entries.clone();
                    let deletes = entries.shift_remove(&Key::from(DELETE));
                    if deletes.is_some_and(|slot| self.heap.is_truthy(&slot.value)) {
                        self.heap.entries_mut(old).entries.clear();
                    }
                    self.update_with(old, entries.into_iter().collect(), depth + 1)?;
                }
                _ => self.set_entry(id, key, slot)?,
            }
        }
        Ok(())
    }

    fn listed(&mut self, id: usize, name: &str, line: u32) -> Result<Value, Problem> {
        let at = self.at(line);
        let entries: Vec<(Key, Slot)> = {
            let entries = &self.heap.entries(id).entries;
            self.limits.elements(entries.len() * 3)?;
            entries.iter().map(|(key, slot)| (key.clone(), slot.clone())).collect()
        };
        let mut items = Vec::with_capacity(entries.len());
        for (key, slot) in entries {
            let key = Slot { at, value: Value::from(&key) };
            items.push(match name {
                "keys" => key,
                "values" => slot,
                _ => Slot { at, value: self.heap.tuple(vec![key, slot]) },
            });
        }
        Ok(self.heap.list(items))
    }

    fn list_method(
        &mut self,
        id: usize,
        name: &str,
        arguments: Arguments,
    ) -> Result<Value, Problem> {
        if !matches!(name, "index" | "count" | "copy") {
            self.cuts.insert(id, arguments.line);
        }
        match (name, &arguments.positional[..]) {
            ("append", [item]) => {
                self.limits.elements(1)?;
                self.heap.items_mut(id).push(item.clone());
            }
            ("extend", [items]) => {
                let items = self.iterate(&items.value, arguments.line)?;
                self.heap.items_mut(id).extend(items);
            }
            ("insert", [index, item]) if index.value.as_int().is_some() => {
                self.limits.elements(1)?;
                self.limits.work(self.heap.items(id).len())?;
                let length = self.heap.items(id).len() as i64;
                let index = index.value.as_int().unwrap_or(0);
                let from_start = if index < 0 { index.saturating_add(length) } else { index };
                self.heap.items_mut(id).insert(from_start.clamp(0, length) as usize, item.clone());
            }
            ("pop", []) => return self.pop_item(id, &Value::Int(-1)),
            ("pop", [index]) => return self.pop_item(id, &index.value),
            ("remove", [item]) => {
                let Some(index) = self.find(id, &item.value)? else {
                    return Err(not_in_the_list("remove"));
                };
                self.limits.work(self.heap.items(id).len())?;
                self.heap.items_mut(id).remove(index);
            }
            ("index", [item]) => return self.index_of(id, &item.value),
            ("count", [item]) => return self.count_of(id, &item.value),
            ("copy", []) => {
                let items = self.heap.items(id).to_vec();
                self.limits.elements(items.len())?;
                return Ok(self.heap.list(items));
            }
            ("reverse", []) => {
                self.limits.work(self.heap.items(id).len())?;
                self.heap.items_mut(id).reverse();
            }
            ("sort", []) => {
                let items = self.heap.items(id).to_vec();
                *self.heap.items_mut(id) = sorted(self, items, &arguments.keywords)?;
            }
            ("clear", []) => self.heap.items_mut(id).clear(),
            _ => return Err(unknown_method("list", name, LIST_METHODS)),
        }
        Ok(Value::None)
    }

    fn pop_item(&mut self, id: usize, index: &Value) -> Result<Value, Problem> {
        let position = position(index, self.heap.items(id).len())?;
        self.limits.work(self.heap.items(id).len() - position)?;
        Ok(self.heap.items_mut(id).remove(position).value)
    }

    fn index_of(&mut self, id: usize, item: &Value) -> Result<Value, Problem> {
        let found = self.find(id, item)?;
        found.map(|i| Value::Int(i as i64)).ok_or_else(|| not_in_the_list("index"))
    }

    fn count_of(&mut self, id: usize, item: &Value) -> Result<Value, Problem> {
        let mut count = 0;
        for i in 0..self.heap.items(id).len() {
            let other = self.heap.items(id)[i].value.clone();
            count += i64::from(self.equal(&other, item, 0)?);
        }
        Ok(Value::Int(count))
    }
}

fn not_in_the_list(method: &str) -> Problem {
    Problem::Value(format!("`.{method}()`: expected an item of the list, found another value"))
}

pub(super) fn unknown_method(type_name: &str, name: &str, known: &[&'static str]) -> Problem {
    if known.contains(&name) {
        let message =
            format!("`.{name}()`: expected other arguments (see Python's `{type_name}.{name}`)");
        return Problem::Value(message);
    }
    Problem::UnknownKey {
        holder: format!("a {type_name}"),
        key: format!("{name}()"),
        nearest: nearest(name, known.iter().copied()).map(|name| format!("{name}()")),
    }
}
