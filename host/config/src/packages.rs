//! Finds `pkg::path` bases: config files that a Python package brings along.
//!
//! Looks at folders only; runs no Python. Knows nothing of what is in the files.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use crate::error::Problem;
use crate::nearest::nearest;

/// The environment variable with further folders, separated by colons.
pub(crate) const SEARCH_PATH: &str = "SNAPHOOK_CONFIG_PATH";

/// Finds the file that `pkg::rel/path.py` means.
pub(crate) fn find(package: &str, relative: &str, folders: &[PathBuf]) -> Result<PathBuf, Problem> {
    let base = format!("{package}::{relative}");
    let is_plain = |path: &str| {
        let mut parts = Path::new(path).components();
        parts.all(|part| matches!(part, Component::Normal(_)))
    };
    let is_package = !package.is_empty()
        && package.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if !is_package || !is_plain(relative) || relative.is_empty() {
        let message = format!("base `{base}`: expected `package::folder/file.py`");
        return Err(Problem::Value(message));
    }
    let searched = search_path(folders);
    let mut missing = None;
    for configs in searched.iter().flat_map(|folder| config_folders(folder, package)) {
        let path = configs.join(relative);
        let with_extension = configs.join(format!("{relative}.py"));
        if path.is_file() {
            return Ok(path);
        }
        if with_extension.is_file() {
            return Ok(with_extension);
        }
        if configs.is_dir() {
            missing.get_or_insert(path);
        }
    }
    Err(match missing {
        Some(path) => Problem::BaseMissing { nearest: nearest_file(&path), path },
        None => Problem::PackageMissing { base, package: package.to_owned(), searched },
    })
}

/// Finds the file that the module `pkg.configs.x` of the lazy style means.
pub(crate) fn find_module(module: &str, folders: &[PathBuf]) -> Result<PathBuf, Problem> {
    let Some((package, rest)) = module.split_once('.').filter(|(package, _)| !package.is_empty())
    else {
        let message = format!("base module `{module}`: expected `package.folder.file`");
        return Err(Problem::Value(message));
    };
    let relative = format!("{}.py", rest.replace('.', "/"));
    let searched = search_path(folders);
    let mut missing = None;
    for folder in &searched {
        let mut homes = vec![folder.join(package)];
        if folder.file_name() == Some(OsStr::new(package)) {
            homes.push(folder.clone());
        }
        for path in homes.iter().filter(|home| home.is_dir()).map(|home| home.join(&relative)) {
            if path.is_file() {
                return Ok(path);
            }
            missing.get_or_insert(path);
        }
    }
    Err(match missing {
        Some(path) => Problem::BaseMissing { nearest: nearest_file(&path), path },
        None => {
            let (base, package) = (module.to_owned(), package.to_owned());
            Problem::PackageMissing { base, package, searched }
        }
    })
}

/// A file beside the missing one that has a similar name.
pub(crate) fn nearest_file(missing: &Path) -> Option<String> {
    const MOST: usize = 2000;
    let names: Vec<String> = std::fs::read_dir(missing.parent()?)
        .ok()?
        .take(MOST)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let name = missing.file_name()?.to_str()?;
    nearest(name, names.iter().map(String::as_str)).map(str::to_owned)
}

/// Where a package's configs can be below a folder: in its wheel, in the package's own folder, or in
/// a checkout of its repository.
fn config_folders(folder: &Path, package: &str) -> Vec<PathBuf> {
    let mut folders = vec![folder.join(package).join(".mim").join("configs")];
    if folder.file_name() == Some(OsStr::new(package)) {
        folders.push(folder.join(".mim").join("configs"));
    }
    if folder.join(package).is_dir() {
        folders.push(folder.join("configs"));
    }
    folders
}

/// All folders that exist, in the order in which they are looked into.
fn search_path(folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut all = folders.to_vec();
    if let Some(paths) = std::env::var_os(SEARCH_PATH) {
        all.extend(std::env::split_paths(&paths).filter(|path| !path.as_os_str().is_empty()));
    }
    all.extend(installed());
    let mut searched: Vec<PathBuf> = Vec::new();
    for folder in all {
        if folder.is_dir() && !searched.contains(&folder) {
            searched.push(folder);
        }
    }
    searched
}

