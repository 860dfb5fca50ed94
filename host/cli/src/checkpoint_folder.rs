//! Snaphook's checkpoint folders as far as weights go, without libtorch. Knows nothing of models or optimizers.
//!
//! The layout is that of `snaphook-runner`'s `checkpoint`; a test in `tests` lets one read what the other wrote.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};
use snaphook_pth::{Dtype, NamedTensors, Pth, Tensor};

use crate::CliError;

const FORMAT: &str = "snaphook checkpoint";
const VERSION: u64 = 1;

/// Reads meta and weights; every file that is read must be what was written.
///
/// Errors: no checkpoint, one of a later version, a file missing or changed.
pub(crate) fn read(folder: &Path) -> Result<Pth, CliError> {
    let files = manifest(folder)?;
    let state = verified(folder, &files, "state.json")?;
    let state: Json = serde_json::from_slice(&state)
        .map_err(|error| wrong(&folder.join("state.json"), format!("expected JSON: {error}")))?;
    let state_dict = weights(folder, &files, "model")?;
    let has_raw = files.contains_key("ema.safetensors");
    let ema = match has_raw {
        true => {
            let steps = state["entries"]["ema"]["steps"].as_u64().unwrap_or(0);
            Some((weights(folder, &files, "ema")?, steps))
        }
        false => None,
    };
    Ok(Pth { meta: state["meta"].clone(), state_dict, ema })
}

/// Writes a checkpoint that appears under its name when it is whole.
///
/// Errors: something of that name is there already, or it cannot be written.
pub(crate) fn write(folder: &Path, pth: &Pth) -> Result<(), CliError> {
    if std::fs::symlink_metadata(folder).is_ok() {
        return Err(wrong(
            folder,
            "expected nothing of this name, found something (choose another with --out)",
        ));
    }
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.ok_or_else(|| wrong(folder, "expected the name of a folder"))?;
    let draft = folder.with_file_name(format!(".{name}.writing-{}", std::process::id()));
    let result = write_draft(&draft, pth).and_then(|()| {
        std::fs::rename(&draft, folder).map_err(|error| not_written(folder, &error))
    });
    if result.is_err() {
        // The first error is the one to tell.
        let _ = std::fs::remove_dir_all(&draft);
    }
    result
}

