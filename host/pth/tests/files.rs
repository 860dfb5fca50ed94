//! Real files of PyTorch and MMEngine (`golden/make.py` makes them), files of ours in PyTorch, and files that mean harm.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value as Json, json};
use snaphook_pth::{Dtype, Pth, PthError, Tensor, read, write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Numbers as f64, whatever their kind.
fn numbers(tensor: &Tensor) -> Vec<f64> {
    let chunks = tensor.data.chunks_exact(tensor.dtype.size());
    chunks
        .map(|bytes| {
            let mut filled = [0; 8];
            filled[..bytes.len()].copy_from_slice(bytes);
            let bits = u64::from_le_bytes(filled);
            match tensor.dtype {
                Dtype::F64 => f64::from_bits(bits),
                Dtype::F32 => f64::from(f32::from_bits(bits as u32)),
                Dtype::BF16 => f64::from(f32::from_bits((bits as u32) << 16)),
                Dtype::F16 => half(bits as u16),
                Dtype::I64 => bits as i64 as f64,
                Dtype::I32 => f64::from(bits as i32),
                Dtype::I16 => f64::from(bits as i16),
                Dtype::I8 => f64::from(bits as i8),
                Dtype::U8 | Dtype::Bool => f64::from(bits as u8),
            }
        })
        .collect()
}

/// A normal number of half precision.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15);
    if bits >> 15 == 1 { -size } else { size }
}

#[test]
fn files_of_pytorch_and_mmengine_are_read_to_the_last_number() {
    let expected: Json =
        serde_json::from_slice(&std::fs::read(golden("expected.json")).unwrap()).unwrap();
    for (name, expected) in expected.as_object().unwrap() {
        let found = read(&golden(name)).unwrap();
        assert_eq!(found.meta, expected["meta"], "{name}");
        let described: Vec<Json> = found
            .state_dict
            .iter()
            .map(|(name, tensor)| json!([name, tensor.dtype.name(), tensor.shape, numbers(tensor)]))
            .collect();
        assert_eq!(Json::from(described), expected["state_dict"], "{name}");
    }
    let (raw, steps) = read(&golden("mmengine.pth")).unwrap().ema.unwrap();
    assert_eq!((raw[0].0.as_str(), steps), ("0.weight", 12));
}

fn sample() -> Pth {
    let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let weight = Tensor {
        dtype: Dtype::F32,
        shape: vec![2, 3],
        data: floats(&[0.0, 1.0, 2.5, 3.0, -4.0, 1e-9]),
    };
    let half = Tensor { dtype: Dtype::BF16, shape: vec![2], data: vec![0x80, 0x3f, 0, 0xc0] };
    let count = Tensor { dtype: Dtype::I64, shape: vec![], data: 5_i64.to_le_bytes().to_vec() };
    let empty = Tensor { dtype: Dtype::F64, shape: vec![0, 4], data: vec![] };
    let state_dict =
        [("a.weight", weight.clone()), ("half", half), ("count", count), ("empty", empty)];
    Pth {
        meta: json!({"epoch": 3, "iter": 5_000_000_000_i64, "cfg": "a = 'ä'\n", "lr": 0.1, "none": null, "yes": true,
            "dataset_meta": {"classes": ["cat", "dog"]}}),
        state_dict: state_dict.map(|(name, tensor)| (name.to_owned(), tensor)).to_vec(),
        ema: Some((vec![("a.weight".into(), weight)], 12)),
    }
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pth");
    write(&path, &sample()).unwrap();
    assert_eq!(read(&path).unwrap(), sample());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
}

