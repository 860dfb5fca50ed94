//! Python's comparisons: equality across number types, order, identity, membership.

use std::cmp::Ordering;

use super::evaluate::Evaluator;
use super::heap::Value;
use super::syntax::Comparison;
use crate::error::Problem;
use crate::limits::check_depth;

impl Evaluator<'_> {
    pub(super) fn compare(
        &mut self,
        comparison: Comparison,
        left: &Value,
        right: &Value,
    ) -> Result<bool, Problem> {
        if let (Value::Str(a), Value::Str(b)) = (left, right) {
            self.limits.work(a.len().saturating_add(b.len()))?;
        }
        match comparison {
            Comparison::Equal => self.equal(left, right, 0),
            Comparison::NotEqual => self.equal(left, right, 0).map(|equal| !equal),
            Comparison::Is => Ok(is_same(left, right)),
            Comparison::IsNot => Ok(!is_same(left, right)),
            Comparison::In => self.contains(right, left),
            Comparison::NotIn => self.contains(right, left).map(|found| !found),
            Comparison::Less => Ok(self.order(left, right)? == Some(Ordering::Less)),
            Comparison::Greater => Ok(self.order(left, right)? == Some(Ordering::Greater)),
            Comparison::LessOrEqual => {
                Ok(self.order(left, right)?.is_some_and(|order| order != Ordering::Greater))
            }
            Comparison::GreaterOrEqual => {
                Ok(self.order(left, right)?.is_some_and(|order| order != Ordering::Less))
            }
        }
    }

    pub(super) fn equal(
        &mut self,
        left: &Value,
        right: &Value,
        depth: usize,
    ) -> Result<bool, Problem> {
        check_depth(depth)?;
        self.limits.step()?;
        if let (Some(a), Some(b)) = (left.as_int(), right.as_int()) {
            return Ok(a == b);
        }
        if let (Some(a), Some(b)) = (left.as_float(), right.as_float()) {
            return Ok(a == b);
        }
        match (left, right) {
            (Value::None, Value::None) => Ok(true),
            (Value::Str(a), Value::Str(b)) | (Value::Lazy(a), Value::Lazy(b)) => {
                self.limits.work(a.len().min(b.len()))?;
                Ok(a == b)
            }
            (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
                if self.heap.items(*a).len() != self.heap.items(*b).len() {
                    return Ok(false);
                }
                for i in 0..self.heap.items(*a).len() {
                    let (a, b) = (self.heap.items(*a)[i].clone(), self.heap.items(*b)[i].clone());
                    if !self.equal(&a.value, &b.value, depth + 1)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::Dict(a), Value::Dict(b)) => self.equal_dicts(*a, *b, depth),
            _ => Ok(false),
        }
    }

    fn equal_dicts(&mut self, a: usize, b: usize, depth: usize) -> Result<bool, Problem> {
        if self.heap.entries(a).entries.len() != self.heap.entries(b).entries.len() {
            return Ok(false);
        }
        for i in 0..self.heap.entries(a).entries.len() {
            let Some((key, left)) = self.heap.entries(a).entries.get_index(i) else { break };
            self.limits.work(key.as_str().map_or(0, str::len))?;
            let Some(right) = self.heap.entries(b).entries.get(key) else { return Ok(false) };
            let (left, right) = (left.value.clone(), right.value.clone());
            if !self.equal(&left, &right, depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn contains(&mut self, holder: &Value, wanted: &Value) -> Result<bool, Problem> {
        match (holder, wanted) {
            (Value::Str(text), Value::Str(part)) => Ok(text.contains(&**part)),
            (Value::Dict(id), key) => {
                let key = match key.to_key(self.limits) {
                    Ok(key) => key,
                    Err(limit @ Problem::Limit { .. }) => return Err(limit),
                    Err(_) => return Ok(false),
                };
                Ok(self.heap.entries(*id).entries.contains_key(&key))
            }
            (Value::List(id) | Value::Tuple(id), wanted) => Ok(self.find(*id, wanted)?.is_some()),
            (other, _) => Err(Problem::Value(format!(
                "`in`: expected a container, found {}",
                other.type_name()
            ))),
        }
    }

    /// The position of the first item that equals a value.
    pub(super) fn find(&mut self, id: usize, wanted: &Value) -> Result<Option<usize>, Problem> {
        for i in 0..self.heap.items(id).len() {
            let item = self.heap.items(id)[i].value.clone();
            if self.equal(&item, wanted, 0)? {
                return Ok(Some(i));
            }
        }
        Ok(None)
    }

    /// Which of two numbers, strings or sequences comes first; nothing where one is not a number.
    pub(super) fn order(
        &mut self,
        left: &Value,
        right: &Value,
    ) -> Result<Option<Ordering>, Problem> {
        self.limits.step()?;
        if let (Some(a), Some(b)) = (left.as_int(), right.as_int()) {
            return Ok(Some(a.cmp(&b)));
        }
        if let (Some(a), Some(b)) = (left.as_float(), right.as_float()) {
            return Ok(a.partial_cmp(&b));
        }
        match (left, right) {
            (Value::Str(a), Value::Str(b)) => {
                self.limits.work(a.len().min(b.len()))?;
                Ok(Some(a.cmp(b)))
            }
            (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
                self.order_items(*a, *b)
            }
            _ => Err(Problem::Value(format!(
                "comparison: expected two numbers or two strings, found {} and {}",
                left.type_name(),
                right.type_name()
            ))),
        }
    }

    fn order_items(&mut self, a: usize, b: usize) -> Result<Option<Ordering>, Problem> {
        let lengths = (self.heap.items(a).len(), self.heap.items(b).len());
        for i in 0..lengths.0.min(lengths.1) {
            let (left, right) = (self.heap.items(a)[i].clone(), self.heap.items(b)[i].clone());
            if !self.equal(&left.value, &right.value, 0)? {
                return self.flat_order(&left.value, &right.value);
            }
        }
        Ok(Some(lengths.0.cmp(&lengths.1)))
    }

    /// Order of items, which are not looked into again: that keeps the recursion bounded.
    fn flat_order(&mut self, left: &Value, right: &Value) -> Result<Option<Ordering>, Problem> {
        match (left, right) {
            (Value::List(_) | Value::Tuple(_), _) => Err(Problem::NotInLanguage {
                what: "orders of nested sequences".to_owned(),
                hint: "compare the inner ones",
            }),
            _ => self.order(left, right),
        }
    }
}

/// Python's `is`, for None, truth values and containers; equal strings and numbers count as one.
fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::None, Value::None) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Str(a), Value::Str(b)) => a == b,
        (Value::List(a), Value::List(b))
        | (Value::Tuple(a), Value::Tuple(b))
        | (Value::Dict(a), Value::Dict(b)) => a == b,
        _ => false,
    }
}
