//! A JSON Schema (draft 2020-12) of whole configs, from the declarations. Knows nothing of single
//! components.

use serde_json::{Map, Value as Json, json};

use crate::run::Visualizer;
use crate::{Catalog, Component, Declared, Role};

/// What a schema is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaOf {
    /// Files as they are written: bases may hold the rest, so nothing is required, and placeholders may
    /// stand for any value. For editors.
    Files,
    /// Resolved configs, as `config print` prints them.
    Resolved,
}

/// The keys that a hook's dict has besides its arguments.
const HOOK_KEYS: [(&str, &str); 4] = [
    ("priority", "Smaller numbers are called first: a level such as 'LOW', or 0 to 100."),
    ("on_error", "What an error of the hook means: 'stop', 'disable' or 'warn'."),
    ("deadline_s", "How many seconds a call of the hook may take."),
    ("on_deadline", "What a call over its deadline means: 'warn' or 'stop'."),
];

/// The schema of all configs that the components of `catalog` can be named in.
///
/// `default_hooks` are the names of hooks that every run has, and their types.
pub fn config_schema(catalog: &Catalog, default_hooks: &[(&str, &str)], of: SchemaOf) -> Json {
    let writer = Writer { catalog, of };
    let mut definitions = Map::new();
    for role in Role::all().filter(|role| *role != Role::Settings) {
        if catalog.of_role(role).next().is_some() {
            definitions.insert(role.name().to_owned(), writer.role(role));
        }
    }
    for declared in catalog.all().iter().filter(|declared| declared.name() != "Config") {
        definitions.insert(definition(declared), writer.component(declared));
    }
    if of == SchemaOf::Files {
        let placeholder = json!({
            "description": "A value of a base, of the environment or of the file's name.",
            "type": "string",
            "pattern": "\\{\\{.*\\}\\}",
        });
        definitions.insert("placeholder".to_owned(), placeholder);
    }
    let mut properties = match catalog.find(Role::Settings, "Config") {
        Some(config) => writer.properties(config),
        None => Map::new(),
    };
    properties.insert("default_hooks".to_owned(), writer.default_hooks(default_hooks));
    if of == SchemaOf::Files {
        properties.extend(file_keys());
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Snaphook config",
        "description": "What a run reads of a config; all other keys at the top are variables.",
        "type": "object",
        "properties": properties,
        "$defs": definitions,
    })
}

/// Keys that files have and resolved configs have not.
fn file_keys() -> Map<String, Json> {
    let names = json!({"type": "array", "items": {"type": "string"}});
    let keys = json!({
        "_base_": {
            "description": "Files to inherit from, relative to this one; `pkg::path` is one of a package.",
            "anyOf": [{"type": "string"}, names],
        },
        "_propagate_": {
            "description": "Whether changed variables reach what bases built from them.",
            "type": "boolean",
            "default": false,
        },
    });
    keys.as_object().cloned().unwrap_or_default()
}

fn definition(declared: &Declared) -> String {
    format!("{}.{}", declared.role.name(), declared.name())
}

fn reference(name: &str) -> Json {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// A `type` that means one of these names, with or without scope, module or plugin.
fn pattern(names: &[&str]) -> String {
    let escaped = |name: &&str| name.replace('.', "\\.");
    format!("^(.*[.:])?({})$", names.iter().map(escaped).collect::<Vec<_>>().join("|"))
}

struct Writer<'a> {
    catalog: &'a Catalog,
    of: SchemaOf,
}

