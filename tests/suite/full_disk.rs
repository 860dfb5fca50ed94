//! A disk that has no room: a checkpoint that cannot be written is a failed run, and the older one stays.

use std::process::Command;

use snaphook_tests::{Outcome, Workspace, checkpoints, is_whole, programs, start};

/// Larger than a log, smaller than the weights; in units of 512 bytes.
const LARGEST_FILE: u64 = 200;

/// `snaphook train …` as on a disk that refuses what exceeds [`LARGEST_FILE`]. A real full disk needs the
/// rights of an administrator; a limit on files fails the same call in the same place.
fn train_on_full_disk(workspace: &Workspace, arguments: &[&str]) -> Outcome {
    let mut command = Command::new("sh");
    workspace.set_up(&mut command);
    // Without the trap the signal of the limit ends the process, where a full disk only answers an error.
    let script = format!("trap '' XFSZ; ulimit -f {LARGEST_FILE}; exec \"$@\"");
    command.args(["-c", &script, "sh"]).arg(programs().snaphook());
    command.args(["train", "tiny.py", "--work-dir", "work"]).args(arguments);
    start(command).wait()
}

#[test]
fn a_checkpoint_that_cannot_be_written_is_a_failed_run_and_the_older_one_stays() {
    let workspace = Workspace::new();
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    let outcome = train_on_full_disk(&workspace, &["--resume"]);
    outcome.expect_code(3);
    let error = outcome.error();
    assert!(error.contains("epoch_2") && error.contains("File too large"), "{outcome}");

    let found = checkpoints(&workspace.work());
    assert_eq!(found, [workspace.file("work/epoch_1")]);
    assert!(is_whole(&found[0]));
    let resumed = workspace.train(&["--resume"]);
    resumed.expect_code(0).expect_text(&["epoch_1 (epoch 1, iteration 2)"]);
    assert_eq!(checkpoints(&workspace.work()).len(), 3);
}

#[test]
fn a_work_folder_that_cannot_be_made_is_named() {
    let workspace = Workspace::new();
    workspace.write("work", "a file where a folder should be");
    let outcome = workspace.train(&[]);
    assert!([1, 3].contains(&outcome.code()), "{outcome}");
    assert!(outcome.error().contains("work"), "{outcome}");
}