/// A Python with PyTorch: that of `SNAPHOOK_TEST_PYTHON`, or the one on the path.
fn python() -> Option<String> {
    let python = std::env::var("SNAPHOOK_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_torch = Command::new(&python).args(["-c", "import torch"]).output();
    has_torch.is_ok_and(|output| output.status.success()).then_some(python)
}

#[test]
fn pytorch_reads_what_is_written_as_weights_alone() {
    let Some(python) = python() else {
        println!(
            "not tested: there is no python3 with PyTorch here (SNAPHOOK_TEST_PYTHON names another)"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pth");
    write(&path, &sample()).unwrap();
    let script = "\
import sys, torch
x = torch.load(sys.argv[1], weights_only=True)
mapped = torch.load(sys.argv[1], weights_only=True, mmap=True)
assert x['meta']['epoch'] == 3 and x['meta']['iter'] == 5_000_000_000 and x['meta']['cfg'] == \"a = 'ä'\\n\"
assert x['meta']['dataset_meta'] == {'classes': ['cat', 'dog']} and x['meta']['none'] is None and x['meta']['lr'] == 0.1
s = x['state_dict']
assert list(s) == ['a.weight', 'half', 'count', 'empty']
assert torch.equal(s['a.weight'], torch.tensor([[0.0, 1.0, 2.5], [3.0, -4.0, 1e-9]]))
assert torch.equal(mapped['state_dict']['a.weight'], s['a.weight'])
assert s['half'].dtype == torch.bfloat16 and s['half'].tolist() == [1.0, -2.0]
assert s['count'].shape == () and s['count'].item() == 5 and s['empty'].shape == (0, 4)
e = x['ema_state_dict']
assert e['steps'].item() == 12 and torch.equal(e['module.a.weight'], s['a.weight'])
";
    let output = Command::new(python).arg("-c").arg(script).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A zip archive around a pickle and its storages.
fn archive(folder: &Path, pickle: &[u8], storages: &[&[u8]]) -> PathBuf {
    let path = folder.join("hostile.pth");
    let mut zip = ZipWriter::new(std::fs::File::create(&path).unwrap());
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    zip.start_file("archive/data.pkl", options).unwrap();
    zip.write_all(pickle).unwrap();
    for (key, bytes) in storages.iter().enumerate() {
        zip.start_file(format!("archive/data/{key}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    path
}

fn refusal(pickle: &[u8], storages: &[&[u8]]) -> PthError {
    let folder = tempfile::tempdir().unwrap();
    read(&archive(folder.path(), pickle, storages)).unwrap_err()
}

#[test]
fn names_that_run_code_are_refused_and_nothing_runs() {
    let folder = tempfile::tempdir().unwrap();
    let proof = folder.path().join("was-here");
    let command = format!("touch {}", proof.display());
    let mut pickle = b"cos\nsystem\n(X".to_vec();
    pickle.extend((command.len() as u32).to_le_bytes());
    pickle.extend(command.bytes());
    pickle.extend(b"tR.");
    let by_stack = b"\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.";
    for (pickle, name) in [(&pickle[..], "os.system"), (by_stack, "builtins.eval")] {
        match refusal(pickle, &[]) {
            PthError::Forbidden { name: found, .. } => assert_eq!(found, name),
            other => panic!("{other}"),
        }
    }
    let message = refusal(&pickle, &[]).to_string();
    assert!(message.contains("nothing of the file was run"), "{message}");
    assert!(!proof.exists());
}

/// A state dict with one tensor of f32: offset, sizes and strides as given.
fn one_tensor(offset: u8, size: u32, stride: u8) -> Vec<u8> {
    let mut pickle = b"}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0".to_vec();
    pickle.extend(b"0X\x03\0\0\0cpuK\x01tQK");
    pickle.push(offset);
    pickle.extend(b"(J");
    pickle.extend(size.to_le_bytes());
    pickle.extend(b"t(K");
    pickle.push(stride);
    pickle.extend(b"t\x89ccollections\nOrderedDict\n)RtRs.");
    pickle
}

#[test]
fn tensors_outside_of_their_numbers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = archive(folder.path(), &one_tensor(0, 2, 1), &[&[0; 8]]);
    assert_eq!(read(&good).unwrap().state_dict[0].1.shape, [2]);
    let wrong = [(1, 2, 1), (0, 3, 1), (0, 2, 2), (0, 1 << 30, 0), (255, 1, 1), (0, u32::MAX, 1)];
    for (offset, size, stride) in wrong {
        let error = refusal(&one_tensor(offset, size, stride), &[&[0; 8]]);
        assert!(matches!(error, PthError::Malformed { .. }), "{offset} {size} {stride}: {error}");
    }
    // The storage is missing.
    assert!(matches!(refusal(&one_tensor(0, 2, 1), &[]), PthError::Malformed { .. }));
}

#[test]
fn deep_wide_and_circular_values_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    // `meta` as a million lists in each other, as a list that holds itself, and as one doubled forty times.
    let mut deep = vec![b']'; 1_000_000];
    deep.extend(vec![b'a'; 999_999]);
    let circular = b"]q\x00h\x00a".to_vec();
    let mut doubled = b"]q\x00".to_vec();
    for _ in 0..40 {
        doubled.extend(b"](h\x00h\x00eq\x00");
    }
    for meta in [deep, circular, doubled] {
        let mut pickle = b"}(X\x04\0\0\0meta".to_vec();
        pickle.extend(meta);
        pickle.extend(b"X\x05\0\0\0model");
        let tensor = one_tensor(0, 2, 1);
        pickle.extend(&tensor[..tensor.len() - 1]);
        pickle.extend(b"u.");
        let path = archive(folder.path(), &pickle, &[&[0; 8]]);
        assert_eq!(read(&path).unwrap().state_dict.len(), 1);
    }
}

#[test]
fn any_beginning_and_any_changed_byte_of_a_file_are_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pth");
    for name in ["kinds_stream.pth", "kinds.pth"] {
        let whole = std::fs::read(golden(name)).unwrap();
        for length in (0..whole.len()).step_by(37) {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(read(&path).is_err(), "{name}: {length} bytes");
        }
        for place in (0..whole.len()).step_by(11) {
            let mut changed = whole.clone();
            changed[place] ^= 0xa5;
            std::fs::write(&path, &changed).unwrap();
            // Read to something else, or refused: no panic, no huge allocation.
            let _ = read(&path);
        }
    }
}

#[test]
fn files_without_weights_say_what_they_have() {
    let message = refusal(b"}(X\x01\0\0\0aK\x01X\x01\0\0\0bNu.", &[]).to_string();
    assert!(message.ends_with("expected weights, found a dict with a, b"), "{message}");
    assert!(matches!(refusal(b"]", &[]), PthError::Malformed { .. }));
    let missing = read(Path::new("no-such-file.pth")).unwrap_err();
    assert!(matches!(missing, PthError::File { .. }), "{missing}");
}
