//! The repository's `.libtorch`, the one path that builds depend on.
//!
//! It is a link so that all checkouts share one assembled folder, and stays the same path when the
//! folder behind it changes: nothing is compiled again.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::LibtorchError;

/// Where the link leads, if it leads anywhere.
pub(crate) fn linked_folder(link: &Path) -> Option<PathBuf> {
    fs::canonicalize(link).ok()
}

/// Makes `link` lead to `folder`; an older link is replaced in one step.
pub(crate) fn point(link: &Path, folder: &Path) -> Result<(), LibtorchError> {
    let is_other = fs::symlink_metadata(link).is_ok_and(|data| !data.is_symlink());
    if is_other {
        return Err(LibtorchError::LinkInTheWay { path: link.to_path_buf() });
    }
    let draft = link.with_extension(format!("draft-{}", std::process::id()));
    std::os::unix::fs::symlink(folder, &draft)
        .map_err(LibtorchError::io("make a link there", &draft))?;
    fs::rename(&draft, link).map_err(LibtorchError::io("put the link there", link))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dangling_link_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let (link, folder) = (root.path().join(".libtorch"), root.path().join("real"));
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink("/nowhere/at/all", &link).unwrap();
        assert_eq!(linked_folder(&link), None);
        point(&link, &folder).unwrap();
        assert_eq!(linked_folder(&link), Some(folder.canonicalize().unwrap()));
    }

    #[test]
    fn a_folder_in_the_place_of_the_link_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join(".libtorch");
        fs::create_dir(&link).unwrap();
        let error = point(&link, root.path()).unwrap_err();
        assert!(error.to_string().contains("move it away"), "{error}");
        assert!(link.is_dir());
    }
}
