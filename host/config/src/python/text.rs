//! Text of values as Python's `str` and `repr` give it, and numbers read as Python reads them.

use super::heap::{Heap, Value};
use crate::error::Problem;
use crate::limits::{Limits, check_depth};

/// Python's `str(value)`.
pub(super) fn to_str(heap: &Heap, value: &Value, limits: &mut Limits) -> Result<String, Problem> {
    match value {
        Value::Str(text) | Value::Lazy(text) => {
            limits.text(text.len())?;
            Ok(text.to_string())
        }
        other => to_repr(heap, other, limits),
    }
}

/// Python's `repr(value)`.
pub(super) fn to_repr(heap: &Heap, value: &Value, limits: &mut Limits) -> Result<String, Problem> {
    let mut text = String::new();
    write_repr(heap, value, limits, &mut text, 0)?;
    Ok(text)
}

fn write_repr(
    heap: &Heap,
    value: &Value,
    limits: &mut Limits,
    out: &mut String,
    depth: usize,
) -> Result<(), Problem> {
    check_depth(depth)?;
    limits.elements(1)?;
    match value {
        Value::None => out.push_str("None"),
        Value::Bool(truth) => out.push_str(if *truth { "True" } else { "False" }),
        Value::Int(int) => out.push_str(&int.to_string()),
        Value::Float(float) => out.push_str(&float_repr(*float)),
        Value::Str(text) | Value::Lazy(text) => {
            limits.text(text.len())?;
            out.push_str(&string_repr(text));
        }
        Value::List(id) | Value::Tuple(id) => {
            let is_list = matches!(value, Value::List(_));
            let items = heap.items(*id);
            out.push(if is_list { '[' } else { '(' });
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write_repr(heap, &item.value, limits, out, depth + 1)?;
            }
            out.push_str(if is_list {
                "]"
            } else if items.len() == 1 {
                ",)"
            } else {
                ")"
            });
        }
        Value::Dict(id) => {
            out.push('{');
            for (i, (key, slot)) in heap.entries(*id).entries.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write_repr(heap, &key.into(), limits, out, depth + 1)?;
                out.push_str(": ");
                write_repr(heap, &slot.value, limits, out, depth + 1)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

/// Python's `repr` of a float: shortest digits, an exponent from 1e16 and below 1e-4.
pub(super) fn float_repr(float: f64) -> String {
    if float.is_nan() {
        return "nan".to_owned();
    }
    if float.is_infinite() {
        return if float > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        return format!("{float:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// Python's `repr` of a string: single quotes unless it holds some and no double ones.
pub(super) fn string_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if letter == quote => out.extend(['\\', letter]),
            letter if letter.is_ascii_control() => {
                out.push_str(&format!("\\x{:02x}", letter as u32));
            }
            letter if letter.is_control() || is_line_break(letter) => {
                out.push_str(&format!("\\u{:04x}", letter as u32));
            }
            letter => out.push(letter),
        }
    }
    out.push(quote);
    out
}

fn is_line_break(letter: char) -> bool {
    matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// An integer as Python's `int(text)` reads it: a sign, digits, single underscores between them.
pub(crate) fn parse_int(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_int = digits
        .split('_')
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    is_int.then(|| text.replace('_', "").parse().ok())?
}

/// An integer as Python's `int(text, base)` reads it; base 0 takes it from the prefix.
pub(super) fn parse_int_of_base(text: &str, base: u32) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (if text.starts_with('-') { "-" } else { "" }, digits),
        None => ("", text),
    };
    let lower = digits.to_ascii_lowercase();
    let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().find_map(|(prefix, of)| {
        (base == 0 || base == of).then(|| lower.strip_prefix(prefix).map(|rest| (rest, of)))?
    });
    let (digits, base) = prefixed.unwrap_or((&lower, if base == 0 { 10 } else { base }));
    // A single underscore may follow the prefix too.
    let digits = digits.strip_prefix('_').filter(|_| prefixed.is_some()).unwrap_or(digits);
    let is_digit = |c: char| c.is_digit(base);
    let is_int = digits.split('_').all(|part| !part.is_empty() && part.chars().all(is_digit));
    is_int.then(|| i64::from_str_radix(&format!("{sign}{}", digits.replace('_', "")), base).ok())?
}

/// A float as Python's `float(text)` reads it, `inf` and `nan` included.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let is_between_digits = text.as_bytes().windows(3).all(|window| {
        window[1] != b'_' || (window[0].is_ascii_digit() && window[2].is_ascii_digit())
    });
    if !is_between_digits || text.ends_with('_') || text.starts_with('_') {
        return None;
    }
    text.replace('_', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_read_as_python_prints_them() {
        let cases = [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e16, "1e+16"),
            (123456789012345.0, "123456789012345.0"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (-2.5e-7, "-2.5e-07"),
            (1e22, "1e+22"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "nan"),
            (-0.0, "-0.0"),
        ];
        for (float, text) in cases {
            assert_eq!(float_repr(float), text);
        }
    }

    #[test]
    fn strings_choose_their_quotes_as_python_does() {
        assert_eq!(string_repr("a"), "'a'");
        assert_eq!(string_repr("it's"), "\"it's\"");
        assert_eq!(string_repr("'\""), "'\\'\"'");
        assert_eq!(string_repr("a\n\\\x01"), "'a\\n\\\\\\x01'");
    }

    #[test]
    fn numbers_are_read_as_python_reads_them() {
        assert_eq!(parse_int("+1"), Some(1));
        assert_eq!(parse_int("1_000"), Some(1000));
        assert_eq!(parse_int("1__0"), None);
        assert_eq!(parse_int("_1"), None);
        assert_eq!(parse_int("0x10"), None);
        assert_eq!(parse_float("1e-3"), Some(0.001));
        assert_eq!(parse_float("1_0.5"), Some(10.5));
        assert_eq!(parse_float("1_.5"), None);
        assert_eq!(parse_float(".5"), Some(0.5));
        assert!(parse_float("nan").is_some_and(f64::is_nan));
        assert_eq!(parse_float("-inf"), Some(f64::NEG_INFINITY));
        assert_eq!(parse_float("abc"), None);
    }
}
