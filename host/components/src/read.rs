//! Reads the dict of a component into its struct. Knows nothing of which components there are.

use std::marker::PhantomData;

use serde_json::{Map, Value as Json};
use snaphook_plugin_api::{KwargsProblem, KwargsProblemKind, kwargs_problems, nearest};

use crate::not_yet::{is_known_elsewhere, why_not};
use crate::{Component, ComponentError, Problem, ProblemKind, Role};

/// Keys of MMEngine's registry and of its merging, not of the component.
const REGISTRY_KEYS: [&str; 3] = ["type", "_scope_", "_delete_"];

/// Reads the keyword arguments of a component whose `type` is known to be `T`.
///
/// `type`, where there is one, must be a name of `T`; `None` counts as not given where the argument does
/// not take it. `path` begins the key paths in errors.
///
/// Errors: everything that is wrong with this dict; nested components are read when they are built.
pub fn read<T: Component>(value: &Json, path: &str) -> Result<T, ComponentError> {
    let map = dict(value, path)?;
    if let Some(found) = map.get("type")
        && T::ROLE != Role::Settings
        && !found.as_str().is_some_and(|name| T::NAMES.contains(&plain_type(name)))
    {
        return Err(unknown_type(T::ROLE, found, path, T::NAMES).into());
    }
    Declaration::<T>::read(map, path)
}

/// The `type` of a dict, without the scope or module that it may be written with.
///
/// Errors: not a dict, or no `type` in it.
pub fn type_name<'a>(role: Role, value: &'a Json, path: &str) -> Result<&'a str, ComponentError> {
    let map = dict(value, path)?;
    match (map.get("type"), role.type_without_name(map)) {
        (Some(Json::String(name)), _) => Ok(plain_type(name)),
        (None, Some(default)) => Ok(default),
        (found, _) => {
            let found = found.map_or("nothing".to_owned(), shown);
            let message = format!("expected the name of a {}, found {found}", role.words());
            Err(Problem::new(join(path, "type"), ProblemKind::Missing, message).into())
        }
    }
}

/// The name without MMEngine's scope or module path: `mmdet.Resize` and `torch.optim.SGD` are `Resize`
/// and `SGD`.
pub fn plain_type(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, name)| name)
}

/// The problem of a `type` that is none of `known`; one that MMDetection has is told apart from a
/// misspelt one.
pub fn unknown_type<'n>(
    role: Role,
    found: &Json,
    path: &str,
    known: impl IntoIterator<Item = &'n (impl AsRef<str> + ?Sized + 'n)>,
) -> Problem {
    let path = join(path, "type");
    let known: Vec<&str> = known.into_iter().map(AsRef::as_ref).collect();
    let words = role.words();
    let name = found.as_str().map(plain_type).unwrap_or_default();
    let all = list(&known);
    if let Some(reason) = why_not(name) {
        let message = format!("{name} is not in this version: {reason} ({all})");
        return Problem::new(path, ProblemKind::NotYet, message);
    }
    if is_known_elsewhere(name) {
        let message = format!(
            "{name} is a {words} of MMDetection that this version does not have yet ({all})"
        );
        return Problem::new(path, ProblemKind::NotYet, message);
    }
    if let Some(near) = nearest(name, known.iter().copied()) {
        let message = format!("{} is no {words} (did you mean `{near}`?)", shown(found));
        return Problem::new(path, ProblemKind::UnknownType, message);
    }
    let message = format!("{} is no {words} ({all})", shown(found));
    Problem::new(path, ProblemKind::UnknownType, message)
}

fn list(known: &[&str]) -> String {
    if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) }
}

fn dict<'a>(value: &'a Json, path: &str) -> Result<&'a Map<String, Json>, ComponentError> {
    value.as_object().ok_or_else(|| {
        let message = format!("expected a dict, found {}", shown(value));
        Problem::new(path, ProblemKind::Value, message).into()
    })
}

/// Reading without a look at `type`.
pub(crate) struct Declaration<T>(PhantomData<T>);

