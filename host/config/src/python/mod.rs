//! The Python-syntax config language: reading, evaluating, writing. Runs no code and needs no Python.
//!
//! ```text
//! text ─► nesting (bounds) ─► parse (the only file that names ruff) ─► syntax ─► evaluate ─► nodes
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
mod methods;
mod nesting;
mod parse;
mod slices;
mod strings;
mod syntax;
mod targets;
mod text;

pub(crate) use dump::{is_name, to_python};
pub(crate) use evaluate::{Input, base_names, evaluate, literal};
pub(crate) use parse::parse;
pub(crate) use syntax::Statement;
pub(crate) use text::{parse_float, parse_int};
