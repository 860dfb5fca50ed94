//! The functions that a config may call.

use std::cmp::Ordering;
use std::sync::Arc;

use super::arithmetic::ints;
use super::evaluate::Evaluator;
use super::expressions::Arguments;
use super::heap::{Dict, Slot, Value};
use super::syntax::{BinaryOperator, Comparison};
use super::text;
use crate::error::Problem;
use crate::tree::Key;

/// Names of the functions, in the order in which hints prefer them.
pub(super) const BUILTINS: &[&str] = &[
    "dict",
    "list",
    "tuple",
    "range",
    "len",
    "enumerate",
    "zip",
    "int",
    "float",
    "str",
    "bool",
    "min",
    "max",
    "sum",
    "abs",
    "round",
    "sorted",
    "reversed",
    "any",
    "all",
    "pow",
    "divmod",
];

pub(super) const HINT: &str = "only dict, list, tuple, range, len, enumerate, zip, int, float, str, bool, \
     min, max, sum, abs, round, sorted, reversed, any, all, pow and divmod can be called";

/// What reading a digit of a number costs, in bytes looked at.
const WORK_PER_DIGIT: usize = 8;

pub(super) fn call(
    evaluator: &mut Evaluator,
    name: &str,
    mut arguments: Arguments,
) -> Result<Value, Problem> {
    if name == "dict" {
        return dict(evaluator, arguments);
    }
    let takes = |keyword: &str| match name {
        "sorted" => true,
        "min" | "max" => keyword == "default" && arguments.positional.len() == 1,
        _ => false,
    };
    if let Some((keyword, _)) = arguments.keywords.iter().find(|(keyword, _)| !takes(keyword)) {
        return Err(Problem::Value(format!("{name}(): expected no keywords, found `{keyword}`")));
    }
    let line = arguments.line;
    match (name, &arguments.positional[..]) {
        ("range", _) => range(evaluator, &arguments),
        ("zip", _) => zip(evaluator, &arguments),
        ("list", []) => Ok(evaluator.heap.list(Vec::new())),
        ("tuple", []) => Ok(evaluator.heap.tuple(Vec::new())),
        ("int", []) => Ok(Value::Int(0)),
        ("float", []) => Ok(Value::Float(0.0)),
        ("str", []) => Ok(Value::Str("".into())),
        ("bool", []) => Ok(Value::Bool(false)),
        ("enumerate", [items]) => enumerate(evaluator, &items.value, 0, line),
        ("enumerate", [items, start]) if start.value.as_int().is_some() => {
            enumerate(evaluator, &items.value, start.value.as_int().unwrap_or(0), line)
        }
        ("round", [number]) => round(&number.value, None),
        ("round", [number, digits]) => round(&number.value, digits.value.as_int()),
        ("sum", [items, start @ ..]) if start.len() < 2 => {
            let start = start.first().map_or(Value::Int(0), |start| start.value.clone());
            let items = evaluator.iterate(&items.value, line)?;
            items.iter().try_fold(start, |total, item| {
                evaluator.binary(BinaryOperator::Add, &total, &item.value)
            })
        }
        ("min" | "max", [items]) => {
            let items = evaluator.iterate(&items.value, line)?;
            match arguments.keywords.first() {
                Some((_, default)) if items.is_empty() => Ok(default.value.clone()),
                _ => extreme(evaluator, name, items),
            }
        }
        ("min" | "max", [_, ..]) => {
            extreme(evaluator, name, std::mem::take(&mut arguments.positional))
        }
        ("sorted", [items]) => {
            let items = evaluator.iterate(&items.value, line)?;
            let items = sorted(evaluator, items, &arguments.keywords)?;
            Ok(evaluator.heap.list(items))
        }
        ("int", [Slot { value: Value::Str(text), .. }, base]) => {
            evaluator.limits.work(text.len().saturating_mul(WORK_PER_DIGIT))?;
            let base = base.value.as_int().and_then(|base| u32::try_from(base).ok());
            let base = base.filter(|base| matches!(base, 0 | 2..=36));
            let int =
                text::parse_int_of_base(text.trim(), base.ok_or_else(|| wrong_arguments(name))?);
            int.map(Value::Int).ok_or_else(no_int)
        }
        ("pow", [base, exponent]) => {
            evaluator.binary(BinaryOperator::Power, &base.value, &exponent.value)
        }
        ("divmod", [a, b]) => {
            let at = evaluator.at(line);
            let parts = [BinaryOperator::FloorDivide, BinaryOperator::Modulo]
                .map(|operator| evaluator.binary(operator, &a.value, &b.value));
            let parts = parts.into_iter().map(|part| Ok(Slot { at, value: part? }));
            let parts = parts.collect::<Result<_, Problem>>()?;
            Ok(evaluator.heap.tuple(parts))
        }
        (_, [argument]) => {
            let argument = argument.value.clone();
            call_with_one(evaluator, name, &argument, line)
        }
        _ => Err(wrong_arguments(name)),
    }
}