impl<T: Component> Declaration<T> {
    pub(crate) fn read(map: &Map<String, Json>, path: &str) -> Result<T, ComponentError> {
        let schema: Json = serde_json::from_str(T::SCHEMA).unwrap_or_default();
        let name = told(T::ROLE, T::NAMES.first().copied().unwrap_or_default());
        let mut problems = problems_of(&schema, name, map, path);
        let other_keys = match T::IS_OPEN {
            true => take_other_keys(&mut problems, &schema, path),
            false => Vec::new(),
        };
        if !problems.is_empty() {
            return Err(ComponentError { problems });
        }
        let value = |path: String, message: String| Problem::new(path, ProblemKind::Value, message);
        let mut kwargs = arguments(&schema, map);
        kwargs.retain(|key, _| !other_keys.contains(key));
        let kwargs = Json::Object(kwargs);
        let built = T::from_kwargs(path, &kwargs).map_err(|error| {
            // The message begins with the path of the argument.
            match error.message.split_once(": ") {
                Some((path, message)) => value(path.to_owned(), message.to_owned()),
                None => value(path.to_owned(), error.message.clone()),
            }
        })?;
        match built.check() {
            Ok(()) => Ok(built),
            Err(wrong) => Err(value(join(path, wrong.key), wrong.message).into()),
        }
    }
}

/// Takes the unknown keys that look like no known one out of the problems.
fn take_other_keys(problems: &mut Vec<Problem>, schema: &Json, path: &str) -> Vec<String> {
    let known = schema["properties"].as_object();
    let known: Vec<&str> =
        known.into_iter().flat_map(|keys| keys.keys().map(String::as_str)).collect();
    let mut others = Vec::new();
    problems.retain(|problem| {
        let key = problem.path.strip_prefix(path).unwrap_or_default().trim_start_matches('.');
        let is_other = problem.kind == ProblemKind::UnknownKey
            && nearest(key, known.iter().copied()).is_none();
        if is_other {
            others.push(key.to_owned());
        }
        !is_other
    });
    others
}

/// The name to tell a component by; settings have none that a user has written.
pub(crate) fn told(role: Role, name: &str) -> &str {
    if role == Role::Settings { "" } else { name }
}

/// What is wrong with a dict by the schema of its component, told by `name` where it has one.
pub(crate) fn problems_of(
    schema: &Json,
    name: &str,
    map: &Map<String, Json>,
    path: &str,
) -> Vec<Problem> {
    let kwargs = Json::Object(arguments(schema, map));
    let wrong = kwargs_problems(schema, &kwargs);
    wrong.into_iter().map(|problem| in_words(problem, name, path)).collect()
}

fn in_words(KwargsProblem { key, kind }: KwargsProblem, name: &str, path: &str) -> Problem {
    let dotted = key.replace('[', ".").replace(']', "");
    let path = if dotted.is_empty() { path.to_owned() } else { join(path, &dotted) };
    match kind {
        KwargsProblemKind::Unknown { known, nearest } => {
            let hint = match nearest {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => "it takes none".to_owned(),
                None => format!("it takes {}", known.join(", ")),
            };
            let of = if name.is_empty() { String::new() } else { format!(" of {name}") };
            Problem::new(path, ProblemKind::UnknownKey, format!("unknown key{of} ({hint})"))
        }
        KwargsProblemKind::Missing { expected } => {
            let who = if name.is_empty() { String::new() } else { format!("{name} needs it, ") };
            let message = format!("missing: {who}expected {expected}");
            Problem::new(path, ProblemKind::Missing, message)
        }
        other => Problem::new(path, ProblemKind::Value, other.to_string()),
    }
}

/// The arguments proper; a null that the argument does not take counts as not given, as with MMEngine's
/// `None` for "the default".
fn arguments(schema: &Json, map: &Map<String, Json>) -> Map<String, Json> {
    let is_argument =
        |key: &str| !REGISTRY_KEYS.contains(&key) || !schema["properties"][key].is_null();
    let is_given = |key: &str, value: &Json| {
        let property = &schema["properties"][key];
        !value.is_null() || property.is_null() || takes_null(property)
    };
    map.iter()
        .filter(|(key, value)| is_argument(key) && is_given(key, value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn takes_null(schema: &Json) -> bool {
    let holds = |values: &Json, wanted: &Json| {
        values.as_array().is_some_and(|values| values.contains(wanted))
    };
    let any = schema["anyOf"].as_array();
    holds(&schema["type"], &"null".into())
        || schema["type"] == "null"
        || holds(&schema["enum"], &Json::Null)
        || any.is_some_and(|schemas| schemas.iter().any(takes_null))
}

/// A key below a path.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A value for a message, cut when it is long.
pub(crate) fn shown(value: &Json) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}
