//! Writes a `.pth` file in MMEngine's layout. Knows nothing of how one is read.
//!
//! Source: PyTorch 2.11 `torch/serialization.py`, `_save` (the archive), `torch/_utils.py`, `_rebuild_tensor_v2` (what a tensor
//! is in it).

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::Value as Json;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::{Dtype, Pth, PthError, Tensor};

/// Where PyTorch wants numbers to begin, so that it can map the file into memory.
const ALIGNMENT: u16 = 64;

/// Writes `pth` so that `torch.load(path, weights_only=True)` gives a dict with `meta`, `state_dict` and, where there are
/// raw weights, `ema_state_dict`. The file appears under its name when it is whole.
///
/// Errors: a full disk, a folder that cannot be written to.
pub fn write(path: &Path, pth: &Pth) -> Result<(), PthError> {
    let failed = |source| PthError::File { path: path.to_owned(), source };
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.ok_or_else(|| failed(std::io::Error::other("expected the name of a file")))?;
    let draft = path.with_file_name(format!(".{name}.writing-{}", std::process::id()));
    let result = write_archive(&draft, pth).and_then(|()| std::fs::rename(&draft, path));
    result.map_err(|error| {
        // The first error is the one to tell.
        let _ = std::fs::remove_file(&draft);
        failed(error)
    })
}

fn write_archive(path: &Path, pth: &Pth) -> std::io::Result<()> {
    let mut zip = ZipWriter::new(BufWriter::new(File::create(path)?));
    let mut pickle = Pickle::default();
    let steps = pth.ema.as_ref().map(|(_, steps)| Tensor {
        dtype: Dtype::I64,
        shape: Vec::new(),
        data: steps.to_le_bytes().to_vec(),
    });
    pickle.checkpoint(pth, steps.as_ref());
    let mut entry = |name: &str, bytes: &[u8]| -> std::io::Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .with_alignment(ALIGNMENT)
            .large_file(bytes.len() as u64 >= u64::from(u32::MAX));
        zip.start_file(format!("archive/{name}"), options)?;
        zip.write_all(bytes)
    };
    entry("data.pkl", &pickle.bytes)?;
    entry("byteorder", b"little")?;
    for (key, tensor) in pickle.storages.iter().enumerate() {
        entry(&format!("data/{key}"), &tensor.data)?;
    }
    entry("version", b"3\n")?;
    let file = zip.finish()?.into_inner().map_err(|error| error.into_error())?;
    file.sync_all()
}

/// The instructions of a pickle, and the tensors that they refer to.
#[derive(Default)]
struct Pickle<'a> {
    bytes: Vec<u8>,
    storages: Vec<&'a Tensor>,
}

impl<'a> Pickle<'a> {
    fn checkpoint(&mut self, pth: &'a Pth, steps: Option<&'a Tensor>) {
        self.bytes.extend(b"\x80\x02}(");
        self.text("meta");
        self.json(&pth.meta);
        self.text("state_dict");
        self.tensors(&pth.state_dict, "");
        if let (Some((weights, _)), Some(steps)) = (&pth.ema, steps) {
            self.text("ema_state_dict");
            self.tensors(weights, "module.");
            self.text("steps");
            self.tensor(steps);
            self.bytes.push(b's');
        }
        self.bytes.extend(b"u.");
    }

    /// An ordered dict of tensors.
    fn tensors(&mut self, tensors: &'a [(String, Tensor)], prefix: &str) {
        self.bytes.extend(b"ccollections\nOrderedDict\n)R(");
        for (name, tensor) in tensors {
            self.text(&format!("{prefix}{name}"));
            self.tensor(tensor);
        }
        self.bytes.push(b'u');
    }

    fn tensor(&mut self, tensor: &'a Tensor) {
        self.bytes.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage");
        self.bytes.extend(format!("ctorch\n{}\n", tensor.dtype.storage()).bytes());
        self.text(&self.storages.len().to_string());
        self.text("cpu");
        self.int((tensor.data.len() / tensor.dtype.size()) as i64);
        self.bytes.extend(b"tQ");
        self.int(0);
        let mut strides = vec![1; tensor.shape.len()];
        for axis in (1..tensor.shape.len()).rev() {
            strides[axis - 1] = strides[axis] * tensor.shape[axis].max(1);
        }
        self.sizes(&tensor.shape);
        self.sizes(&strides);
        self.bytes.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        self.storages.push(tensor);
    }

    fn sizes(&mut self, sizes: &[usize]) {
        self.bytes.push(b'(');
        sizes.iter().for_each(|size| self.int(*size as i64));
        self.bytes.push(b't');
    }

    fn json(&mut self, value: &Json) {
        match value {
            Json::Null => self.bytes.push(b'N'),
            Json::Bool(value) => self.bytes.push(if *value { 0x88 } else { 0x89 }),
            Json::Number(number) => match number.as_i64() {
                Some(number) => self.int(number),
                None => {
                    self.bytes.push(b'G');
                    self.bytes.extend(number.as_f64().unwrap_or(f64::NAN).to_be_bytes());
                }
            },
            Json::String(text) => self.text(text),
            Json::Array(items) => {
                self.bytes.extend(b"](");
                items.iter().for_each(|item| self.json(item));
                self.bytes.push(b'e');
            }
            Json::Object(map) => {
                self.bytes.extend(b"}(");
                for (key, value) in map {
                    self.text(key);
                    self.json(value);
                }
                self.bytes.push(b'u');
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes.push(b'X');
        self.bytes.extend((text.len() as u32).to_le_bytes());
        self.bytes.extend(text.bytes());
    }

    fn int(&mut self, number: i64) {
        match i32::try_from(number) {
            Ok(number) => {
                self.bytes.push(b'J');
                self.bytes.extend(number.to_le_bytes());
            }
            Err(_) => {
                self.bytes.extend([0x8a, 8]);
                self.bytes.extend(number.to_le_bytes());
            }
        }
    }
}
