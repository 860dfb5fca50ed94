//! `snaphook plugins list` and `snaphook plugins inspect`. No code of a plugin is run.

mod inspect;
mod kwargs;
mod list;

pub(super) use inspect::inspect;
pub(super) use list::list;
