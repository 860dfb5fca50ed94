//! Keyword arguments: what `#[derive(Kwargs)]` implements and what its code calls. Knows nothing of where
//! the arguments were written.

use crate::{HookError, HookErrorKind};
use serde_json::Value as Json;
use std::path::PathBuf;

/// A type that is built from the keyword arguments of a config. Derived with `#[derive(Kwargs)]`.
///
/// Fields with `#[kwarg(…)]` are arguments, all others are state and begin with `Default::default()`.
/// Inside the parentheses: `default = …` (without it the argument must be given, unless it is an
/// `Option`), `min = …`, `max = …`, `choices("a", "b")` (for a `String`, or any type with `FromStr`),
/// `any_of(f64, (f64, f64))` (for any type with [`KwargValue`]: what it reads; inside of another type it is
/// written `AnyOf<f64, (f64, f64)>`), `only(false, None)` (these values alone), `required`. Types: integers, floats, `bool`, `String`, `PathBuf`, `Json`, and of these
/// `Option<T>`, `Vec<T>` and tuples.
///
/// For a host's own components: `component = "role"` says of a `Json` that it is a nested component with a
/// `type`, `settings = "Name"` that it is a dict of settings without one. Both stand in the schema as
/// `x-component` and `x-settings`.
pub trait Kwargs: Sized {
    /// The first paragraph of the type's documentation.
    const SUMMARY: &'static str;
    /// JSON schema of the arguments.
    const SCHEMA: &'static str;

    /// Reads the arguments of `type_name`, a JSON object.
    ///
    /// Errors: all arguments that are unknown, missing or wrong, one line each.
    fn from_kwargs(type_name: &str, kwargs: &Json) -> Result<Self, HookError>;
}

/// A value that an argument can have.
pub trait KwargValue: Sized {
    /// The value, or `None` when the JSON is another kind of thing.
    fn read(value: &Json) -> Option<Self>;
}

macro_rules! integers {
    ($($type:ty: $read:ident),*) => {
        $(impl KwargValue for $type {
            fn read(value: &Json) -> Option<Self> {
                value.$read()?.try_into().ok()
            }
        })*
    };
}

integers!(u8: as_u64, u16: as_u64, u32: as_u64, u64: as_u64, usize: as_u64);
integers!(i8: as_i64, i16: as_i64, i32: as_i64, i64: as_i64, isize: as_i64);

impl KwargValue for f64 {
    fn read(value: &Json) -> Option<f64> {
        value.as_f64()
    }
}

impl KwargValue for f32 {
    fn read(value: &Json) -> Option<f32> {
        value.as_f64().map(|value| value as f32)
    }
}

impl KwargValue for bool {
    fn read(value: &Json) -> Option<bool> {
        value.as_bool()
    }
}

impl KwargValue for String {
    fn read(value: &Json) -> Option<String> {
        value.as_str().map(str::to_owned)
    }
}

impl KwargValue for PathBuf {
    fn read(value: &Json) -> Option<PathBuf> {
        value.as_str().map(PathBuf::from)
    }
}

impl KwargValue for Json {
    fn read(value: &Json) -> Option<Json> {
        Some(value.clone())
    }
}

impl<T: KwargValue> KwargValue for Option<T> {
    fn read(value: &Json) -> Option<Option<T>> {
        if value.is_null() {
            Some(None)
        } else {
            T::read(value).map(Some)
        }
    }
}

impl<T: KwargValue> KwargValue for Vec<T> {
    fn read(value: &Json) -> Option<Vec<T>> {
        value.as_array()?.iter().map(T::read).collect()
    }
}

macro_rules! tuples {
    ($(($($type:ident $index:tt),*) $length:literal;)*) => {
        $(impl<$($type: KwargValue),*> KwargValue for ($($type,)*) {
            fn read(value: &Json) -> Option<Self> {
                let values = value.as_array().filter(|values| values.len() == $length)?;
                Some(($($type::read(&values[$index])?,)*))
            }
        })*
    };
}

tuples! {
    (A 0) 1;
    (A 0, B 1) 2;
    (A 0, B 1, C 2) 3;
    (A 0, B 1, C 2, D 3) 4;
    (A 0, B 1, C 2, D 3, E 4) 5;
}

/// The arguments of one type after they were checked. For the code that `#[derive(Kwargs)]` writes.
#[doc(hidden)]
pub struct Reader<'a> {
    type_name: &'a str,
    kwargs: &'a Json,
}

impl<'a> Reader<'a> {
    pub fn new(type_name: &'a str, schema: &str, kwargs: &'a Json) -> Result<Self, HookError> {
        let schema: Json = serde_json::from_str(schema).map_err(HookError::from_error)?;
        let wrong = crate::kwargs_schema::check_kwargs(type_name, &schema, kwargs);
        if wrong.is_empty() {
            return Ok(Reader { type_name, kwargs });
        }
        Err(HookError::with_kind(HookErrorKind::Error, wrong.join("\n")).at(None))
    }

    pub fn given<T: KwargValue>(&self, name: &str) -> Result<Option<T>, HookError> {
        let Some(value) = self.kwargs.get(name) else { return Ok(None) };
        T::read(value).map(Some).ok_or_else(|| self.wrong(name, "a value of its type", value))
    }

    pub fn required<T: KwargValue>(&self, name: &str) -> Result<T, HookError> {
        self.given(name)?.ok_or_else(|| self.wrong(name, "a value", &Json::Null))
    }

    pub fn choice<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, HookError> {
        let Some(value) = self.kwargs.get(name) else { return Ok(None) };
        let parsed = value.as_str().and_then(|text| text.parse().ok());
        parsed.map(Some).ok_or_else(|| self.wrong(name, "a known choice", value))
    }

    pub fn default_value<T: KwargValue>(&self, name: &str, default: &str) -> Result<T, HookError> {
        let value: Json = serde_json::from_str(default).map_err(HookError::from_error)?;
        T::read(&value).ok_or_else(|| self.wrong(name, "a value of its type", &value))
    }

    pub fn default_choice<T: std::str::FromStr>(
        &self,
        name: &str,
        default: &str,
    ) -> Result<T, HookError> {
        default.parse().map_err(|_| self.wrong(name, "a known choice", &Json::from(default)))
    }

    pub fn wrong(&self, name: &str, expected: &str, found: &Json) -> HookError {
        let message = format!("{}.{name}: expected {expected}, found {found}", self.type_name);
        HookError::new(message).at(None)
    }
}
