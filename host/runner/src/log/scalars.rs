//! `vis_data/scalars.json`: one JSON object a line, as MMEngine's LocalVisBackend writes it.
//! Knows nothing of where the numbers come from.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};
use snaphook_hooks::python_json;

use crate::RunError;

/// The files that records are appended to: `scalars.json` and `<timestamp>.json`, both the same.
///
/// Source: MMEngine's `mmengine/visualization/vis_backend.py`, `LocalVisBackend.add_scalars`.
#[derive(Debug)]
pub struct ScalarFile {
    files: Vec<(PathBuf, File)>,
}

impl ScalarFile {
    /// Makes the two files in `folder`.
    ///
    /// Errors: a file that cannot be made.
    pub fn create(folder: &Path, name: &str, timestamp: &str) -> Result<ScalarFile, RunError> {
        let names = [name.to_owned(), format!("{timestamp}.json")];
        let open = |name: String| {
            let path = folder.join(name);
            match File::options().create(true).append(true).open(&path) {
                Ok(file) => Ok((path, file)),
                Err(error) => Err(RunError::file(path, error)),
            }
        };
        Ok(ScalarFile { files: names.into_iter().map(open).collect::<Result<_, _>>()? })
    }

    /// Appends one record: `values`, then `step`.
    ///
    /// Errors: a file that cannot be written (full disk).
    pub fn append(&mut self, values: &Map<String, Json>, step: u64) -> Result<(), RunError> {
        let mut record = values.clone();
        record.insert("step".to_owned(), step.into());
        let line = format!("{}\n", python_json(&Json::Object(record)));
        for (path, file) in &mut self.files {
            file.write_all(line.as_bytes()).map_err(|error| RunError::file(&*path, error))?;
        }
        Ok(())
    }
}
