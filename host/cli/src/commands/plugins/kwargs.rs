//! Keyword arguments for people, from their JSON schema. Knows nothing of plugins.

use serde_json::Value as Json;

use crate::output::{plain, table};

/// One line per argument: name, kind with bounds, default, description.
pub(super) fn lines(schema: &Json, indent: &str) -> String {
    let Some(properties) = schema["properties"].as_object().filter(|all| !all.is_empty()) else {
        return format!("{indent}none\n");
    };
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |(name, property): (&String, &Json)| {
        let default = match &property["default"] {
            _ if required.iter().any(|required| required == name) => "required".to_owned(),
            Json::Null => String::new(),
            default => format!("default {default}"),
        };
        let description = property["description"].as_str().unwrap_or_default();
        [plain(name), kind(property), plain(&default), plain(description)]
    };
    table(&properties.iter().map(row).collect::<Vec<_>>(), indent)
}

/// `integer of at least 1`, `string or null`, `list of number`.
fn kind(schema: &Json) -> String {
    let kinds: Vec<&str> = match &schema["type"] {
        Json::String(kind) => vec![kind],
        Json::Array(kinds) => kinds.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    let or_null = if kinds.contains(&"null") { " or null" } else { "" };
    if let Some(choices) = schema["enum"].as_array() {
        let choices: Vec<String> = choices.iter().map(Json::to_string).collect();
        return plain(&format!("{}{or_null}", choices.join(" | ")));
    }
    let text = match kinds.iter().find(|kind| **kind != "null") {
        None => "any value".to_owned(),
        Some(&"array") => list(schema),
        Some(kind) => format!("{kind}{}", range(schema)),
    };
    plain(&(text + or_null))
}

fn list(schema: &Json) -> String {
    match (schema["prefixItems"].as_array(), &schema["items"]) {
        (Some(items), _) => format!("[{}]", items.iter().map(kind).collect::<Vec<_>>().join(", ")),
        (None, Json::Object(_)) => format!("list of {}", kind(&schema["items"])),
        _ => "list".to_owned(),
    }
}

fn range(schema: &Json) -> String {
    match (&schema["minimum"], &schema["maximum"]) {
        (Json::Null, Json::Null) => String::new(),
        (low, Json::Null) => format!(" of at least {low}"),
        (Json::Null, high) => format!(" of at most {high}"),
        (low, high) => format!(" from {low} to {high}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_show_kind_bounds_default_and_description() {
        let schema = json!({
            "properties": {
                "interval": { "type": "integer", "minimum": 1, "default": 50, "description": "Every so many." },
                "out": { "type": "string" },
                "rule": { "type": ["string", "null"], "enum": ["less", "greater"] },
            },
            "required": ["out"],
        });
        assert_eq!(
            lines(&schema, ""),
            "interval  integer of at least 1       default 50  Every so many.\n\
             out       string                      required\n\
             rule      \"less\" | \"greater\" or null\n"
        );
        assert_eq!(lines(&json!({}), "  "), "  none\n");
    }

    #[test]
    fn lists_and_tuples_show_what_is_inside() {
        let tuple = json!({ "type": "array", "prefixItems": [{ "type": "integer" }, { "type": "number" }] });
        assert_eq!(kind(&tuple), "[integer, number]");
        let list = json!({ "type": ["array", "null"], "items": { "type": "string" } });
        assert_eq!(kind(&list), "list of string or null");
        assert_eq!(kind(&json!({})), "any value");
    }
}
