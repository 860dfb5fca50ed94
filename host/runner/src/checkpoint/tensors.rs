//! Named tensors as a safetensors file, written in one pass while it is hashed.
//! Knows nothing of what the tensors are.

use std::io::{self, Write};
use std::path::Path;

use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensors};
use tch::{Device, Kind, Tensor, no_grad};

use super::CheckpointError;

/// The header's length comes first, in 8 bytes; tensors begin at a multiple of as many.
const ALIGNMENT: usize = 8;

/// Writes tensors to `out`; the largest elements first, so that all are aligned, then by name.
pub(super) fn write(
    tensors: &[(String, Tensor)],
    out: &mut impl Write,
    path: &Path,
) -> Result<(), CheckpointError> {
    let mut sorted = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        sorted.push((
            name,
            dtype(tensor.kind()).ok_or_else(|| unsupported(path, name, tensor))?,
            tensor,
        ));
    }
    sorted.sort_by(|a, b| element_size(b.2).cmp(&element_size(a.2)).then_with(|| a.0.cmp(b.0)));
    let mut offset = 0;
    let mut infos = Vec::with_capacity(sorted.len());
    for (name, dtype, tensor) in &sorted {
        let end = offset + tensor.numel() * element_size(tensor);
        let shape = tensor.size().iter().map(|&size| size as usize).collect();
        infos.push((
            (*name).clone(),
            TensorInfo { dtype: *dtype, shape, data_offsets: (offset, end) },
        ));
        offset = end;
    }
    let header = header(infos).map_err(CheckpointError::write(path))?;
    out.write_all(&header).map_err(CheckpointError::write(path))?;
    let mut bytes = Vec::new();
    for (_, _, tensor) in sorted {
        read_bytes(tensor, &mut bytes).map_err(CheckpointError::write(path))?;
        out.write_all(&bytes).map_err(CheckpointError::write(path))?;
    }
    Ok(())
}

fn header(infos: Vec<(String, TensorInfo)>) -> io::Result<Vec<u8>> {
    let format = [("format".to_owned(), "pt".to_owned())];
    let metadata =
        Metadata::new(Some(format.into_iter().collect()), infos).map_err(io::Error::other)?;
    let mut json = serde_json::to_vec(&metadata)?;
    json.resize(json.len().next_multiple_of(ALIGNMENT), b' ');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.append(&mut json);
    Ok(header)
}

fn read_bytes(tensor: &Tensor, bytes: &mut Vec<u8>) -> io::Result<()> {
    let tensor = no_grad(|| tensor.detach().to_device(Device::Cpu).contiguous());
    bytes.clear();
    bytes.resize(tensor.numel() * element_size(&tensor), 0);
    if bytes.is_empty() {
        return Ok(());
    }
    tensor.f_copy_data_u8(bytes, tensor.numel()).map_err(io::Error::other)
}

/// The tensors of a safetensors file, by name, on the CPU.
pub(super) fn read(bytes: &[u8], path: &Path) -> Result<Vec<(String, Tensor)>, CheckpointError> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| CheckpointError::Malformed {
        path: path.to_owned(),
        expected: "tensors in the safetensors format",
        found: error.to_string(),
    })?;
    let mut tensors = Vec::with_capacity(file.len());
    for (name, view) in file.iter() {
        let failed = |reason| CheckpointError::Tensor {
            path: path.to_owned(),
            name: name.to_owned(),
            reason,
        };
        let kind = kind(view.dtype())
            .ok_or_else(|| failed(format!("unknown element type {:?}", view.dtype())))?;
        let size: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
        let tensor = if view.data().is_empty() {
            Ok(Tensor::zeros(size.as_slice(), (kind, Device::Cpu)))
        } else {
            Tensor::f_from_data_size(view.data(), &size, kind)
        };
        tensors.push((name.to_owned(), tensor.map_err(|error| failed(error.to_string()))?));
    }
    tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(tensors)
}

fn element_size(tensor: &Tensor) -> usize {
    tensor.kind().elt_size_in_bytes()
}

fn unsupported(path: &Path, name: &str, tensor: &Tensor) -> CheckpointError {
    let reason =
        format!("expected real numbers, whole numbers or truth values, found {:?}", tensor.kind());
    CheckpointError::Tensor { path: path.to_owned(), name: name.to_owned(), reason }
}

fn dtype(kind: Kind) -> Option<Dtype> {
    KINDS.iter().find(|(other, _)| *other == kind).map(|(_, dtype)| *dtype)
}

fn kind(dtype: Dtype) -> Option<Kind> {
    KINDS.iter().find(|(_, other)| *other == dtype).map(|(kind, _)| *kind)
}

const KINDS: [(Kind, Dtype); 10] = [
    (Kind::Bool, Dtype::BOOL),
    (Kind::Uint8, Dtype::U8),
    (Kind::Int8, Dtype::I8),
    (Kind::Int16, Dtype::I16),
    (Kind::Int, Dtype::I32),
    (Kind::Int64, Dtype::I64),
    (Kind::Half, Dtype::F16),
    (Kind::BFloat16, Dtype::BF16),
    (Kind::Float, Dtype::F32),
    (Kind::Double, Dtype::F64),
];
