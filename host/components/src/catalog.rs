//! All components that a config can name. Knows nothing of configs.

use serde_json::Value as Json;

use crate::check::{check, check_declared};
use crate::read::unknown_type;
use crate::{Declared, Problem, Role, data, run, vision};

/// Components by role and name.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    declared: Vec<Declared>,
}

impl Catalog {
    /// The components that this crate declares.
    pub fn built_in() -> Catalog {
        Catalog::default().with(run::declared()).with(data::declared()).with(vision::declared())
    }

    /// These as well: of another crate, or of plugins.
    pub fn with(mut self, declared: impl IntoIterator<Item = Declared>) -> Catalog {
        self.declared.extend(declared);
        self
    }

    /// All components, in the order in which they were declared.
    pub fn all(&self) -> &[Declared] {
        &self.declared
    }

    /// The components of a role.
    pub fn of_role(&self, role: Role) -> impl Iterator<Item = &Declared> {
        self.declared.iter().filter(move |declared| declared.role == role)
    }

    /// The component of a role that a plain name means.
    pub fn find(&self, role: Role, name: &str) -> Option<&Declared> {
        self.of_role(role).find(|declared| declared.names.iter().any(|known| known == name))
    }

    /// The names of all components of a role.
    pub fn names(&self, role: Role) -> Vec<&str> {
        let names = self.of_role(role).flat_map(|declared| &declared.names);
        names.map(String::as_str).collect()
    }

    /// The problem of a dict whose `type` is none of a role's.
    pub fn unknown(&self, role: Role, value: &Json, path: &str) -> Problem {
        unknown_type(role, &value["type"], path, &self.names(role))
    }

    /// Everything that is wrong with the sections of a whole config; its other keys are variables.
    pub fn check_config(&self, config: &Json) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(declared) = self.find(Role::Settings, "Config") {
            let is_section = |key: &str| !declared.schema["properties"][key].is_null();
            let sections = config.as_object().into_iter().flatten();
            let sections = sections.filter(|(key, _)| is_section(key));
            let sections = sections.map(|(key, value)| (key.clone(), value.clone())).collect();
            check_declared(self, declared, &Json::Object(sections), "", &mut problems);
        }
        problems
    }

    /// Everything that is wrong with a component's dict and all components below it.
    ///
    /// A role of which nothing is declared is not looked at.
    pub fn check(&self, role: Role, value: &Json, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        check(self, role, value, path, &mut problems);
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_in_their_role_and_schemas_can_be_read() {
        let mut seen = HashSet::new();
        for declared in Catalog::built_in().all() {
            assert!(declared.schema["properties"].is_object(), "{}", declared.name());
            assert!(!declared.summary.is_empty(), "{} has no summary", declared.name());
            for name in &declared.names {
                assert!(seen.insert((declared.role, name.clone())), "{name} is declared twice");
            }
        }
    }

    #[test]
    fn every_argument_is_described() {
        for declared in Catalog::built_in().all() {
            let properties = declared.schema["properties"].as_object().unwrap();
            for (key, property) in properties {
                assert!(property["description"].is_string(), "{}.{key}", declared.name());
            }
        }
    }

    #[test]
    fn nested_components_have_roles_and_nested_settings_exist() {
        fn nested(schema: &Json, key: &str, found: &mut Vec<String>) {
            match schema {
                Json::Object(map) => {
                    found.extend(map.get(key).and_then(Json::as_str).map(str::to_owned));
                    map.values().for_each(|value| nested(value, key, found));
                }
                Json::Array(values) => values.iter().for_each(|value| nested(value, key, found)),
                _ => {}
            }
        }
        let catalog = Catalog::built_in();
        let (mut roles, mut settings) = (Vec::new(), Vec::new());
        for declared in catalog.all() {
            nested(&declared.schema, "x-component", &mut roles);
            nested(&declared.schema, "x-settings", &mut settings);
        }
        assert!(roles.len() > 10 && settings.len() > 5);
        for role in roles {
            assert!(Role::of_name(&role).is_some(), "{role} is no role");
        }
        for name in settings {
            assert!(catalog.find(Role::Settings, &name).is_some(), "{name} is not declared");
        }
    }
}
