//! Keyword arguments against their JSON schema, the same words before a plugin is loaded and in its
//! constructor. Knows nothing of Rust types.

use serde_json::Value as Json;

/// One thing that is wrong with keyword arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KwargsProblem {
    /// The argument and the way into it: `scale`, `scale[1]`; empty for all of them.
    pub key: String,
    /// What is wrong with it.
    pub kind: KwargsProblemKind,
}

/// What can be wrong with one argument.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KwargsProblemKind {
    /// No argument has that name.
    Unknown {
        /// All that there are.
        known: Vec<String>,
        /// The one most like it.
        nearest: Option<String>,
    },
    /// It must be given.
    Missing {
        /// In words.
        expected: String,
    },
    /// Another kind of value, or out of range.
    Wrong {
        /// In words.
        expected: String,
        /// The value, cut when it is long.
        found: String,
    },
}

/// Everything that is wrong with `kwargs` by `schema`; empty when all is well.
///
/// Of JSON schema it knows what `#[derive(Kwargs)]` writes: `properties`, `required`, `type`, `enum`,
/// `minimum`, `maximum`, `items`, `prefixItems`, `anyOf`. What it does not know passes.
pub fn kwargs_problems(schema: &Json, kwargs: &Json) -> Vec<KwargsProblem> {
    let Some(given) = kwargs.as_object() else {
        return vec![KwargsProblem::wrong("", "keyword arguments", kwargs)];
    };
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let mut wrong = Vec::new();
    for (name, value) in given {
        match properties.get(name) {
            Some(property) => check(name, property, value, &mut wrong),
            None => wrong.push(unknown(name, properties)),
        }
    }
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    for name in required.iter().filter_map(Json::as_str) {
        if !given.contains_key(name) {
            let expected = expectation(&schema["properties"][name]);
            let kind = KwargsProblemKind::Missing { expected };
            wrong.push(KwargsProblem { key: name.to_owned(), kind });
        }
    }
    wrong
}

/// The same as sentences that begin with the type and the argument.
pub fn check_kwargs(type_name: &str, schema: &Json, kwargs: &Json) -> Vec<String> {
    kwargs_problems(schema, kwargs).iter().map(|problem| problem.sentence(type_name)).collect()
}

impl KwargsProblem {
    fn wrong(key: &str, expected: &str, found: &Json) -> KwargsProblem {
        let kind = KwargsProblemKind::Wrong { expected: expected.to_owned(), found: shown(found) };
        KwargsProblem { key: key.to_owned(), kind }
    }

    fn sentence(&self, type_name: &str) -> String {
        let dot = if self.key.is_empty() { "" } else { "." };
        format!("{type_name}{dot}{}: {}", self.key, self.kind)
    }
}

impl std::fmt::Display for KwargsProblemKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            KwargsProblemKind::Missing { expected } => {
                write!(f, "expected {expected}, found nothing")
            }
            KwargsProblemKind::Wrong { expected, found } => {
                write!(f, "expected {expected}, found {found}")
            }
            KwargsProblemKind::Unknown { known, nearest } => {
                let expected = match known.as_slice() {
                    [] => "no arguments".to_owned(),
                    [one] => format!("only {one}"),
                    many => format!("one of {}", many.join(", ")),
                };
                write!(f, "expected {expected}, found an unknown argument")?;
                match nearest {
                    Some(near) => write!(f, " (did you mean '{near}'?)"),
                    None => Ok(()),
                }
            }
        }
    }
}

fn unknown(name: &str, properties: &serde_json::Map<String, Json>) -> KwargsProblem {
    let known: Vec<String> = properties.keys().cloned().collect();
    let nearest = nearest(name, properties.keys().map(String::as_str)).map(str::to_owned);
    KwargsProblem { key: name.to_owned(), kind: KwargsProblemKind::Unknown { known, nearest } }
}

fn check(path: &str, schema: &Json, value: &Json, wrong: &mut Vec<KwargsProblem>) {
    if !fits(schema, value) {
        wrong.push(KwargsProblem::wrong(path, &expectation(schema), value));
        return;
    }
    let Some(values) = value.as_array() else { return };
    let prefix = schema["prefixItems"].as_array();
    for (index, value) in values.iter().enumerate() {
        let item = prefix.and_then(|items| items.get(index)).unwrap_or(&schema["items"]);
        check(&format!("{path}[{index}]"), item, value, wrong);
    }
}

/// Whether the value fits, with all that is inside it.
fn fits_deep(schema: &Json, value: &Json) -> bool {
    let mut wrong = Vec::new();
    check("", schema, value, &mut wrong);
    wrong.is_empty()
}

/// Whether the value itself fits; not what is inside an array.
fn fits(schema: &Json, value: &Json) -> bool {
    if let Some(schemas) = schema["anyOf"].as_array() {
        return schemas.iter().any(|schema| fits_deep(schema, value));
    }
    if let Some(choices) = schema["enum"].as_array() {
        return choices.contains(value) || (value.is_null() && allows(schema, "null"));
    }
    let (low, high) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
    let number = value.as_f64().unwrap_or(0.0);
    let kind_fits = kinds(schema).is_empty()
        || match value {
            Json::Null => allows(schema, "null"),
            Json::Bool(_) => allows(schema, "boolean"),
            Json::String(_) => allows(schema, "string"),
            Json::Array(_) => allows(schema, "array"),
            Json::Object(_) => allows(schema, "object"),
            Json::Number(number) => {
                allows(schema, "number")
                    || (allows(schema, "integer") && (number.is_i64() || number.is_u64()))
            }
        };
    let in_range = !value.is_number()
        || (low.map_or(true, |low| number >= low) && high.map_or(true, |high| number <= high));
    let length = schema["prefixItems"].as_array().map(Vec::len);
    let length_fits = match (length, value.as_array()) {
        (Some(length), Some(values)) => values.len() == length,
        _ => true,
    };
    kind_fits && in_range && length_fits
}

