//! What a libtorch folder, or the PyTorch of a Python, really holds.
//!
//! Knows nothing of wheels or of the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::LibtorchError;
use crate::environment::Environment;

/// The libtorch version that the `tch` crate of this workspace is made for.
pub(crate) const VERSION: &str = "2.11.0";

/// A libtorch that builds can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Installed {
    pub(crate) folder: PathBuf,
    pub(crate) version: String,
}

/// Reads a folder that was named by `how`, and refuses what is not libtorch of our version.
pub(crate) fn inspect(
    folder: &Path,
    how: &str,
    environment: &Environment,
) -> Result<Installed, LibtorchError> {
    let libraries = environment.folder("LIBTORCH_LIB").unwrap_or_else(|| folder.to_path_buf());
    let headers = environment.folder("LIBTORCH_INCLUDE").unwrap_or_else(|| folder.to_path_buf());
    for needed in [libraries.join("lib/libtorch_cpu.so"), headers.join("include/torch")] {
        if !needed.exists() {
            let missing = needed.display().to_string();
            return Err(LibtorchError::NotLibtorch { how: how.to_owned(), missing });
        }
    }
    let version = read_version(folder, &headers).unwrap_or_else(|| "an unknown version".to_owned());
    check_version(&version, how, environment)?;
    Ok(Installed { folder: folder.to_path_buf(), version })
}

/// Asks the Python that `torch-sys` would ask, in the same order, for its PyTorch.
pub(crate) fn inspect_pytorch(environment: &Environment) -> Result<Installed, LibtorchError> {
    let python =
        if environment.get("VIRTUAL_ENV").is_some() { "python" } else { "python3" }.to_owned();
    let program = environment.find_program(&python).ok_or(LibtorchError::NoPython)?;
    let script =
        "import os, torch; print(torch.__version__); print(os.path.dirname(torch.__file__))";
    let output = Command::new(&program)
        .args(["-c", script])
        .output()
        .map_err(LibtorchError::io("start it", &program))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = text.lines().rev();
    let (Some(folder), Some(version), true) = (lines.next(), lines.next(), output.status.success())
    else {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let tail = errors.lines().next_back().unwrap_or_default().to_owned();
        return Err(LibtorchError::NoPyTorch { python, tail });
    };
    check_version(version, &format!("LIBTORCH_USE_PYTORCH ({folder})"), environment)?;
    Ok(Installed { folder: PathBuf::from(folder), version: version.to_owned() })
}

fn check_version(found: &str, how: &str, environment: &Environment) -> Result<(), LibtorchError> {
    let release = found.trim().split('+').next().unwrap_or_default();
    if release == VERSION || environment.get("LIBTORCH_BYPASS_VERSION_CHECK").is_some() {
        return Ok(());
    }
    Err(LibtorchError::Version { how: how.to_owned(), found: found.trim().to_owned() })
}

/// From `build-version` (libtorch's own archive), else from the header that every copy has.
fn read_version(folder: &Path, headers: &Path) -> Option<String> {
    if let Ok(text) = std::fs::read_to_string(folder.join("build-version")) {
        return Some(text.trim().to_owned());
    }
    let header =
        ["include/torch/headeronly/version.h", "include/torch/csrc/api/include/torch/version.h"]
            .iter()
            .find_map(|path| std::fs::read_to_string(headers.join(path)).ok())?;
    let number = |name: &str| {
        let define = format!("#define TORCH_VERSION_{name} ");
        let line = header.lines().find_map(|line| line.strip_prefix(&define))?;
        Some(line.trim().to_owned())
    };
    Some(format!("{}.{}.{}", number("MAJOR")?, number("MINOR")?, number("PATCH")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    const LIBRARY: (&str, &str) = ("lib/libtorch_cpu.so", "");
    const HEADER: (&str, &str) = (
        "include/torch/headeronly/version.h",
        "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 11\n#define TORCH_VERSION_PATCH 0\n",
    );

    #[test]
    fn version_comes_from_build_version_first() {
        let folder = folder_with(&[LIBRARY, HEADER, ("build-version", "2.11.0+cu130\n")]);
        let found = inspect(folder.path(), "LIBTORCH", &Environment::default()).unwrap();
        assert_eq!(found.version, "2.11.0+cu130");
    }

    #[test]
    fn version_comes_from_the_header_otherwise() {
        let folder = folder_with(&[LIBRARY, HEADER]);
        let found = inspect(folder.path(), "LIBTORCH", &Environment::default()).unwrap();
        assert_eq!(found.version, "2.11.0");
    }

    #[test]
    fn a_wrong_version_names_both_and_the_way_out() {
        let folder = folder_with(&[LIBRARY, HEADER, ("build-version", "2.9.1+cpu")]);
        let error = inspect(folder.path(), "LIBTORCH", &Environment::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("LIBTORCH: expected libtorch 2.11.0, found 2.9.1+cpu"), "{text}");
        assert!(text.contains("unset it"), "{text}");
    }

    #[test]
    fn the_version_check_can_be_bypassed_as_in_torch_sys() {
        let folder = folder_with(&[LIBRARY, HEADER, ("build-version", "2.9.1")]);
        let environment = Environment::of([("LIBTORCH_BYPASS_VERSION_CHECK", "1")]);
        assert!(inspect(folder.path(), "LIBTORCH", &environment).is_ok());
    }

    #[test]
    fn a_folder_without_the_library_is_not_libtorch() {
        let folder = folder_with(&[HEADER]);
        let error = inspect(folder.path(), "LIBTORCH", &Environment::default()).unwrap_err();
        assert!(error.to_string().contains("libtorch_cpu.so"), "{error}");
    }

    #[test]
    fn a_python_without_torch_is_refused_with_its_last_line() {
        let folder = tempfile::tempdir().unwrap();
        let script = "#!/bin/sh\necho \"No module named 'torch'\" >&2\nexit 1\n";
        crate::fake_program::write(folder.path(), "python3", script);
        let environment = Environment::of([("PATH", folder.path().to_str().unwrap())]);
        let text = inspect_pytorch(&environment).unwrap_err().to_string();
        assert!(text.contains("No module named") && text.contains("unset"), "{text}");
    }

    #[test]
    fn a_pytorch_of_another_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let script = "#!/bin/sh\necho 2.7.0+cu126\necho /site/torch\n";
        crate::fake_program::write(folder.path(), "python3", script);
        let environment = Environment::of([("PATH", folder.path().to_str().unwrap())]);
        let text = inspect_pytorch(&environment).unwrap_err().to_string();
        assert!(text.contains("expected libtorch 2.11.0, found 2.7.0+cu126"), "{text}");
    }
}
