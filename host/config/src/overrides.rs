//! `key.path=VALUE` overrides: their grammar, and setting them in the resolved values.
//!
//! Source: `DictAction` and `merge_from_dict` in MMEngine's `mmengine/config/config.py`. Where we
//! differ: quoted text stays a string, commas in it included; spaces inside plain text stay; `(1,2),(3,4)` is a list of
//! two tuples; `dict(…)` and `{…}` are dicts where Python would read one; `a=1` with `a.b=2` is applied
//! in turn; `a+=VALUE` appends or extends; items of lists and tuples may be scalars, and count from the
//! end where negative; a path that is not there yet gives a warning.

use crate::error::{ConfigError, Problem, shortened};
use crate::limits::{MAX_DEPTH, check_depth};
use crate::location::At;
use crate::merge::DELETE;
use crate::nearest::nearest;
use crate::python::{literal, parse_float, parse_int};
use crate::tree::{Data, Entries, Key, Node};

/// Applies overrides in turn; returns warnings about keys that were not there before.
pub(crate) fn apply(root: &mut Node, options: &[String]) -> Result<Vec<String>, ConfigError> {
    let mut warnings = Vec::new();
    let mut assignments = Vec::new();
    for (number, option) in options.iter().enumerate() {
        let at = At { file: 0, line: number as u32 + 1 };
        let parsed = parse(option, at).map_err(|problem| wrong(option, problem))?;
        // Deleting comes first, whatever the order: it makes room for the other options.
        if let [above @ .., DELETE] = &parsed.path[..] {
            if parsed.value.data.is_truthy() {
                delete(root, above);
            }
        } else {
            assignments.push((option, parsed));
        }
    }
    for (option, parsed) in assignments {
        let warning = set(root, parsed).map_err(|problem| wrong(option, problem))?;
        warnings.extend(
            warning.map(|warning| format!("--cfg-options {}: {warning}", shortened(option))),
        );
    }
    Ok(warnings)
}

/// The top-level key that an override changes, or changes something below of.
pub(crate) fn top_key(option: &str) -> Option<&str> {
    let path = option.split_once('=')?.0;
    let path = path.strip_suffix('+').unwrap_or(path);
    path.trim().split('.').next()
}

fn wrong(option: &str, problem: Problem) -> ConfigError {
    ConfigError::Override { option: option.to_owned(), problem: Box::new(problem) }
}

/// An override, read.
struct Assignment<'a> {
    path: Vec<&'a str>,
    /// `+=` in place of `=`.
    is_added: bool,
    value: Node,
}

fn parse(option: &str, at: At) -> Result<Assignment<'_>, Problem> {
    let expected = |found| Problem::Value(format!("expected `key.path=VALUE`, found {found}"));
    let (path, value) = option.split_once('=').ok_or_else(|| expected("no `=`"))?;
    let (path, is_added) = path.strip_suffix('+').map_or((path, false), |path| (path, true));
    let path: Vec<&str> = path.trim().split('.').collect();
    if path.iter().any(|step| step.is_empty()) {
        return Err(expected("an empty key"));
    }
    if path.len() > MAX_DEPTH {
        return Err(Problem::Limit { what: "depth of nesting", limit: MAX_DEPTH as u64 });
    }
    Ok(Assignment { path, is_added, value: parse_value(value, at)? })
}

/// The value of an override.
pub(crate) fn parse_value(text: &str, at: At) -> Result<Node, Problem> {
    let imbalanced =
        || Problem::Value(format!("brackets or quotes do not balance in `{}`", shortened(text)));
    value(text, at, 0)?.ok_or_else(imbalanced)
}

