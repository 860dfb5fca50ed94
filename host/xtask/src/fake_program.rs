//! Small shell scripts that stand in for pip, Python and compilers in tests.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes an executable script into `folder`.
pub(crate) fn write(folder: &Path, name: &str, script: &str) {
    let path = folder.join(name);
    // Written elsewhere and renamed: a file that is open for writing in a test thread that forks
    // just then cannot be executed ("text file busy").
    let draft = folder.join(format!("{name}.draft"));
    fs::write(&draft, script).unwrap();
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(draft, path).unwrap();
}
