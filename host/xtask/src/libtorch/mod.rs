//! libtorch for this repository: which one is used, and how it gets onto the machine.
//!
//! Nothing here knows what Snaphook does with libtorch. [`prepare()`] is the whole interface;
//! the modules below it, from the outside in:
//!
//! ```text
//! prepare ─► choice      which libtorch: the user's, the linked one, or one to assemble
//!            installed   what a folder or a PyTorch really holds
//!            assemble ─► cache, recipe, space, pip ─► unpack ─► stub
//!            link        .libtorch, the one path that builds depend on
//! ```

mod assemble;
mod cache;
mod choice;
mod error;
mod installed;
mod link;
mod pip;
mod prepare;
mod recipe;
mod space;
mod stub;
mod unpack;

pub(crate) use cache::Cache;
pub(crate) use choice::{Choice, choose};
pub(crate) use error::LibtorchError;
pub(crate) use installed::{Installed, VERSION, inspect};
pub(crate) use link::linked_folder;
pub(crate) use pip::Pip;
pub(crate) use prepare::prepare;
pub(crate) use recipe::Recipe;
pub(crate) use space::free_bytes;
pub(crate) use stub::find_compiler;
