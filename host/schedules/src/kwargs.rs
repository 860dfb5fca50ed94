//! Reads the keys of one object of the configuration and names what is wrong with them.
//! Knows nothing of what the keys are for.

use std::cell::RefCell;

use serde_json::{Map, Value as Json};

/// A key of a configuration object that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum KwargsError {
    /// The object is something else.
    #[error("{owner}: expected an object of settings, found {found}")]
    NotAnObject {
        /// What is configured.
        owner: String,
        /// The kind of JSON that was there.
        found: &'static str,
    },
    /// A key that the object does not have.
    #[error("{owner}: unknown key `{key}`{hint} (known: {known})")]
    Unknown {
        /// What is configured.
        owner: String,
        /// The key that was given.
        key: String,
        /// The nearest known key, as a question; empty without one.
        hint: String,
        /// All known keys.
        known: String,
    },
    /// A key that must be there and is not.
    #[error("{owner}: key `{key}` is missing, expected {expected}")]
    Missing {
        /// What is configured.
        owner: String,
        /// The key.
        key: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
    /// A value of another kind, or out of its range.
    #[error("{owner}: key `{key}`: expected {expected}, found {found}")]
    Wrong {
        /// What is configured.
        owner: String,
        /// The key.
        key: String,
        /// What it should hold.
        expected: String,
        /// What it holds.
        found: String,
    },
}

