//! SIGKILL at many moments while checkpoints are saved: whatever bears a checkpoint's name is whole, and a
//! resumed run ends as if nothing had been.

use std::path::Path;

use snaphook_tests::{Workspace, checkpoints, is_whole, weights};

/// Many short epochs: one batch each and no validation, so that most of the time goes into saving.
const EPOCHS: u64 = 24;
const SETTINGS: &str = "\
train_dataloader['batch_size'] = 4
train_cfg = dict(max_epochs=24, val_begin=1000)
default_hooks['checkpoint']['max_keep_ckpts'] = 3
";

/// Whether a name is that of something half-done: `.epoch_3.writing-4711`.
fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

fn names(work: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(work) else { return Vec::new() };
    let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    entries.filter_map(|entry| entry.ok().map(name)).collect()
}

/// The moments: which hidden entry is seen, and how many of its kind come before it.
const MOMENTS: [(&str, u64); 7] = [
    (".epoch_1.writing", 0),
    (".epoch_2.writing", 0),
    (".last_checkpoint.writing", 0),
    (".epoch_5.writing", 2),
    (".epoch_2.removed", 0),
    (".epoch_9.writing", 3),
    (".epoch_14.writing", 1),
];

/// Runs on until a moment comes, and kills the run there. The moment may pass unseen, then the run ends.
fn train_until(workspace: &Workspace, prefix: &str, files: u64) {
    let mut running = workspace.start_training(&["--resume"]);
    let work = workspace.work();
    let begun = |name: &String| name.starts_with(prefix);
    let written =
        |name: &String| std::fs::read_dir(work.join(name)).map_or(0, Iterator::count) as u64;
    running.wait_until(|| names(&work).iter().any(|name| begun(name) && written(name) >= files));
    running.kill();
    drop(running);
}

#[test]
fn a_run_killed_while_saving_goes_on_from_the_last_whole_checkpoint() {
    let calm = Workspace::with(SETTINGS);
    calm.train(&[]).expect_code(0);
    let killed = Workspace::with(SETTINGS);
    for (prefix, files) in MOMENTS {
        train_until(&killed, prefix, files);
        for checkpoint in checkpoints(&killed.work()) {
            assert!(is_whole(&checkpoint), "{} after {prefix}", checkpoint.display());
        }
    }
    killed.train(&["--resume"]).expect_code(0);

    let last = format!("work/epoch_{EPOCHS}");
    assert!(weights(&calm.file(&last)) == weights(&killed.file(&last)));
    let left = names(&killed.work());
    assert!(!left.iter().any(|name| is_hidden(name)), "left behind: {left:?}");
    assert_eq!(checkpoints(&killed.work()).len(), 3, "{left:?}");
}

#[test]
fn a_new_run_in_the_folder_of_a_killed_one_works() {
    let workspace = Workspace::with(SETTINGS);
    train_until(&workspace, ".epoch_3.writing", 1);
    workspace.train(&["train_cfg.max_epochs=4"]).expect_code(0);
    let found = checkpoints(&workspace.work());
    assert!(found.iter().all(|path| is_whole(path)), "{found:?}");
    assert!(found.contains(&workspace.file("work/epoch_4")), "{found:?}");
    assert!(!names(&workspace.work()).iter().any(|name| is_hidden(name)));
}
