//! Reads the keywords of one `dict(type=..., ...)`, and refuses those that nobody asked for.
//! Knows nothing of what is built from them.

use std::cell::RefCell;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use crate::BuildError;

/// Keys of MMEngine's registry, not of the part that is built.
const REGISTRY_KEYS: [&str; 2] = ["type", "_scope_"];

/// The keywords of one dict, with the path that it has in the config.
#[derive(Debug)]
pub(crate) struct Kwargs<'a> {
    path: String,
    map: &'a Map<String, Json>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Kwargs<'a> {
    /// Errors: `value` is not a dict.
    pub(crate) fn new(value: &'a Json, path: impl Into<String>) -> Result<Self, BuildError> {
        let path = path.into();
        match value.as_object() {
            Some(map) => Ok(Kwargs { path, map, asked: RefCell::default() }),
            None => {
                Err(BuildError::Value { path, message: format!("expected a dict, found {value}") })
            }
        }
    }

    /// Key path of the dict.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The `type`, without the scope that it may be written with (`mmdet.YOLOX`).
    pub(crate) fn type_name(&self) -> Result<String, BuildError> {
        let name: String = self.required("type")?;
        Ok(name.rsplit('.').next().unwrap_or_default().to_owned())
    }

    /// The `type`, which must be one of `known`.
    pub(crate) fn one_of(&self, known: &[&'static str]) -> Result<&'static str, BuildError> {
        let found = self.type_name()?;
        match known.iter().find(|name| **name == found) {
            Some(name) => Ok(name),
            None => Err(BuildError::UnknownType {
                path: self.path.clone(),
                nearest: nearest(&found, known.iter().copied()),
                found,
            }),
        }
    }

    /// The value of `key`; `None` where it is absent or null.
    pub(crate) fn optional<T: DeserializeOwned>(
        &self,
        key: &'static str,
    ) -> Result<Option<T>, BuildError> {
        let Some(value) = self.raw(key) else { return Ok(None) };
        serde_json::from_value(value.clone())
            .map(Some)
            .map_err(|source| BuildError::WrongType { path: self.join(key), source })
    }

    /// The value of `key`, or `default`.
    pub(crate) fn or<T: DeserializeOwned>(
        &self,
        key: &'static str,
        default: T,
    ) -> Result<T, BuildError> {
        Ok(self.optional(key)?.unwrap_or(default))
    }

    /// The value of `key`, which must be there.
    pub(crate) fn required<T: DeserializeOwned>(&self, key: &'static str) -> Result<T, BuildError> {
        self.optional(key)?.ok_or_else(|| BuildError::MissingKey { path: self.path.clone(), key })
    }

    /// The dict under `key`.
    pub(crate) fn child(&self, key: &'static str) -> Result<Option<Kwargs<'a>>, BuildError> {
        self.raw(key).map(|value| Kwargs::new(value, self.join(key))).transpose()
    }

    /// The dict under `key`, which must be there.
    pub(crate) fn required_child(&self, key: &'static str) -> Result<Kwargs<'a>, BuildError> {
        self.child(key)?.ok_or_else(|| BuildError::MissingKey { path: self.path.clone(), key })
    }

    /// The value of `key` as it is; `None` where it is absent or null.
    pub(crate) fn raw(&self, key: &'static str) -> Option<&'a Json> {
        self.asked.borrow_mut().push(key);
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Takes keys that have no effect here.
    pub(crate) fn accept(&self, keys: &[&'static str]) {
        self.asked.borrow_mut().extend(keys);
    }

    /// An error about the value of `key`.
    pub(crate) fn error(&self, key: &str, message: impl Into<String>) -> BuildError {
        BuildError::Value { path: self.join(key), message: message.into() }
    }

    /// Errors: a key that nobody asked for.
    pub(crate) fn finish(self) -> Result<(), BuildError> {
        let asked = self.asked.into_inner();
        let unknown = self
            .map
            .keys()
            .find(|key| !asked.contains(&key.as_str()) && !REGISTRY_KEYS.contains(&key.as_str()));
        match unknown {
            None => Ok(()),
            Some(key) => Err(BuildError::UnknownKey {
                nearest: nearest(key, asked.iter().copied()),
                key: key.clone(),
                path: self.path,
            }),
        }
    }

    fn join(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// The name most like `found`; "none" where there is no name at all.
pub(crate) fn nearest<'n>(found: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    let alike = |name: &&str| (strsim::jaro_winkler(found, name) * 1e6) as u64;
    known.into_iter().max_by_key(alike).unwrap_or("none").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_nobody_asked_for_is_named_with_its_path_and_the_nearest() {
        let value = json!({"type": "mmdet.CSPDarknet", "_scope_": "mmdet", "deepen_facto": 1});
        let kwargs = Kwargs::new(&value, "model.backbone").unwrap();
        assert_eq!(kwargs.type_name().unwrap(), "CSPDarknet");
        assert_eq!(kwargs.or("deepen_factor", 0.5).unwrap(), 0.5);
        assert_eq!(
            kwargs.finish().unwrap_err().to_string(),
            "model.backbone: unknown key \"deepen_facto\" (nearest: deepen_factor)"
        );
    }

    #[test]
    fn an_unknown_type_names_the_nearest() {
        let value = json!({"type": "YOLOXHed"});
        let kwargs = Kwargs::new(&value, "model.bbox_head").unwrap();
        assert_eq!(
            kwargs.one_of(&["YOLOXHead", "RetinaHead"]).unwrap_err().to_string(),
            "model.bbox_head.type: \"YOLOXHed\" is not known here (nearest: YOLOXHead)"
        );
    }

    #[test]
    fn a_value_of_another_type_names_its_path() {
        let value = json!({"widen_factor": "wide"});
        let kwargs = Kwargs::new(&value, "model.backbone").unwrap();
        let error = kwargs.required::<f64>("widen_factor").unwrap_err();
        assert_eq!(error.to_string(), "model.backbone.widen_factor: the value does not fit");
    }
}
