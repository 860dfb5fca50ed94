//! Resolved values written as a Python-syntax config that loads again.
//!
//! Source: `pretty_text` in MMEngine's `mmengine/config/config.py`. Where we differ: keys keep their
//! order instead of being sorted, since the order of hooks can hang on it; floats that are not finite
//! are written as `float('inf')`, and double braces in strings are split, so that both load again.

use super::text::{float_repr, string_repr};
use crate::tree::{Data, Entries, Key, Node};

const WIDTH: usize = 88;
const INDENT: &str = "    ";
const KEYWORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

/// Writes top-level entries, one assignment each.
pub(crate) fn to_python(entries: &Entries) -> String {
    // A top-level key `dict` would shadow the function that the dump calls.
    let dump = Dump { calls_dict: !entries.contains_key(&Key::from("dict")) };
    let mut out = String::new();
    for (key, node) in entries {
        let name = key.to_string();
        out.push_str(&name);
        out.push_str(" = ");
        dump.value(&node.data, "", name.chars().count() + 3, &mut out);
        out.push('\n');
    }
    out
}

/// Tells whether a text can be a name in Python.
pub(crate) fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && letters.all(|c| c.is_alphanumeric() || c == '_')
        && !KEYWORDS.contains(&text)
}

struct Dump {
    calls_dict: bool,
}

impl Dump {
    /// Writes on one line if it fits after `used` columns, else one entry to a line.
    fn value(&self, data: &Data, indent: &str, used: usize, out: &mut String) {
        let flat = self.flat(data, WIDTH.saturating_sub(indent.len() + used));
        if let Some(flat) = flat {
            out.push_str(&flat);
            return;
        }
        let inner = format!("{indent}{INDENT}");
        let (open, close) = self.brackets(data);
        out.push_str(open);
        out.push('\n');
        match data {
            Data::List(items) | Data::Tuple(items) => {
                for item in items {
                    out.push_str(&inner);
                    self.value(&item.data, &inner, 1, out);
                    out.push_str(",\n");
                }
            }
            Data::Dict(entries) => {
                let is_call = open == "dict(";
                for (key, node) in entries {
                    let key = self.key(key, is_call);
                    out.extend([&inner, &*key]);
                    self.value(&node.data, &inner, key.chars().count() + 1, out);
                    out.push_str(",\n");
                }
            }
            _ => {}
        }
        out.extend([indent, close]);
    }

    fn brackets(&self, data: &Data) -> (&'static str, &'static str) {
        match data {
            Data::List(_) => ("[", "]"),
            Data::Tuple(_) => ("(", ")"),
            Data::Dict(entries) => {
                let are_names = entries.keys().all(|key| key.as_str().is_some_and(is_name));
                if are_names && self.calls_dict { ("dict(", ")") } else { ("{", "}") }
            }
            _ => ("", ""),
        }
    }

    fn key(&self, key: &Key, is_call: bool) -> String {
        match key {
            Key::Str(name) if is_call => format!("{name}="),
            Key::Str(name) => format!("{}: ", string(name)),
            Key::Int(int) => format!("{int}: "),
            Key::Bool(truth) => format!("{}: ", if *truth { "True" } else { "False" }),
            Key::None => "None: ".to_owned(),
        }
    }

    /// The value on one line, or nothing if it takes more than `room` columns; scalars always fit.
    fn flat(&self, data: &Data, room: usize) -> Option<String> {
        let mut out = String::new();
        let items: &[Node] = match data {
            Data::None => return Some("None".to_owned()),
            Data::Bool(truth) => return Some(if *truth { "True" } else { "False" }.to_owned()),
            Data::Int(int) => return Some(int.to_string()),
            Data::Float(float) if float.is_finite() => return Some(float_repr(*float)),
            Data::Float(float) => return Some(format!("float('{}')", float_repr(*float))),
            Data::Str(text) => return Some(string(text)),
            Data::List(items) | Data::Tuple(items) => items,
            Data::Dict(_) => &[],
        };
        let (open, close) = self.brackets(data);
        out.push_str(open);
        for (i, item) in items.iter().enumerate() {
            out.push_str(if i > 0 { ", " } else { "" });
            out.push_str(&self.flat(&item.data, room.checked_sub(out.len())?)?);
        }
        if let (Data::Tuple(_), [_]) = (data, items) {
            out.push(',');
        }
        if let Data::Dict(entries) = data {
            for (i, (key, node)) in entries.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                out.push_str(&self.key(key, open == "dict("));
                out.push_str(&self.flat(&node.data, room.checked_sub(out.len())?)?);
            }
        }
        out.push_str(close);
        (out.chars().count() <= room).then_some(out)
    }
}

/// A string literal; double braces in it are split so that nothing is substituted on loading.
fn string(text: &str) -> String {
    if !text.contains("{{") {
        return string_repr(text);
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        parts.push(string_repr(&rest[..=at]));
        rest = &rest[at + 1..];
    }
    parts.push(string_repr(rest));
    // Joined by `+`, because literals side by side are one text again, placeholders and all.
    format!("({})", parts.join(" + "))
}

#[cfg(test)]
mod tests {
    use crate::testing::Folder;

    const TEXT: &str = "b = dict(z=1, a=[1, (2,), ()], f=1e-05, lambda_=None)\na = {'x-y': {3: True}, 'class': 'it\\'s'}\n\
        c = [dict(type='CosineAnnealingLR', eta_min=0.0005, begin=5, T_max=285, convert_to_iter_based=True)]\n\
        d = [float('inf'), -float('inf'), 1e22, 2.0]\ne = '{' + '{ fileDirname }}' + '{' + '{$A:b}}'\n";

    const DUMPED: &str = r#"b = dict(z=1, a=[1, (2,), ()], f=1e-05, lambda_=None)
a = {'x-y': {3: True}, 'class': "it's"}
c = [
    dict(
        type='CosineAnnealingLR',
        eta_min=0.0005,
        begin=5,
        T_max=285,
        convert_to_iter_based=True,
    ),
]
d = [float('inf'), float('-inf'), 1e+22, 2.0]
e = ('{' + '{ fileDirname }}{' + '{$A:b}}')
"#;

    #[test]
    fn the_dump_reads_well_and_loads_to_the_same_values() {
        let config = Folder::new(&[("a.py", TEXT)]).load("a.py").unwrap();
        assert_eq!(config.to_python(), DUMPED);
        let again = Folder::new(&[("a.py", DUMPED)]).load("a.py").unwrap();
        assert_eq!(again.to_python(), DUMPED);
        assert_eq!(again.to_json_pretty(), config.to_json_pretty());
    }

    #[test]
    fn a_key_named_dict_does_not_break_the_dump() {
        let config = Folder::new(&[("a.json", "{\"dict\": {\"x\": 1}}")]).load("a.json").unwrap();
        assert_eq!(config.to_python(), "dict = {'x': 1}\n");
    }
}
