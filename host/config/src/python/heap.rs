//! Python's values, with identity: names that share a list see each other's changes.
//!
//! Lists, dicts and tuples live in an arena and are named by number, so that cycles and deep nesting
//! cost nothing to drop. Knows nothing of syntax.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::error::Problem;
use crate::limits::{Limits, check_depth};
use crate::location::At;
use crate::tree::{Data, Entries, Key, Node};

/// A value; lists, tuples and dicts by their number in the [`Heap`].
#[derive(Clone, Debug)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    List(usize),
    Tuple(usize),
    Dict(usize),
    /// An imported object, by its dotted path.
    Lazy(Arc<str>),
}

/// A value in a container, and the place that put it there.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) at: At,
    pub(crate) value: Value,
}

/// A dict; MMEngine gives those that come from a base other methods than plain ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dict {
    pub(crate) entries: IndexMap<Key, Slot>,
    /// Attributes work, `update` is deep, `pop` of a missing key gives None.
    pub(crate) is_config: bool,
}

impl Dict {
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().filter_map(Key::as_str)
    }
}

/// All containers of one file's evaluation.
#[derive(Debug, Default)]
pub(crate) struct Heap {
    sequences: Vec<Vec<Slot>>,
    dicts: Vec<Dict>,
}

impl Heap {
    pub(crate) fn list(&mut self, items: Vec<Slot>) -> Value {
        self.sequences.push(items);
        Value::List(self.sequences.len() - 1)
    }

    pub(crate) fn tuple(&mut self, items: Vec<Slot>) -> Value {
        self.sequences.push(items);
        Value::Tuple(self.sequences.len() - 1)
    }

    pub(crate) fn dict(&mut self, dict: Dict) -> Value {
        self.dicts.push(dict);
        Value::Dict(self.dicts.len() - 1)
    }

    /// The items of a list or tuple.
    pub(crate) fn items(&self, id: usize) -> &[Slot] {
        &self.sequences[id]
    }

    pub(crate) fn items_mut(&mut self, id: usize) -> &mut Vec<Slot> {
        &mut self.sequences[id]
    }

    pub(crate) fn entries(&self, id: usize) -> &Dict {
        &self.dicts[id]
    }

    pub(crate) fn entries_mut(&mut self, id: usize) -> &mut Dict {
        &mut self.dicts[id]
    }

    /// Brings a base's resolved values to life as MMEngine's `ConfigDict`.
    pub(crate) fn thaw(&mut self, node: Node) -> Slot {
        let value = match node.data {
            Data::None => Value::None,
            Data::Bool(truth) => Value::Bool(truth),
            Data::Int(int) => Value::Int(int),
            Data::Float(float) => Value::Float(float),
            Data::Str(text) => Value::Str(text),
            Data::List(nodes) => {
                let items = nodes.into_iter().map(|node| self.thaw(node)).collect();
                self.list(items)
            }
            Data::Tuple(nodes) => {
                let items = nodes.into_iter().map(|node| self.thaw(node)).collect();
                self.tuple(items)
            }
            Data::Dict(entries) => self.thaw_entries(entries),
        };
        Slot { at: node.at, value }
    }

    pub(crate) fn thaw_entries(&mut self, entries: Entries) -> Value {
        let entries = entries.into_iter().map(|(key, node)| (key, self.thaw(node))).collect();
        self.dict(Dict { entries, is_config: true })
    }

    /// Copies a value out of the heap; what is shared is split.
    ///
    /// Errors: a limit, where sharing would unfold into too much, or a container holds itself.
    pub(crate) fn freeze(&self, slot: &Slot, limits: &mut Limits) -> Result<Node, Problem> {
        self.freeze_below(slot, limits, 0)
    }

    fn freeze_below(
        &self,
        slot: &Slot,
        limits: &mut Limits,
        depth: usize,
    ) -> Result<Node, Problem> {
        check_depth(depth)?;
        limits.elements(1)?;
        let data = match &slot.value {
            Value::None => Data::None,
            Value::Bool(truth) => Data::Bool(*truth),
            Value::Int(int) => Data::Int(*int),
            Value::Float(float) => Data::Float(*float),
            Value::Str(text) | Value::Lazy(text) => {
                // Shared here, but written out once for each place in the end.
                limits.text(text.len())?;
                Data::Str(text.clone())
            }
            Value::List(id) => Data::List(self.freeze_items(*id, limits, depth)?),
            Value::Tuple(id) => Data::Tuple(self.freeze_items(*id, limits, depth)?),
            Value::Dict(id) => {
                let mut entries = Entries::with_capacity(self.dicts[*id].entries.len());
                for (key, slot) in &self.dicts[*id].entries {
                    limits.text(key.as_str().map_or(0, str::len))?;
                    entries.insert(key.clone(), self.freeze_below(slot, limits, depth + 1)?);
                }
                Data::Dict(entries)
            }
        };
        Ok(Node::new(slot.at, data))
    }

