//! Reads the keyword arguments of one configuration entry, and refuses what it does not know.
//! Knows nothing of what the entry builds.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::DataError;

/// One entry `{"type": ..., ...}` while it is being read.
pub(crate) struct Kwargs<'a> {
    owner: String,
    object: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

/// Keys that MMEngine's registry takes for itself.
const REGISTRY_KEYS: [&str; 3] = ["type", "_scope_", "_delete_"];

/// The name without the scope of a registry: `mmdet.Resize` is `Resize`.
pub(crate) fn without_scope(name: &str) -> &str {
    ["mmdet.", "mmcv.", "mmengine."].iter().find_map(|p| name.strip_prefix(p)).unwrap_or(name)
}

/// The known name that is most like `wanted`, if one is alike at all.
pub(crate) fn nearest<'n>(wanted: &str, known: &[&'n str]) -> Option<&'n str> {
    let wanted = wanted.to_lowercase();
    known
        .iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(&wanted, &name.to_lowercase()), *name))
        .filter(|(likeness, _)| *likeness >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// The error for a `type` that nothing here is called: with the nearest name, or all.
pub(crate) fn unknown_type(what: &str, name: &str, known: &[&str]) -> DataError {
    let hint = match nearest(name, known) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("known: {}", known.join(", ")),
    };
    DataError::config(name, format!("unknown {what} type ({hint})"))
}

impl<'a> Kwargs<'a> {
    /// Begins reading an entry that has a `type`; gives the type's name without its scope.
    ///
    /// Errors: not an object, or no `type` in it.
    pub(crate) fn of_typed(what: &str, value: &'a Value) -> Result<(&'a str, Self), DataError> {
        let wrong = |found: String| {
            DataError::config(what, format!("expected {{type: ...}}, found {found}"))
        };
        let object = value.as_object().ok_or_else(|| wrong(shown(value)))?;
        let name = object.get("type").and_then(Value::as_str);
        let name = without_scope(name.ok_or_else(|| wrong(shown(value)))?);
        Ok((name, Self { owner: name.to_owned(), object, known: Vec::new() }))
    }

    /// Begins reading an object that has no type, such as `filter_cfg`.
    pub(crate) fn of_object(owner: impl Into<String>, value: &'a Value) -> Result<Self, DataError> {
        let owner = owner.into();
        match value.as_object() {
            Some(object) => Ok(Self { owner, object, known: Vec::new() }),
            None => {
                Err(DataError::config(owner, format!("expected a dict, found {}", shown(value))))
            }
        }
    }