/// The settings of one configured object; remembers which keys were asked for.
pub struct Kwargs<'a> {
    owner: String,
    fields: &'a Map<String, Json>,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Kwargs<'a> {
    /// The keys of `json`, named `owner` in errors; `type` counts as known.
    pub fn of(owner: impl Into<String>, json: &'a Json) -> Result<Kwargs<'a>, KwargsError> {
        let owner = owner.into();
        match json {
            Json::Object(fields) => Ok(Kwargs { owner, fields, known: RefCell::new(vec!["type"]) }),
            other => Err(KwargsError::NotAnObject { owner, found: kind_name(other) }),
        }
    }

    /// Accepts keys that have no meaning here.
    pub fn accept(&self, keys: &[&'static str]) {
        self.known.borrow_mut().extend(keys);
    }

    /// The value of `key`; JSON null counts as absent.
    pub fn raw(&self, key: &'static str) -> Option<&'a Json> {
        self.known.borrow_mut().push(key);
        self.fields.get(key).filter(|value| !value.is_null())
    }

    /// A number, or `None` when absent.
    pub fn optional_number(&self, key: &'static str) -> Result<Option<f64>, KwargsError> {
        self.raw(key)
            .map(|value| value.as_f64().ok_or_else(|| self.wrong(key, "a number", value)))
            .transpose()
    }

    /// A number, `default` when absent.
    pub fn number(&self, key: &'static str, default: f64) -> Result<f64, KwargsError> {
        Ok(self.optional_number(key)?.unwrap_or(default))
    }

    /// A number that must be there.
    pub fn required_number(&self, key: &'static str) -> Result<f64, KwargsError> {
        self.optional_number(key)?.ok_or_else(|| self.missing(key, "a number"))
    }

    /// A number for which `is_valid` holds, `default` when absent.
    pub fn number_where(
        &self,
        key: &'static str,
        default: f64,
        range: (&str, fn(f64) -> bool),
    ) -> Result<f64, KwargsError> {
        let value = self.number(key, default)?;
        if range.1(value) { Ok(value) } else { Err(self.wrong(key, range.0, &Json::from(value))) }
    }

    /// A whole number; 5.0 counts as one.
    pub fn optional_integer(&self, key: &'static str) -> Result<Option<i64>, KwargsError> {
        self.raw(key)
            .map(|value| whole(value).ok_or_else(|| self.wrong(key, "a whole number", value)))
            .transpose()
    }

    /// A whole number, `default` when absent.
    pub fn integer(&self, key: &'static str, default: i64) -> Result<i64, KwargsError> {
        Ok(self.optional_integer(key)?.unwrap_or(default))
    }

    /// A whole number above zero, `default` when absent.
    pub fn positive_integer(&self, key: &'static str, default: i64) -> Result<i64, KwargsError> {
        let value = self.integer(key, default)?;
        if value > 0 {
            Ok(value)
        } else {
            Err(self.wrong(key, "a whole number above 0", &Json::from(value)))
        }
    }

    /// A truth value, `default` when absent.
    pub fn boolean(&self, key: &'static str, default: bool) -> Result<bool, KwargsError> {
        match self.raw(key) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| self.wrong(key, "true or false", value)),
        }
    }

    /// A text, or `None` when absent.
    pub fn text(&self, key: &'static str) -> Result<Option<&'a str>, KwargsError> {
        self.raw(key)
            .map(|value| value.as_str().ok_or_else(|| self.wrong(key, "a text", value)))
            .transpose()
    }

    /// A list of numbers, or `None` when absent.
    pub fn numbers(&self, key: &'static str) -> Result<Option<Vec<f64>>, KwargsError> {
        let Some(value) = self.raw(key) else { return Ok(None) };
        let numbers = value.as_array().and_then(|items| items.iter().map(Json::as_f64).collect());
        numbers.map(Some).ok_or_else(|| self.wrong(key, "a list of numbers", value))
    }

    /// A list of whole numbers, or `None` when absent.
    pub fn integers(&self, key: &'static str) -> Result<Option<Vec<i64>>, KwargsError> {
        let Some(value) = self.raw(key) else { return Ok(None) };
        let numbers = value.as_array().and_then(|items| items.iter().map(whole).collect());
        numbers.map(Some).ok_or_else(|| self.wrong(key, "a list of whole numbers", value))
    }

    /// The error for a key that must be there.
    pub fn missing(&self, key: &'static str, expected: &'static str) -> KwargsError {
        KwargsError::Missing { owner: self.owner.clone(), key, expected }
    }

    /// The error for a value that cannot be used.
    pub fn wrong(&self, key: &str, expected: &str, found: &Json) -> KwargsError {
        KwargsError::Wrong {
            owner: self.owner.clone(),
            key: key.to_owned(),
            expected: expected.to_owned(),
            found: found.to_string(),
        }
    }

    /// Refuses keys that nobody asked for.
    pub fn finish(self) -> Result<(), KwargsError> {
        let known = self.known.into_inner();
        let Some(key) = self.fields.keys().find(|key| !known.contains(&key.as_str())) else {
            return Ok(());
        };
        let mut names: Vec<&str> = known.into_iter().filter(|name| *name != "type").collect();
        names.sort_unstable();
        names.dedup();
        let hint = did_you_mean(key, names.iter().copied());
        Err(KwargsError::Unknown {
            owner: self.owner,
            key: key.clone(),
            hint,
            known: names.join(", "),
        })
    }
}

/// `, did you mean "x"?` for the nearest of `names`; empty when none is near.
pub fn did_you_mean<'n>(wanted: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    let lowered = wanted.to_lowercase();
    names
        .into_iter()
        .map(|name| (strsim::osa_distance(&lowered, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map_or_else(String::new, |(_, name)| format!(", did you mean `{name}`?"))
}

fn whole(value: &Json) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_f64().filter(|x| x.fract() == 0.0 && x.abs() < 9e15).map(|x| x as i64))
}

fn kind_name(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a truth value",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_key_is_named_with_the_nearest_known_one() {
        let config = json!({"type": "SGD", "momentun": 0.9});
        let kwargs = Kwargs::of("SGD", &config).unwrap();
        let _ = (kwargs.number("momentum", 0.0), kwargs.number("lr", 0.1));
        let message = kwargs.finish().unwrap_err().to_string();
        assert_eq!(
            message,
            "SGD: unknown key `momentun`, did you mean `momentum`? (known: lr, momentum)"
        );
    }

    #[test]
    fn a_wrong_kind_says_what_was_expected_and_found() {
        let config = json!({"lr": "fast", "steps": 1.5, "size": 5.0, "none": null});
        let kwargs = Kwargs::of("SGD", &config).unwrap();
        let message = kwargs.number("lr", 0.1).unwrap_err().to_string();
        assert_eq!(message, "SGD: key `lr`: expected a number, found \"fast\"");
        assert!(kwargs.integer("steps", 1).is_err());
        assert_eq!(kwargs.integer("size", 1), Ok(5));
        assert_eq!(kwargs.optional_number("none"), Ok(None));
    }
}
