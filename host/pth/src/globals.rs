//! The names that may stand in a pickle. Knows nothing of its instructions.

use crate::Dtype;
use crate::error::Fault;

/// What a name in a pickle means here.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Dtype),
    /// A value that nobody looks into: whatever is made with it is one, too.
    Inert,
}

/// Names in the files of PyTorch and MMEngine that have no meaning for weights.
const INERT: [(&str, &[&str]); 13] = [
    ("collections", &["Counter", "defaultdict", "deque"]),
    ("_codecs", &["encode"]),
    ("__builtin__", &["getattr", "set", "frozenset", "slice", "complex", "bytearray"]),
    ("builtins", &["getattr", "set", "frozenset", "slice", "complex", "bytearray"]),
    ("numpy", &["ndarray", "dtype"]),
    ("numpy.core.multiarray", &["_reconstruct", "scalar"]),
    ("numpy._core.multiarray", &["_reconstruct", "scalar"]),
    ("numpy.core.numeric", &["_frombuffer"]),
    ("numpy._core.numeric", &["_frombuffer"]),
    ("mmengine.logging.history_buffer", &["HistoryBuffer"]),
    ("mmengine.config.config", &["ConfigDict"]),
    ("torch", &["Size", "device", "float16", "float32", "float64", "bfloat16", "int64"]),
    ("datetime", &["datetime"]),
];

/// Looks a name up.
///
/// Errors: it is none of those that may stand in a file.
pub(crate) fn look_up(module: &str, name: &str) -> Result<Global, Fault> {
    if module == "torch"
        && let Some(dtype) = Dtype::ALL.into_iter().find(|dtype| dtype.storage() == name)
    {
        return Ok(Global::Storage(dtype));
    }
    match (module, name) {
        ("collections", "OrderedDict") => Ok(Global::OrderedDict),
        ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => Ok(Global::RebuildTensor),
        ("torch._utils", "_rebuild_parameter") => Ok(Global::RebuildParameter),
        _ if INERT.iter().any(|(known, names)| *known == module && names.contains(&name)) => {
            Ok(Global::Inert)
        }
        _ => Err(Fault::Forbidden(format!("{module}.{name}"))),
    }
}
