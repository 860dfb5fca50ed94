//! Resolved values, each with the place that wrote it last, and their JSON form.
//!
//! Knows nothing of files or formats.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value as Json;

use crate::location::At;

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) data: Data,
}

/// Entries of a dict, in order.
pub(crate) type Entries = IndexMap<Key, Node>;

/// The values that a configuration can hold in the end.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    List(Vec<Node>),
    Tuple(Vec<Node>),
    Dict(Entries),
}

/// A key of a dict.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Str(Arc<str>),
    Int(i64),
    Bool(bool),
    None,
}

impl Key {
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl fmt::Display for Key {
    /// As JSON has it: Python's `json.dumps` turns other keys into strings the same way.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Str(text) => f.write_str(text),
            Self::Int(int) => write!(f, "{int}"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::None => f.write_str("null"),
        }
    }
}

impl Data {
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an int",
            Self::Float(_) => "a float",
            Self::Str(_) => "a string",
            Self::List(_) => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Dict(_) => "a dict",
        }
    }

    pub(crate) fn is_truthy(&self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(truth) => *truth,
            Self::Int(int) => *int != 0,
            Self::Float(float) => *float != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(items) | Self::Tuple(items) => !items.is_empty(),
            Self::Dict(entries) => !entries.is_empty(),
        }
    }

    /// JSON, where tuples become arrays and floats that are not finite become strings.
    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::None => Json::Null,
            Self::Bool(truth) => Json::Bool(*truth),
            Self::Int(int) => Json::from(*int),
            Self::Float(float) => float_to_json(*float),
            Self::Str(text) => Json::String(text.to_string()),
            Self::List(items) | Self::Tuple(items) => {
                Json::Array(items.iter().map(|item| item.data.to_json()).collect())
            }
            Self::Dict(entries) => Json::Object(
                entries.iter().map(|(key, node)| (key.to_string(), node.data.to_json())).collect(),
            ),
        }
    }
}

fn float_to_json(float: f64) -> Json {
    let name = if float.is_nan() {
        "nan"
    } else if float > 0.0 {
        "inf"
    } else {
        "-inf"
    };
    serde_json::Number::from_f64(float).map_or_else(|| Json::from(name), Json::Number)
}

impl Node {
    pub(crate) fn new(at: At, data: Data) -> Self {
        Self { at, data }
    }

    /// How many values there are in all, this one included.
    pub(crate) fn count(&self) -> usize {
        1 + match &self.data {
            Data::List(nodes) | Data::Tuple(nodes) => nodes.iter().map(Self::count).sum(),
            Data::Dict(entries) => entries.values().map(Self::count).sum(),
            _ => 0,
        }
    }

    /// Equal values, wherever they were written; NaN equals itself.
    pub(crate) fn is_same(&self, other: &Node) -> bool {
        match (&self.data, &other.data) {
            (Data::None, Data::None) => true,
            (Data::Bool(a), Data::Bool(b)) => a == b,
            (Data::Int(a), Data::Int(b)) => a == b,
            (Data::Float(a), Data::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
            (Data::Str(a), Data::Str(b)) => a == b,
            (Data::List(a), Data::List(b)) | (Data::Tuple(a), Data::Tuple(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_same(b))
            }
            (Data::Dict(a), Data::Dict(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| a.is_same(b)))
            }
            _ => false,
        }
    }

    /// The node that a dotted path leads to; digits index lists and tuples.
    pub(crate) fn find(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, |node, step| match &node.data {
            Data::Dict(entries) => child(entries, step),
            Data::List(items) | Data::Tuple(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

fn child<'a>(entries: &'a Entries, step: &str) -> Option<&'a Node> {
    let by_number = || step.parse().ok().and_then(|int| entries.get(&Key::Int(int)));
    entries.get(&Key::from(step)).or_else(by_number)
}
