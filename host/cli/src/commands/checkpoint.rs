//! `snaphook checkpoint`: what is in one, and the way to PyTorch and back. Links no libtorch, runs no Python.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use snaphook_pth::{Pth, Tensor, is_pth};

use crate::args::{
    CheckpointExportArguments, CheckpointImportArguments, CheckpointShowArguments, Format,
};
use crate::{CliError, Exit, checkpoint_folder, output};

/// Names of tensors that are shown of a long list, in text.
const LONGEST_TEXT: usize = 200;

pub(super) fn show(arguments: &CheckpointShowArguments) -> Result<Exit, CliError> {
    let path = &arguments.checkpoint;
    let is_file = is_pth(path) || path.is_file();
    let pth = if is_file { snaphook_pth::read(path)? } else { checkpoint_folder::read(path)? };
    let text = match arguments.format {
        Format::Json => format!("{:#}\n", as_json(&pth)),
        Format::Text => as_text(path, &pth),
    };
    output::print(&text)?;
    Ok(Exit::Done)
}

/// `{"meta", "tensors": [{"name", "dtype", "shape"}], "has_raw_weights"}`.
fn as_json(pth: &Pth) -> Json {
    let tensors: Vec<Json> = pth
        .state_dict
        .iter()
        .map(|(name, tensor)| json!({ "name": name, "dtype": tensor.dtype.name(), "shape": tensor.shape }))
        .collect();
    json!({ "meta": pth.meta, "tensors": tensors, "has_raw_weights": pth.ema.is_some() })
}

fn as_text(path: &Path, pth: &Pth) -> String {
    let mut text = format!("{}\n", path.display());
    for key in
        ["epoch", "iter", "seed", "experiment_name", "time", "mmengine_version", "snaphook_version"]
    {
        if let Some(value) = pth.meta.get(key).filter(|value| !value.is_null()) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            line(&mut text, format_args!("  {key}: {}", output::plain(&value)));
        }
    }
    if let Some(classes) = pth.meta["dataset_meta"]["classes"].as_array() {
        let names: Vec<&str> = classes.iter().filter_map(Json::as_str).take(8).collect();
        let more = if classes.len() > 8 { ", …" } else { "" };
        line(
            &mut text,
            format_args!("  {} classes: {}{more}", classes.len(), output::plain(&names.join(", "))),
        );
    }
    if let Some((_, steps)) = &pth.ema {
        line(
            &mut text,
            format_args!("  averaged weights, {steps} updates; the raw ones are there too"),
        );
    }
    let numbers: usize = pth.state_dict.iter().map(|(_, tensor)| count(tensor)).sum();
    let bytes: usize = pth.state_dict.iter().map(|(_, tensor)| tensor.data.len()).sum();
    let tensors = pth.state_dict.len();
    line(
        &mut text,
        format_args!("  {tensors} tensors, {numbers} numbers, {:.1} MB", bytes as f64 / 1e6),
    );
    let shown = pth.state_dict.iter().take(LONGEST_TEXT);
    let rows: Vec<[String; 3]> = shown
        .map(|(name, tensor)| {
            let sizes = tensor.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
            [output::plain(name), tensor.dtype.name().to_owned(), sizes]
        })
        .collect();
    text += &output::table(&rows, "    ");
    if tensors > LONGEST_TEXT {
        line(
            &mut text,
            format_args!("    and {} more (--format json shows all)", tensors - LONGEST_TEXT),
        );
    }
    text
}

fn count(tensor: &Tensor) -> usize {
    tensor.data.len() / tensor.dtype.size()
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

pub(super) fn export(arguments: &CheckpointExportArguments) -> Result<Exit, CliError> {
    let target = &arguments.pth;
    if target.exists() && !arguments.force {
        let message =
            "expected nothing of this name, found a file (--force overwrites it)".to_owned();
        return Err(CliError::File { path: target.clone(), message });
    }
    let mut pth = checkpoint_folder::read(&arguments.checkpoint)?;
    as_mmengine_has_it(&mut pth.meta);
    snaphook_pth::write(target, &pth)?;
    output::print(&format!("{}: {} tensors\n", target.display(), pth.state_dict.len()))?;
    Ok(Exit::Done)
}

/// `cfg` becomes the text that MMEngine and MMDetection read a config from. It is JSON below one name after the other, in
/// Python's spelling.
fn as_mmengine_has_it(meta: &mut Json) {
    let Some(config) = meta.get("cfg").and_then(Json::as_object) else { return };
    let mut text = String::new();
    for (key, value) in config {
        text += key;
        text += " = ";
        push_python(&mut text, value);
        text.push('\n');
    }
    meta["cfg"] = Json::from(text);
}

fn push_python(text: &mut String, value: &Json) {
    match value {
        Json::Null => text.push_str("None"),
        Json::Bool(value) => text.push_str(if *value { "True" } else { "False" }),
        // JSON's escapes are Python's, but for pairs of surrogates, which serde_json does not write.
        Json::Number(_) | Json::String(_) => text.push_str(&value.to_string()),
        Json::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                push_python(text, item);
            }
            text.push(']');
        }
        Json::Object(map) => {
            text.push('{');
            for (index, (key, value)) in map.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                text.push_str(&Json::from(key.as_str()).to_string());
                text.push_str(": ");
                push_python(text, value);
            }
            text.push('}');
        }
    }
}

pub(super) fn import(arguments: &CheckpointImportArguments) -> Result<Exit, CliError> {
    let pth = snaphook_pth::read(&arguments.file)?;
    let target = arguments.out.clone().unwrap_or_else(|| without_ending(&arguments.file));
    checkpoint_folder::write(&target, &pth)?;
    output::print(&format!("{}: {} tensors\n", target.display(), pth.state_dict.len()))?;
    Ok(Exit::Done)
}

/// `epoch_3.pth` becomes `epoch_3` in the folder where the command is typed.
fn without_ending(file: &Path) -> PathBuf {
    let stem = file.file_stem().map_or_else(|| "checkpoint".into(), |stem| stem.to_owned());
    let target = PathBuf::from(stem);
    if target.as_path() == file { PathBuf::from("checkpoint") } else { target }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_becomes_python() {
        let mut meta = json!({"cfg": {"a": {"b": [1, 2.5, null, true]}, "text": "it's \"so\"\n"}});
        as_mmengine_has_it(&mut meta);
        assert_eq!(
            meta["cfg"],
            "a = {\"b\": [1, 2.5, None, True]}\ntext = \"it's \\\"so\\\"\\n\"\n"
        );
    }

    #[test]
    fn a_checkpoint_is_written_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("epoch_1");
        let weight =
            Tensor { dtype: snaphook_pth::Dtype::F32, shape: vec![1], data: vec![0, 0, 128, 63] };
        let named = vec![("w".to_owned(), weight)];
        let pth =
            Pth { meta: json!({"epoch": 1}), state_dict: named.clone(), ema: Some((named, 5)) };
        checkpoint_folder::write(&path, &pth).unwrap();
        assert_eq!(checkpoint_folder::read(&path).unwrap(), pth);
        let again = checkpoint_folder::write(&path, &pth).unwrap_err().to_string();
        assert!(again.contains("expected nothing of this name"), "{again}");
        std::fs::write(path.join("model.safetensors"), b"other").unwrap();
        let damaged = checkpoint_folder::read(&path).unwrap_err().to_string();
        assert!(damaged.contains("damaged: expected SHA-256"), "{damaged}");
    }
}