/// Nothing if brackets or quotes do not balance.
fn value(text: &str, at: At, depth: usize) -> Result<Option<Node>, Problem> {
    check_depth(depth)?;
    let text = text.trim();
    if let Some(inner) = quoted(text) {
        return Ok(Some(Node::new(at, Data::Str(inner.into()))));
    }
    if let Some(data) = dict(text, at) {
        return Ok(Some(Node::new(at, data)));
    }
    let Some(parts) = split_at_commas(text) else { return Ok(None) };
    if parts.len() > 1 {
        return Ok(items(parts, at, depth)?.map(|items| Node::new(at, Data::List(items))));
    }
    for (open, close) in [('(', ')'), ('[', ']')] {
        let Some(inner) = text.strip_prefix(open).and_then(|t| t.strip_suffix(close)) else {
            continue;
        };
        let Some(parts) = split_at_commas(inner) else { return Ok(None) };
        let items = items(parts, at, depth)?;
        let data = |items| if open == '(' { Data::Tuple(items) } else { Data::List(items) };
        return Ok(items.map(|items| Node::new(at, data(items))));
    }
    Ok(Some(Node::new(at, scalar(text)?)))
}

fn items(mut parts: Vec<&str>, at: At, depth: usize) -> Result<Option<Vec<Node>>, Problem> {
    // A comma may follow the last item.
    if parts.last().is_some_and(|part| part.trim().is_empty()) {
        parts.pop();
    }
    parts.into_iter().map(|part| value(part, at, depth + 1)).collect()
}

/// A dict as Python writes it; other text in braces stays text, as with MMEngine.
fn dict(text: &str, at: At) -> Option<Data> {
    if !(text.starts_with("dict(") && text.ends_with(')')
        || text.starts_with('{') && text.ends_with('}'))
    {
        return None;
    }
    let mut node = literal(text).ok()?;
    relocate(&mut node, at);
    matches!(node.data, Data::Dict(_)).then_some(node.data)
}

fn relocate(node: &mut Node, at: At) {
    node.at = at;
    match &mut node.data {
        Data::List(nodes) | Data::Tuple(nodes) => nodes.iter_mut().for_each(|n| relocate(n, at)),
        Data::Dict(entries) => entries.values_mut().for_each(|n| relocate(n, at)),
        _ => {}
    }
}

/// The inside of text that is one quoted string and nothing else.
fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let inner = text[1..].strip_suffix(quote)?;
    (!inner.contains(quote)).then_some(inner)
}

/// Splits at commas outside brackets and quotes; nothing if these do not balance.
fn split_at_commas(text: &str) -> Option<Vec<&str>> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let mut closers = Vec::new();
    let mut quote = None;
    let mut begins = true;
    for (at, letter) in text.char_indices() {
        match letter {
            letter if quote == Some(letter) => quote = None,
            _ if quote.is_some() => {}
            // Within a word a quote is an apostrophe.
            '\'' | '"' if begins => quote = Some(letter),
            '(' => closers.push(')'),
            '[' => closers.push(']'),
            '{' => closers.push('}'),
            ')' | ']' | '}' => drop(closers.pop().filter(|closer| *closer == letter)?),
            ',' if closers.is_empty() => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        begins = matches!(letter, ',' | '(' | '[') || (begins && letter == ' ');
    }
    parts.push(&text[start..]);
    (closers.is_empty() && quote.is_none()).then_some(parts)
}

fn scalar(text: &str) -> Result<Data, Problem> {
    let text = text.trim_matches(['\'', '"']).trim();
    if let Some(int) = parse_int(text) {
        return Ok(Data::Int(int));
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::Value(format!("integer: expected at most 64 bits, found {text}")));
    }
    Ok(match (parse_float(text), &*text.to_lowercase(), text) {
        (Some(float), ..) => Data::Float(float),
        (_, "true", _) => Data::Bool(true),
        (_, "false", _) => Data::Bool(false),
        (.., "None") => Data::None,
        _ => Data::Str(text.into()),
    })
}

/// Empties the dict at a path, if it is there.
fn delete(root: &mut Node, path: &[&str]) {
    let found = path.iter().try_fold(root, |node, step| child(node, step));
    if let Some(Node { data: Data::Dict(entries), .. }) = found {
        entries.clear();
    }
}

fn child<'a>(node: &'a mut Node, step: &str) -> Option<&'a mut Node> {
    match &mut node.data {
        Data::Dict(entries) => {
            let key = existing_key(entries, step)?;
            entries.get_mut(&key)
        }
        Data::List(items) | Data::Tuple(items) => {
            let index = index(step, items.len())?;
            items.get_mut(index)
        }
        _ => None,
    }
}

