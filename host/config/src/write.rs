//! Resolved values written as YAML and TOML that load to the same values again.
//!
//! Tuples become lists, as in JSON. TOML has no None: it is written as the string `{{None}}`, which
//! TOML configs are read with. Knows nothing of reading.

use crate::tree::{Data, Entries, Key, Node};

/// How a config in TOML says None.
pub(crate) const TOML_NONE: &str = "{{None}}";

/// Widest line that a list or dict is put on in one piece.
const WIDTH: usize = 88;

/// Writes top-level entries as a YAML document.
pub(crate) fn to_yaml(entries: &Entries) -> String {
    let mut out = String::new();
    if entries.is_empty() {
        out.push_str("{}\n");
    }
    yaml_entries(entries, 0, &mut out);
    out
}

fn yaml_entries(entries: &Entries, indent: usize, out: &mut String) {
    for (i, (key, node)) in entries.iter().enumerate() {
        // The first entry of a dict in a list stands behind the dash.
        if i > 0 || indent == 0 || out.ends_with('\n') {
            out.push_str(&" ".repeat(indent));
        }
        out.push_str(&yaml_key(key));
        out.push(':');
        yaml_below(node, indent, out);
    }
}

/// Writes what follows a key.
fn yaml_below(node: &Node, indent: usize, out: &mut String) {
    match &node.data {
        Data::Dict(entries) if !entries.is_empty() => {
            out.push('\n');
            yaml_entries(entries, indent + 2, out);
        }
        Data::List(items) | Data::Tuple(items) if !items.is_empty() => {
            match flat(&node.data, WIDTH.saturating_sub(indent), Style::Yaml) {
                Some(flat) if !holds_dicts(items) => out.extend([" ", &flat, "\n"]),
                _ => {
                    out.push('\n');
                    yaml_items(items, indent, out);
                }
            }
        }
        data => out.extend([" ", &scalar(data, Style::Yaml), "\n"]),
    }
}

fn yaml_items(items: &[Node], indent: usize, out: &mut String) {
    for item in items {
        out.push_str(&" ".repeat(indent));
        out.push('-');
        match &item.data {
            Data::Dict(entries) if !entries.is_empty() => {
                out.push(' ');
                yaml_entries(entries, indent + 2, out);
            }
            _ => yaml_below(item, indent + 2, out),
        }
    }
}

fn yaml_key(key: &Key) -> String {
    match key {
        Key::Str(text) => yaml_string(text),
        Key::Int(int) => int.to_string(),
        Key::Bool(truth) => truth.to_string(),
        Key::None => "null".to_owned(),
    }
}

/// Writes top-level entries as a TOML document: single values first, then one table for each dict.
pub(crate) fn to_toml(entries: &Entries) -> String {
    let mut out = String::new();
    let is_table = |node: &Node| matches!(node.data, Data::Dict(_));
    for (key, node) in entries.iter().filter(|(_, node)| !is_table(node)) {
        toml_entry(key, node, &mut out);
    }
    for (key, node) in entries {
        if let Data::Dict(entries) = &node.data {
            toml_table(&toml_key(key), entries, &mut out);
        }
    }
    out
}

/// Writes a table. Its own order of keys is kept: dicts get their own tables only where nothing else
/// follows them, because TOML ends a table where the next one begins.
fn toml_table(path: &str, entries: &Entries, out: &mut String) {
    let is_table = |node: &Node| matches!(&node.data, Data::Dict(below) if !below.is_empty());
    let last_plain = entries.values().rposition(|node| !is_table(node));
    let first_table = last_plain.map_or(0, |last| last + 1);
    if first_table > 0 || entries.is_empty() {
        out.push_str(if out.is_empty() { "" } else { "\n" });
        out.extend(["[", path, "]\n"]);
    }
    for (key, node) in entries.iter().take(first_table) {
        toml_entry(key, node, out);
    }
    for (key, node) in entries.iter().skip(first_table) {
        if let Data::Dict(below) = &node.data {
            toml_table(&format!("{path}.{}", toml_key(key)), below, out);
        }
    }
}