fn write_draft(folder: &Path, pth: &Pth) -> Result<(), CliError> {
    std::fs::create_dir_all(folder).map_err(|error| not_written(folder, &error))?;
    let mut files = Map::new();
    let mut put = |name: &str, bytes: &[u8]| -> Result<(), CliError> {
        let path = folder.join(name);
        let written = File::create(&path).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.map_err(|error| not_written(&path, &error))?;
        files.insert(name.to_owned(), json!({ "bytes": bytes.len(), "sha256": hash(bytes) }));
        Ok(())
    };
    put("model.safetensors", &packed(folder, &pth.state_dict)?)?;
    let mut state = json!({ "meta": pth.meta, "optimizer": null, "groups": [], "entries": {} });
    if let Some((raw, steps)) = &pth.ema {
        put("ema.safetensors", &packed(folder, raw)?)?;
        state["groups"] = json!(["ema"]);
        state["entries"]["ema"] = json!({ "steps": steps });
    }
    put("state.json", state.to_string().as_bytes())?;
    let manifest = json!({ "format": FORMAT, "version": VERSION, "files": files });
    let path = folder.join("manifest.json");
    let write = || {
        let mut file = File::create(&path)?;
        file.write_all(manifest.to_string().as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| not_written(&path, &error))
}

fn packed(folder: &Path, tensors: &NamedTensors) -> Result<Vec<u8>, CliError> {
    let views: Result<Vec<_>, _> = tensors.iter().map(view).collect();
    let packed = views.and_then(|views| safetensors::serialize(views, None));
    packed.map_err(|error| wrong(folder, format!("expected tensors that can be written: {error}")))
}

fn view(
    (name, tensor): &(String, Tensor),
) -> Result<(String, TensorView<'_>), safetensors::SafeTensorError> {
    let view = TensorView::new(to_safetensors(tensor.dtype), tensor.shape.clone(), &tensor.data)?;
    Ok((name.clone(), view))
}

fn manifest(folder: &Path) -> Result<Map<String, Json>, CliError> {
    let path = folder.join("manifest.json");
    let bytes = std::fs::read(&path).map_err(|error| match folder.exists() {
        true => wrong(
            folder,
            format!("expected a checkpoint, found no manifest.json that can be read ({error})"),
        ),
        false => wrong(folder, "expected a checkpoint, found nothing"),
    })?;
    let manifest: Json = serde_json::from_slice(&bytes)
        .map_err(|error| wrong(&path, format!("expected the manifest of a checkpoint: {error}")))?;
    match manifest["version"].as_u64().filter(|_| manifest["format"] == FORMAT) {
        Some(version) if version > VERSION => {
            let message = format!(
                "expected a checkpoint of version {VERSION}, found {version} (update Snaphook)"
            );
            Err(wrong(folder, message))
        }
        Some(_) => Ok(manifest["files"].as_object().cloned().unwrap_or_default()),
        None => Err(wrong(&path, "expected the manifest of a checkpoint, found something else")),
    }
}

fn verified(folder: &Path, files: &Map<String, Json>, name: &str) -> Result<Vec<u8>, CliError> {
    let path = folder.join(name);
    let record =
        files.get(name).ok_or_else(|| wrong(&path, "expected in the checkpoint, found nothing"))?;
    let bytes =
        std::fs::read(&path).map_err(|error| wrong(&path, format!("cannot be read: {error}")))?;
    let found = hash(&bytes);
    if record["sha256"] == found {
        return Ok(bytes);
    }
    let expected = record["sha256"].as_str().unwrap_or("?");
    Err(wrong(&path, format!("damaged: expected SHA-256 {expected}, found {found}")))
}

fn weights(
    folder: &Path,
    files: &Map<String, Json>,
    group: &str,
) -> Result<NamedTensors, CliError> {
    let name = format!("{group}.safetensors");
    let bytes = verified(folder, files, &name)?;
    let malformed =
        |found: String| wrong(&folder.join(&name), format!("expected safetensors: {found}"));
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| malformed(error.to_string()))?;
    let mut named = Vec::new();
    for (name, view) in tensors.iter() {
        let dtype = from_safetensors(view.dtype());
        let dtype = dtype.ok_or_else(|| malformed(format!("{name} is {:?}", view.dtype())))?;
        let (shape, data) = (view.shape().to_vec(), view.data().to_vec());
        named.push((name.to_owned(), Tensor { dtype, shape, data }));
    }
    named.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(named)
}

const DTYPES: [(Dtype, safetensors::Dtype); 10] = [
    (Dtype::F64, safetensors::Dtype::F64),
    (Dtype::F32, safetensors::Dtype::F32),
    (Dtype::F16, safetensors::Dtype::F16),
    (Dtype::BF16, safetensors::Dtype::BF16),
    (Dtype::I64, safetensors::Dtype::I64),
    (Dtype::I32, safetensors::Dtype::I32),
    (Dtype::I16, safetensors::Dtype::I16),
    (Dtype::I8, safetensors::Dtype::I8),
    (Dtype::U8, safetensors::Dtype::U8),
    (Dtype::Bool, safetensors::Dtype::BOOL),
];

fn to_safetensors(dtype: Dtype) -> safetensors::Dtype {
    let found = DTYPES.iter().find(|(ours, _)| *ours == dtype);
    found.expect("every kind of number has a line").1
}

fn from_safetensors(dtype: safetensors::Dtype) -> Option<Dtype> {
    DTYPES.iter().find(|(_, theirs)| *theirs == dtype).map(|(ours, _)| *ours)
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn wrong(path: &Path, message: impl Into<String>) -> CliError {
    CliError::File { path: PathBuf::from(path), message: message.into() }
}

fn not_written(path: &Path, error: &std::io::Error) -> CliError {
    wrong(path, format!("cannot be written: {error}"))
}