fn kinds(schema: &Json) -> Vec<&str> {
    match &schema["type"] {
        Json::String(kind) => vec![kind.as_str()],
        Json::Array(kinds) => kinds.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

fn allows(schema: &Json, kind: &str) -> bool {
    kinds(schema).contains(&kind)
}

/// What a schema expects, in words.
fn expectation(schema: &Json) -> String {
    if let Some(schemas) = schema["anyOf"].as_array() {
        let mut words: Vec<String> = schemas.iter().map(expectation).collect();
        words.dedup();
        return words.join(" or ");
    }
    let or_null = if allows(schema, "null") { " or null" } else { "" };
    if let Some(choices) = schema["enum"].as_array() {
        let choices: Vec<String> = choices.iter().map(|choice| choice.to_string()).collect();
        return match choices.as_slice() {
            [one] => format!("{one}{or_null}"),
            [one, other] if or_null.is_empty() => format!("{one} or {other}"),
            many => format!("one of {}{or_null}", many.join(", ")),
        };
    }
    let kind = kinds(schema).into_iter().find(|kind| *kind != "null");
    let words = match kind {
        Some("integer") => format!("an integer{}", range(schema)),
        Some("number") => format!("a number{}", range(schema)),
        Some("boolean") => "true or false".to_owned(),
        Some("string") => "a string".to_owned(),
        Some("array") => match schema["prefixItems"].as_array() {
            Some(items) => format!("a list of {} values", items.len()),
            None => "a list".to_owned(),
        },
        Some("object") => "a dict".to_owned(),
        None if allows(schema, "null") => return "null".to_owned(),
        _ => "a value".to_owned(),
    };
    words + or_null
}

fn range(schema: &Json) -> String {
    match (&schema["minimum"], &schema["maximum"]) {
        (Json::Null, Json::Null) => String::new(),
        (low, Json::Null) => format!(" of at least {low}"),
        (Json::Null, high) => format!(" of at most {high}"),
        (low, high) => format!(" from {low} to {high}"),
    }
}

/// A value as it is shown in a message, cut when it is long.
fn shown(value: &Json) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 {
        return text;
    }
    text.chars().take(57).chain("...".chars()).collect()
}

/// The known name that is most like `word`, if any is like it or begins with it; case does not count.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    let known: Vec<&str> = known.into_iter().collect();
    let with_distance = known.iter().map(|name| (distance(word, name), *name));
    let alike = with_distance.filter(|(distance, _)| *distance <= limit).min();
    let begins = |name: &&&str| word.len() >= 4 && name.starts_with(word);
    alike.map(|(_, name)| name).or_else(|| known.iter().find(begins).copied())
}

/// Edits between two words: insert, remove, replace, or swap two neighbours.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.to_lowercase().chars().collect();
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=right.len()).collect()];
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(a != b);
            let mut best = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::{check_kwargs, nearest};
    use serde_json::json;

    fn wrong(kwargs: serde_json::Value) -> Vec<String> {
        let schema = json!({
            "type": "object",
            "properties": {
                "interval": {"type": "integer", "minimum": 1, "default": 50},
                "momentum": {"type": "number", "minimum": 0, "maximum": 1},
                "rule": {"type": ["string", "null"], "enum": ["greater", "less"]},
                "size": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "integer"}]},
                "names": {"type": "array", "items": {"type": "string"}},
                "url": {"type": "string"}
            },
            "required": ["url"]
        });
        check_kwargs("SomeHook", &schema, &kwargs)
    }

    #[test]
    fn every_wrong_argument_is_named_with_what_was_expected() {
        assert_eq!(
            wrong(json!({"interval": "fast", "momentum": 2, "url": "u"})),
            [
                "SomeHook.interval: expected an integer of at least 1, found \"fast\"",
                "SomeHook.momentum: expected a number from 0 to 1, found 2",
            ]
        );
        assert_eq!(wrong(json!({})), ["SomeHook.url: expected a string, found nothing"]);
        assert_eq!(
            wrong(json!({"url": "u", "rule": "bigger", "size": [1], "names": ["a", 2]})),
            [
                "SomeHook.rule: expected one of \"greater\", \"less\" or null, found \"bigger\"",
                "SomeHook.size: expected a list of 2 values, found [1]",
                "SomeHook.names[1]: expected a string, found 2",
            ]
        );
    }

    #[test]
    fn unknown_argument_gets_the_nearest_name() {
        let wrong = wrong(json!({"url": "u", "intervall": 5}));
        assert!(
            wrong[0].ends_with("found an unknown argument (did you mean 'interval'?)"),
            "{wrong:?}"
        );
    }

    #[test]
    fn right_arguments_pass() {
        let kwargs =
            json!({"url": "u", "interval": 1, "momentum": 1, "rule": null, "size": [1, 2]});
        assert!(wrong(kwargs).is_empty());
        assert_eq!(wrong(json!({"url": "u", "interval": 1.5})).len(), 1);
        assert_eq!(wrong(json!({"url": "u", "interval": true})).len(), 1);
    }

    #[test]
    fn nearest_name_is_near() {
        assert_eq!(nearest("EMAhook", ["EMAHook", "Other"]), Some("EMAHook"));
        assert_eq!(
            nearest("CheckInvalidLosHook", ["CheckInvalidLossHook"]),
            Some("CheckInvalidLossHook")
        );
        assert_eq!(nearest("iou_thr", ["max_num", "iou_threshold"]), Some("iou_threshold"));
        assert_eq!(nearest("x", ["interval"]), None);
    }
}
