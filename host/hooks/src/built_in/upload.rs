//! Copies files of a run to another folder, which is what MMEngine's `out_dir` asks for.
//! Knows nothing of which files a run has.

use std::path::{Path, PathBuf};

use snaphook_plugin_api::prelude::*;

/// How the names of the files end that are copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Suffixes(Vec<String>);

impl Suffixes {
    /// MMEngine's default, or what a config says: a text or a list of texts.
    ///
    /// Errors: anything else.
    pub(super) fn read(value: Option<&Json>) -> Result<Suffixes, HookError> {
        let texts = match value {
            None | Some(Json::Null) => {
                Some([".json", ".log", ".py", "yaml"].map(str::to_owned).to_vec())
            }
            Some(Json::String(suffix)) => Some(vec![suffix.clone()]),
            Some(Json::Array(items)) => {
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect()
            }
            Some(_) => None,
        };
        texts.map(Suffixes).ok_or_else(|| {
            let found = value.unwrap_or(&Json::Null);
            HookError::fatal(format!(
                "out_suffix: expected a text or a list of texts, found {found}"
            ))
        })
    }

    pub(super) fn texts(&self) -> &[String] {
        &self.0
    }

    /// The files below `folder` with such names, as paths below it, in order; hidden ones are left out.
    ///
    /// Errors: a folder that cannot be read.
    fn files_in(&self, folder: &Path) -> Result<Vec<PathBuf>, HookError> {
        let mut found = Vec::new();
        self.collect(folder, Path::new(""), &mut found)?;
        found.sort();
        Ok(found)
    }

    fn collect(&self, root: &Path, below: &Path, found: &mut Vec<PathBuf>) -> HookResult {
        let folder = root.join(below);
        for entry in std::fs::read_dir(&folder).map_err(|error| failed(&folder, &error))? {
            let entry = entry.map_err(|error| failed(&folder, &error))?;
            let path = below.join(entry.file_name());
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let kind = entry.file_type().map_err(|error| failed(&folder, &error))?;
            // A checkpoint is whole or not there.
            if kind.is_dir() && folder.join(entry.file_name()).join("manifest.json").exists() {
                continue;
            }
            if kind.is_dir() {
                self.collect(root, &path, found)?;
            } else if self.0.iter().any(|suffix| name.ends_with(suffix.as_str())) {
                found.push(path);
            }
        }
        Ok(())
    }

    /// Removes those files.
    ///
    /// Errors: a file that cannot be removed.
    fn remove_from(&self, folder: &Path) -> HookResult {
        for name in self.files_in(folder)? {
            let path = folder.join(name);
            std::fs::remove_file(&path).map_err(|error| failed(&path, &error))?;
        }
        Ok(())
    }
}

/// The folder of copies: `out_dir` with the work folder's name.
///
/// Errors: a place that is no local folder.
pub(super) fn below(out_dir: &str, work_dir: &Path) -> Result<String, HookError> {
    if out_dir.contains("://") {
        return Err(HookError::fatal(format!(
            "out_dir: expected a local folder, found {out_dir} (mount it, or copy the work folder after the run)"
        )));
    }
    let name = work_dir.file_name().unwrap_or_default();
    Ok(Path::new(out_dir).join(name).to_string_lossy().into_owned())
}

/// Whether arguments for MMEngine's storage ask for nothing but the local disk.
///
/// Errors: any other storage.
pub(super) fn check(key: &str, arguments: Option<&Json>) -> HookResult {
    match arguments {
        None | Some(Json::Null) => Ok(()),
        Some(value) if value["backend"] == "local" || value["backend"] == "disk" => Ok(()),
        Some(value) => Err(HookError::fatal(format!(
            "{key}: expected None or dict(backend='local'), found {value} (this version writes local folders only)"
        ))),
    }
}

/// What is to be copied once a run has written all that it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalCopy {
    to: PathBuf,
    suffixes: Suffixes,
    keep_local: bool,
}

impl FinalCopy {
    /// Reads what [`LoggerHook`](super::LoggerHook) asks for.
    ///
    /// Errors: a folder that is none, suffixes that are no texts.
    pub fn read(asked: &Json) -> Result<FinalCopy, HookError> {
        let to = asked["to"].as_str().ok_or_else(|| {
            HookError::fatal(format!("to: expected a folder, found {}", asked["to"]))
        })?;
        let keep_local = asked["keep_local"] != false;
        Ok(FinalCopy {
            to: to.into(),
            suffixes: Suffixes::read(asked.get("suffixes"))?,
            keep_local,
        })
    }

    /// Copies the files of a run, and its page, and removes those that are not to be kept; the page stays.
    ///
    /// Errors: with the path that cannot be read, written or removed.
    pub fn carry_out(&self, run_dir: &Path, mut tell: impl FnMut(String)) -> HookResult {
        let page = Path::new("report.html");
        for name in self.suffixes.files_in(run_dir)? {
            let (from, to) = (run_dir.join(&name), self.to.join(&name));
            copy(&from, &to)?;
            let (from, to) = (from.display(), to.display());
            tell(format!("The file {from} has been uploaded to {to}."));
            if !self.keep_local {
                tell(format!(
                    "{from} was removed due to the `self.keep_local=False`. You can check the running logs in {to}"
                ));
            }
        }
        if run_dir.join(page).is_file() {
            copy(&run_dir.join(page), &self.to.join(page))?;
        }
        if self.keep_local { Ok(()) } else { self.suffixes.remove_from(run_dir) }
    }
}

/// Copies a file, making the folders above it.
///
/// Errors: with the path that cannot be written.
fn copy(from: &Path, to: &Path) -> HookResult {
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    }
    std::fs::copy(from, to).map(drop).map_err(|error| failed(to, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> HookError {
    HookError::fatal(format!("{}: {error}", path.display()))
}
