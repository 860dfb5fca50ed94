//! The Python-syntax config language: reading, evaluating, writing. Runs no code and needs no Python.
//!
//! ```text
//! text ─► nesting (bounds) ─► parse (only here is ruff named) ─► syntax ─► evaluate ─► nodes
//! ```

mod arithmetic;
mod builtins;
mod compare;
mod comprehensions;
mod dump;
mod evaluate;
mod expressions;
mod format_spec;
mod heap;
mod imports;
mod letter_case;
mod methods;
mod nesting;
mod parse;
mod parse_imports;
mod parse_strings;
mod slices;
mod strings;
mod syntax;
mod targets;
mod text;

pub(crate) use dump::{is_name, to_python};
pub(crate) use evaluate::{Base, Input, base_names, evaluate, literal};
pub(crate) use imports::Module;
pub(crate) use parse::parse;
pub(crate) use syntax::Statement;
pub(crate) use text::{parse_float, parse_int};
