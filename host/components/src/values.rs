//! Values that an argument can have in more than one way of writing. Know nothing of who takes them.

use snaphook_plugin_api::{Json, KwargValue};

/// One value for both, or two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OneOrTwo<T> {
    /// The same for both.
    One(T),
    /// One each.
    Two(T, T),
}

impl<T: Copy> OneOrTwo<T> {
    /// Both values.
    pub fn both(self) -> [T; 2] {
        match self {
            OneOrTwo::One(value) => [value; 2],
            OneOrTwo::Two(first, second) => [first, second],
        }
    }
}

impl<T: KwargValue> KwargValue for OneOrTwo<T> {
    fn read(value: &Json) -> Option<OneOrTwo<T>> {
        match <(T, T)>::read(value) {
            Some((first, second)) => Some(OneOrTwo::Two(first, second)),
            None => T::read(value).map(OneOrTwo::One),
        }
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq)]
pub enum OneOrMany<T> {
    /// A value.
    One(T),
    /// A list.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// As a list.
    pub fn into_list(self) -> Vec<T> {
        match self {
            OneOrMany::One(value) => vec![value],
            OneOrMany::Many(values) => values,
        }
    }
}

impl<T: KwargValue> KwargValue for OneOrMany<T> {
    fn read(value: &Json) -> Option<OneOrMany<T>> {
        // A value may be an array itself, such as a pair.
        let many = value.as_array().and_then(|_| Vec::read(value).map(OneOrMany::Many));
        many.or_else(|| T::read(value).map(OneOrMany::One))
    }
}

/// Blue, green and red, 0 to 255: one number for all, or three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(pub [u8; 3]);

impl KwargValue for Colour {
    fn read(value: &Json) -> Option<Colour> {
        let level = |value: &Json| {
            value.as_f64().filter(|level| (0.0..=255.0).contains(level)).map(|level| level as u8)
        };
        match value {
            Json::Array(levels) => match levels.as_slice() {
                [blue, green, red] => Some(Colour([level(blue)?, level(green)?, level(red)?])),
                _ => None,
            },
            value => level(value).map(|level| Colour([level; 3])),
        }
    }
}

/// A value, or `'auto'` for what fits the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auto<T> {
    /// `'auto'`.
    Auto,
    /// The value.
    Given(T),
}

impl<T: KwargValue> KwargValue for Auto<T> {
    fn read(value: &Json) -> Option<Auto<T>> {
        if value == "auto" { Some(Auto::Auto) } else { T::read(value).map(Auto::Given) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_way_of_writing_is_read() {
        assert_eq!(OneOrTwo::<u64>::read(&json!([1, 2])), Some(OneOrTwo::Two(1, 2)));
        assert_eq!(OneOrTwo::<u64>::read(&json!(3)).map(OneOrTwo::both), Some([3, 3]));
        assert_eq!(OneOrTwo::<u64>::read(&json!([1, 2, 3])), None);
        assert_eq!(OneOrMany::<f64>::read(&json!([1, 2])), Some(OneOrMany::Many(vec![1.0, 2.0])));
        assert_eq!(OneOrMany::<(i64, i64)>::read(&json!([1, 2])), Some(OneOrMany::One((1, 2))));
        assert_eq!(Colour::read(&json!(114.9)), Some(Colour([114; 3])));
        assert_eq!(Colour::read(&json!([1, 2, 256])), None);
        assert_eq!(Auto::<bool>::read(&json!("auto")), Some(Auto::Auto));
        assert_eq!(Auto::<bool>::read(&json!(true)), Some(Auto::Given(true)));
    }
}