fn existing_key(entries: &Entries, step: &str) -> Option<Key> {
    let number = step.parse().ok().map(Key::Int);
    [Some(Key::from(step)), number].into_iter().flatten().find(|key| entries.contains_key(key))
}

/// The position that a step means in a list; negative ones count from the end.
fn index(step: &str, length: usize) -> Option<usize> {
    let index: i64 = step.parse().ok()?;
    let from_start = if index < 0 { index.checked_add_unsigned(length as u64)? } else { index };
    usize::try_from(from_start).ok().filter(|index| *index < length)
}

/// Sets or adds a value, making dicts on the way where there is nothing; returns a warning about that.
fn set(root: &mut Node, assignment: Assignment) -> Result<Option<String>, Problem> {
    let Assignment { path, is_added, value } = assignment;
    let mut warning = None;
    let mut node = root;
    for (depth, step) in path.iter().enumerate() {
        let is_last = depth + 1 == path.len();
        let above = if depth == 0 { "the config".to_owned() } else { path[..depth].join(".") };
        node.at = if depth == 0 { node.at } else { value.at };
        node = match &mut node.data {
            Data::Dict(entries) => {
                let key = existing_key(entries, step);
                let is_expected = depth == 0 && OPTIONAL.contains(step);
                if key.is_none() && warning.is_none() && !is_expected {
                    warning = Some(new_key(entries, step, &above));
                }
                let empty = if is_last && is_added {
                    Data::List(Vec::new())
                } else {
                    Data::Dict(Entries::new())
                };
                let key = key.unwrap_or_else(|| Key::from(*step));
                entries.entry(key).or_insert_with(|| Node::new(value.at, empty))
            }
            Data::List(items) | Data::Tuple(items) => {
                let length = items.len();
                let missing = || no_such_item(&above, step, length);
                items.get_mut(index(step, length).ok_or_else(missing)?).ok_or_else(missing)?
            }
            other => {
                let found = other.type_name();
                let message =
                    format!("`{step}` below {above}: expected a dict or list, found {found}");
                return Err(Problem::Value(message));
            }
        };
    }
    if is_added {
        add(node, value, &path.join("."))?;
    } else {
        *node = value;
        // It has replaced what was there, which is all that `_delete_` could ask for.
        if let Data::Dict(entries) = &mut node.data {
            entries.shift_remove(&Key::from(DELETE));
        }
    }
    Ok(warning)
}

/// Extends a list by a list, or appends one value to it.
fn add(node: &mut Node, value: Node, path: &str) -> Result<(), Problem> {
    let (Data::List(items) | Data::Tuple(items)) = &mut node.data else {
        let found = node.data.type_name();
        return Err(Problem::Value(format!("`+=` on {path}: expected a list, found {found}")));
    };
    node.at = value.at;
    match value.data {
        Data::List(added) | Data::Tuple(added) => items.extend(added),
        _ => items.push(value),
    }
    Ok(())
}

fn no_such_item(above: &str, step: &str, length: usize) -> Problem {
    Problem::Value(match length {
        0 => format!("{above}: expected a list with items, found an empty one"),
        length => format!(
            "{above}: expected an index from 0 to {} or -{length} to -1, found `{step}`",
            length - 1
        ),
    })
}

/// Keys of a run that most configs leave out: giving one is no surprise.
const OPTIONAL: [&str; 21] = [
    "auto_scale_lr",
    "compile",
    "custom_hooks",
    "default_hooks",
    "env_cfg",
    "experiment_name",
    "find_unused_parameters",
    "launcher",
    "load_from",
    "log_level",
    "log_processor",
    "model_wrapper_cfg",
    "optim_wrapper",
    "param_scheduler",
    "plugin_dirs",
    "randomness",
    "resume",
    "sync_bn",
    "visualizer",
    "vis_backends",
    "work_dir",
];

