//! Checkpoints and plugins that are missing, damaged or something else: one message that names the file.

use std::path::Path;

use snaphook_tests::{Outcome, Workspace, checkpoints, fixture, weights};

const MARK: &str = "custom_hooks = [dict(type='MarkHook', out='mark.txt')]";

/// Fails unless the run ended with code 1 and one error that has these parts.
#[track_caller]
fn expect_refusal(outcome: &Outcome, parts: &[&str]) {
    outcome.expect_code(1);
    let error = outcome.error();
    for part in parts {
        assert!(error.contains(part), "{part} is not in the error\n{outcome}");
    }
}

/// A workspace after a run of one epoch.
fn trained() -> Workspace {
    let workspace = Workspace::new();
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    workspace
}

fn flip_byte(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_missing_checkpoint_is_named() {
    let workspace = Workspace::new();
    expect_refusal(
        &workspace.snaphook(["test", "tiny.py", "nowhere/epoch_9"]),
        &["nowhere/epoch_9"],
    );
    expect_refusal(&workspace.train(&["--resume", "nowhere/epoch_9"]), &["nowhere/epoch_9"]);
    expect_refusal(&workspace.train(&["load_from=nowhere/epoch_9"]), &["nowhere/epoch_9"]);
    assert_eq!(checkpoints(&workspace.work()).len(), 0);
}

#[test]
fn a_damaged_checkpoint_is_refused_with_the_damaged_file() {
    let workspace = trained();
    for name in ["model.safetensors", "optimizer.safetensors", "state.json"] {
        let path = workspace.file("work/epoch_1").join(name);
        flip_byte(&path);
        expect_refusal(&workspace.train(&["--resume"]), &[name, "damaged"]);
        flip_byte(&path);
    }
    flip_byte(&workspace.file("work/epoch_1/model.safetensors"));
    let tested = workspace.snaphook(["test", "tiny.py", "work/epoch_1", "--work-dir", "work"]);
    expect_refusal(&tested, &["model.safetensors", "damaged"]);
    assert_eq!(checkpoints(&workspace.work()).len(), 1);
}

#[test]
fn a_checkpoint_without_a_file_or_manifest_is_refused() {
    for name in ["optimizer.safetensors", "manifest.json"] {
        let workspace = trained();
        std::fs::remove_file(workspace.file("work/epoch_1").join(name)).unwrap();
        expect_refusal(&workspace.train(&["--resume", "work/epoch_1"]), &["epoch_1"]);
    }
}

#[test]
fn a_file_that_is_no_checkpoint_is_refused() {
    let workspace = Workspace::new();
    workspace.write("some.pth", "PK and so on");
    workspace.write("folder/readme.txt", "nothing");
    for (path, expected) in [("some.pth", "a PyTorch file"), ("folder", "manifest.json")] {
        expect_refusal(&workspace.snaphook(["test", "tiny.py", path]), &[path, expected]);
    }
}

#[test]
fn a_checkpoint_of_another_model_is_refused_with_what_does_not_fit() {
    let workspace = trained();
    let before = weights(&workspace.file("work/epoch_1"));
    let other = "model.bbox_head.feat_channels=16";
    expect_refusal(&workspace.train(&[other, "--resume"]), &["epoch_1", "bbox_head"]);
    let tested = workspace.snaphook(["test", "tiny.py", "work/epoch_1", other]);
    expect_refusal(&tested, &["epoch_1", "bbox_head"]);
    assert!(weights(&workspace.file("work/epoch_1")) == before);
    assert_eq!(checkpoints(&workspace.work()).len(), 1);
}

/// A workspace whose only file in `plugins/` is this one, and whose config asks for a plugin's type.
fn with_file(name: &str, content: &[u8]) -> Workspace {
    let workspace = Workspace::with(MARK);
    workspace.write(&format!("plugins/{name}"), content);
    workspace
}

#[test]
fn a_text_called_so_is_refused_by_name() {
    let workspace = with_file("libmark.so", b"this is no library\n");
    expect_refusal(&workspace.train(&[]), &["MarkHook", "plugins/libmark.so"]);
    assert!(!workspace.work().exists());
}

#[test]
fn a_library_without_a_manifest_is_refused_by_name() {
    let library = std::fs::read(fixture("foreign")).unwrap();
    let workspace = with_file("libforeign.so", &library);
    expect_refusal(&workspace.train(&[]), &["MarkHook", "plugins/libforeign.so"]);
    assert!(!workspace.work().exists());
}

#[test]
fn a_truncated_plugin_is_refused_by_name_wherever_it_was_cut() {
    let library = std::fs::read(fixture("mark-2024")).unwrap();
    for part in [0, 1, 20, 64, 200, 500, 800, 950, 999] {
        let cut = library.len() * part / 1000;
        let workspace = with_file("libmark.so", &library[..cut]);
        let listed = workspace.snaphook(["hooks", "list", "tiny.py"]);
        expect_refusal(&listed, &["MarkHook", "plugins/libmark.so"]);
        expect_refusal(&workspace.train(&[]), &["MarkHook", "plugins/libmark.so"]);
        let inspected = workspace.snaphook(["plugins", "inspect", "plugins/libmark.so"]);
        expect_refusal(&inspected, &["libmark.so"]);
    }
}

#[test]
fn what_is_not_a_file_in_a_plugins_folder_stops_nobody() {
    let workspace = Workspace::with(MARK);
    workspace.add_plugin(&fixture("mark-2024"));
    std::fs::create_dir(workspace.file("plugins/libfolder.so")).unwrap();
    std::os::unix::fs::symlink("nowhere", workspace.file("plugins/liblink.so")).unwrap();
    workspace.write("plugins/libempty.so", "");
    workspace.snaphook(["hooks", "list", "tiny.py"]).expect_code(0).expect_text(&["MarkHook"]);
    let listed = workspace.snaphook(["plugins", "list", "tiny.py"]);
    listed.expect_code(0).expect_text(&["mark-2024", "libempty.so"]);
}
