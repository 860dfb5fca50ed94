//! The schedule of a config as numbers and as drawings.
//!
//! ```text
//! Config ─► table: a row for each iteration ─┬─► JSON, CSV
//!                                            ├─► curve ─► text: for terminals
//!                                            └─► curve ─► svg: for browsers
//! ```

mod curve;
mod rows;
mod svg;
mod table;
mod text;

pub(crate) use rows::{as_csv, as_json};
pub(crate) use svg::as_svg;
pub(crate) use table::Table;
pub(crate) use text::as_text;
