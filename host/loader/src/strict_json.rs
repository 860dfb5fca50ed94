//! JSON as a manifest must be: no key twice in an object, no deep nesting. Knows nothing of manifests.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};
use std::fmt;

const MAX_DEPTH: u32 = 32;

/// Reads one JSON value and nothing after it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Json, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = AnyValue { depth: 0 }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct AnyValue {
    depth: u32,
}

impl AnyValue {
    fn inner<E: Error>(self) -> Result<AnyValue, E> {
        match self.depth < MAX_DEPTH {
            true => Ok(AnyValue { depth: self.depth + 1 }),
            false => Err(E::custom(format!("expected at most {MAX_DEPTH} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for AnyValue {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Json, A::Error> {
        let (inner, mut array) = (self.inner()?, Vec::new());
        while let Some(value) = values.next_element_seed(inner)? {
            array.push(value);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let (inner, mut object) = (self.inner()?, Map::new());
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(inner)?;
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!("key {key:?} comes twice")));
            }
            object.insert(key, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use serde_json::json;

    #[test]
    fn values_are_read_as_they_are() {
        let text = r#"{"a": [1, -2, 1.5, true, null, "x"], "b": {"c": ""}}"#;
        let expected = json!({ "a": [1, -2, 1.5, true, null, "x"], "b": { "c": "" } });
        assert_eq!(parse(text.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn key_that_comes_twice_is_refused() {
        let error = parse(br#"{"a": {"b": 1, "b": 2}}"#).unwrap_err().to_string();
        assert!(error.starts_with("key \"b\" comes twice"), "{error}");
    }

    #[test]
    fn deep_nesting_and_trailing_text_are_refused() {
        let nested = |depth| [b"[".repeat(depth), b"]".repeat(depth)].concat();
        assert!(parse(&nested(32)).is_ok());
        assert!(parse(&nested(33)).is_err());
        assert!(parse(&b"[".repeat(100_000)).is_err());
        assert!(parse(b"{} {}").is_err());
    }
}
