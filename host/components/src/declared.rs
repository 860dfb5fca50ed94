//! A component as a value, whatever its struct. Knows nothing of how it is looked up.

use serde_json::{Map, Value as Json};

use crate::read::{Declaration, problems_of, told};
use crate::{Component, Problem, Role};

/// What is wrong with a dict at a key path.
type Check = fn(&Map<String, Json>, &str) -> Vec<Problem>;

/// A component that can be named in a config.
#[derive(Clone, Debug)]
pub struct Declared {
    /// What it is for.
    pub role: Role,
    /// The `type` names that mean it, its own first.
    pub names: Vec<String>,
    /// What it does, in a sentence or two.
    pub summary: String,
    /// JSON schema of its keyword arguments, as `#[derive(Kwargs)]` writes it.
    pub schema: Json,
    /// Whether other keys may be there as well.
    pub(crate) is_open: bool,
    check: Option<Check>,
}

impl Declared {
    /// A built-in component.
    pub fn of<T: Component>() -> Declared {
        Declared {
            role: T::ROLE,
            names: T::NAMES.iter().map(|name| (*name).to_owned()).collect(),
            summary: T::SUMMARY.to_owned(),
            schema: serde_json::from_str(T::SCHEMA).unwrap_or_default(),
            is_open: T::IS_OPEN,
            check: Some(|map, path| match Declaration::<T>::read(map, path) {
                Ok(_) => Vec::new(),
                Err(error) => error.problems,
            }),
        }
    }

    /// The same in another role.
    pub(crate) fn in_role(self, role: Role) -> Declared {
        Declared { role, ..self }
    }

    /// A component of which only the schema is known, such as a plugin's hook.
    pub fn from_schema(role: Role, name: &str, summary: &str, schema: Json) -> Declared {
        let (names, summary) = (vec![name.to_owned()], summary.to_owned());
        Declared { role, names, summary, schema, is_open: false, check: None }
    }

    /// The name that it is told by.
    pub fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// What is wrong with the keyword arguments of one dict; nested dicts are not looked into.
    pub(crate) fn problems(&self, map: &Map<String, Json>, path: &str) -> Vec<Problem> {
        match self.check {
            Some(check) => check(map, path),
            None => problems_of(&self.schema, told(self.role, self.name()), map, path),
        }
    }
}
