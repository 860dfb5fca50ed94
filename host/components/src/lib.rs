//! What the built-in components are called and which keyword arguments they take: declared once, by
//! structs that the models, data sets and metrics are built from, so that a declaration cannot drift from
//! what is done with it. Links no libtorch; knows nothing of what a component does.
//!
//! ```text
//! #[derive(Kwargs)] struct ─► Component (role, names) ─┬─► read ────► vision, data: build from the struct
//!                                                      └─► Catalog ─► check a config, print its JSON schema
//! ```
//!
//! ```
//! use snaphook_components::{Catalog, Role, data::Resize, read};
//! use snaphook_plugin_api::json;
//!
//! let entry = json!({"type": "mmdet.Resize", "scale": [640, 480], "keep_ratio": true});
//! let resize: Resize = read(&entry, "train_pipeline.1")?;
//! assert_eq!(resize.scale.map(|scale| scale.both()), Some([640, 480]));
//!
//! let wrong = json!({"type": "Resize", "scale": 640, "keep_ration": true});
//! let problems = Catalog::built_in().check(Role::Transform, &wrong, "train_pipeline.1");
//! assert_eq!(
//!     problems[0].to_string(),
//!     "train_pipeline.1.keep_ration: unknown key of Resize (did you mean `keep_ratio`?)"
//! );
//! # Ok::<(), snaphook_components::ComponentError>(())
//! ```
//!
//! # A new component
//!
//! A struct with `#[derive(Kwargs)]` in the file of its family, an `impl Component` with its role and
//! names, and a line in the family's list of declarations; the crate that builds it calls [`read`]. A
//! nested component is a `Json` field with `#[kwarg(component = "role")]`, a nested dict without a `type`
//! one with `#[kwarg(settings = "Name")]`. A crate of its own can declare components too: its list is
//! added to the catalog with [`Catalog::with`].

mod catalog;
mod check;
mod component;
pub mod data;
mod declared;
mod error;
mod json_schema;
mod not_yet;
mod read;
mod role;
pub mod run;
mod values;
pub mod vision;

pub use catalog::Catalog;
pub use component::{Component, Wrong};
pub use declared::Declared;
pub use error::{ComponentError, Problem, ProblemKind};
pub use json_schema::{SchemaOf, config_schema};
pub use read::{plain_type, read, type_name, unknown_type};
pub use role::Role;
pub use values::{Auto, Colour, OneOrMany, OneOrTwo};
