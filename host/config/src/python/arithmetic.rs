//! Python's binary and unary operators on numbers, strings and sequences.
//!
//! Source: the Python language reference, 6.5 to 6.7, and CPython's `float_divmod`. Where we differ:
//! integers have 64 bits, and what does not fit is an error.

use super::evaluate::Evaluator;
use super::heap::{Dict, Value};
use super::syntax::BinaryOperator;
use crate::error::Problem;

impl Evaluator<'_> {
    pub(super) fn binary(
        &mut self,
        operator: BinaryOperator,
        left: &Value,
        right: &Value,
    ) -> Result<Value, Problem> {
        if let (Some(a), Some(b)) = (left.as_int(), right.as_int())
            && operator != BinaryOperator::Or
        {
            return ints(operator, a, b);
        }
        if let (Some(a), Some(b)) = (left.as_float(), right.as_float())
            && operator != BinaryOperator::Or
        {
            return floats(operator, a, b);
        }
        match (operator, left, right) {
            (BinaryOperator::Add, Value::Str(a), Value::Str(b)) => {
                self.limits.text(a.len() + b.len())?;
                Ok(Value::Str(format!("{a}{b}").into()))
            }
            (BinaryOperator::Add, Value::List(a), Value::List(b))
            | (BinaryOperator::Add, Value::Tuple(a), Value::Tuple(b)) => {
                let items = [self.heap.items(*a), self.heap.items(*b)].concat();
                self.limits.elements(items.len())?;
                let is_list = matches!(left, Value::List(_));
                Ok(if is_list { self.heap.list(items) } else { self.heap.tuple(items) })
            }
            (BinaryOperator::Multiply, sequence, count)
            | (BinaryOperator::Multiply, count, sequence)
                if count.as_int().is_some() && is_sequence(sequence) =>
            {
                self.repeated(sequence, count.as_int().unwrap_or(0))
            }
            (BinaryOperator::Or, Value::Dict(a), Value::Dict(b)) => {
                let mut entries = self.heap.entries(*a).entries.clone();
                let added = &self.heap.entries(*b).entries;
                entries.extend(added.iter().map(|(key, slot)| (key.clone(), slot.clone())));
                self.limits.elements(entries.len())?;
                Ok(self.heap.dict(Dict { entries, is_config: false }))
            }
            (BinaryOperator::Modulo, Value::Str(pattern), values) => self.percent(pattern, values),
            _ => Err(mismatch(operator, left.type_name(), right.type_name())),
        }
    }

    /// A sequence or string `count` times; paid for before it is made.
    fn repeated(&mut self, sequence: &Value, count: i64) -> Result<Value, Problem> {
        let count = usize::try_from(count).unwrap_or(0);
        match sequence {
            Value::Str(text) => {
                self.limits.text(text.len().saturating_mul(count))?;
                Ok(Value::Str(text.repeat(if text.is_empty() { 0 } else { count }).into()))
            }
            Value::List(id) | Value::Tuple(id) => {
                let items = self.heap.items(*id);
                self.limits.elements(items.len().saturating_mul(count))?;
                let count = if items.is_empty() { 0 } else { count };
                let items = std::iter::repeat_n(items, count).flatten().cloned().collect();
                let is_list = matches!(sequence, Value::List(_));
                Ok(if is_list { self.heap.list(items) } else { self.heap.tuple(items) })
            }
            other => Err(mismatch(BinaryOperator::Multiply, other.type_name(), "int")),
        }
    }
}

pub(super) fn negate(operand: &Value) -> Result<Value, Problem> {
    match (operand.as_int(), operand) {
        (Some(int), _) => int.checked_neg().map(Value::Int).ok_or_else(too_large),
        (None, Value::Float(float)) => Ok(Value::Float(-float)),
        (None, other) => Err(unary_mismatch("-", other)),
    }
}

pub(super) fn plus(operand: &Value) -> Result<Value, Problem> {
    match (operand.as_int(), operand) {
        (Some(int), _) => Ok(Value::Int(int)),
        (None, Value::Float(float)) => Ok(Value::Float(*float)),
        (None, other) => Err(unary_mismatch("+", other)),
    }
}

fn is_sequence(value: &Value) -> bool {
    matches!(value, Value::Str(_) | Value::List(_) | Value::Tuple(_))
}

fn mismatch(operator: BinaryOperator, left: &str, right: &str) -> Problem {
    let symbol = operator.symbol();
    Problem::Value(format!(
        "`{symbol}`: expected values that it can join, found {left} and {right}"
    ))
}

fn unary_mismatch(symbol: &str, operand: &Value) -> Problem {
    Problem::Value(format!("`{symbol}`: expected a number, found {}", operand.type_name()))
}

fn too_large() -> Problem {
    Problem::Value("integer: expected at most 64 bits, found more".to_owned())
}

fn by_zero(operator: BinaryOperator) -> Problem {
    Problem::Value(format!("`{}`: expected a divisor other than 0", operator.symbol()))
}

