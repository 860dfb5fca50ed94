//! What a file of TorchScript says that it computes. Knows nothing of its numbers, and runs nothing.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zip::ZipArchive;

use crate::PthError;
use crate::error::Fault;

/// A file of code of more bytes than this is none that somebody wrote.
const LARGEST_CODE: u64 = 1 << 26;

/// What TorchScript calls a batch norm in its code, by whatever layer it was written.
const BATCH_NORMS: [&str; 4] = [
    "torch.batch_norm(",
    "torch.native_batch_norm(",
    "torch.cudnn_batch_norm(",
    "torch._native_batch_norm_legit(",
];

/// Whether the code of a TorchScript file normalises by the statistics of a batch.
///
/// Errors: a file that cannot be read, or that is none of TorchScript.
///
/// Source: PyTorch 2.11 `torch/csrc/jit/serialization/export_module.cpp` (the archive), `python_print.cpp` (its code).
pub fn script_uses_batch_norm(path: &Path) -> Result<bool, PthError> {
    let file =
        File::open(path).map_err(|source| PthError::File { path: path.to_owned(), source })?;
    any_code(file, |code| BATCH_NORMS.iter().any(|call| code.contains(call)))
        .map_err(|fault| fault.at(path))
}

fn any_code(file: File, mut is_it: impl FnMut(&str) -> bool) -> Result<bool, Fault> {
    let malformed = |error: &dyn std::fmt::Display| Fault::new(format!("something else ({error})"));
    let mut archive = ZipArchive::new(file).map_err(|error| malformed(&error))?;
    let mut has_code = false;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| malformed(&error))?;
        let name = entry.name().map_err(|error| malformed(&error))?.into_owned();
        if !(name.contains("/code/") && name.ends_with(".py")) {
            continue;
        }
        has_code = true;
        let mut code = Vec::new();
        entry.take(LARGEST_CODE).read_to_end(&mut code).map_err(|error| malformed(&error))?;
        if is_it(&String::from_utf8_lossy(&code)) {
            return Ok(true);
        }
    }
    match has_code {
        true => Ok(false),
        false => Err(Fault::new("an archive without code")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    use super::*;

    fn uses(entries: &[(&str, &str)]) -> Result<bool, PthError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pt");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        // As PyTorch compresses code.
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        for (name, text) in entries {
            zip.start_file(*name, options).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
        script_uses_batch_norm(&path)
    }

    #[test]
    fn a_batch_norm_is_found_in_the_code_of_any_module() {
        let module = ("a/code/__torch__.py", "_0 = __torch__.torch.nn.functional.batch_norm");
        let of_torch = "a/code/__torch__/torch/nn/functional.py";
        assert!(uses(&[module, (of_torch, "_7 = torch.batch_norm(input, weight, 0.1)")]).unwrap());
        assert!(!uses(&[module, (of_torch, "_7 = torch.group_norm(input, 4)")]).unwrap());
        assert!(!uses(&[module, ("a/data/0", "torch.batch_norm(")]).unwrap());
    }

    #[test]
    fn what_is_no_script_is_told() {
        let message = uses(&[("a/data.pkl", "x")]).unwrap_err().to_string();
        assert!(
            message.ends_with("expected a PyTorch file, found an archive without code"),
            "{message}"
        );
        assert!(script_uses_batch_norm(Path::new("nowhere.pt")).is_err());
    }
}
