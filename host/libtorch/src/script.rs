//! Modules of TorchScript whose buffers are told. The C++ side is `shim/script.cpp`.

use std::ffi::{CString, c_char, c_void};
use std::path::Path;

type Tell = extern "C" fn(*mut c_void, *const c_char, usize);

unsafe extern "C" {
    fn snaphook_script_with_buffers(path: *const c_char, context: *mut c_void, tell: Tell) -> bool;
}

/// The bytes of the module of a file with one method more, `state_buffers() -> Dict[str, Tensor]`: its buffers by their
/// dotted names, which are saved and not trained (running means of batch norms). `None` where it has such a method.
///
/// Errors: what libtorch says of a file that is no module, or of a buffer that its language cannot name.
///
/// # Examples
///
/// ```
/// # use std::path::Path;
/// assert!(snaphook_libtorch::script_with_buffers(Path::new("is/not/there.pt")).is_err());
/// ```
pub fn script_with_buffers(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let path = CString::new(path.as_os_str().as_encoded_bytes()).map_err(|e| e.to_string())?;
    let mut bytes: Vec<u8> = Vec::new();
    let context = std::ptr::from_mut(&mut bytes).cast();
    // SAFETY: the path ends with a zero and the bytes are nobody else's through the call, which throws nothing and calls
    // `take` with this context alone.
    let is_done = unsafe { snaphook_script_with_buffers(path.as_ptr(), context, take) };
    match is_done {
        true => Ok(Some(bytes).filter(|bytes| !bytes.is_empty())),
        false => Err(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

extern "C" fn take(context: *mut c_void, bytes: *const c_char, length: usize) {
    // SAFETY: the context is the vector of the call that goes on, and the bytes live through this one.
    let (all, bytes) = unsafe {
        (&mut *context.cast::<Vec<u8>>(), std::slice::from_raw_parts(bytes.cast::<u8>(), length))
    };
    all.extend_from_slice(bytes);
}