/// Folders where Python installations keep packages.
fn installed() -> Vec<PathBuf> {
    let mut prefixes: Vec<PathBuf> = ["VIRTUAL_ENV", "CONDA_PREFIX"]
        .iter()
        .filter_map(|name| std::env::var_os(name).map(PathBuf::from))
        .collect();
    let home = std::env::var_os("HOME").map(PathBuf::from);
    prefixes.extend(home.as_ref().map(|home| home.join(".local")));
    prefixes.extend(pythons_on_path());
    if let Some(home) = &home {
        prefixes.extend(subfolders(&home.join(".pyenv/versions"), ""));
    }
    prefixes.extend([PathBuf::from("/usr/local"), PathBuf::from("/usr")]);
    prefixes.iter().flat_map(|prefix| package_folders(prefix)).collect()
}

/// The prefixes of every `python3` that the shell would find: `/prefix/bin/python3`.
fn pythons_on_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut prefixes = Vec::new();
    for folder in std::env::split_paths(&path) {
        let python = folder.join("python3");
        if !python.is_file() {
            continue;
        }
        // Unresolved for virtual environments, resolved for links into an installation.
        prefixes.extend(folder.parent().map(Path::to_path_buf));
        let resolved = python.canonicalize().ok();
        prefixes.extend(resolved.and_then(|p| Some(p.parent()?.parent()?.to_path_buf())));
    }
    prefixes
}

fn package_folders(prefix: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for python in subfolders(&prefix.join("lib"), "python3") {
        folders.extend(["site-packages", "dist-packages"].map(|name| python.join(name)));
    }
    folders
}

/// Folders whose names begin so, sorted for a stable order.
fn subfolders(folder: &Path, start: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(start))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use crate::testing::Folder;
    use serde_json::json;

    const BASE: &str = "model = dict(type='X', head=dict(type='Y'))\npipe = [dict(type='A'), dict(z=dict(type='B', _scope_='c'))]";

    #[test]
    fn a_base_of_a_package_is_found_and_gets_its_scope() {
        let folder = Folder::new(&[
            ("kit/.mim/configs/yolo/x.py", BASE),
            ("a.py", "_base_ = 'kit::yolo/x.py'\nmodel = dict(n=1)"),
        ]);
        let expected = json!({
            "model": {"type": "X", "head": {"type": "Y"}, "_scope_": "kit", "n": 1},
            "pipe": [{"type": "A", "_scope_": "kit"}, {"z": {"type": "B", "_scope_": "c"}}],
        });
        assert_eq!(*folder.load("a.py").unwrap().value(), expected);
    }

    #[test]
    fn a_checkout_of_the_repository_serves_too() {
        let folder = Folder::new(&[
            ("kit/__init__.py", ""),
            ("configs/x.py", "k = 1"),
            ("a.py", "_base_ = 'kit::x'"),
        ]);
        assert_eq!(*folder.load("a.py").unwrap().value(), json!({"k": 1}));
    }

    #[test]
    fn a_package_that_is_nowhere_says_how_to_get_it() {
        let folder = Folder::new(&[("a.py", "\n_base_ = ['no_such_kit::x.py']")]);
        let message = folder.load("a.py").unwrap_err().to_string();
        assert!(
            message.contains(
                "a.py, line 2: base no_such_kit::x.py: package no_such_kit is in none of"
            )
        );
        assert!(message.contains(&folder.path().display().to_string()), "{message}");
        assert!(message.contains("pip download --no-deps no_such_kit"), "{message}");
        assert!(message.contains("SNAPHOOK_CONFIG_PATH"), "{message}");
    }

    #[test]
    fn a_file_that_the_package_lacks_shows_a_similar_one() {
        let folder =
            Folder::new(&[("kit/.mim/configs/tiny.py", ""), ("a.py", "_base_ = 'kit::tiyn.py'")]);
        assert!(folder.error("a.py").ends_with("(did you mean `tiny.py`?)"));
    }

    #[test]
    fn a_package_base_stays_below_its_folder() {
        let folder = Folder::new(&[
            ("x.py", ""),
            ("kit/.mim/configs/y.py", ""),
            ("a.py", "_base_ = 'kit::../../../x.py'"),
        ]);
        assert!(folder.error("a.py").contains("expected `package::folder/file.py`"));
    }
}
