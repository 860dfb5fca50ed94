//! PyTorch's `.pth` files without PyTorch: read as data, never run, and written so that
//! `torch.load(…, weights_only=True)` takes them. Links no libtorch; knows nothing of models.
//!
//! ```text
//! .pth ─► archive: zip, or the stream of PyTorch before 1.6 ─► machine: pickle, no code ─► read ─► Pth
//! Pth ─► write: pickle and zip of our own ─► .pth
//! ```
//!
//! A pickle is a program. The machine here knows the instructions that build lists, dicts and tensors, and a list of names
//! (see `globals`) that may stand in it. Of these only tensors and ordered dicts mean something; the others become values
//! that nobody looks into. Any other name makes the file a refused one.
//!
//! ```
//! use snaphook_pth::{Dtype, Pth, Tensor, read, write};
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("a.pth");
//! let weight = Tensor { dtype: Dtype::I32, shape: vec![2], data: vec![1, 0, 0, 0, 2, 0, 0, 0] };
//! let pth = Pth { state_dict: vec![("weight".into(), weight)], ..Pth::default() };
//! write(&path, &pth)?;
//! assert_eq!(read(&path)?, pth);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod archive;
mod error;
mod globals;
mod machine;
mod read;
mod script;
mod tensor;
mod write;

pub use error::PthError;
pub use read::read;
pub use script::script_uses_batch_norm;
pub use tensor::{Dtype, NamedTensors, Pth, Tensor};
pub use write::write;

/// Whether a path is called like a PyTorch file.
pub fn is_pth(path: &std::path::Path) -> bool {
    path.extension().is_some_and(|ending| ending == "pth" || ending == "pt")
}