fn call_with_one(
    evaluator: &mut Evaluator,
    name: &str,
    argument: &Value,
    line: u32,
) -> Result<Value, Problem> {
    match name {
        "len" => len(evaluator, argument),
        "list" | "tuple" | "reversed" => {
            let items = evaluator.iterate(argument, line)?;
            sequence(evaluator, name, items)
        }
        "any" | "all" => {
            let items = evaluator.iterate(argument, line)?;
            let mut truths = items.iter().map(|item| evaluator.heap.is_truthy(&item.value));
            Ok(Value::Bool(if name == "any" { truths.any(|t| t) } else { truths.all(|t| t) }))
        }
        "bool" => Ok(Value::Bool(evaluator.heap.is_truthy(argument))),
        "str" => {
            let text = text::to_str(&evaluator.heap, argument, evaluator.limits)?;
            Ok(Value::Str(text.into()))
        }
        "int" | "float" => {
            if let Value::Str(text) = argument {
                evaluator.limits.work(text.len().saturating_mul(WORK_PER_DIGIT))?;
            }
            if name == "int" { to_int(argument) } else { to_float(argument) }
        }
        "abs" => abs(argument),
        _ => Err(wrong_arguments(name)),
    }
}

fn wrong_arguments(name: &str) -> Problem {
    Problem::Value(format!("{name}(): expected other arguments (see Python's `{name}`)"))
}

fn dict(evaluator: &mut Evaluator, arguments: Arguments) -> Result<Value, Problem> {
    let mut dict = Dict::default();
    match &arguments.positional[..] {
        [] => {}
        [source] => dict.entries.extend(pairs(evaluator, &source.value, arguments.line)?),
        _ => return Err(wrong_arguments("dict")),
    }
    dict.entries.reserve(arguments.keywords.len());
    for (name, slot) in arguments.keywords {
        dict.entries.insert(Key::Str(name), slot);
    }
    Ok(evaluator.heap.dict(dict))
}

/// The entries of a dict, or of a list of pairs.
pub(super) fn pairs(
    evaluator: &mut Evaluator,
    source: &Value,
    line: u32,
) -> Result<Vec<(Key, Slot)>, Problem> {
    if let Value::Dict(id) = source {
        let entries = &evaluator.heap.entries(*id).entries;
        evaluator.limits.elements(entries.len())?;
        evaluator.limits.keys(entries.keys())?;
        return Ok(entries.iter().map(|(key, slot)| (key.clone(), slot.clone())).collect());
    }
    let mut pairs = Vec::new();
    for item in evaluator.iterate(source, line)? {
        match &evaluator.iterate(&item.value, line)?[..] {
            [key, value] => pairs.push((key.value.to_key(evaluator.limits)?, value.clone())),
            items => {
                let message =
                    format!("expected pairs of key and value, found {} items", items.len());
                return Err(Problem::Value(message));
            }
        }
    }
    Ok(pairs)
}