fn toml_entry(key: &Key, node: &Node, out: &mut String) {
    let key = toml_key(key);
    out.extend([&key, " = "]);
    toml_value(&node.data, 0, WIDTH.saturating_sub(key.len() + 3), out);
    out.push('\n');
}

/// Lists take several lines where they are long; dicts inside a value stay on one, as TOML wants it.
fn toml_value(data: &Data, indent: usize, room: usize, out: &mut String) {
    let items = match data {
        Data::List(items) | Data::Tuple(items) => items,
        data => return out.push_str(&flat(data, usize::MAX, Style::Toml).unwrap_or_default()),
    };
    if let Some(flat) = flat(data, room, Style::Toml) {
        return out.push_str(&flat);
    }
    let inner = " ".repeat(indent + 4);
    out.push_str("[\n");
    for item in items {
        out.push_str(&inner);
        toml_value(&item.data, indent + 4, WIDTH.saturating_sub(indent + 5), out);
        out.push_str(",\n");
    }
    out.extend([&" ".repeat(indent), "]"]);
}

fn toml_key(key: &Key) -> String {
    let text = key.to_string();
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !text.is_empty() && text.chars().all(is_bare) { text } else { quoted(&text) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Yaml,
    Toml,
}

/// A value on one line, or nothing if it takes more than `room` columns.
fn flat(data: &Data, room: usize, style: Style) -> Option<String> {
    let mut out = String::new();
    match data {
        Data::List(items) | Data::Tuple(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                out.push_str(&flat(&item.data, room.checked_sub(out.len())?, style)?);
            }
            out.push(']');
        }
        Data::Dict(entries) => {
            out.push('{');
            for (i, (key, node)) in entries.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                match style {
                    Style::Yaml => out.extend([&yaml_key(key), ": "]),
                    Style::Toml => out.extend([&toml_key(key), " = "]),
                }
                out.push_str(&flat(&node.data, room.checked_sub(out.len())?, style)?);
            }
            out.push('}');
        }
        data => out = scalar(data, style),
    }
    (out.len() <= room).then_some(out)
}

fn holds_dicts(items: &[Node]) -> bool {
    items.iter().any(|item| match &item.data {
        Data::Dict(_) => true,
        Data::List(items) | Data::Tuple(items) => holds_dicts(items),
        _ => false,
    })
}

/// A value that holds no others, or is empty.
fn scalar(data: &Data, style: Style) -> String {
    match (data, style) {
        (Data::None, Style::Yaml) => "null".to_owned(),
        (Data::None, Style::Toml) => format!("\"{TOML_NONE}\""),
        (Data::Bool(truth), _) => truth.to_string(),
        (Data::Int(int), _) => int.to_string(),
        (Data::Float(float), style) => float_text(*float, style),
        (Data::Str(text), Style::Yaml) => yaml_string(text),
        (Data::Str(text), Style::Toml) => quoted(text),
        (Data::List(_) | Data::Tuple(_), _) => "[]".to_owned(),
        (Data::Dict(_), _) => "{}".to_owned(),
    }
}

/// With a point and a signed exponent, which readers of YAML 1.1 want too.
fn float_text(float: f64, style: Style) -> String {
    let dot = if style == Style::Yaml { "." } else { "" };
    if float.is_nan() {
        return format!("{dot}nan");
    }
    if float.is_infinite() {
        return format!("{}{dot}inf", if float < 0.0 { "-" } else { "" });
    }
    let text = format!("{float:?}");
    match text.split_once('e') {
        None => text,
        Some((digits, exponent)) => {
            let point = if digits.contains('.') { "" } else { ".0" };
            let plus = if exponent.starts_with('-') { "" } else { "+" };
            format!("{digits}{point}e{plus}{exponent}")
        }
    }
}

