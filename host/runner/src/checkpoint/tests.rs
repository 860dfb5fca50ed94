//! Checkpoints written, killed, damaged and read.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use tch::{Device, Kind, Tensor, no_grad};

use super::*;
use crate::optim::OptimState;
use crate::state::{Layer, ModelState, Scope};

fn named(name: &str, tensor: Tensor) -> (String, Tensor) {
    (name.to_owned(), tensor)
}

/// Tensors of every kind, with the awkward ones: empty, without dimensions, not contiguous, not a number.
fn checkpoint() -> Checkpoint {
    let mut checkpoint = Checkpoint {
        meta: json!({"epoch": 3, "iter": 135, "time": 0.1 + 0.2}),
        model: vec![
            named(
                "stem.weight",
                Tensor::from_slice(&[1.5f32, f32::NAN, -0.0, f32::MIN_POSITIVE]).view([2, 2]).tr(),
            ),
            named("stem.num_batches_tracked", Tensor::from(7i64)),
            named("empty", Tensor::zeros([0, 3], (Kind::Float, Device::Cpu))),
            named("flag", Tensor::from_slice(&[true, false, true])),
            named("half", Tensor::from_slice(&[0.1f32, 7.0]).to_kind(Kind::Half)),
            named("brain", Tensor::from_slice(&[0.1f32]).to_kind(Kind::BFloat16)),
            named("double", Tensor::from_slice(&[0.1f64])),
            named("byte", Tensor::from_slice(&[1u8, 255])),
        ],
        optimizer: Some(OptimState {
            scalars: json!({"type": "SGD", "lr": 1e-3 / 3.0}),
            tensors: vec![named("momentum_buffer.stem.weight", Tensor::from_slice(&[0.25f32]))],
        }),
        ..Checkpoint::default()
    };
    checkpoint.entries.insert("hooks".into(), json!([{"type": "EMAHook"}]));
    checkpoint
        .tensors
        .insert("ema".into(), vec![named("stem.weight", Tensor::from_slice(&[9i32]))]);
    checkpoint
}

fn small(value: f32) -> Checkpoint {
    let model = vec![named("weight", Tensor::from_slice(&[value]))];
    Checkpoint { meta: json!({"value": value}), model, ..Checkpoint::default() }
}