impl Writer<'_> {
    /// Any component of a role: its `type` picks the schema of the other keys.
    fn role(&self, role: Role) -> Json {
        let names = self.catalog.names(role);
        let mut choices: Vec<Json> = self.catalog.of_role(role).map(choice).collect();
        choices.extend(self.nameless(role));
        let mut schema = json!({
            "type": "object",
            "properties": {"type": {
                "description": format!("Which {}.", role.words()),
                "anyOf": [{"enum": names}, {"type": "string", "pattern": pattern(&names)}],
            }},
            "allOf": choices,
        });
        if self.of == SchemaOf::Resolved && role.default_type().is_none() && role != Role::Hook {
            schema["required"] = json!(["type"]);
        }
        schema
    }

    /// The schemas of a dict without a `type`, where one is taken for granted.
    fn nameless(&self, role: Role) -> Vec<Json> {
        let find = |name: &str| self.catalog.find(role, name).map(definition);
        let Some(default) = role.default_type().and_then(find) else { return Vec::new() };
        let nameless = json!({"not": {"required": ["type"]}});
        let when = |condition: Json, name: &str| json!({"if": {"allOf": [nameless, condition]}, "then": reference(name)});
        match find("IterBasedTrainLoop").filter(|_| role == Role::TrainLoop) {
            None => vec![when(json!(true), &default)],
            // As `Role::type_without_name` chooses.
            Some(other) => {
                let by_iteration = json!({"anyOf": [
                    {"required": ["by_epoch"], "properties": {"by_epoch": {"const": false}}},
                    {"required": ["max_iters"], "not": {"required": ["max_epochs"]}},
                ]});
                vec![when(json!({"not": by_iteration}), &default), when(by_iteration, &other)]
            }
        }
    }

    /// One component: its keyword arguments, and the keys of the registry.
    fn component(&self, declared: &Declared) -> Json {
        let mut properties = self.properties(declared);
        for key in ["_scope_", "_delete_"] {
            properties.insert(key.to_owned(), json!(true));
        }
        if declared.role != Role::Settings {
            let summary = json!({ "description": declared.summary });
            properties.entry("type").or_insert(summary);
        } else if declared.names.iter().any(|name| name == Visualizer::NAMES[0]) {
            let text = "Has no effect: there is one visualizer.";
            properties.insert("type".to_owned(), json!({"type": "string", "description": text}));
        }
        if declared.role == Role::Hook {
            let keys = HOOK_KEYS.map(|(key, text)| (key.to_owned(), json!({"description": text})));
            properties.extend(keys);
        }
        let mut schema = json!({
            "description": declared.summary,
            "type": "object",
            "properties": properties,
            "additionalProperties": declared.is_open,
        });
        if self.of == SchemaOf::Resolved && declared.schema["required"].is_array() {
            schema["required"] = declared.schema["required"].clone();
        }
        schema
    }

    fn properties(&self, declared: &Declared) -> Map<String, Json> {
        let properties = declared.schema["properties"].as_object().into_iter().flatten();
        let property = |(key, schema): (&String, &Json)| (key.clone(), self.property(schema));
        properties.map(property).collect()
    }

    /// An argument: what the declaration says, or null for "not given".
    fn property(&self, schema: &Json) -> Json {
        let mut alternatives = match self.value(schema) {
            Json::Object(map) if map.is_empty() => Vec::new(),
            Json::Object(mut map) => match map.remove("anyOf") {
                Some(Json::Array(schemas)) => schemas,
                _ => vec![Json::Object(map)],
            },
            _ => Vec::new(),
        };
        let null = json!({"type": "null"});
        let mut written = json!({});
        if !alternatives.is_empty() {
            if !alternatives.contains(&null) {
                alternatives.push(null);
            }
            if self.of == SchemaOf::Files {
                alternatives.push(reference("placeholder"));
            }
            written["anyOf"] = Json::Array(alternatives);
        }
        for key in ["description", "default"] {
            if let Some(value) = schema.get(key) {
                written[key] = value.clone();
            }
        }
        written
    }

    /// A value proper, nested components by reference.
    fn value(&self, schema: &Json) -> Json {
        let nested = match (schema["x-component"].as_str(), schema["x-settings"].as_str()) {
            (Some(role), _) => Some(role.to_owned()),
            (_, Some(name)) => Some(format!("{}.{name}", Role::Settings.name())),
            _ => None,
        };
        if let Some(name) = nested.filter(|name| self.is_defined(name)) {
            return reference(&name);
        }
        let Some(map) = schema.as_object() else { return json!({}) };
        let mut written = Map::new();
        for (key, value) in map {
            let value = match key.as_str() {
                "anyOf" | "prefixItems" => self.values(value),
                "items" => self.value(value),
                "description" | "default" | "x-component" | "x-settings" => continue,
                "type" => without_null(value),
                _ => value.clone(),
            };
            written.insert(key.clone(), value);
        }
        if let Some(length) = map.get("prefixItems").and_then(Json::as_array).map(Vec::len) {
            written.insert("minItems".to_owned(), length.into());
            written.insert("items".to_owned(), json!(false));
        }
        Json::Object(written)
    }

    fn values(&self, schemas: &Json) -> Json {
        schemas.as_array().into_iter().flatten().map(|schema| self.value(schema)).collect()
    }

    fn is_defined(&self, name: &str) -> bool {
        let settings = format!("{}.", Role::Settings.name());
        match name.strip_prefix(&settings) {
            Some(name) => self.catalog.find(Role::Settings, name).is_some(),
            None => {
                let role = Role::of_name(name);
                role.is_some_and(|role| self.catalog.of_role(role).next().is_some())
            }
        }
    }

    /// Hooks by name: those that every run has know their type.
    fn default_hooks(&self, defaults: &[(&str, &str)]) -> Json {
        let nothing = json!({"type": "null"});
        let hook = reference(Role::Hook.name());
        let known = |(name, type_name): &(&str, &str)| {
            let declared = self.catalog.find(Role::Hook, type_name)?;
            let own = json!({
                "if": {"not": {"required": ["type"]}},
                "then": reference(&definition(declared)),
            });
            let schema = json!({
                "description": declared.summary,
                "anyOf": [{"allOf": [hook, own]}, nothing],
            });
            Some(((*name).to_owned(), schema))
        };
        json!({
            "description": "The hooks that every run has, by name; None removes one.",
            "type": ["object", "null"],
            "properties": defaults.iter().filter_map(known).collect::<Map<String, Json>>(),
            "additionalProperties": {"anyOf": [hook, nothing]},
        })
    }
}

/// `if` the type is this one, `then` its schema.
fn choice(declared: &Declared) -> Json {
    let names: Vec<&str> = declared.names.iter().map(String::as_str).collect();
    json!({
        "if": {
            "properties": {"type": {"type": "string", "pattern": pattern(&names)}},
            "required": ["type"],
        },
        "then": reference(&definition(declared)),
    })
}

/// The kinds besides null, which every argument takes.
fn without_null(kinds: &Json) -> Json {
    let Some(kinds) = kinds.as_array() else { return kinds.clone() };
    let kinds: Vec<Json> = kinds.iter().filter(|kind| *kind != "null").cloned().collect();
    match kinds.as_slice() {
        [one] => one.clone(),
        _ => Json::Array(kinds),
    }
}
