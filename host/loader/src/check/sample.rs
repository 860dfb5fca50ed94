//! Keyword arguments for a hook that nobody configured: its defaults, and something that fits for what has none.
//! Knows nothing of plugins.

use serde_json::{Map, Value as Json, json};

/// Arguments by a JSON schema, and the names of those that were made up.
pub(super) struct Sample {
    pub(super) kwargs: Json,
    pub(super) made_up: Vec<String>,
}

/// The required arguments, made up from their types; what is not required is left to its default.
pub(super) fn sample(schema: &Json) -> Sample {
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<String> = required.iter().filter_map(Json::as_str).map(str::to_owned).collect();
    let value = |name: &String| (name.clone(), fitting(&schema["properties"][name.as_str()]));
    let kwargs: Map<String, Json> = names.iter().map(value).collect();
    Sample { kwargs: Json::Object(kwargs), made_up: names }
}

fn fitting(schema: &Json) -> Json {
    if let Some(first) = schema["enum"].as_array().and_then(|choices| choices.first()) {
        return first.clone();
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Json::String(kind) => vec![kind],
        Json::Array(kinds) => kinds.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    match kinds.first() {
        Some(&"string") => json!("sample"),
        Some(&"boolean") => json!(true),
        Some(&"integer" | &"number") => number(schema),
        Some(&"array") => match schema["prefixItems"].as_array() {
            Some(items) => items.iter().map(fitting).collect(),
            None => json!([fitting(&schema["items"])]),
        },
        Some(&"object") => sample(schema).kwargs,
        _ => Json::Null,
    }
}

/// 1, or the bound that is nearest to it.
fn number(schema: &Json) -> Json {
    let bound = |key: &str| schema[key].as_f64();
    match (bound("minimum"), bound("maximum")) {
        (Some(low), _) if low > 1.0 => schema["minimum"].clone(),
        (_, Some(high)) if high < 1.0 => schema["maximum"].clone(),
        _ => json!(1),
    }
}

#[cfg(test)]
mod tests {
    use super::sample;
    use serde_json::json;
    use snaphook_plugin_api::check_kwargs;

    #[test]
    fn what_is_made_up_fits_its_schema() {
        let schema = json!({
            "properties": {
                "out": { "type": "string" },
                "how": { "type": "string", "enum": ["fast", "slow"] },
                "times": { "type": "integer", "minimum": 3 },
                "share": { "type": "number", "maximum": 0.5 },
                "size": { "type": "array", "prefixItems": [{ "type": "integer" }, { "type": "boolean" }] },
                "names": { "type": ["array", "null"], "items": { "type": "string" } },
                "anything": {},
                "inner": { "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["a"] },
                "interval": { "type": "integer", "default": 50 },
            },
            "required": ["out", "how", "times", "share", "size", "names", "anything", "inner"],
        });
        let made = sample(&schema);
        assert_eq!(check_kwargs("AHook", &schema, &made.kwargs), Vec::<String>::new());
        let expected = json!({
            "out": "sample", "how": "fast", "times": 3, "share": 0.5, "size": [1, true], "names": ["sample"],
            "anything": null, "inner": { "a": 1 },
        });
        assert_eq!(made.kwargs, expected);
        assert_eq!(made.made_up.len(), 8);
        assert_eq!(sample(&json!({})).kwargs, json!({}));
    }
}
