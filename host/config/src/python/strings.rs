//! Methods of strings, `%` and `.format()`. None changes anything, and none makes more text than the
//! limits allow.
//!
//! Source: the Python standard library, "Text Sequence Type".

use std::sync::Arc;

use super::evaluate::Evaluator;
use super::expressions::Arguments;
use super::format_spec;
use super::heap::{Slot, Value};
use super::letter_case::{recased, swapped};
use super::methods::unknown_method;
use super::syntax::Conversion;
use super::text;
use crate::error::Problem;
use crate::tree::Key;

const STRING_METHODS: &[&str] = &[
    "join",
    "split",
    "rsplit",
    "splitlines",
    "partition",
    "rpartition",
    "replace",
    "format",
    "strip",
    "lstrip",
    "rstrip",
    "lower",
    "upper",
    "title",
    "capitalize",
    "swapcase",
    "casefold",
    "startswith",
    "endswith",
    "removeprefix",
    "removesuffix",
    "count",
    "find",
    "rfind",
    "index",
    "rindex",
    "zfill",
    "ljust",
    "rjust",
    "center",
    "isdigit",
    "isalpha",
    "isalnum",
    "isupper",
    "islower",
    "isspace",
];

impl Evaluator<'_> {
    pub(super) fn string_method(
        &mut self,
        text: &Arc<str>,
        name: &str,
        arguments: Arguments,
    ) -> Result<Value, Problem> {
        let line = arguments.line;
        match (name, &arguments.positional[..]) {
            ("format", _) => return self.format_method(text, &arguments),
            ("join", [items]) => {
                let items = self.iterate(&items.value, line)?;
                return self.join(text, &items);
            }
            ("zfill" | "ljust" | "rjust" | "center", [width, rest @ ..]) => {
                let fill = rest.first().map(|slot| &slot.value);
                return self.padded(text, name, &width.value, fill);
            }
            ("split" | "rsplit", [separator, most]) if most.value.as_int().is_some() => {
                let most = most.value.as_int().and_then(|most| usize::try_from(most).ok());
                let separator = match &separator.value {
                    Value::Str(separator) => Some(separator.clone()),
                    _ => None,
                };
                return self.split(text, separator.as_deref(), (name == "rsplit", most), line);
            }
            ("split" | "rsplit", [Slot { value: Value::None, .. }]) => {
                return self.split(text, None, (false, None), line);
            }
            ("startswith" | "endswith", [Slot { value: Value::Tuple(id), .. }]) => {
                for i in 0..self.heap.items(*id).len() {
                    let Value::Str(word) = self.heap.items(*id)[i].value.clone() else {
                        return Err(Problem::Value(format!("`.{name}()`: expected strings")));
                    };
                    self.limits.step()?;
                    self.limits.work(word.len())?;
                    let fits = match name {
                        "startswith" => text.starts_with(&*word),
                        _ => text.ends_with(&*word),
                    };
                    if fits {
                        return Ok(Value::Bool(true));
                    }
                }
                return Ok(Value::Bool(false));
            }
            ("replace", [old, new, most]) if most.value.as_int().is_some() => {
                let (Value::Str(old), Value::Str(new)) = (&old.value, &new.value) else {
                    return Err(Problem::Value("`.replace()`: expected strings".to_owned()));
                };
                let most = most.value.as_int().and_then(|most| usize::try_from(most).ok());
                let most = most.unwrap_or(usize::MAX).min(text.len() + 1);
                self.limits.text(most.saturating_mul(new.len()).saturating_add(text.len()))?;
                return Ok(Value::Str(text.replacen(&**old, new, most).into()));
            }
            (
                "startswith" | "endswith" | "find" | "rfind" | "index" | "rindex" | "count",
                [_, _, ..],
            ) => {
                return Err(Problem::NotInLanguage {
                    what: format!("`.{name}()` with positions"),
                    hint: "slice the string first, as in `text[1:].find('x')`",
                });
            }
            _ => {}
        }
        let words: Option<Vec<&str>> = arguments
            .positional
            .iter()
            .map(|slot| match &slot.value {
                Value::Str(word) => Some(&**word),
                _ => None,
            })
            .collect();
        let Some(words) = words else {
            return Err(Problem::Value(format!("`.{name}()`: expected strings")));
        };
        match (name, &words[..]) {
            ("split" | "rsplit", [] | [_]) => {
                self.split(text, words.first().copied(), (false, None), line)
            }
            ("splitlines", []) => {
                self.limits.elements(text.len() + 1)?;
                let lines = text.lines().map(Value::from).collect();
                Ok(self.values(lines, line))
            }
            ("partition" | "rpartition", [separator]) if !separator.is_empty() => {
                self.limits.text(text.len())?;
                let parts = partition(text, separator, name == "rpartition");
                let at = self.at(line);
                let slots = parts.map(|part| Slot { at, value: part.into() });
                Ok(self.heap.tuple(slots.into()))
            }
            ("replace", [old, new]) => {
                let most = (text.len() + 1).saturating_mul(new.len()).saturating_add(text.len());
                self.limits.text(most)?;
                Ok(Value::Str(text.replace(old, new).into()))
            }
            (_, words) => {
                self.limits.text(text.len().saturating_mul(3))?;
                plain_method(text, name, words)
                    .ok_or_else(|| unknown_method("str", name, STRING_METHODS))
            }
        }
    }

    fn values(&mut self, values: Vec<Value>, line: u32) -> Value {
        let at = self.at(line);
        let slots = values.into_iter().map(|value| Slot { at, value }).collect();
        self.heap.list(slots)
    }

    fn join(&mut self, separator: &str, items: &[Slot]) -> Result<Value, Problem> {
        let mut joined = String::new();
        for (i, item) in items.iter().enumerate() {
            let Value::Str(word) = &item.value else {
                let found = item.value.type_name();
                return Err(Problem::Value(format!("`.join()`: expected strings, found {found}")));
            };
            self.limits.text(separator.len() + word.len())?;
            joined.push_str(if i > 0 { separator } else { "" });
            joined.push_str(word);
        }
        Ok(Value::Str(joined.into()))
    }

    /// Splits at most so many times, from the right or from the left.
    fn split(
        &mut self,
        text: &str,
        separator: Option<&str>,
        (from_right, most): (bool, Option<usize>),
        line: u32,
    ) -> Result<Value, Problem> {
        self.limits.elements(text.len() + 1)?;
        let most = most.map_or(usize::MAX, |most| most.saturating_add(1));
        let values: Vec<Value> = match separator {
            None if most == usize::MAX => text.split_whitespace().map(Value::from).collect(),
            None => {
                let message = "`.split()`: expected a separator where the splits are counted";
                return Err(Problem::Value(message.to_owned()));
            }
            Some("") => {
                let message = "`.split()`: expected a separator that is not empty";
                return Err(Problem::Value(message.to_owned()));
            }
            Some(separator) if from_right => {
                let mut parts: Vec<Value> =
                    text.rsplitn(most, separator).map(Value::from).collect();
                parts.reverse();
                parts
            }
            Some(separator) => text.splitn(most, separator).map(Value::from).collect(),
        };
        Ok(self.values(values, line))
    }

    fn padded(
        &mut self,
        text: &str,
        name: &str,
        width: &Value,
        fill: Option<&Value>,
    ) -> Result<Value, Problem> {
        let fill = match fill {
            None => {
                if name == "zfill" {
                    "0"
                } else {
                    " "
                }
            }
            Some(Value::Str(fill)) if name != "zfill" && fill.chars().count() == 1 => fill,
            Some(_) => return Err(Problem::Value(format!("`.{name}()`: expected one letter"))),
        };
        let Some(width) = width.as_int() else {
            return Err(Problem::Value(format!("`.{name}()`: expected a width, an int")));
        };
        let length = text.chars().count();
        let missing = usize::try_from(width).unwrap_or(0).saturating_sub(length);
        self.limits.text(missing.saturating_mul(fill.len()).saturating_add(text.len()))?;
        // Python puts the odd letter of a centred text on the left where the width is odd.
        let left = match name {
            "ljust" => 0,
            "center" => missing / 2 + (missing & width as usize & 1),
            _ => missing,
        };
        let (left, right) = (fill.repeat(left), fill.repeat(missing - left));
        let (sign, digits) = match text.strip_prefix(['+', '-']) {
            Some(digits) if name == "zfill" => (&text[..1], digits),
            _ => ("", text),
        };
        Ok(Value::Str(format!("{sign}{left}{digits}{right}").into()))
    }

    /// `'{} {name:.2f}'.format(…)`, with names and numbers for fields.
    fn format_method(&mut self, pattern: &str, arguments: &Arguments) -> Result<Value, Problem> {
        let broken =
            || Problem::Value(format!("`.format()`: braces do not balance in '{pattern}'"));
        let (mut out, mut rest, mut next) = (String::new(), pattern, 0);
        while let Some(at) = rest.find(['{', '}']) {
            out.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                out.push_str(brace);
                rest = after;
                continue;
            }
            let end = rest.find('}').filter(|_| brace == "{").ok_or_else(broken)?;
            let (field, spec) = rest[..end].split_once(':').unwrap_or((&rest[..end], ""));
            let (field, conversion) = match field.split_once('!') {
                None => (field, Conversion::None),
                Some((field, "s")) => (field, Conversion::Str),
                Some((field, "r")) => (field, Conversion::Repr),
                Some(_) => return Err(broken()),
            };
            let value = if field.is_empty() {
                next += 1;
                arguments.positional.get(next - 1)
            } else if let Ok(index) = field.parse::<usize>() {
                arguments.positional.get(index)
            } else {
                arguments.keywords.iter().find(|(name, _)| &**name == field).map(|(_, slot)| slot)
            };
            let missing =
                || Problem::Value(format!("`.format()`: nothing given for `{{{field}}}`"));
            let value = value.ok_or_else(missing)?.value.clone();
            out.push_str(&self.format(&value, conversion, spec)?);
            self.limits.text(out.len())?;
            rest = &rest[end + 1..];
        }
        out.push_str(rest);
        self.limits.text(out.len())?;
        Ok(Value::Str(out.into()))
    }

    /// `'%s-%03d' % (a, b)` and `'%(name)s' % dict(…)`.
    pub(super) fn percent(&mut self, pattern: &str, values: &Value) -> Result<Value, Problem> {
        let mut values_left: Vec<Value> = match values {
            Value::Tuple(id) => self.heap.items(*id).iter().map(|s| s.value.clone()).collect(),
            other => vec![other.clone()],
        };
        values_left.reverse();
        let (mut out, mut rest) = (String::new(), pattern);
        let wrong = |what: &str| Problem::Value(format!("`%` on '{pattern}': {what}"));
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                out.push('%');
                rest = after;
                continue;
            }
            let mut value = None;
            if let Some((name, after)) = rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
                value = Some(self.item(values, &name.into())?);
                values_left.clear();
                rest = after;
            }
            let end = rest.find(|c: char| c.is_ascii_alphabetic());
            let end = end.ok_or_else(|| wrong("expected a letter after `%`"))?;
            let value = value.or_else(|| values_left.pop());
            let value = value.ok_or_else(|| wrong("expected more values"))?;
            let piece = self.percent_piece(&rest[..end], &rest[end..=end], &value)?;
            out.push_str(&piece.ok_or_else(|| wrong("expected %s, %r, %d, %f, %e, %g or %x"))?);
            self.limits.text(out.len())?;
            rest = &rest[end + 1..];
        }
        if !values_left.is_empty() && !matches!(values, Value::Dict(_)) {
            return Err(wrong("found more values than places"));
        }
        out.push_str(rest);
        self.limits.text(out.len())?;
        Ok(Value::Str(out.into()))
    }

    /// Nothing for a letter that is not known.
    fn percent_piece(
        &mut self,
        flags: &str,
        letter: &str,
        value: &Value,
    ) -> Result<Option<String>, Problem> {
        let (left, numbers) = match flags.strip_prefix('-') {
            Some(numbers) => ("<", numbers),
            None => ("", flags),
        };
        let align =
            if left.is_empty() && !numbers.starts_with(['0', '+', ' ']) { ">" } else { left };
        let value = match letter {
            "s" => Value::Str(text::to_str(&self.heap, value, self.limits)?.into()),
            "r" => Value::Str(text::to_repr(&self.heap, value, self.limits)?.into()),
            "d" | "i" => match value {
                Value::Float(float) => Value::Int(float.trunc() as i64),
                other => other.clone(),
            },
            "f" | "e" | "g" | "x" | "X" | "o" | "E" | "G" => value.clone(),
            _ => return Ok(None),
        };
        let letter = match letter {
            "s" | "r" => "",
            "i" => "d",
            letter => letter,
        };
        let spec = format!("{align}{numbers}{letter}");
        format_spec::format(&value, &spec, self.limits).map(Some)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::from(&Key::from(text))
    }
}

