//! Weights of a `.pth` file as a checkpoint. Knows nothing of models.

use std::path::Path;

use serde_json::Value as Json;
use snaphook_pth::{Dtype, NamedTensors};
use tch::{Kind, Tensor};

use super::{Checkpoint, CheckpointError, EMA};

/// Whether `path` is to be read as a file of PyTorch's.
pub(super) fn is_pth(path: &Path) -> bool {
    snaphook_pth::is_pth(path) && path.is_file()
}

/// Reads weights, averages beside them and `meta`; optimizer and schedules of MMEngine's are left out.
///
/// Errors: a file that is none of PyTorch's, damaged, or refused because it would run code in Python.
pub(super) fn load(path: &Path) -> Result<Checkpoint, CheckpointError> {
    let pth = snaphook_pth::read(path)?;
    let mut checkpoint =
        Checkpoint { meta: pth.meta, model: tensors(pth.state_dict), ..Checkpoint::default() };
    if let Some((raw, steps)) = pth.ema {
        checkpoint.tensors.insert(EMA.to_owned(), tensors(raw));
        checkpoint.entries.insert("ema".to_owned(), serde_json::json!({ "steps": steps }));
    }
    Ok(checkpoint)
}

/// Reads what a file says of itself.
///
/// Errors: as [`load`].
pub(super) fn read_meta(path: &Path) -> Result<Json, CheckpointError> {
    Ok(snaphook_pth::read(path)?.meta)
}

fn tensors(named: NamedTensors) -> Vec<(String, Tensor)> {
    let tensor = |(name, tensor): (String, snaphook_pth::Tensor)| {
        let shape: Vec<i64> = tensor.shape.iter().map(|size| *size as i64).collect();
        (name, Tensor::from_data_size(&tensor.data, &shape, kind(tensor.dtype)))
    };
    named.into_iter().map(tensor).collect()
}

fn kind(dtype: Dtype) -> Kind {
    match dtype {
        Dtype::F64 => Kind::Double,
        Dtype::F32 => Kind::Float,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        Dtype::I16 => Kind::Int16,
        Dtype::I8 => Kind::Int8,
        Dtype::U8 => Kind::Uint8,
        Dtype::Bool => Kind::Bool,
    }
}