    /// The name that errors begin with.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// The value of `key`; `None` if it is absent or null.
    pub(crate) fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.object.get(key).filter(|v| !v.is_null())
    }

    /// The value of `key`, or `None` if it is absent or null.
    pub(crate) fn optional<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
    ) -> Result<Option<T>, DataError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let wrong = |e: serde_json::Error| self.wrong(key, format!("{e}, found {}", shown(value)));
        T::deserialize(value).map(Some).map_err(wrong)
    }

    /// The value of `key`, or `default`.
    pub(crate) fn get<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        default: T,
    ) -> Result<T, DataError> {
        Ok(self.optional(key)?.unwrap_or(default))
    }

    /// The value of `key`, which must be there.
    pub(crate) fn required<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
    ) -> Result<T, DataError> {
        let found = self.optional(key)?;
        found.ok_or_else(|| self.wrong(key, "expected a value, found none".to_owned()))
    }

    /// A number from 0 to 1.
    pub(crate) fn probability(
        &mut self,
        key: &'static str,
        default: f64,
    ) -> Result<f64, DataError> {
        let p = self.get(key, default)?;
        self.check(key, (0.0..=1.0).contains(&p), format!("expected 0 to 1, found {p}"))?;
        Ok(p)
    }

    /// (width, height), both above 0.
    pub(crate) fn size(
        &mut self,
        key: &'static str,
        default: [usize; 2],
    ) -> Result<[usize; 2], DataError> {
        let size = self.get(key, default)?;
        let is_right = size.iter().all(|n| (1..=65_500).contains(n));
        self.check(key, is_right, format!("expected 1 to 65500 pixels, found {size:?}"))?;
        Ok(size)
    }

    /// A range (low, high) with low <= high.
    pub(crate) fn range(
        &mut self,
        key: &'static str,
        default: [f64; 2],
    ) -> Result<[f64; 2], DataError> {
        let range = self.get(key, default)?;
        self.check(key, range[0] <= range[1], format!("expected (low, high), found {range:?}"))?;
        Ok(range)
    }

    /// A grey level or colour for padding: one number or one for each channel.
    pub(crate) fn colour(&mut self, key: &'static str, default: f64) -> Result<[u8; 3], DataError> {
        let value = self.value(key).cloned().unwrap_or_else(|| default.into());
        self.colour_of(key, &value)
    }

    /// A colour from a value already taken.
    pub(crate) fn colour_of(&self, key: &'static str, value: &Value) -> Result<[u8; 3], DataError> {
        let level = |v: &Value| v.as_f64().filter(|v| (0.0..=255.0).contains(v)).map(|v| v as u8);
        let found = match value {
            Value::Array(channels) => match channels.as_slice() {
                [b, g, r] => level(b).zip(level(g)).zip(level(r)).map(|((b, g), r)| [b, g, r]),
                _ => None,
            },
            one => level(one).map(|v| [v; 3]),
        };
        found.ok_or_else(|| {
            self.wrong(
                key,
                format!("expected a number of 0 to 255 or three, found {}", shown(value)),
            )
        })
    }

    /// Refuses the value of `key` unless `is_right`.
    pub(crate) fn check(
        &self,
        key: &'static str,
        is_right: bool,
        reason: String,
    ) -> Result<(), DataError> {
        if is_right { Ok(()) } else { Err(self.wrong(key, reason)) }
    }

    /// Accepts keys whose value makes no difference here.
    pub(crate) fn ignore(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    /// Accepts `key` only with one of the values that are implemented; the first is the default.
    pub(crate) fn only(&mut self, key: &'static str, accepted: &[Value]) -> Result<(), DataError> {
        match self.value(key) {
            Some(value) if !accepted.contains(value) => {
                let list: Vec<String> = accepted.iter().map(Value::to_string).collect();
                Err(self
                    .wrong(key, format!("expected {}, found {}", list.join(" or "), shown(value))))
            }
            _ => Ok(()),
        }
    }

    /// The error for the value of `key`.
    pub(crate) fn wrong(&self, key: &str, reason: String) -> DataError {
        DataError::config(format!("{}.{key}", self.owner), reason)
    }

    /// Ends the reading: any key that was not asked for is an error that names the nearest one.
    pub(crate) fn finish(self) -> Result<(), DataError> {
        let is_unknown = |key: &&String| {
            !self.known.contains(&key.as_str()) && !REGISTRY_KEYS.contains(&key.as_str())
        };
        let Some(key) = self.object.keys().find(is_unknown) else { return Ok(()) };
        let hint = match nearest(key, &self.known) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("known: {}", self.known.join(", ")),
        };
        Err(DataError::config(self.owner, format!("unknown keyword {key} ({hint})")))
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_unknown_keyword_names_the_nearest() {
        let value = json!({"type": "mmdet.Mosaic", "img_scal": [1, 2], "_scope_": "mmdet"});
        let (name, mut kwargs) = Kwargs::of_typed("transform", &value).unwrap();
        assert_eq!(name, "Mosaic");
        kwargs.size("img_scale", [640, 640]).unwrap();
        let message = kwargs.finish().unwrap_err().to_string();
        assert_eq!(message, "Mosaic: unknown keyword img_scal (did you mean img_scale?)");
    }

    #[test]
    fn wrong_values_say_what_was_expected_and_found() {
        let value = json!({"type": "T", "p": 1.5, "n": "x", "c": [1, 2], "r": [3, 1]});
        let (_, mut kwargs) = Kwargs::of_typed("transform", &value).unwrap();
        let messages = [
            kwargs.probability("p", 0.0).unwrap_err().to_string(),
            kwargs.get("n", 1u32).unwrap_err().to_string(),
            kwargs.colour("c", 0.0).unwrap_err().to_string(),
            kwargs.range("r", [0.0, 1.0]).unwrap_err().to_string(),
        ];
        assert_eq!(messages[0], "T.p: expected 0 to 1, found 1.5");
        assert_eq!(messages[1], "T.n: invalid type: string \"x\", expected u32, found \"x\"");
        assert_eq!(messages[2], "T.c: expected a number of 0 to 255 or three, found [1,2]");
        assert_eq!(messages[3], "T.r: expected (low, high), found [3.0, 1.0]");
    }

    #[test]
    fn null_counts_as_absent() {
        let value = json!({"type": "T", "backend_args": null, "n": null});
        let (_, mut kwargs) = Kwargs::of_typed("transform", &value).unwrap();
        assert_eq!(kwargs.get("n", 4).unwrap(), 4);
        kwargs.only("backend_args", &[]).unwrap();
        kwargs.finish().unwrap();
    }

    #[test]
    fn an_unknown_type_names_the_nearest_or_all() {
        let known = ["Mosaic", "Resize"];
        let message = |name| unknown_type("transform", name, &known).to_string();
        assert_eq!(message("Mosiac"), "Mosiac: unknown transform type (did you mean Mosaic?)");
        assert_eq!(message("Zzzz"), "Zzzz: unknown transform type (known: Mosaic, Resize)");
    }
}
