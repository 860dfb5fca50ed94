//! Tensors as bytes, and what a file holds. Knows nothing of pickles.

use serde_json::Value as Json;

/// Tensors with their names, in the order of the file.
pub type NamedTensors = Vec<(String, Tensor)>;

/// What is kept of a `.pth` file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pth {
    /// `meta`, as far as JSON can say it: tuples are arrays, and what is neither number nor text is null.
    pub meta: Json,
    /// The weights.
    pub state_dict: NamedTensors,
    /// MMEngine's raw weights beside averaged ones, without the leading `module.`, and how many updates there were.
    pub ema: Option<(NamedTensors, u64)>,
}

/// A tensor: its numbers one after another, little-endian, the last dimension fastest.
#[derive(Clone, PartialEq, Eq)]
pub struct Tensor {
    /// The kind of number.
    pub dtype: Dtype,
    /// Sizes of its dimensions.
    pub shape: Vec<usize>,
    /// The numbers' bytes.
    pub data: Vec<u8>,
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.dtype.name(), self.shape)
    }
}

/// A kind of number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Dtype {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Dtype {
    /// All of them.
    pub const ALL: [Dtype; 10] = [
        Dtype::F64,
        Dtype::F32,
        Dtype::F16,
        Dtype::BF16,
        Dtype::I64,
        Dtype::I32,
        Dtype::I16,
        Dtype::I8,
        Dtype::U8,
        Dtype::Bool,
    ];

    /// PyTorch's name: `float32`.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::F64 => "float64",
            Dtype::F32 => "float32",
            Dtype::F16 => "float16",
            Dtype::BF16 => "bfloat16",
            Dtype::I64 => "int64",
            Dtype::I32 => "int32",
            Dtype::I16 => "int16",
            Dtype::I8 => "int8",
            Dtype::U8 => "uint8",
            Dtype::Bool => "bool",
        }
    }

    /// Bytes of a number.
    pub fn size(self) -> usize {
        match self {
            Dtype::F64 | Dtype::I64 => 8,
            Dtype::F32 | Dtype::I32 => 4,
            Dtype::F16 | Dtype::BF16 | Dtype::I16 => 2,
            Dtype::I8 | Dtype::U8 | Dtype::Bool => 1,
        }
    }

    /// The class that PyTorch names in a pickle.
    pub(crate) fn storage(self) -> &'static str {
        match self {
            Dtype::F64 => "DoubleStorage",
            Dtype::F32 => "FloatStorage",
            Dtype::F16 => "HalfStorage",
            Dtype::BF16 => "BFloat16Storage",
            Dtype::I64 => "LongStorage",
            Dtype::I32 => "IntStorage",
            Dtype::I16 => "ShortStorage",
            Dtype::I8 => "CharStorage",
            Dtype::U8 => "ByteStorage",
            Dtype::Bool => "BoolStorage",
        }
    }
}