fn bytes(tensor: &Tensor) -> Vec<u8> {
    let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    if !bytes.is_empty() {
        tensor.contiguous().copy_data_u8(&mut bytes, tensor.numel());
    }
    bytes
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

fn message(result: Result<Checkpoint, CheckpointError>) -> String {
    result.map(drop).unwrap_err().to_string()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in names_in(from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

#[test]
fn a_checkpoint_comes_back_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = save(&checkpoint(), &folder.path().join("new"), "epoch_3").unwrap();
    let (written, read) = (checkpoint(), load(&path).unwrap());
    assert_eq!(read.model.len(), written.model.len());
    for (name, tensor) in &written.model {
        let (_, other) = read.model.iter().find(|(key, _)| key == name).unwrap();
        assert_eq!(
            (other.kind(), other.size(), bytes(other)),
            (tensor.kind(), tensor.size(), bytes(tensor)),
            "{name}"
        );
    }
    assert_eq!(read.meta.to_string(), written.meta.to_string());
    assert_eq!(read.entries, written.entries);
    let (optimizer, expected) = (read.optimizer.unwrap(), written.optimizer.unwrap());
    assert_eq!(optimizer.scalars, expected.scalars);
    assert_eq!(bytes(&optimizer.tensors[0].1), bytes(&expected.tensors[0].1));
    assert_eq!(read.tensors["ema"][0].1.kind(), Kind::Int);
    assert_eq!(read_meta(&path).unwrap()["epoch"], 3);
    assert_eq!(names_in(&folder.path().join("new")), ["epoch_3"]);
}

#[test]
fn weights_are_plain_safetensors() {
    let folder = tempfile::tempdir().unwrap();
    let path = save(&small(2.5), folder.path(), "epoch_1").unwrap();
    let file = fs::read(path.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
    assert_eq!(tensors.tensor("weight").unwrap().data(), 2.5f32.to_le_bytes());
    let (_, header) = safetensors::SafeTensors::read_metadata(&file).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["format"], "pt");
}

#[test]
fn a_checkpoint_of_the_same_name_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    save(&small(1.0), folder.path(), "epoch_1").unwrap();
    let path = save(&small(2.0), folder.path(), "epoch_1").unwrap();
    assert_eq!(load(&path).unwrap().meta["value"], 2.0);
    assert_eq!(names_in(folder.path()), ["epoch_1"]);
}

/// What is on the disk at each moment of a write is taken from a real one: files appear one after another, the manifest
/// last, then come the renames. No process has the number 4294967295.
#[test]
fn a_writer_killed_at_any_moment_leaves_the_old_checkpoint_or_the_new_one() {
    let source = tempfile::tempdir().unwrap();
    let old = save(&small(1.0), source.path(), "old").unwrap();
    let new = save(&checkpoint(), source.path(), "new").unwrap();
    let mut files = names_in(&new);
    files.retain(|name| name != "manifest.json");
    files.push("manifest.json".into());
    for written in 0..=files.len() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("epoch_1");
        copy(&old, &target);
        let draft = folder.path().join(".epoch_1.writing-4294967295");
        fs::create_dir(&draft).unwrap();
        for name in &files[..written] {
            let content = fs::read(new.join(name)).unwrap();
            fs::write(draft.join(name), &content[..content.len() / 2]).unwrap();
        }
        assert_eq!(clean_leftovers(folder.path()).unwrap(), [draft]);
        assert_eq!(load(&target).unwrap().meta["value"], 1.0);
        assert_eq!(names_in(folder.path()), ["epoch_1"]);
    }
    // Between the two renames: the old one has lost its name.
    let folder = tempfile::tempdir().unwrap();
    copy(&old, &folder.path().join(".epoch_1.replaced-4294967295"));
    copy(&new, &folder.path().join(".epoch_1.writing-4294967295"));
    clean_leftovers(folder.path()).unwrap();
    assert_eq!(load(&folder.path().join("epoch_1")).unwrap().meta["value"], 1.0);
    // After both, before the old one is removed.
    let folder = tempfile::tempdir().unwrap();
    copy(&old, &folder.path().join(".epoch_1.replaced-4294967295"));
    copy(&new, &folder.path().join("epoch_1"));
    clean_leftovers(folder.path()).unwrap();
    assert_eq!(load(&folder.path().join("epoch_1")).unwrap().meta["epoch"], 3);
    assert_eq!(names_in(folder.path()), ["epoch_1"]);
}

#[test]
fn leftovers_of_a_living_writer_and_other_files_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    // Process 1 lives as long as the system does.
    for name in [".epoch_1.writing-1", ".git", ".notes.txt", "epoch_2"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    assert!(clean_leftovers(folder.path()).unwrap().is_empty());
    assert_eq!(names_in(folder.path()).len(), 4);
    assert!(clean_leftovers(&folder.path().join("absent")).unwrap().is_empty());
}

#[test]
fn a_failed_write_leaves_nothing_and_the_old_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = save(&small(1.0), folder.path(), "epoch_1").unwrap();
    let mut broken = small(2.0);
    // A group whose folder does not exist: creating the file fails as it does on a full disk.
    broken.tensors.insert("absent/ema".into(), Vec::new());
    let error = save(&broken, folder.path(), "epoch_1").unwrap_err();
    assert!(error.is_write() && error.to_string().contains("absent/ema.safetensors"), "{error}");
    assert_eq!(names_in(folder.path()), ["epoch_1"]);
    assert_eq!(load(&path).unwrap().meta["value"], 1.0);
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let mut file = fs::File::create(full).unwrap();
    let result =
        super::tensors::write(&small(1.0).model, &mut file, Path::new("epoch_1/model.safetensors"));
    let error = result.unwrap_err();
    assert!(error.is_write() && error.to_string().contains("epoch_1/model.safetensors"), "{error}");
}

#[test]
fn a_flipped_byte_is_told_with_file_and_hashes() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["model.safetensors", "optimizer.safetensors", "ema.safetensors", "state.json"] {
        let path = save(&checkpoint(), folder.path(), "epoch_3").unwrap();
        let file = path.join(name);
        let mut content = fs::read(&file).unwrap();
        let last = content.len() - 1;
        content[last] ^= 1;
        fs::write(&file, content).unwrap();
        let text = message(load(&path));
        let manifest: Json =
            serde_json::from_slice(&fs::read(path.join("manifest.json")).unwrap()).unwrap();
        let expected = manifest["files"][name]["sha256"].as_str().unwrap();
        assert!(text.contains(name) && text.contains(expected) && text.contains("found"), "{text}");
    }
}

