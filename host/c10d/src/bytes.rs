//! Collectives on bytes, of another length on each rank, and on numbers. Knows nothing of what they mean.

use tch::{Kind, Tensor};

use crate::error::Error;
use crate::group::Group;
use crate::options::ReduceOp;

impl Group {
    /// The bytes of all ranks, by rank.
    ///
    /// Errors: as [`Group::all_reduce`].
    pub fn all_gather_bytes(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let lengths = self.lengths(bytes)?;
        let parts = self.all_gather(&padded(bytes, &lengths))?;
        Ok(parts.iter().zip(lengths).map(|(part, length)| read(part, length)).collect())
    }

    /// The bytes of all ranks by rank, on `root` alone.
    ///
    /// Errors: as [`Group::all_reduce`].
    pub fn gather_bytes(&self, bytes: &[u8], root: usize) -> Result<Option<Vec<Vec<u8>>>, Error> {
        let lengths = self.lengths(bytes)?;
        let parts = self.gather(&padded(bytes, &lengths), root)?;
        let read = |parts: Vec<Tensor>| {
            parts.iter().zip(&lengths).map(|(part, length)| read(part, *length)).collect()
        };
        Ok(parts.map(read))
    }

    /// The bytes of `root`; what other ranks hand over does not count.
    ///
    /// Errors: as [`Group::all_reduce`].
    pub fn broadcast_bytes(&self, bytes: &[u8], root: usize) -> Result<Vec<u8>, Error> {
        let mut length = Tensor::from_slice(&[bytes.len() as i64]);
        self.broadcast(&mut length, root)?;
        let length = length.int64_value(&[0]) as usize;
        let mut tensor = match self.rank() == root {
            true => Tensor::from_slice(bytes),
            false => Tensor::zeros([length as i64], (Kind::Uint8, tch::Device::Cpu)),
        };
        if length > 0 {
            self.broadcast(&mut tensor, root)?;
        }
        Ok(read(&tensor, length))
    }

    /// The element-wise sum, mean, … of numbers.
    ///
    /// Errors: as [`Group::all_reduce`].
    pub fn all_reduce_numbers(&self, values: &[f64], op: ReduceOp) -> Result<Vec<f64>, Error> {
        let mut tensor = Tensor::from_slice(values);
        if !values.is_empty() {
            self.all_reduce(&mut tensor, op)?;
        }
        let mut reduced = vec![0.0; values.len()];
        tensor.to_kind(Kind::Double).copy_data(&mut reduced, values.len());
        Ok(reduced)
    }

    fn lengths(&self, bytes: &[u8]) -> Result<Vec<usize>, Error> {
        let lengths = self.all_gather(&Tensor::from_slice(&[bytes.len() as i64]))?;
        Ok(lengths.iter().map(|length| length.int64_value(&[0]) as usize).collect())
    }
}

/// As long as the longest, and never empty.
fn padded(bytes: &[u8], lengths: &[usize]) -> Tensor {
    let longest = lengths.iter().copied().max().unwrap_or(0).max(1);
    let mut padded = bytes.to_vec();
    padded.resize(longest, 0);
    Tensor::from_slice(&padded)
}

fn read(tensor: &Tensor, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    tensor.narrow(0, 0, length as i64).copy_data(&mut bytes, length);
    bytes
}