/// A new key deserves a word: it may be a typo.
fn new_key(entries: &Entries, step: &str, above: &str) -> String {
    match nearest(step, entries.keys().filter_map(Key::as_str)) {
        Some(name) => format!("{above} has no key `{step}`; it was added (did you mean `{name}`?)"),
        None => format!("{above} has no key `{step}`; it was added"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const AT: At = At { file: 0, line: 1 };

    fn read(text: &str) -> serde_json::Value {
        parse_value(text, AT).unwrap().data.to_json()
    }

    #[test]
    fn scalars_get_their_type() {
        for (text, value) in [
            ("1", json!(1)),
            ("+1", json!(1)),
            ("1_000", json!(1000)),
            ("-3", json!(-3)),
            ("1e-3", json!(0.001)),
            ("1.0", json!(1.0)),
            ("nan", json!("nan")),
            ("inf", json!("inf")),
            ("true", json!(true)),
            ("False", json!(false)),
            ("None", json!(null)),
            ("none", json!("none")),
            ("0x10", json!("0x10")),
            ("{a:1}", json!("{a:1}")),
            ("a=b", json!("a=b")),
            ("", json!("")),
        ] {
            assert_eq!(read(text), value, "{text}");
        }
        assert!(matches!(parse_value("nan", AT).unwrap().data, Data::Float(f) if f.is_nan()));
        assert!(parse_value("99999999999999999999", AT).is_err());
    }

    #[test]
    fn commas_and_brackets_make_lists_and_tuples() {
        for (text, value) in [
            ("1,2", json!([1, 2])),
            ("[1,2]", json!([1, 2])),
            ("1,", json!([1])),
            ("[a, b, c]", json!(["a", "b", "c"])),
            ("[]", json!([])),
            ("[1,,2]", json!([1, "", 2])),
            ("[(1,2,3),[a,b],c]", json!([[1, 2, 3], ["a", "b"], "c"])),
            ("(1,2),(3,4)", json!([[1, 2], [3, 4]])),
        ] {
            assert_eq!(read(text), value, "{text}");
        }
        for text in ["(1,2)", "(1,)", "()"] {
            assert!(matches!(parse_value(text, AT).unwrap().data, Data::Tuple(_)), "{text}");
        }
    }

    #[test]
    fn brackets_that_do_not_balance_are_an_error() {
        for text in ["[1,2", "1,2)", "(1]", "['a]", "[[1]"] {
            assert!(parse_value(text, AT).is_err(), "{text}");
        }
    }

    #[test]
    fn dicts_are_read_where_python_reads_one() {
        let hook = json!({"type": "EMAHook", "momentum": 0.1, "n": [1, {"k": null}]});
        assert_eq!(read("dict(type='EMAHook', momentum=0.1, n=[1, {'k': None}])"), hook);
        assert_eq!(read("{'a': 1},{'a': 2}"), json!([{"a": 1}, {"a": 2}]));
        assert_eq!(read("[dict(a=1), b]"), json!([{"a": 1}, "b"]));
        assert_eq!(read("dict(a=b)"), json!("dict(a=b)"));
    }

    #[test]
    fn added_keys_warn_and_dicts_replace() {
        let mut root = literal("dict(model=dict(neck=dict(k=1)))").unwrap();
        let options = ["model.neck=dict(_delete_=True,z=1)", "zzz=1", "model.neck.zz=2"];
        let warnings = apply(&mut root, &options.map(str::to_owned)).unwrap();
        assert_eq!(root.data.to_json(), json!({"model": {"neck": {"z": 1, "zz": 2}}, "zzz": 1}));
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].contains("the config has no key `zzz`; it was added"), "{warnings:?}");
    }

    #[test]
    fn quoted_text_stays_a_string() {
        assert_eq!(read("'1'"), json!("1"));
        assert_eq!(read("\"a, b\""), json!("a, b"));
        assert_eq!(read("['1', 'a b',2]"), json!(["1", "a b", 2]));
        assert_eq!(read("don't"), json!("don't"));
        assert_eq!(read("a b"), json!("a b"));
        assert_eq!(read("/my data/x"), json!("/my data/x"));
        assert_eq!(read(" [ 1 , a b ] "), json!([1, "a b"]));
    }
}
