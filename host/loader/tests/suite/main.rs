//! The plugin host as its users meet it: real files, good and hostile. One program, so that it is linked once.

#![allow(clippy::unwrap_used)] // the lint's exception covers #[test] functions only, not what they share

mod c_compiler;
mod c_plugin;
mod check;
mod faults;
mod golden;
mod growth;
mod hostile;
mod matrix;
mod plugin_builds;
mod trust;
