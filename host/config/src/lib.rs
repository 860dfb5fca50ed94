//! The configuration language of MMEngine and MMDetection, evaluated without Python and without
//! running anything: a config can compute values, it cannot do things.
//!
//! ```text
//! config.py/.json/.yaml/.toml ─► substitute {{…}} ─► parse ─┐
//!            bases, each the same way, first ─► united ──────┴► evaluate ─► merge ─► overrides ─► Config
//! ```
//!
//! ```
//! use snaphook_config::{LoadOptions, load};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! std::fs::write(folder.path().join("base.py"), "epochs = 12\nmodel = dict(type='YOLOX', depth=50)")?;
//! let path = folder.path().join("tiny.py");
//! std::fs::write(&path, "_base_ = 'base.py'\nmodel = dict(depth=_base_.epochs // 4)")?;
//!
//! let overrides = vec!["epochs=30".to_owned()];
//! let config = load(&path, &LoadOptions { overrides, ..Default::default() })?;
//! assert_eq!(config.get("model.type").and_then(|v| v.as_str()), Some("YOLOX"));
//! assert_eq!(config.get("model.depth").and_then(|v| v.as_i64()), Some(3));
//! assert_eq!(config.get("epochs").and_then(|v| v.as_i64()), Some(30));
//! assert_eq!(config.location("model.depth").map(|place| place.line), Some(2));
//! # Ok(())
//! # }
//! ```
//!
//! # The Python-syntax language
//!
//! Literals, `dict()` and `{}`, lists, tuples, names, arithmetic with Python's int and float rules,
//! f-strings, comparisons, `and`, `or`, `not`, conditional expressions, items, slices, list and dict
//! comprehensions, assignment to names, items and attributes, `del`, augmented assignment, `if`, `for`,
//! `break` and `continue`, the methods of dicts, lists and strings, `%` on strings, and calls of `dict
//! list tuple range len enumerate zip int float str bool min max sum abs round sorted reversed any all
//! pow divmod`. Everything else is refused by name with its line. `_base_` names files to inherit from and holds their values while the file is evaluated;
//! `pkg::path` names a file of a Python package, which is looked for but not imported.
//!
//! # Changed variables
//!
//! A child that changes `data_root` or `train_pipeline` leaves alone what its base has already built
//! from it, as with MMEngine. [`Resolver::explain`] tells who wrote a value and which places a changed
//! variable did not reach; [`Resolver::propagate`], or `_propagate_ = True` in the config, makes it
//! reach them.
//!
//! # Hostile files
//!
//! Sizes, depths, steps and numbers of files are bounded, so a hostile file is an error within a
//! moment. Nothing is executed, no other file is read than the named bases, and [`Resolver::roots`] says
//! where these may be.
//!
//! # Where it differs from MMEngine 0.10.7
//!
//! - `{{_base_.key}}` may be quoted, a part of a string, or a part of an expression.
//! - `_base_` may be a tuple, and may be assigned once only. TOML is read, and has `"{{None}}"` for None.
//! - In overrides quoted text stays a string, with its spaces and commas, `(1,2),(3,4)` is a list,
//!   `dict(type='X')` is a dict, `key+=VALUE` appends or extends, negative indexes count from the end.
//! - Integers have 64 bits. Ranges and views of dicts are lists at once.
//! - Top-level keys must be Python names, whatever the format.
//! - The dump keeps the order of keys and always loads again.
//! - `custom_imports` imports nothing: it stays in the values.
//! - In the lazy style every `with read_base()` block counts, styles mix in one chain, `.update` honours
//!   `_delete_`, one name with two values warns. Imported classes are dotted names, and nothing is
//!   imported; `os.path.join`, `copy.deepcopy` and the like, which only compute, work everywhere.

mod chain;
mod config;
mod diff;
mod error;
mod explain;
mod formats;
mod limits;
mod location;
mod merge;
mod nearest;
mod overrides;
mod packages;
mod placeholders;
mod propagate;
mod python;
mod resolver;
mod scope;
#[cfg(test)]
mod testing;
mod tree;
mod write;

pub use config::{Config, LoadOptions, load};
pub use diff::{Change, Written, diff};
pub use error::{ConfigError, Problem};
pub use explain::{Explanation, Lost, Step};
pub use location::Location;
pub use nearest::nearest;
pub use resolver::Resolver;