fn partition<'a>(text: &'a str, separator: &'a str, from_right: bool) -> [&'a str; 3] {
    let found = if from_right { text.rsplit_once(separator) } else { text.split_once(separator) };
    match found {
        Some((before, after)) => [before, separator, after],
        None if from_right => ["", "", text],
        None => [text, "", ""],
    }
}

/// Methods that take strings and make about as much text as they are given.
fn plain_method(text: &str, name: &str, words: &[&str]) -> Option<Value> {
    let string = |text: &str| Some(Value::from(text));
    let truth = |truth: bool| Some(Value::Bool(truth));
    let all = |test: fn(char) -> bool| truth(!text.is_empty() && text.chars().all(test));
    let is_one_of = |letters: &str, c: char| letters.contains(c);
    match (name, words) {
        ("strip", []) => string(text.trim()),
        ("lstrip", []) => string(text.trim_start()),
        ("rstrip", []) => string(text.trim_end()),
        ("strip", [letters]) => string(text.trim_matches(|c| is_one_of(letters, c))),
        ("lstrip", [letters]) => string(text.trim_start_matches(|c| is_one_of(letters, c))),
        ("rstrip", [letters]) => string(text.trim_end_matches(|c| is_one_of(letters, c))),
        ("lower" | "casefold", []) => string(&text.to_lowercase()),
        ("upper", []) => string(&text.to_uppercase()),
        ("title", []) => string(&recased(text, |before| !before.is_alphabetic())),
        ("capitalize", []) => string(&recased(text, |before| before == '\0')),
        ("swapcase", []) => string(&swapped(text)),
        ("startswith", [start]) => truth(text.starts_with(start)),
        ("endswith", [end]) => truth(text.ends_with(end)),
        ("removeprefix", [start]) => string(text.strip_prefix(start).unwrap_or(text)),
        ("removesuffix", [end]) => string(text.strip_suffix(end).unwrap_or(text)),
        ("isdigit", []) => all(char::is_numeric),
        ("isalpha", []) => all(char::is_alphabetic),
        ("isalnum", []) => all(char::is_alphanumeric),
        ("isspace", []) => all(char::is_whitespace),
        ("isupper", []) => {
            truth(text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase))
        }
        ("islower", []) => {
            truth(text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase))
        }
        ("count", [part]) => Some(Value::Int(count(text, part))),
        ("find" | "index", [part]) => position(text, text.find(part), name == "find"),
        ("rfind" | "rindex", [part]) => position(text, text.rfind(part), name == "rfind"),
        _ => None,
    }
}