/// Plain where no reader could take the text for something else.
fn yaml_string(text: &str) -> String {
    const WORDS: &[&str] =
        &["null", "true", "false", "yes", "no", "on", "off", "nan", "inf", "none"];
    let begins = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
    let is_word = WORDS.contains(&text.to_ascii_lowercase().as_str());
    if begins && text.chars().all(is_plain) && !is_word { text.to_owned() } else { quoted(text) }
}

/// A string in double quotes as JSON, YAML and TOML all read it. Double braces are escaped, so that
/// nothing is substituted on loading.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '{' if letters.peek() == Some(&'{') => out.push_str("\\u007b"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                out.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use crate::Config;
    use crate::testing::Folder;

    const TEXT: &str = "a = 1\nb = 1.0\nc = [1e-5, 1e22, -2.5, float('inf'), -0.0]\nd = None\n\
        m = dict(type='X', n=None, e={}, l=[], t=(1, (2,)), z=dict(k='yes', d=dict(p=[dict(q=1), dict(q=[[1]])])), u=True)\n\
        s = ['', 'null', '1', '1.5', '~', 'a: b', '- x', '#', 'it\\'s \"q\"', 'a\\nb\\\\', 'ü', '\\x7f', ' ', '=', 'd.e/f-g', '1e3', '0x1', '2020-01-01']\n\
        k = {'x y': 1, 'a.b': {'c:d': 2}, 'no': 3}\n\
        p = [dict(type='LoadImageFromFile', backend_args=None), dict(type='Resize', scale=(1333, 800), keep_ratio=True), [dict(a=[1, dict(b=2)])], []]\n\
        h = dict(timer=dict(type='T'), logger=dict(type='L', interval=50), last=3)\n\
        g = '{' + '{ fileDirname }}' + '{' + '{x'\nb2 = '{' + '{_base_.a}}'\ne = ''";

    fn again(name: &str, text: &str) -> Config {
        Folder::new(&[(name, text)]).load(name).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn every_format_loads_to_the_same_values() {
        let config = again("a.py", TEXT);
        for (name, text) in [
            ("a.yaml", config.to_yaml()),
            ("a.toml", config.to_toml()),
            ("a.py", config.to_python()),
        ] {
            let found = again(name, &text);
            assert_eq!(found.value(), config.value(), "{text}");
            let order =
                |config: &Config| ["m", "h", "k"].map(|key| config.get(key).unwrap().to_string());
            assert_eq!(order(&found), order(&config), "{text}");
        }
    }

    #[test]
    fn json_loads_to_the_same_values_but_for_floats_that_it_lacks() {
        let config = again("a.py", TEXT);
        let found = again("a.json", &config.to_json_pretty());
        assert_eq!(found.value(), config.value());
    }

    #[test]
    fn keys_that_are_no_strings_stay_what_they_are_in_yaml() {
        let config = again("a.py", "a = {1: 'x', True: 'y', None: 'z', '1': 'w', -3: 0}");
        let found = again("a.yaml", &config.to_yaml());
        assert_eq!(found.to_python(), config.to_python());
    }

    #[test]
    fn written_files_read_well() {
        let text = "lr = 0.1\nmodel = dict(type='X', neck=dict(type='N', out=(1, 2)))\n\
                    pipe = [dict(type='A'), dict(type='B', x=None)]";
        let config = again("a.py", text);
        let yaml = "lr: 0.1\nmodel:\n  type: X\n  neck:\n    type: N\n    out: [1, 2]\npipe:\n- type: A\n- type: B\n  x: null\n";
        assert_eq!(config.to_yaml(), yaml);
        let toml = "lr = 0.1\npipe = [{type = \"A\"}, {type = \"B\", x = \"{{None}}\"}]\n\n\
                    [model]\ntype = \"X\"\n\n[model.neck]\ntype = \"N\"\nout = [1, 2]\n";
        assert_eq!(config.to_toml(), toml);
    }
}
