//! Environment variables as a value, so that what they mean can be tested without setting them. Knows nothing of their
//! meaning.

use std::collections::BTreeMap;

/// A set of environment variables. One that is empty counts as not set, as in most shells' scripts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Those of this process; what is no text is left out.
    pub fn of_process() -> Variables {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Variables(std::env::vars_os().filter_map(text).collect())
    }

    /// These, by name and value.
    pub fn of_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Variables {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Variables(pairs.into_iter().map(owned).collect())
    }

    /// The value, without spaces around it; `None` where it is not set, or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Whether it is set, be it to nothing.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Variables {
    fn from(pairs: [(&str, &str); N]) -> Variables {
        Variables::of_pairs(pairs)
    }
}