pub(super) fn ints(operator: BinaryOperator, a: i64, b: i64) -> Result<Value, Problem> {
    let divides = matches!(
        operator,
        BinaryOperator::Divide | BinaryOperator::FloorDivide | BinaryOperator::Modulo
    );
    if divides && b == 0 {
        return Err(by_zero(operator));
    }
    let result = match operator {
        BinaryOperator::Add => a.checked_add(b),
        BinaryOperator::Subtract => a.checked_sub(b),
        BinaryOperator::Multiply => a.checked_mul(b),
        BinaryOperator::Divide => return Ok(Value::Float(a as f64 / b as f64)),
        BinaryOperator::FloorDivide => {
            let inexact = a.checked_rem(b).unwrap_or(0) != 0;
            a.checked_div(b).map(|q| if inexact && (a < 0) != (b < 0) { q - 1 } else { q })
        }
        BinaryOperator::Modulo => {
            let rest = a.checked_rem(b).unwrap_or(0);
            Some(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
        }
        BinaryOperator::Power if b < 0 => return floats(operator, a as f64, b as f64),
        BinaryOperator::Power => power(a, b),
        BinaryOperator::Or => None,
    };
    result.map(Value::Int).ok_or_else(too_large)
}

fn power(base: i64, exponent: i64) -> Option<i64> {
    match base {
        0 | 1 => Some(if exponent == 0 { 1 } else { base }),
        -1 => Some(if exponent % 2 == 0 { 1 } else { -1 }),
        _ => base.checked_pow(u32::try_from(exponent).ok()?),
    }
}

fn floats(operator: BinaryOperator, a: f64, b: f64) -> Result<Value, Problem> {
    let result = match operator {
        BinaryOperator::Add => a + b,
        BinaryOperator::Subtract => a - b,
        BinaryOperator::Multiply => a * b,
        BinaryOperator::Divide | BinaryOperator::FloorDivide | BinaryOperator::Modulo
            if b == 0.0 =>
        {
            return Err(by_zero(operator));
        }
        BinaryOperator::Divide => a / b,
        BinaryOperator::FloorDivide => floor_divide(a, b).0,
        BinaryOperator::Modulo => floor_divide(a, b).1,
        BinaryOperator::Power if a == 0.0 && b < 0.0 => return Err(by_zero(operator)),
        BinaryOperator::Power if a < 0.0 && b.is_finite() && b.fract() != 0.0 => {
            return Err(Problem::NotInLanguage {
                what: "complex numbers".to_owned(),
                hint: "raise a positive number",
            });
        }
        BinaryOperator::Power => a.powf(b),
        BinaryOperator::Or => return Err(mismatch(operator, "float", "float")),
    };
    if result.is_infinite() && a.is_finite() && b.is_finite() && operator == BinaryOperator::Power {
        return Err(Problem::Value("`**`: expected a result that fits a float".to_owned()));
    }
    Ok(Value::Float(result))
}

/// Python's quotient and remainder: the quotient is rounded down, the remainder has `b`'s sign.
fn floor_divide(a: f64, b: f64) -> (f64, f64) {
    let mut rest = a % b;
    let mut quotient = (a - rest) / b;
    if rest == 0.0 {
        rest = 0.0_f64.copysign(b);
    } else if (b < 0.0) != (rest < 0.0) {
        rest += b;
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return (0.0_f64.copysign(a / b), rest);
    }
    let floor = quotient.floor();
    (if quotient - floor > 0.5 { floor + 1.0 } else { floor }, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(operator: BinaryOperator, a: i64, b: i64) -> Option<i64> {
        ints(operator, a, b).ok().and_then(|value| value.as_int())
    }

    #[test]
    fn whole_division_rounds_down() {
        assert_eq!(int(BinaryOperator::FloorDivide, -640, 2), Some(-320));
        assert_eq!(int(BinaryOperator::FloorDivide, -7, 2), Some(-4));
        assert_eq!(int(BinaryOperator::FloorDivide, 7, -2), Some(-4));
        assert_eq!(int(BinaryOperator::Modulo, -7, 3), Some(2));
        assert_eq!(int(BinaryOperator::Modulo, 7, -3), Some(-2));
        assert_eq!(floor_divide(-7.5, 2.0), (-4.0, 0.5));
        assert_eq!(floor_divide(1.0, 0.1), (9.0, 0.09999999999999995));
    }

    #[test]
    fn what_does_not_fit_is_refused_at_once() {
        assert_eq!(int(BinaryOperator::Power, 10, 1_000_000_000_000), None);
        assert_eq!(int(BinaryOperator::Power, -1, i64::MAX), Some(-1));
        assert_eq!(int(BinaryOperator::Multiply, i64::MAX, 2), None);
        assert_eq!(int(BinaryOperator::FloorDivide, i64::MIN, -1), None);
        assert_eq!(int(BinaryOperator::Modulo, i64::MIN, -1), Some(0));
        assert_eq!(int(BinaryOperator::Modulo, 1, 0), None);
    }
}
