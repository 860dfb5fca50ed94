//! What a run leaves behind for people, and how it is shown. Links no libtorch.
//!
//! ```text
//! runner ──► run.json, scalars.json, pictures, event files   (record, tensorboard)
//!                     │
//!          find_runs ─► RunData ─► run_page, comparison_page ─► report.html
//! ```
//!
//! ```no_run
//! use snaphook_report::{RunData, find_run, run_page};
//! let run = RunData::read(&find_run("work_dirs/yolox_nano".as_ref())?)?;
//! std::fs::write("report.html", run_page(&run))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod diagnosed;
mod error;
mod folder;
mod page;
mod record;
mod run;
mod scalars;
pub mod tensorboard;

use std::path::PathBuf;

pub use diagnosed::{Diagnosed, EVALUATION_FILE};
pub use error::ReportError;
pub use folder::{RunFolder, find_run, find_runs};
pub use page::{ConfigDifference, Figure, Gallery, comparison_page, gallery_page, run_page};
pub use record::{
    Environment, HookCost, Kind, PhaseTime, Position, RUN_FILE, RunRecord, Status, Validation,
    is_built_in,
};
pub use run::{RunData, is_greater_better};
pub use scalars::{Curve, Point, Scalars};

/// Name of a run's page in its folder.
pub const REPORT_FILE: &str = "report.html";

/// Writes the page of a run into its folder; returns the file.
///
/// Errors: a file of the run that cannot be read, a folder that cannot be written.
pub fn write_report(folder: &RunFolder) -> Result<PathBuf, ReportError> {
    let page = run_page(&RunData::read(folder)?);
    let path = folder.path.join(REPORT_FILE);
    std::fs::write(&path, page).map_err(|source| ReportError::file(&path, source))?;
    Ok(path)
}