fn range(evaluator: &mut Evaluator, arguments: &Arguments) -> Result<Value, Problem> {
    let numbers: Option<Vec<i64>> =
        arguments.positional.iter().map(|slot| slot.value.as_int()).collect();
    let (start, stop, step) = match numbers.as_deref() {
        Some([stop]) => (0, *stop, 1),
        Some([start, stop]) => (*start, *stop, 1),
        Some([start, stop, step]) if *step != 0 => (*start, *stop, *step),
        _ => return Err(wrong_arguments("range")),
    };
    let span = if step > 0 {
        i128::from(stop) - i128::from(start)
    } else {
        i128::from(start) - i128::from(stop)
    };
    let width = i128::from(step).abs();
    let count = usize::try_from((span + width - 1).max(0) / width).unwrap_or(usize::MAX);
    evaluator.limits.elements(count)?;
    let at = evaluator.at(arguments.line);
    let item = |i: usize| Slot { at, value: Value::Int(start + i as i64 * step) };
    Ok(evaluator.heap.list((0..count).map(item).collect()))
}

fn enumerate(
    evaluator: &mut Evaluator,
    items: &Value,
    start: i64,
    line: u32,
) -> Result<Value, Problem> {
    let at = evaluator.at(line);
    let mut pairs = Vec::new();
    for (number, item) in (start..).zip(evaluator.iterate(items, line)?) {
        evaluator.limits.elements(2)?;
        let pair = vec![Slot { at, value: Value::Int(number) }, item];
        pairs.push(Slot { at, value: evaluator.heap.tuple(pair) });
    }
    Ok(evaluator.heap.list(pairs))
}

fn zip(evaluator: &mut Evaluator, arguments: &Arguments) -> Result<Value, Problem> {
    let at = evaluator.at(arguments.line);
    let mut columns = Vec::new();
    for source in &arguments.positional {
        columns.push(evaluator.iterate(&source.value, arguments.line)?);
    }
    let rows = columns.iter().map(Vec::len).min().unwrap_or(0);
    let mut items = Vec::new();
    for i in 0..rows {
        evaluator.limits.elements(columns.len() + 1)?;
        let row = columns.iter().map(|column| column[i].clone()).collect();
        items.push(Slot { at, value: evaluator.heap.tuple(row) });
    }
    Ok(evaluator.heap.list(items))
}

fn len(evaluator: &mut Evaluator, value: &Value) -> Result<Value, Problem> {
    let length = match value {
        Value::Str(text) => {
            evaluator.limits.work(text.len())?;
            text.chars().count()
        }
        Value::List(id) | Value::Tuple(id) => evaluator.heap.items(*id).len(),
        Value::Dict(id) => evaluator.heap.entries(*id).entries.len(),
        other => {
            let message = format!("len(): expected a container, found {}", other.type_name());
            return Err(Problem::Value(message));
        }
    };
    Ok(Value::Int(length as i64))
}

fn sequence(evaluator: &mut Evaluator, name: &str, mut items: Vec<Slot>) -> Result<Value, Problem> {
    match name {
        "tuple" => return Ok(evaluator.heap.tuple(items)),
        "reversed" => items.reverse(),
        _ => {}
    }
    Ok(evaluator.heap.list(items))
}

/// Sorts stably, and stops at the first comparison that fails.
pub(super) fn sorted(
    evaluator: &mut Evaluator,
    items: Vec<Slot>,
    keywords: &[(Arc<str>, Slot)],
) -> Result<Vec<Slot>, Problem> {
    let is_reversed = match keywords {
        [] => false,
        [(name, truth)] if &**name == "reverse" => evaluator.heap.is_truthy(&truth.value),
        _ => return Err(Problem::Value("sorting: expected no keyword but `reverse`".to_owned())),
    };
    let wrong_way = if is_reversed { Ordering::Less } else { Ordering::Greater };
    merge_sort(evaluator, items, wrong_way)
}

