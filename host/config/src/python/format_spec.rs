//! What stands after the colon in an f-string: width, alignment, precision, type.
//!
//! Source: the Python library reference, "Format Specification Mini-Language". Where we differ: the
//! types `g`, `n`, `c` and grouping by `_` are refused.

use super::heap::Value;
use super::text::float_repr;
use crate::error::Problem;
use crate::limits::Limits;

/// Widest field and finest precision; more is a mistake or hostile.
const MAX_WIDTH: usize = 1000;

#[derive(Debug, Default)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    has_prefix: bool,
    has_commas: bool,
    width: usize,
    precision: Option<usize>,
    kind: Option<char>,
}

/// Formats a number or string.
pub(super) fn format(value: &Value, spec: &str, limits: &mut Limits) -> Result<String, Problem> {
    let refuse = || Problem::NotInLanguage {
        what: format!("the format `{spec}` for {}s", value.type_name()),
        hint: "use a width, a precision, and d, f, e, x, b, o, s or %",
    };
    let spec = parse(spec).ok_or_else(refuse)?;
    limits.text(spec.width + spec.precision.unwrap_or(0))?;
    let (sign, body) = match (value, spec.kind) {
        (Value::Str(text), None | Some('s')) => ("", truncated(text, spec.precision)),
        (Value::Int(_) | Value::Bool(_), None | Some('d' | 'x' | 'X' | 'b' | 'o'))
            if spec.precision.is_none() =>
        {
            let int = value.as_int().unwrap_or(0);
            (sign(&spec, int < 0), whole(int.unsigned_abs(), &spec))
        }
        (Value::Int(_) | Value::Float(_) | Value::Bool(_), Some('f' | 'F' | 'e' | 'E' | '%')) => {
            let float = value.as_float().unwrap_or(0.0);
            (sign(&spec, float.is_sign_negative()), real(float.abs(), &spec))
        }
        (Value::Float(float), None) if spec.precision.is_none() => {
            (sign(&spec, float.is_sign_negative()), float_repr(float.abs()))
        }
        _ => return Err(refuse()),
    };
    Ok(padded(&spec, sign, &body, matches!(value, Value::Str(_))))
}

fn parse(spec: &str) -> Option<Spec> {
    let mut parsed = Spec::default();
    let mut rest: Vec<char> = spec.chars().rev().collect();
    let is_align = |c: Option<&char>| matches!(c, Some('<' | '>' | '^' | '='));
    if rest.len() > 1 && is_align(rest.get(rest.len() - 2)) {
        parsed.fill = rest.pop();
        parsed.align = rest.pop();
    } else if is_align(rest.last()) {
        parsed.align = rest.pop();
    }
    parsed.sign = rest.pop_if(|c| matches!(c, '+' | '-' | ' '));
    parsed.has_prefix = rest.pop_if(|c| *c == '#').is_some();
    if rest.last() == Some(&'0') && parsed.align.is_none() {
        (parsed.fill, parsed.align) = (Some('0'), Some('='));
    }
    parsed.width = number(&mut rest)?.unwrap_or(0);
    parsed.has_commas = rest.pop_if(|c| *c == ',').is_some();
    if rest.pop_if(|c| *c == '.').is_some() {
        parsed.precision = Some(number(&mut rest)??);
    }
    parsed.kind = rest.pop();
    rest.is_empty().then_some(parsed)
}

/// Digits at the front; `Some(None)` if there are none, `None` if the number is too large.
fn number(rest: &mut Vec<char>) -> Option<Option<usize>> {
    let mut number = None;
    while let Some(digit) = rest.last().and_then(|c| c.to_digit(10)) {
        rest.pop();
        number = Some(number.unwrap_or(0) * 10 + digit as usize);
        if number > Some(MAX_WIDTH) {
            return None;
        }
    }
    Some(number)
}

fn sign(spec: &Spec, is_negative: bool) -> &'static str {
    match (is_negative, spec.sign) {
        (true, _) => "-",
        (false, Some('+')) => "+",
        (false, Some(' ')) => " ",
        (false, _) => "",
    }
}

fn truncated(text: &str, precision: Option<usize>) -> String {
    precision.map_or_else(|| text.to_owned(), |most| text.chars().take(most).collect())
}

fn whole(magnitude: u64, spec: &Spec) -> String {
    let prefix = |text: &str| if spec.has_prefix { text.to_owned() } else { String::new() };
    match spec.kind {
        Some('x') => prefix("0x") + &format!("{magnitude:x}"),
        Some('X') => prefix("0X") + &format!("{magnitude:X}"),
        Some('b') => prefix("0b") + &format!("{magnitude:b}"),
        Some('o') => prefix("0o") + &format!("{magnitude:o}"),
        _ => grouped(&magnitude.to_string(), spec.has_commas),
    }
}

fn real(magnitude: f64, spec: &Spec) -> String {
    let precision = spec.precision.unwrap_or(6);
    if !magnitude.is_finite() {
        return if magnitude.is_nan() { "nan" } else { "inf" }.to_owned();
    }
    match spec.kind {
        Some(kind @ ('e' | 'E')) => {
            let text = format!("{magnitude:.precision$e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let exponent: i32 = exponent.parse().unwrap_or(0);
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}{kind}{sign}{:02}", exponent.abs())
        }
        Some('%') => format!("{:.precision$}%", magnitude * 100.0),
        _ => grouped(&format!("{magnitude:.precision$}"), spec.has_commas),
    }
}

fn grouped(digits: &str, has_commas: bool) -> String {
    if !has_commas {
        return digits.to_owned();
    }
    let whole = digits.find('.').unwrap_or(digits.len());
    let mut out = String::new();
    for (i, digit) in digits[..whole].chars().enumerate() {
        if i > 0 && (whole - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + &digits[whole..]
}

fn padded(spec: &Spec, sign: &str, body: &str, is_text: bool) -> String {
    let length = sign.len() + body.chars().count();
    let missing = spec.width.saturating_sub(length);
    let fill = |count: usize| spec.fill.unwrap_or(' ').to_string().repeat(count);
    match spec.align.unwrap_or(if is_text { '<' } else { '>' }) {
        '<' => format!("{sign}{body}{}", fill(missing)),
        '^' => format!("{}{sign}{body}{}", fill(missing / 2), fill(missing - missing / 2)),
        '=' => format!("{sign}{}{body}", fill(missing)),
        _ => format!("{}{sign}{body}", fill(missing)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_as_python_does() {
        let cases = [
            (Value::Int(7), "03d", "007"),
            (Value::Int(-7), "04", "-007"),
            (Value::Float(0.5), ".2f", "0.50"),
            (Value::Float(1234.5), ",.1f", "1,234.5"),
            (Value::Float(0.00012), ".1e", "1.2e-04"),
            (Value::Float(0.25), ".0%", "25%"),
            (Value::Str("ab".into()), ">4", "  ab"),
            (Value::Str("ab".into()), "*^5", "*ab**"),
            (Value::Int(255), "#x", "0xff"),
            (Value::Int(3), "+d", "+3"),
            (Value::Int(3), ".1f", "3.0"),
        ];
        for (value, spec, text) in cases {
            assert_eq!(format(&value, spec, &mut Limits::new()).unwrap(), text, "{spec}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for spec in ["99999999999d", "g", ".2", "zz"] {
            assert!(format(&Value::Float(1.0), spec, &mut Limits::new()).is_err(), "{spec}");
        }
    }
}
