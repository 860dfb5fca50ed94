//! Reading the dicts that a config builds parts from.

mod kwargs;

pub(crate) use kwargs::{Kwargs, nearest};
