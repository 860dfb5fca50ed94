//! The system's C compiler: what a plugin author without Rust has. Knows nothing of plugins.

use std::path::Path;
use std::process::Command;

/// The folder of this crate.
pub(crate) fn manifest_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Makes a shared object of one file, with the header of plugin-api at hand.
pub(crate) fn compile(source: &Path, library: &Path, more: &[&str]) {
    let compiled = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args([
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-D_DEFAULT_SOURCE",
            "-O1",
            "-shared",
            "-fPIC",
        ])
        .arg("-I")
        .arg(manifest_folder().join("../../plugin-api/include"))
        .args([source, "-o".as_ref(), library])
        .args(more)
        .output()
        .expect("a C compiler: install one, or name it in CC");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
}
