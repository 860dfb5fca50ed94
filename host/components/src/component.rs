//! What a struct of keyword arguments says besides them. Knows nothing of JSON.

use snaphook_plugin_api::Kwargs;

use crate::Role;

/// Keyword arguments of a built-in component.
pub trait Component: Kwargs {
    /// What it is for.
    const ROLE: Role;
    /// The `type` names that mean it, its own first; for [`Role::Settings`] the name of the settings.
    const NAMES: &'static [&'static str];

    /// Whether other keys may be there as well; only those that look like a slip are refused.
    const IS_OPEN: bool = false;

    /// What no schema can say: arguments that do not go together.
    fn check(&self) -> Result<(), Wrong> {
        Ok(())
    }
}

/// An argument whose value fits its type and is wrong all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The argument.
    pub key: &'static str,
    /// Expected, found, way out.
    pub message: String,
}

impl Wrong {
    /// `message` is about the argument `key`.
    pub fn new(key: &'static str, message: impl Into<String>) -> Wrong {
        Wrong { key, message: message.into() }
    }

    /// Ok where `is_right`, else this about `key`.
    pub fn unless(
        is_right: bool,
        key: &'static str,
        message: impl FnOnce() -> String,
    ) -> Result<(), Wrong> {
        if is_right { Ok(()) } else { Err(Wrong::new(key, message())) }
    }
}
