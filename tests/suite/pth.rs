//! Weights go to PyTorch's files and come back the same; a file that would run code is refused before anything is written.

use serde_json::Value as Json;
use snaphook_tests::{Workspace, weights};

fn predictions(workspace: &Workspace, checkpoint: &str, out: &str) -> Vec<u8> {
    let line = ["test", "tiny.py", checkpoint, "--work-dir", "tested", "--out", out];
    workspace.snaphook(line).expect_code(0);
    std::fs::read(workspace.file(out)).unwrap()
}

#[test]
fn weights_of_a_pth_file_predict_what_the_checkpoint_predicts() {
    let settings = "custom_hooks = [dict(type='EMAHook', momentum=0.1)]";
    let workspace = Workspace::with(settings);
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    let line = ["checkpoint", "export", "work/epoch_1", "--pth", "a.pth"];
    workspace.snaphook(line).expect_code(0);
    workspace.snaphook(["checkpoint", "import", "a.pth", "--out", "imported"]).expect_code(0);
    let expected = predictions(&workspace, "work/epoch_1", "a.json");
    assert_eq!(predictions(&workspace, "a.pth", "b.json"), expected);
    assert_eq!(predictions(&workspace, "imported", "c.json"), expected);
    let shown = |checkpoint: &str| {
        let outcome = workspace.snaphook(["checkpoint", "show", checkpoint, "--format", "json"]);
        outcome.expect_code(0);
        let shown: Json = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(shown["has_raw_weights"], true, "{checkpoint}");
        shown["tensors"].clone()
    };
    assert!(shown("a.pth").as_array().unwrap().len() > 100);
    assert_eq!(shown("a.pth"), shown("work/epoch_1"));
    assert_eq!(shown("imported"), shown("work/epoch_1"));
}

#[test]
fn training_starts_from_and_goes_on_with_a_pth_file() {
    let workspace = Workspace::new();
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    let line = ["checkpoint", "export", "work/epoch_1", "--pth", "a.pth"];
    workspace.snaphook(line).expect_code(0);

    let from_weights = Workspace::new();
    std::fs::copy(workspace.file("a.pth"), from_weights.file("a.pth")).unwrap();
    from_weights.train(&["load_from=a.pth", "train_cfg.max_epochs=1"]).expect_code(0);
    let fresh = Workspace::new();
    fresh.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    assert!(weights(&from_weights.file("work/epoch_1")) != weights(&fresh.file("work/epoch_1")));

    let resumed = Workspace::new();
    std::fs::copy(workspace.file("a.pth"), resumed.file("a.pth")).unwrap();
    let outcome = resumed.train(&["train_cfg.max_epochs=2", "--resume", "a.pth"]);
    outcome.expect_code(0).expect_text(&["no optimizer state", "(epoch 1, iteration 2)"]);
    assert!(resumed.file("work/epoch_2").is_dir() && !resumed.file("work/epoch_1").exists());
}

#[test]
fn a_file_that_is_none_of_pytorchs_is_refused_before_anything_is_written() {
    let workspace = Workspace::new();
    workspace.write("a.pth", b"cos\nsystem\n(S'true'\ntR.");
    let outcome = workspace.train(&["load_from=a.pth"]);
    outcome.expect_code(1).expect_error(&["a.pth", "expected a PyTorch file"]);
    assert!(!workspace.work().exists());
}
