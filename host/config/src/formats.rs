//! JSON, YAML and TOML configs: values with the lines that wrote them.
//!
//! Knows nothing of merging. A config in one of these formats can say what Python syntax says, but
//! computes nothing: it has values, `_base_`, and `{{_base_.key}}`.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::error::Problem;
use crate::limits::{Limits, check_depth};
use crate::location::{At, Lines};
use crate::placeholders::{BaseReference, base_references};
use crate::tree::{Data, Entries, Key, Node};
use crate::write::TOML_NONE;

type Read<T> = Result<T, (u32, Problem)>;

/// The formats besides Python syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
    Toml,
}

/// Reads a whole file; the top of it must be a dict.
pub(crate) fn read(format: Format, text: &str, file: u32, limits: &mut Limits) -> Read<Entries> {
    let node = match format {
        Format::Json => {
            let raw: JsonNode = serde_json::from_str(text)
                .map_err(|error| (error.line() as u32, syntax("JSON", &error)))?;
            let mut lines = json_lines(text).into_iter();
            Convert { file, limits, source: &Source::new("") }.json(raw, &mut lines, 0)?
        }
        Format::Yaml => {
            let options = serde_saphyr::options! {
                non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
            };
            let read = serde_saphyr::from_str_with_options(text, options);
            let raw: YamlNode = read.map_err(|error: serde_saphyr::Error| {
                let line = error.location().map_or(1, |location| location.line() as u32);
                (line, syntax("YAML", &error))
            })?;
            Convert { file, limits, source: &Source::new(text) }.spanned(raw, 0)?
        }
        Format::Toml => {
            let source = Source::new(text);
            let raw: TomlNode = toml::from_str(text).map_err(|error| {
                let line = error.span().map_or(1, |span| source.lines.line(span.start));
                (line, toml_problem(error.message()))
            })?;
            let mut node = Convert { file, limits, source: &source }.spanned(raw, 0)?;
            restore_none(&mut node);
            node
        }
    };
    match node.data {
        Data::Dict(entries) => Ok(entries),
        Data::None => Ok(Entries::new()),
        other => {
            let message = format!("expected a dict at the top, found {}", other.type_name());
            Err((1, Problem::Value(message)))
        }
    }
}

/// TOML has no None: a string stands for it.
fn restore_none(node: &mut Node) {
    match &mut node.data {
        Data::Str(text) if &**text == TOML_NONE => node.data = Data::None,
        Data::List(nodes) | Data::Tuple(nodes) => nodes.iter_mut().for_each(restore_none),
        Data::Dict(entries) => entries.values_mut().for_each(restore_none),
        _ => {}
    }
}

fn syntax(format: &'static str, error: &dyn fmt::Display) -> Problem {
    let message = error.to_string();
    let first = message.lines().next().unwrap_or_default().to_owned();
    Problem::Syntax { format, message: first }
}

/// A date reaches us as a dict with a key of the reader's own, which has no position.
fn toml_problem(message: &str) -> Problem {
    if message.contains("$__toml_private_datetime") {
        let what = "dates".to_owned();
        return Problem::NotInLanguage { what, hint: "put it in quotes, as a string" };
    }
    Problem::Syntax { format: "TOML", message: message.to_owned() }
}

/// A value as a format's reader gives it; `N` adds what the format tells of positions.
#[derive(Debug)]
enum Raw<N> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    List(Vec<N>),
    Map(Vec<(N, N)>),
}

#[derive(Debug, serde::Deserialize)]
#[serde(transparent)]
struct JsonNode(Raw<JsonNode>);

#[derive(Debug, serde::Deserialize)]
#[serde(transparent)]
struct YamlNode(serde_saphyr::Spanned<Raw<YamlNode>>);

#[derive(Debug, serde::Deserialize)]
#[serde(transparent)]
struct TomlNode(toml::Spanned<Raw<TomlNode>>);

/// A node that knows its line.
trait Spanned: Sized {
    fn open(self, source: &Source) -> (u32, Raw<Self>);
}

impl Spanned for YamlNode {
    fn open(self, source: &Source) -> (u32, Raw<Self>) {
        let place = self.0.referenced;
        let value = match self.0.value {
            // The reader takes the bare letters y and n for truth values; PyYAML does not, and they
            // are good names.
            Raw::Bool(truth) => match source.letter(place.line() as usize, place.column() as usize)
            {
                Some(letter) => Raw::Str(letter),
                None => Raw::Bool(truth),
            },
            value => value,
        };
        (place.line() as u32, value)
    }
}