    fn freeze_items(
        &self,
        id: usize,
        limits: &mut Limits,
        depth: usize,
    ) -> Result<Vec<Node>, Problem> {
        self.sequences[id].iter().map(|slot| self.freeze_below(slot, limits, depth + 1)).collect()
    }

    /// Tells whether a value is a dict of a base, or a list or tuple that holds one.
    pub(crate) fn is_config(&self, value: &Value) -> bool {
        match value {
            Value::Dict(id) => self.dicts[*id].is_config,
            Value::List(id) | Value::Tuple(id) => self.sequences[*id]
                .iter()
                .any(|slot| matches!(slot.value, Value::Dict(id) if self.dicts[id].is_config)),
            _ => false,
        }
    }

    /// Makes dicts plain that were thawed a moment ago, and so are not shared or deep.
    pub(crate) fn make_plain(&mut self, value: &Value) {
        match value {
            Value::Dict(id) => {
                self.dicts[*id].is_config = false;
                let below: Vec<Value> =
                    self.dicts[*id].entries.values().map(|slot| slot.value.clone()).collect();
                below.iter().for_each(|value| self.make_plain(value));
            }
            Value::List(id) | Value::Tuple(id) => {
                let below: Vec<Value> =
                    self.sequences[*id].iter().map(|slot| slot.value.clone()).collect();
                below.iter().for_each(|value| self.make_plain(value));
            }
            _ => {}
        }
    }

    /// What MMEngine's `ConfigDict` does to a value stored in it: plain dicts and all lists and
    /// tuples are rebuilt, dicts that are `ConfigDict` already keep their identity.
    pub(crate) fn hook(
        &mut self,
        value: Value,
        limits: &mut Limits,
        depth: usize,
    ) -> Result<Value, Problem> {
        check_depth(depth)?;
        match value {
            Value::Dict(id) if !self.dicts[id].is_config => {
                limits.elements(self.dicts[id].entries.len())?;
                let mut dict = self.dicts[id].clone();
                for slot in dict.entries.values_mut() {
                    slot.value = self.hook(slot.value.clone(), limits, depth + 1)?;
                }
                dict.is_config = true;
                Ok(self.dict(dict))
            }
            Value::List(id) => {
                let items = self.hook_items(id, limits, depth)?;
                Ok(self.list(items))
            }
            Value::Tuple(id) => {
                let items = self.hook_items(id, limits, depth)?;
                Ok(self.tuple(items))
            }
            other => Ok(other),
        }
    }

    fn hook_items(
        &mut self,
        id: usize,
        limits: &mut Limits,
        depth: usize,
    ) -> Result<Vec<Slot>, Problem> {
        limits.elements(self.sequences[id].len())?;
        let mut items = self.sequences[id].clone();
        for slot in &mut items {
            slot.value = self.hook(slot.value.clone(), limits, depth + 1)?;
        }
        Ok(items)
    }

    pub(crate) fn is_truthy(&self, value: &Value) -> bool {
        match value {
            Value::None => false,
            Value::Lazy(_) => true,
            Value::Bool(truth) => *truth,
            Value::Int(int) => *int != 0,
            Value::Float(float) => *float != 0.0,
            Value::Str(text) => !text.is_empty(),
            Value::List(id) | Value::Tuple(id) => !self.sequences[*id].is_empty(),
            Value::Dict(id) => !self.dicts[*id].entries.is_empty(),
        }
    }
}

impl Value {
    /// Python's name of the type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::Lazy(_) => "an imported object",
        }
    }

    /// The value as a whole number, where Python would take it as one.
    pub(crate) fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(*int),
            Self::Bool(truth) => Some(i64::from(*truth)),
            _ => None,
        }
    }

    /// The value as a float, if it is a number.
    pub(crate) fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(float) => Some(*float),
            other => other.as_int().map(|int| int as f64),
        }
    }

    /// The value as a key of a dict; looking up a long one costs.
    pub(crate) fn to_key(&self, limits: &mut Limits) -> Result<Key, Problem> {
        match self {
            Self::Str(text) => {
                limits.work(text.len())?;
                Ok(Key::Str(text.clone()))
            }
            Self::Int(int) => Ok(Key::Int(*int)),
            Self::Bool(truth) => Ok(Key::Bool(*truth)),
            Self::None => Ok(Key::None),
            other => Err(Problem::Value(format!(
                "key of a dict: expected str, int, bool or None, found {}",
                other.type_name()
            ))),
        }
    }
}

impl From<&Key> for Value {
    fn from(key: &Key) -> Self {
        match key {
            Key::Str(text) => Self::Str(text.clone()),
            Key::Int(int) => Self::Int(*int),
            Key::Bool(truth) => Self::Bool(*truth),
            Key::None => Self::None,
        }
    }
}
