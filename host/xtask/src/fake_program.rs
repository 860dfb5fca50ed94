//! Small shell scripts that stand in for pip, Python and compilers in tests.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Writes an executable script into `folder`.
pub(crate) fn write(folder: &Path, name: &str, script: &str) {
    let path = folder.join(name);
    // Copied by another process: what this one holds open for writing, a child that another test forks
    // just then holds open as well, and such a file cannot be executed ("text file busy").
    let draft = folder.join(format!("{name}.draft"));
    let copy = folder.join(format!("{name}.copy"));
    fs::write(&draft, script).unwrap();
    let copied = Command::new("cp").arg(&draft).arg(&copy).status().unwrap();
    assert!(copied.success(), "{} cannot be copied", draft.display());
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(copy, path).unwrap();
    fs::remove_file(draft).unwrap();
}