fn count(text: &str, part: &str) -> i64 {
    let count = if part.is_empty() { text.chars().count() + 1 } else { text.matches(part).count() };
    count as i64
}

/// Where a part begins, counted in letters; `find` has -1 for what is not there.
fn position(text: &str, found: Option<usize>, is_find: bool) -> Option<Value> {
    let letters = found.map(|at| text[..at].chars().count() as i64);
    letters.or(is_find.then_some(-1)).map(Value::Int)
}

#[cfg(test)]
mod tests {
    use crate::testing::{error, values};
    use serde_json::json;

    #[test]
    fn methods_answer_as_pythons_do() {
        let text = "a = 'a-b-c'.split('-', 1)\nb = 'a-b-c'.rsplit('-', 1)\nc = 'x y'.title()\nd = 'abc'.find('c')\n\
                    e = '-7'.zfill(4)\nf = 'ab'.center(5, '*')\ng = 'a.b'.partition('.')\nh = 'aXa'.count('a')\n\
                    i = 'a\\nb'.splitlines()\nj = '12'.isdigit()\nk = 'hELLO'.capitalize()\nl = 'x'.ljust(3) + '|'";
        let expected = json!({"a": ["a", "b-c"], "b": ["a-b", "c"], "c": "X Y", "d": 2, "e": "-007", "f": "**ab*",
            "g": ["a", ".", "b"], "h": 2, "i": ["a", "b"], "j": true, "k": "Hello", "l": "x  |"});
        assert_eq!(values(text), expected);
    }

    #[test]
    fn format_and_percent_fill_in_values() {
        let text = "a = '{}-{}'.format(1, 'x')\nb = '{n:.2f}{0!r}{{}}'.format('q', n=0.5)\nc = '%s_%03d_%.1f%%' % ('a', 7, 2)\n\
                    d = '%(x)s/%(x)d' % dict(x=3)\ne = '%5s|%-5s|' % ('a', 'b')\nf = 'n=%d' % 3.9";
        let expected = json!({"a": "1-x", "b": "0.50'q'{}", "c": "a_007_2.0%", "d": "3/3", "e": "    a|b    |", "f": "n=3"});
        assert_eq!(values(text), expected);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for (text, words) in [
            ("a = '{}'.format()", "nothing given"),
            ("a = '{'.format(1)", "braces do not balance"),
            ("a = '%d %d' % 1", "expected more values"),
            ("a = '%d' % (1, 2)", "more values than places"),
            ("a = 'a'.encode()", "a str has no key `encode()`"),
            ("a = 'a'.index('b')", "expected other arguments"),
        ] {
            let message = error(text);
            assert!(message.contains(words), "{message}");
        }
    }
}
