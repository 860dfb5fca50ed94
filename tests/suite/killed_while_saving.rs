//! SIGKILL at many moments while checkpoints are saved: whatever bears a checkpoint's name is whole, and a
//! resumed run ends as if nothing had been.

use std::path::Path;

use snaphook_tests::{Workspace, checkpoints, is_whole, weights};

/// Many short epochs: one batch each and no validation, so that most of the time goes into saving.
const SETTINGS: &str = "\
train_dataloader['batch_size'] = 4
train_cfg = dict(max_epochs=40, val_begin=1000)
default_hooks['checkpoint']['max_keep_ckpts'] = 3
";
const LAST: &str = "work/epoch_40";

/// A moment in the life of a checkpoint, told from the hidden entries of the work folder.
#[derive(Clone, Copy, Debug)]
struct Moment {
    /// How such an entry begins.
    prefix: &'static str,
    /// What its name has in it: `.epoch_3.writing-4711`.
    word: &'static str,
    /// Files that are in it already.
    files: usize,
}

const MOMENTS: [Moment; 8] = [
    Moment { prefix: ".epoch_", word: ".writing-", files: 0 },
    Moment { prefix: ".epoch_", word: ".writing-", files: 1 },
    Moment { prefix: ".last_checkpoint", word: ".writing-", files: 0 },
    Moment { prefix: ".epoch_", word: ".writing-", files: 2 },
    Moment { prefix: ".epoch_", word: ".removed-", files: 0 },
    Moment { prefix: ".epoch_", word: ".writing-", files: 4 },
    Moment { prefix: ".epoch_", word: ".writing-", files: 3 },
    Moment { prefix: ".epoch_", word: ".removed-", files: 1 },
];

/// A short moment may pass unseen. After so many more checkpoints the run is killed wherever it is then.
const PATIENCE: usize = 2;
/// Kills that must have left something half-done, or the test would test nothing.
const FEWEST_HITS: usize = 2;

fn hidden(work: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(work) else { return Vec::new() };
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.to_owned()));
    names.filter(|name| name.starts_with('.')).collect()
}

/// The number of the newest checkpoint.
fn newest(work: &Path) -> usize {
    let last = checkpoints(work).pop();
    let number = last.and_then(|path| path.to_str()?.rsplit_once("epoch_")?.1.parse().ok());
    number.unwrap_or(0)
}

/// Goes on until `epochs` more checkpoints are there and the moment has come, and kills the run.
fn train_until(workspace: &Workspace, moment: Moment, epochs: usize) {
    let work = workspace.work();
    let goal = newest(&work) + epochs;
    let mut running = workspace.start_training(&["--resume"]);
    let end = format!("-{}", running.id());
    let files = |name: &str| std::fs::read_dir(work.join(name)).map_or(0, Iterator::count);
    let is_it = |name: &String| {
        let is_right = name.starts_with(moment.prefix) && name.contains(moment.word);
        is_right && name.ends_with(&end) && files(name) >= moment.files
    };
    running.wait_until(|| {
        let newest = newest(&work);
        newest > goal + PATIENCE || (newest >= goal && hidden(&work).iter().any(is_it))
    });
    running.kill();
    running.wait();
}

#[test]
fn a_run_killed_while_saving_goes_on_from_the_last_whole_checkpoint() {
    let calm = Workspace::with(SETTINGS);
    calm.train(&[]).expect_code(0);
    let killed = Workspace::with(SETTINGS);
    let mut hits = 0;
    for (number, moment) in MOMENTS.into_iter().enumerate() {
        train_until(&killed, moment, number % 2);
        hits += usize::from(!hidden(&killed.work()).is_empty());
        for checkpoint in checkpoints(&killed.work()) {
            assert!(is_whole(&checkpoint), "{} after {moment:?}", checkpoint.display());
        }
    }
    assert!(hits >= FEWEST_HITS, "{hits} kills came while something was half-done");

    killed.train(&["--resume"]).expect_code(0);
    assert!(weights(&calm.file(LAST)) == weights(&killed.file(LAST)));
    assert_eq!(hidden(&killed.work()), [] as [&str; 0]);
    let kept = ["work/epoch_38", "work/epoch_39", LAST].map(|name| killed.file(name));
    assert_eq!(checkpoints(&killed.work()), kept);
}

#[test]
fn a_new_run_in_the_folder_of_a_killed_one_works() {
    let workspace = Workspace::with(SETTINGS);
    train_until(&workspace, MOMENTS[1], 2);
    workspace.train(&["train_cfg.max_epochs=4"]).expect_code(0);
    let found = checkpoints(&workspace.work());
    assert!(found.iter().all(|path| is_whole(path)), "{found:?}");
    assert!(found.contains(&workspace.file("work/epoch_4")), "{found:?}");
    assert_eq!(hidden(&workspace.work()), [] as [&str; 0]);
}
