//! The value of an expression.

use std::collections::HashSet;
use std::sync::Arc;

use super::builtins::{self, BUILTINS};
use super::evaluate::{BASE, Evaluate, Evaluator};
use super::heap::{Dict, Slot, Value};
use super::slices::position;
use super::syntax::{
    Call, Conversion, DictItem, Expression, ExpressionKind, Keyword, Piece, UnaryOperator,
};
use super::{arithmetic, format_spec, text};
use crate::error::Problem;
use crate::nearest::nearest;
use crate::tree::Key;

/// Evaluated arguments of a call.
pub(super) struct Arguments {
    pub(super) line: u32,
    pub(super) positional: Vec<Slot>,
    pub(super) keywords: Vec<(Arc<str>, Slot)>,
}

impl Evaluator<'_> {
    pub(super) fn expression(&mut self, expr: &Expression) -> Evaluate<Value> {
        let fail = |problem| (expr.line, problem);
        self.limits.step().map_err(fail)?;
        Ok(match &expr.kind {
            ExpressionKind::None => Value::None,
            ExpressionKind::Bool(truth) => Value::Bool(*truth),
            ExpressionKind::Int(int) => Value::Int(*int),
            ExpressionKind::Float(float) => Value::Float(*float),
            ExpressionKind::Str(text) => Value::Str(text.clone()),
            ExpressionKind::Template(pieces) => {
                Value::Str(self.template(pieces, expr.line)?.into())
            }
            ExpressionKind::Placeholder(path) => self.placeholder(path).map_err(fail)?,
            ExpressionKind::Name(name) => {
                let value = self.name(name).map_err(fail)?;
                self.propagated(name, value).map_err(fail)?
            }
            ExpressionKind::List(items) => {
                let items = self.elements(items)?;
                self.heap.list(items)
            }
            ExpressionKind::Tuple(items) => {
                let items = self.elements(items)?;
                self.heap.tuple(items)
            }
            ExpressionKind::Dict(items) => self.dict(items)?,
            ExpressionKind::Call(call) => self.call(call, expr.line, false)?,
            ExpressionKind::Attribute { holder, name } => {
                let value = self.expression(holder)?;
                let value = self.attribute(&value, name).map_err(fail)?;
                if is_base(holder) { self.propagated(name, value).map_err(fail)? } else { value }
            }
            ExpressionKind::Subscript { holder, index } => self.subscript(holder, index)?,
            ExpressionKind::Starred(_) | ExpressionKind::Slice(_) => {
                return Err(fail(Problem::Value(
                    "`*` and slices: expected inside brackets".into(),
                )));
            }
            _ => return self.operation(expr),
        })
    }

    fn operation(&mut self, expr: &Expression) -> Evaluate<Value> {
        let fail = |problem| (expr.line, problem);
        match &expr.kind {
            ExpressionKind::Binary { operator, sides } => {
                let left = self.expression(&sides.0)?;
                let right = self.expression(&sides.1)?;
                self.binary(*operator, &left, &right).map_err(fail)
            }
            ExpressionKind::Unary { operator, operand } => {
                let operand = self.expression(operand)?;
                match operator {
                    UnaryOperator::Not => Ok(Value::Bool(!self.heap.is_truthy(&operand))),
                    UnaryOperator::Negative => arithmetic::negate(&operand).map_err(fail),
                    UnaryOperator::Positive => arithmetic::plus(&operand).map_err(fail),
                }
            }
            ExpressionKind::All(values) => self.first_where(values, false),
            ExpressionKind::Any(values) => self.first_where(values, true),
            ExpressionKind::Compare { first, rest } => {
                let mut left = self.expression(first)?;
                for (comparison, right) in rest {
                    let right = self.expression(right)?;
                    if !self.compare(*comparison, &left, &right).map_err(fail)? {
                        return Ok(Value::Bool(false));
                    }
                    left = right;
                }
                Ok(Value::Bool(true))
            }
            ExpressionKind::Conditional(conditional) => {
                let test = self.expression(&conditional.test)?;
                let is_true = self.heap.is_truthy(&test);
                self.expression(if is_true { &conditional.then } else { &conditional.otherwise })
            }
            _ => self.comprehension(expr),
        }
    }

    /// The first value whose truth is `wanted`, else the last: `and` and `or`.
    fn first_where(&mut self, values: &[Expression], wanted: bool) -> Evaluate<Value> {
        let mut last = Value::None;
        for value in values {
            last = self.expression(value)?;
            if self.heap.is_truthy(&last) == wanted {
                break;
            }
        }
        Ok(last)
    }

    fn name(&self, name: &str) -> Result<Value, Problem> {
        if let Some((_, value)) = self.locals.iter().rev().find(|(local, _)| &**local == name) {
            return Ok(value.clone());
        }
        if let Some(slot) = self.names.get(name) {
            return Ok(slot.value.clone());
        }
        if BUILTINS.contains(&name) {
            return Err(Problem::Value(format!(
                "function `{name}`: expected a call, as `{name}(…)`"
            )));
        }
        Err(self.unknown_name(name))
    }

    /// A value as files that inherit from this one will change it, where that is to propagate.
    fn propagated(&mut self, name: &str, value: Value) -> Result<Value, Problem> {
        let Some(later) = self.later.filter(|later| later.changes(name)) else {
            return Ok(value);
        };
        let is_itself = self.assigned.as_deref() == Some(name);
        if self.reads_raw || is_itself || self.locals.iter().any(|(local, _)| &**local == name) {
            return Ok(value);
        }
        let slot = Slot { at: self.at(0), value };
        let mut node = self.heap.freeze(&slot, self.limits)?;
        later.apply(name, &mut node);
        self.limits.elements(node.count())?;
        Ok(self.heap.thaw(node).value)
    }

    /// The value of what is about to be changed.
    pub(super) fn raw(&mut self, expr: &Expression) -> Evaluate<Value> {
        let before = std::mem::replace(&mut self.reads_raw, true);
        let value = self.expression(expr);
        self.reads_raw = before;
        value
    }

    pub(super) fn unknown_name(&self, name: &str) -> Problem {
        let locals = self.locals.iter().map(|(local, _)| &**local);
        let known = locals.chain(self.names.keys().map(|known| &**known));
        let nearest = nearest(name, known.chain(BUILTINS.iter().copied())).map(str::to_owned);
        Problem::UnknownName { name: name.to_owned(), nearest }
    }

    /// The base's value at a path, copied: the placeholder stands for the text of it.
    fn placeholder(&mut self, path: &[Arc<str>]) -> Result<Value, Problem> {
        let mut value = self.name(BASE)?;
        for (depth, step) in path.iter().enumerate() {
            value = match (&value, step.parse::<i64>()) {
                (Value::List(_) | Value::Tuple(_), Ok(index)) => {
                    self.item(&value, &Value::Int(index))?
                }
                _ => self.attribute(&value, step)?,
            };
            if depth == 0 {
                value = self.propagated(step, value)?;
            }
        }
        let copy = Slot { at: self.at(0), value };
        let node = self.heap.freeze(&copy, self.limits)?;
        Ok(self.heap.thaw(node).value)
    }

    /// Elements of a list or tuple, with `*` unpacked.
    pub(super) fn elements(&mut self, items: &[Expression]) -> Evaluate<Vec<Slot>> {
        let mut elements = Vec::with_capacity(items.len());
        for item in items {
            let fail = |problem| (item.line, problem);
            self.limits.elements(1).map_err(fail)?;
            if let ExpressionKind::Starred(source) = &item.kind {
                let source = self.expression(source)?;
                elements.extend(self.iterate(&source, item.line).map_err(fail)?);
            } else {
                let value = self.expression(item)?;
                elements.push(Slot { at: self.at(item.line), value });
            }
        }
        Ok(elements)
    }

    fn dict(&mut self, items: &[DictItem]) -> Evaluate<Value> {
        let mut dict = Dict::default();
        for item in items {
            match item {
                DictItem::Entry(key, value) => {
                    let fail = |problem| (key.line, problem);
                    self.limits.elements(1).map_err(fail)?;
                    let at = self.at(key.line);
                    let key = self.expression(key)?.to_key(self.limits).map_err(fail)?;
                    let value = self.expression(value)?;
                    dict.entries.insert(key, Slot { at, value });
                }
                DictItem::Unpack(source) => {
                    let fail = |problem| (source.line, problem);
                    let value = self.expression(source)?;
                    dict.entries.extend(self.unpack_dict(&value).map_err(fail)?);
                }
            }
        }
        Ok(self.heap.dict(dict))
    }

    /// Copies the entries of what stands after `**`.
    fn unpack_dict(&mut self, value: &Value) -> Result<Vec<(Key, Slot)>, Problem> {
        let Value::Dict(id) = value else {
            let message = format!("`**`: expected a dict, found {}", value.type_name());
            return Err(Problem::Value(message));
        };
        let entries = &self.heap.entries(*id).entries;
        self.limits.elements(entries.len())?;
        self.limits.keys(entries.keys())?;
        Ok(entries.iter().map(|(key, slot)| (key.clone(), slot.clone())).collect())
    }

    /// Calls a function or method; where the call is a statement, for what it does to its holder.
    pub(super) fn call(&mut self, call: &Call, line: u32, is_statement: bool) -> Evaluate<Value> {
        let fail = |problem| (line, problem);
        match &call.callee.kind {
            ExpressionKind::Attribute { holder, name } => {
                let holder =
                    if is_statement { self.raw(holder)? } else { self.expression(holder)? };
                let arguments = self.arguments(call, line)?;
                if let Value::Lazy(path) = &holder {
                    let path = format!("{path}.{name}");
                    return self.call_imported(&path, arguments).map_err(fail);
                }
                self.method(&holder, name, arguments).map_err(fail)
            }
            ExpressionKind::Name(name) if let Ok(Value::Lazy(path)) = self.name(name) => {
                let arguments = self.arguments(call, line)?;
                self.call_imported(&path, arguments).map_err(fail)
            }
            ExpressionKind::Name(name) if BUILTINS.contains(&&**name) => {
                let arguments = self.arguments(call, line)?;
                builtins::call(self, name, arguments).map_err(fail)
            }
            ExpressionKind::Name(name) if self.name(name).is_err() => {
                let what = format!("calls of `{name}`");
                Err(fail(Problem::NotInLanguage { what, hint: builtins::HINT }))
            }
            _ => Err(fail(Problem::NotInLanguage {
                what: "calls of values".to_owned(),
                hint: builtins::HINT,
            })),
        }
    }

    fn arguments(&mut self, call: &Call, line: u32) -> Evaluate<Arguments> {
        let positional = self.elements(&call.arguments)?;
        let mut keywords: Vec<(Arc<str>, Slot)> = Vec::with_capacity(call.keywords.len());
        let mut known: HashSet<Arc<str>> = HashSet::with_capacity(call.keywords.len());
        let mut once = |name: &Arc<str>| match known.insert(name.clone()) {
            true => Ok(()),
            false => {
                Err(Problem::Value(format!("argument `{name}` is given twice (keep one of them)")))
            }
        };
        for Keyword { line, name, value } in &call.keywords {
            let fail = |problem| (*line, problem);
            let value = self.expression(value)?;
            self.limits.elements(1).map_err(fail)?;
            if let Some(name) = name {
                once(name).map_err(fail)?;
                keywords.push((name.clone(), Slot { at: self.at(*line), value }));
                continue;
            }
            for (key, slot) in self.unpack_dict(&value).map_err(fail)? {
                let Key::Str(name) = key else {
                    let message = format!("`**`: expected keys that are strings, found {key}");
                    return Err(fail(Problem::Value(message)));
                };
                once(&name).map_err(fail)?;
                keywords.push((name, slot));
            }
        }
        Ok(Arguments { line, positional, keywords })
    }

    pub(super) fn attribute(&mut self, holder: &Value, name: &str) -> Result<Value, Problem> {
        if let Value::Lazy(path) = holder {
            self.limits.text(path.len() + name.len())?;
            return Ok(self.imported(&format!("{path}.{name}")));
        }
        let Value::Dict(id) = holder else {
            let message = format!("attribute `{name}`: {} has none", holder.type_name());
            return Err(Problem::Value(message));
        };
        let dict = self.heap.entries(*id);
        if !dict.is_config {
            return Err(plain_dict_has_no_attributes(name));
        }
        match dict.entries.get(&Key::from(name)) {
            Some(slot) => Ok(slot.value.clone()),
            None => Err(unknown_key(dict, name)),
        }
    }

    fn subscript(&mut self, held: &Expression, index: &Expression) -> Evaluate<Value> {
        let fail = |problem| (index.line, problem);
        let holder = self.expression(held)?;
        if let ExpressionKind::Slice(slice) = &index.kind {
            return self.slice(&holder, slice, index.line);
        }
        let index = self.expression(index)?;
        let value = self.item(&holder, &index).map_err(fail)?;
        match &index {
            Value::Str(name) if is_base(held) => self.propagated(name, value).map_err(fail),
            _ => Ok(value),
        }
    }

    pub(super) fn item(&mut self, holder: &Value, index: &Value) -> Result<Value, Problem> {
        match holder {
            Value::Dict(id) => {
                let key = index.to_key(self.limits)?;
                let dict = self.heap.entries(*id);
                let slot = dict.entries.get(&key);
                slot.map(|slot| slot.value.clone())
                    .ok_or_else(|| unknown_key(dict, &key.to_string()))
            }
            Value::List(id) | Value::Tuple(id) => {
                let items = self.heap.items(*id);
                Ok(items[position(index, items.len())?].value.clone())
            }
            Value::Str(text) => {
                self.limits.work(text.len().saturating_mul(2))?;
                let position = position(index, text.chars().count())?;
                let letter = text.chars().nth(position).map(String::from).unwrap_or_default();
                Ok(Value::Str(letter.into()))
            }
            other => Err(Problem::Value(format!("item of {}: it has none", other.type_name()))),
        }
    }

    fn template(&mut self, pieces: &[Piece], line: u32) -> Evaluate<String> {
        let mut result = String::new();
        for piece in pieces {
            let fail = |problem| (line, problem);
            match piece {
                Piece::Text(text) => result.push_str(text),
                Piece::Value { value, conversion, spec } => {
                    let value = self.expression(value)?;
                    let spec = self.template(spec, line)?;
                    let piece = self.format(&value, *conversion, &spec).map_err(fail)?;
                    result.push_str(&piece);
                }
            }
            self.limits.text(result.len()).map_err(fail)?;
        }
        Ok(result)
    }

    pub(super) fn format(
        &mut self,
        value: &Value,
        conversion: Conversion,
        spec: &str,
    ) -> Result<String, Problem> {
        let converted = match conversion {
            Conversion::None => None,
            Conversion::Str => Some(text::to_str(&self.heap, value, self.limits)?),
            Conversion::Repr => Some(text::to_repr(&self.heap, value, self.limits)?),
        };
        match converted {
            Some(text) if spec.is_empty() => Ok(text),
            Some(text) => format_spec::format(&Value::Str(text.into()), spec, self.limits),
            None if spec.is_empty() => text::to_str(&self.heap, value, self.limits),
            None => format_spec::format(value, spec, self.limits),
        }
    }

    /// The items that a loop over the value sees, copied so that the loop may change the value.
    pub(super) fn iterate(&mut self, value: &Value, line: u32) -> Result<Vec<Slot>, Problem> {
        let at = self.at(line);
        let count = match value {
            Value::List(id) | Value::Tuple(id) => self.heap.items(*id).len(),
            Value::Dict(id) => self.heap.entries(*id).entries.len(),
            Value::Str(text) => text.len(),
            _ => 0,
        };
        self.limits.elements(count)?;
        let items: Vec<Slot> = match value {
            Value::List(id) | Value::Tuple(id) => self.heap.items(*id).to_vec(),
            Value::Dict(id) => {
                let keys = self.heap.entries(*id).entries.keys();
                keys.map(|key| Slot { at, value: key.into() }).collect()
            }
            Value::Str(text) => {
                let letter = |c: char| Slot { at, value: Value::Str(c.to_string().into()) };
                text.chars().map(letter).collect()
            }
            other => {
                let message =
                    format!("expected something to iterate over, found {}", other.type_name());
                return Err(Problem::Value(message));
            }
        };
        Ok(items)
    }
}

fn is_base(holder: &Expression) -> bool {
    matches!(&holder.kind, ExpressionKind::Name(name) if &**name == BASE)
}

pub(super) fn plain_dict_has_no_attributes(name: &str) -> Problem {
    Problem::Value(format!(
        "attribute `{name}`: this dict has none (write `['{name}']`; \
         attributes work on `_base_` and what comes from it)"
    ))
}

pub(super) fn unknown_key(dict: &Dict, key: &str) -> Problem {
    let nearest = nearest(key, dict.names()).map(str::to_owned);
    Problem::UnknownKey { holder: "the dict".to_owned(), key: key.to_owned(), nearest }
}
