//! A config as flat parameters. Knows nothing of MLflow but its limits.

use serde_json::Value as Json;

/// Longest value that every server takes.
const LONGEST: usize = 500;

/// Every value of a config by its dotted key, longer ones cut off.
pub(crate) fn flattened(config: &Json) -> Vec<(String, String)> {
    let mut found = Vec::new();
    visit("", config, &mut found);
    found
}

fn visit(key: &str, value: &Json, found: &mut Vec<(String, String)>) {
    match value {
        Json::Object(map) if !map.is_empty() => {
            for (name, value) in map {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                visit(&key, value, found);
            }
        }
        // A list of components is one value for each of them, any other list is a value.
        Json::Array(items) if items.iter().any(Json::is_object) => {
            for (index, value) in items.iter().enumerate() {
                visit(&format!("{key}.{index}"), value, found);
            }
        }
        value => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            found.push((key.to_owned(), text.chars().take(LONGEST).collect()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::flattened;
    use serde_json::json;

    #[test]
    fn values_have_dotted_keys_and_lists_of_numbers_stay_together() {
        let config =
            json!({ "a": { "b": [1, 2], "c": [{ "type": "X" }], "d": {} }, "e": "x".repeat(600) });
        let found = flattened(&config);
        let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["a.b", "a.c.0.type", "a.d", "e"]);
        assert_eq!((found[0].1.as_str(), found[3].1.len()), ("[1,2]", 500));
    }
}
