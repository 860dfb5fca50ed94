//! Opens a shared library that is no plugin, for what it registers when it is opened: libtorch's CUDA part.

use std::path::Path;

/// Opens a library and keeps it open for good.
///
/// Errors: what the dynamic linker said.
pub fn open_system_library(path: &Path) -> Result<(), libloading::Error> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: the library's constructors run here. The caller names a part of the libtorch that this process
    // already runs, from the same folder, so nothing is run that was not trusted before.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL)? };
    std::mem::forget(library);
    Ok(())
}