#[test]
fn what_is_not_a_whole_checkpoint_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = save(&checkpoint(), folder.path(), "epoch_3").unwrap();
    fs::remove_file(path.join("ema.safetensors")).unwrap();
    assert!(
        message(load(&path)).contains("ema.safetensors: is missing"),
        "{}",
        message(load(&path))
    );
    assert!(message(load(&folder.path().join("epoch_9"))).ends_with("epoch_9: does not exist"));
    assert!(message(load(folder.path())).ends_with("found a folder without one"));
    let file = folder.path().join("epoch_1.pth");
    fs::write(&file, "x").unwrap();
    assert!(message(load(&file)).contains("epoch_1.pth: expected a PyTorch file, found"));
    fs::write(path.join("manifest.json"), "{\"format\":").unwrap();
    assert!(message(load(&path)).contains("manifest.json: expected the manifest"));
    fs::write(path.join("manifest.json"), r#"{"format": "snaphook checkpoint", "version": 2}"#)
        .unwrap();
    assert!(message(load(&path)).contains("format version 2, this program reads up to 1"));
    let outside = r#"{"format": "snaphook checkpoint", "version": 1,
        "files": {"../state.json": {"bytes": 1, "sha256": ""}}}"#;
    fs::write(path.join("manifest.json"), outside).unwrap();
    assert!(message(load(&path)).contains("no list of files"));
}

#[test]
fn the_last_checkpoint_is_found_even_when_the_folder_moved() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (folder.path().join("before"), folder.path().join("after"));
    assert_eq!(find_last(&before).unwrap(), None);
    let path = save(&small(1.0), &before, "epoch_1").unwrap();
    write_last(&before, &path).unwrap();
    let text = fs::read_to_string(before.join("last_checkpoint")).unwrap();
    assert_eq!(PathBuf::from(text), path);
    assert_eq!(find_last(&before).unwrap(), Some(path));
    fs::rename(&before, &after).unwrap();
    assert_eq!(find_last(&after).unwrap(), Some(after.join("epoch_1")));
    remove(&after.join("epoch_1")).unwrap();
    let error = find_last(&after).unwrap_err().to_string();
    assert!(
        error.contains("last_checkpoint: names") && error.contains("does not exist"),
        "{error}"
    );
}

#[test]
fn only_checkpoints_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = save(&small(1.0), folder.path(), "epoch_1").unwrap();
    assert!(remove(folder.path()).is_err());
    remove(&path).unwrap();
    remove(&path).unwrap();
    assert!(names_in(folder.path()).is_empty());
}

fn model() -> ModelState {
    let root = Scope::root(Device::Cpu);
    let _weight = root.parameter("weight", &[2], Layer::Other);
    let _bias = root.parameter("bias", &[3], Layer::Other);
    let _count = root.buffer("num_batches_tracked", Tensor::from(4i64), Layer::Norm);
    root.finish()
}

#[test]
fn weights_go_into_the_model_in_place() {
    let state = model();
    let tensors = [
        named("module.weight", Tensor::from_slice(&[1.0f32, 2.0])),
        named("bias", Tensor::from_slice(&[3.0f32, 4.0, 5.0])),
    ];
    let alias = state.get("weight").unwrap().detach();
    let report = load_into(&tensors, &state, Path::new("epoch_1")).unwrap();
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(alias.double_value(&[1]), 2.0);
    assert_eq!(no_grad(|| state.get("num_batches_tracked").unwrap().int64_value(&[])), 4);
}

#[test]
fn what_does_not_fit_the_model_is_named() {
    let state = model();
    let tensors = [
        named("weight", Tensor::from_slice(&[1.0f32, 2.0])),
        named("bias", Tensor::from_slice(&[1.0f32])),
        named("head", Tensor::from_slice(&[1.0f32])),
    ];
    let report = load_into(&tensors, &state, Path::new("epoch_1")).unwrap();
    let error = report.require_whole(Path::new("epoch_1")).unwrap_err().to_string();
    let expected = "checkpoint epoch_1: does not fit the model: 1 unexpected: head; \
        1 of another shape: bias (expected [3], found [1])";
    assert_eq!(error, expected);
    let other = load_into(&tensors[2..], &state, Path::new("epoch_1")).unwrap_err().to_string();
    assert!(other.contains("2 missing: weight, bias; 1 unexpected: head"), "{other}");
}