impl Spanned for TomlNode {
    fn open(self, source: &Source) -> (u32, Raw<Self>) {
        (source.lines.line(self.0.span().start), self.0.into_inner())
    }
}

/// The text that values came from.
struct Source<'a> {
    text: &'a str,
    lines: Lines,
}

impl<'a> Source<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, lines: Lines::new(text) }
    }

    /// The letter y or n where it stands alone at a line and column, both from 1.
    fn letter(&self, line: usize, column: usize) -> Option<String> {
        let start = self.lines.start(line)?;
        let line = self.text[start..].lines().next()?;
        let mut letters = line.chars().skip(column.checked_sub(1)?);
        let letter = letters.next().filter(|c| matches!(c, 'y' | 'Y' | 'n' | 'N'))?;
        let ends = letters.next().is_none_or(|c| !c.is_alphanumeric());
        ends.then(|| letter.to_string())
    }
}

struct RawVisitor<N>(PhantomData<N>);

impl<'de, N: Deserialize<'de>> Deserialize<'de> for Raw<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor(PhantomData))
    }
}

impl<'de, N: Deserialize<'de>> Visitor<'de> for RawVisitor<N> {
    type Value = Raw<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that a config can hold")
    }

    fn visit_unit<E: Error>(self) -> Result<Raw<N>, E> {
        Ok(Raw::None)
    }

    fn visit_none<E: Error>(self) -> Result<Raw<N>, E> {
        Ok(Raw::None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw<N>, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Raw<N>, E> {
        Ok(Raw::Bool(truth))
    }

    fn visit_i64<E: Error>(self, int: i64) -> Result<Raw<N>, E> {
        Ok(Raw::Int(int))
    }

    fn visit_u64<E: Error>(self, int: u64) -> Result<Raw<N>, E> {
        let too_large = || E::custom(format!("integer: expected at most 64 bits, found {int}"));
        i64::try_from(int).map(Raw::Int).map_err(|_| too_large())
    }

    fn visit_f64<E: Error>(self, float: f64) -> Result<Raw<N>, E> {
        Ok(Raw::Float(float))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Raw<N>, E> {
        Ok(Raw::Str(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw<N>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw<N>, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

/// The lines of all values and keys of a valid JSON text, in the order of the text.
fn json_lines(text: &str) -> Vec<u32> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\n' => line += 1,
            b'{' | b'[' => found.push(line),
            b'"' => {
                found.push(line);
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'-' | b'0'..=b'9' | b'a'..=b'z' => {
                found.push(line);
                let continues =
                    |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-');
                while bytes.next_if(continues).is_some() {}
            }
            _ => {}
        }
    }
    found
}

struct Convert<'a> {
    file: u32,
    limits: &'a mut Limits,
    source: &'a Source<'a>,
}

impl Convert<'_> {
    fn pay(&mut self, line: u32, depth: usize) -> Read<At> {
        check_depth(depth).and_then(|()| self.limits.elements(1)).map_err(|p| (line, p))?;
        Ok(At { file: self.file, line })
    }

    fn json(
        &mut self,
        node: JsonNode,
        lines: &mut impl Iterator<Item = u32>,
        depth: usize,
    ) -> Read<Node> {
        let line = lines.next().unwrap_or(1);
        let at = self.pay(line, depth)?;
        let data = match node.0 {
            Raw::List(nodes) => {
                let nodes = nodes.into_iter().map(|node| self.json(node, lines, depth + 1));
                Data::List(nodes.collect::<Read<_>>()?)
            }
            Raw::Map(pairs) => {
                let mut entries = Entries::with_capacity(pairs.len());
                for (key, value) in pairs {
                    let line = lines.next().unwrap_or(1);
                    let mut value = self.json(value, lines, depth + 1)?;
                    value.at.line = line;
                    insert(&mut entries, key.0, value)?;
                }
                Data::Dict(entries)
            }
            scalar => self.scalar(scalar, line)?,
        };
        Ok(Node::new(at, data))
    }

    fn spanned<N: Spanned>(&mut self, node: N, depth: usize) -> Read<Node> {
        let (line, raw) = node.open(self.source);
        let at = self.pay(line, depth)?;
        let data = match raw {
            Raw::List(nodes) => {
                let nodes = nodes.into_iter().map(|node| self.spanned(node, depth + 1));
                Data::List(nodes.collect::<Read<_>>()?)
            }
            Raw::Map(pairs) => {
                let mut entries = Entries::with_capacity(pairs.len());
                for (key, value) in pairs {
                    let (line, key) = key.open(self.source);
                    let mut value = self.spanned(value, depth + 1)?;
                    value.at.line = line;
                    insert(&mut entries, key, value)?;
                }
                Data::Dict(entries)
            }
            scalar => self.scalar(scalar, line)?,
        };
        Ok(Node::new(at, data))
    }

    fn scalar<N>(&mut self, raw: Raw<N>, line: u32) -> Read<Data> {
        Ok(match raw {
            Raw::Bool(truth) => Data::Bool(truth),
            Raw::Int(int) => Data::Int(int),
            Raw::Float(float) => Data::Float(float),
            Raw::Str(text) => {
                self.limits.text(text.len()).map_err(|problem| (line, problem))?;
                Data::Str(text.into())
            }
            _ => Data::None,
        })
    }
}

fn insert<N>(entries: &mut Entries, key: Raw<N>, value: Node) -> Read<()> {
    let line = value.at.line;
    let key = match key {
        Raw::Str(text) => Key::Str(text.into()),
        Raw::Int(int) => Key::Int(int),
        Raw::Bool(truth) => Key::Bool(truth),
        Raw::None => Key::None,
        _ => return Err((line, Problem::Value("key: expected a string or an int".to_owned()))),
    };
    let message = format!("key `{key}` is given twice in one dict");
    match entries.insert(key, value) {
        None => Ok(()),
        Some(_) => Err((line, Problem::Value(message))),
    }
}

/// Puts the base's values where `{{_base_.key}}` stands in strings; `written` are those of the file's text.
pub(crate) fn fill_placeholders(
    node: &mut Node,
    base: &Node,
    written: &HashSet<String>,
    limits: &mut Limits,
) -> Result<(), (u32, Problem)> {
    let line = node.at.line;
    match &mut node.data {
        Data::Str(text) if text.contains("{{") => {
            if let Some(data) =
                filled(text, base, written, limits).map_err(|problem| (line, problem))?
            {
                node.data = data;
            }
            Ok(())
        }
        Data::List(nodes) | Data::Tuple(nodes) => {
            nodes.iter_mut().try_for_each(|node| fill_placeholders(node, base, written, limits))
        }
        Data::Dict(entries) => {
            entries.values_mut().try_for_each(|node| fill_placeholders(node, base, written, limits))
        }
        _ => Ok(()),
    }
}

fn filled(
    text: &str,
    base: &Node,
    written: &HashSet<String>,
    limits: &mut Limits,
) -> Result<Option<Data>, Problem> {
    let mut result = String::new();
    let mut end = 0;
    for BaseReference { range, path } in base_references(text) {
        if !written.contains(&text[range.clone()]) {
            continue;
        }
        let path = path.join(".");
        let Some(found) = base.find(&path) else {
            let (holder, nearest) = ("the base".to_owned(), None);
            return Err(Problem::UnknownKey { holder, key: path, nearest });
        };
        if range == (0..text.len()) {
            pay_for(&found.data, limits)?;
            return Ok(Some(found.data.clone()));
        }
        result.push_str(&text[end..range.start]);
        result.push_str(&plain_text(&found.data, &path)?);
        limits.text(result.len())?;
        end = range.end;
    }
    result.push_str(&text[end..]);
    Ok((end > 0).then(|| Data::Str(result.into())))
}

fn plain_text(data: &Data, path: &str) -> Result<String, Problem> {
    match data {
        Data::Str(text) => Ok(text.to_string()),
        Data::Int(int) => Ok(int.to_string()),
        Data::Float(float) => Ok(float.to_string()),
        other => Err(Problem::Value(format!(
            "`{{{{_base_.{path}}}}}` in a string: expected a string or number, found {}",
            other.type_name()
        ))),
    }
}

fn pay_for(data: &Data, limits: &mut Limits) -> Result<(), Problem> {
    limits.elements(1)?;
    match data {
        Data::List(nodes) | Data::Tuple(nodes) => {
            nodes.iter().try_for_each(|node| pay_for(&node.data, limits))
        }
        Data::Dict(entries) => entries.values().try_for_each(|node| pay_for(&node.data, limits)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Folder;
    use serde_json::json;

    const JSON: &str =
        "{\"_base_\": \"base.py\",\n \"a\": {\"x\": [1, 2.0,\n  {{_base_.p}}]},\n \"b\": null}";
    const YAML: &str =
        "_base_: [base.py]\na:\n  x:\n    - 1\n    - 2.0\n    - {{_base_.p}}\nb: null\n";
    const TOML: &str = "_base_ = 'base.py'\nb = '{{_base_.p}}/q'\n[a]\nx = [\n 1,\n 2.0]\n";

    fn folder() -> Folder {
        let base = ("base.py", "p = 'root'\na = dict(y=1)");
        Folder::new(&[base, ("a.json", JSON), ("a.yaml", YAML), ("a.toml", TOML)])
    }

    #[test]
    fn json_and_yaml_say_what_python_says() {
        for name in ["a.json", "a.yaml"] {
            let config = folder().load(name).unwrap();
            let text = config.value().to_string();
            assert_eq!(text, r#"{"p":"root","a":{"y":1,"x":[1,2.0,"root"]},"b":null}"#, "{name}");
        }
    }

    #[test]
    fn toml_says_what_python_says() {
        let config = folder().load("a.toml").unwrap();
        let expected = json!({"p": "root", "a": {"y": 1, "x": [1, 2.0]}, "b": "root/q"});
        assert_eq!(*config.value(), expected);
    }

    #[test]
    fn every_format_knows_its_lines() {
        for (name, path, line) in [
            ("a.json", "a", 2),
            ("a.json", "a.x.2", 3),
            ("a.json", "b", 4),
            ("a.json", "a.x.0", 2),
            ("a.yaml", "a", 2),
            ("a.yaml", "a.x", 3),
            ("a.yaml", "a.x.1", 5),
            ("a.yaml", "b", 7),
            ("a.toml", "a", 3),
            ("a.toml", "b", 2),
            ("a.toml", "a.x.1", 6),
            ("a.toml", "a.x", 4),
        ] {
            let folder = folder();
            let location = folder.load(name).unwrap().location(path).unwrap();
            assert_eq!(
                (location.line, location.file),
                (line, folder.path().join(name)),
                "{name} {path}"
            );
        }
    }

    #[test]
    fn yaml_reads_words_as_pyyaml_does() {
        let text = "y: [y, n, yes, 'no', on, {n: N}]\nn: false\na: [.inf, 1.5e+3]";
        let found = Folder::new(&[("a.yaml", text)]).load("a.yaml").unwrap().value().clone();
        let y = json!(["y", "n", true, "no", true, {"n": "N"}]);
        assert_eq!(found, json!({"y": y, "n": false, "a": ["inf", 1500.0]}));
    }

    #[test]
    fn broken_files_name_the_line() {
        let folder = Folder::new(&[
            ("a.json", "{\"a\": 1,\n \"b\": }"),
            ("b.yaml", "a: 1\nb: [1\n"),
            ("c.toml", "a = 1\nb = \n"),
            ("d.json", "[1]"),
            ("e.json", "{\"a\": 1,\n\"a\": 2}"),
            ("f.yaml", "a: 1\na: 2"),
            ("g.json", "{\"a-b\": 1}"),
            ("h.toml", "a = 2020-01-02"),
        ]);
        for (name, words) in [
            ("a.json", "a.json, line 2: expected JSON syntax"),
            ("b.yaml", "expected YAML syntax"),
            ("c.toml", "c.toml, line 2: expected TOML syntax"),
            ("d.json", "expected a dict at the top, found a list"),
            ("e.json", "line 2: key `a` is given twice"),
            ("f.yaml", "line 2"),
            ("h.toml", "line 1: dates are not part of the config language"),
            ("g.json", "top-level key `a-b`: expected a name"),
        ] {
            let message = folder.error(name);
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn yaml_alias_bombs_are_errors() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..12 {
            let aliases = vec![format!("*a{}", i - 1); 9].join(", ");
            text += &format!("a{i}: &a{i} [{aliases}]\n");
        }
        let deep = format!("a: {}", "[".repeat(100_000));
        let folder = Folder::new(&[
            ("a.yaml", &text),
            ("b.yaml", &deep),
            ("c.json", &format!("{{\"a\":{}", &deep[3..])),
        ]);
        for name in ["a.yaml", "b.yaml", "c.json"] {
            assert!(folder.load(name).is_err(), "{name}");
        }
    }
}