/// The standard library's sorts may panic where an order is none, as with NaN; this one does not.
fn merge_sort(
    evaluator: &mut Evaluator,
    mut left: Vec<Slot>,
    wrong_way: Ordering,
) -> Result<Vec<Slot>, Problem> {
    if left.len() < 2 {
        return Ok(left);
    }
    let right = left.split_off(left.len() / 2);
    let left = merge_sort(evaluator, left, wrong_way)?;
    let right = merge_sort(evaluator, right, wrong_way)?;
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let takes_right = evaluator.order(&a.value, &b.value)? == Some(wrong_way);
        merged.extend(if takes_right { right.next() } else { left.next() });
    }
    merged.extend(left.chain(right));
    Ok(merged)
}

fn extreme(evaluator: &mut Evaluator, name: &str, items: Vec<Slot>) -> Result<Value, Problem> {
    let wanted = if name == "min" { Comparison::Less } else { Comparison::Greater };
    let mut items = items.into_iter();
    let Some(first) = items.next() else {
        return Err(Problem::Value(format!("{name}(): expected at least one item, found none")));
    };
    let mut best = first.value;
    for item in items {
        if evaluator.compare(wanted, &item.value, &best)? {
            best = item.value;
        }
    }
    Ok(best)
}

fn to_int(value: &Value) -> Result<Value, Problem> {
    let int = match value {
        Value::Float(float) => {
            let float = float.trunc();
            // 2^63 itself does not fit, the float below it does.
            (float >= -(2f64.powi(63)) && float < 2f64.powi(63)).then_some(float as i64)
        }
        Value::Str(text) => text::parse_int(text.trim()),
        other => other.as_int(),
    };
    int.map(Value::Int).ok_or_else(no_int)
}

fn no_int() -> Problem {
    Problem::Value("int(): expected a number that fits 64 bits".to_owned())
}

fn to_float(value: &Value) -> Result<Value, Problem> {
    let float = match value {
        Value::Str(text) => text::parse_float(text.trim()),
        other => other.as_float(),
    };
    let expected = || Problem::Value("float(): expected a number".to_owned());
    float.map(Value::Float).ok_or_else(expected)
}

fn abs(value: &Value) -> Result<Value, Problem> {
    match (value.as_int(), value) {
        (Some(int), _) if int < 0 => ints(BinaryOperator::Subtract, 0, int),
        (Some(int), _) => Ok(Value::Int(int)),
        (None, Value::Float(float)) => Ok(Value::Float(float.abs())),
        _ => Err(wrong_arguments("abs")),
    }
}

/// Rounds half to even, as Python does.
fn round(number: &Value, digits: Option<i64>) -> Result<Value, Problem> {
    match (number, digits) {
        (Value::Int(_) | Value::Bool(_), None | Some(0..)) => {
            Ok(Value::Int(number.as_int().unwrap_or(0)))
        }
        // To tens, hundreds and so on; halves go to the even one.
        (Value::Int(int), Some(digits @ -18..=-1)) => {
            let unit = 10i128.pow(digits.unsigned_abs() as u32);
            let (down, rest) =
                (i128::from(*int).div_euclid(unit), i128::from(*int).rem_euclid(unit));
            let is_up = rest * 2 > unit || (rest * 2 == unit && down % 2 != 0);
            let rounded = i64::try_from((down + i128::from(is_up)) * unit);
            rounded.map(Value::Int).map_err(|_| {
                Problem::Value("round(): expected a number that fits 64 bits".to_owned())
            })
        }
        (Value::Float(float), None) => to_int(&Value::Float(float.round_ties_even())),
        // Printing rounds the exact value, which is what Python does too.
        (Value::Float(float), Some(digits @ 0..=300)) => {
            let text = format!("{float:.*}", digits as usize);
            Ok(Value::Float(text.parse().unwrap_or(*float)))
        }
        _ => Err(wrong_arguments("round")),
    }
}
