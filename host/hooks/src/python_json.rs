//! JSON as Python's `json.dumps` spells it, so that files are MMEngine's to the letter and readers of theirs read ours.
//! Knows nothing of what is written.

use serde_json::{Number, Value as Json, json};

/// A number for a record: those that JSON does not know become texts, which [`python_json`] writes as Python does.
pub fn number(value: f64) -> Json {
    if value.is_finite() { json!(value) } else { json!(not_finite(value)) }
}

fn not_finite(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// One line of JSON, spelt as `json.dumps(value)`; the texts `NaN`, `Infinity` and `-Infinity` are written as those
/// numbers, as Python does.
pub fn python_json(value: &Json) -> String {
    let join = |items: Vec<String>| items.join(", ");
    match value {
        Json::Number(number) => python_number(number),
        Json::String(text) if matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") => {
            text.clone()
        }
        Json::Array(items) => format!("[{}]", join(items.iter().map(python_json).collect())),
        Json::Object(map) => {
            let entry = |(key, value): (&String, &Json)| {
                format!("{}: {}", python_text(key), python_json(value))
            };
            format!("{{{}}}", join(map.iter().map(entry).collect()))
        }
        Json::String(text) => python_text(text),
        other => other.to_string(),
    }
}

/// Python escapes everything beyond ASCII.
fn python_text(text: &str) -> String {
    let mut out = String::new();
    for letter in json!(text).to_string().chars() {
        if letter.is_ascii() {
            out.push(letter);
        } else {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                out += &format!("\\u{unit:04x}");
            }
        }
    }
    out
}

/// Python's `repr`: the shortest digits that come back, an exponent of at least two digits with its sign.
fn python_number(number: &Number) -> String {
    match number.as_f64() {
        Some(value) if number.is_f64() => {
            let text = format!("{value:?}");
            match text.split_once('e') {
                None => text,
                Some((digits, exponent)) => match exponent.strip_prefix('-') {
                    Some(exponent) => format!("{digits}e-{exponent:0>2}"),
                    None => format!("{digits}e+{exponent:0>2}"),
                },
            }
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_are_spelt_as_python_does() {
        let value = json!({
            "lr": 1e-5, "small": 0.0001, "whole": 2.0, "great": 1e16, "step": 7, "loss": number(f64::NAN),
            "range": [number(f64::NEG_INFINITY), null, true], "name": "größe \"🦀\"",
        });
        // json.dumps of the same dict in Python 3.11.
        let expected = "{\"lr\": 1e-05, \"small\": 0.0001, \"whole\": 2.0, \"great\": 1e+16, \"step\": 7, \
                        \"loss\": NaN, \"range\": [-Infinity, null, true], \
                        \"name\": \"gr\\u00f6\\u00dfe \\\"\\ud83e\\udd80\\\"\"}";
        assert_eq!(python_json(&value), expected);
    }
}
