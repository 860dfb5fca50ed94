//! SIGKILL at twenty random moments: the resumed run ends with the weights and the scalars of one that was left alone.

use std::time::{Duration, Instant};

use snaphook_tests::{Workspace, scalars, weights};

/// Everything that has a state: an average, momentum, a schedule, a metric that is watched, checkpoints in mid-epoch.
const SETTINGS: &str = "\
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12, val_interval=2)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9, nesterov=True))
train_dataloader['batch_size'] = 1
default_hooks['checkpoint'] = dict(
    type='CheckpointHook', interval=3, by_epoch=False, max_keep_ckpts=2, save_best='coco/bbox_mAP', rule='greater')
custom_hooks = [dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.1, gamma=5, update_buffers=True, priority=49)]
";
const LAST: &str = "work/iter_48";
const KILLS: u64 = 20;

/// A small generator (xorshift, Marsaglia 2003) for moments: which ones they are does not matter, only that they differ.
struct Moments(u64);

impl Moments {
    fn next(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

/// The steps of the scalars so far, over all runs in the folder.
fn records(workspace: &Workspace) -> usize {
    if workspace.work().is_dir() { scalars(&workspace.work()).len() } else { 0 }
}

/// The records of a run that was killed: what was done twice says the same twice.
fn once(mut records: Vec<serde_json::Value>) -> Vec<String> {
    records.sort_by_key(|record| (record["step"].as_u64(), record["iter"].is_null()));
    let mut lines: Vec<String> = records.iter().map(ToString::to_string).collect();
    lines.dedup();
    lines
}

#[test]
fn a_run_killed_at_twenty_moments_is_the_run_that_was_left_alone() {
    let calm = Workspace::with(SETTINGS);
    calm.train(&[]).expect_code(0);

    let killed = Workspace::with(SETTINGS);
    let mut moments = Moments(0x5eed);
    let mut ended = 0;
    for kill in 0..KILLS {
        let goal = records(&killed) + moments.next(4) as usize;
        let threads = format!("train_dataloader.num_workers={}", kill % 3);
        let mut running = killed.start_training(&["--resume", "--cfg-options", &threads]);
        // After so many more records, and a moment that no record tells.
        let reached = running.wait_until(|| records(&killed) >= goal);
        let end = Instant::now() + Duration::from_millis(moments.next(400));
        running.wait_until(|| Instant::now() >= end);
        running.kill();
        running.wait();
        ended += u32::from(!reached);
    }
    assert!(ended < KILLS as u32, "no kill came before the end");
    killed.train(&["--resume"]).expect_code(0);

    for name in ["model.safetensors", "ema.safetensors", "optimizer.safetensors"] {
        let read = |workspace: &Workspace| std::fs::read(workspace.file(LAST).join(name)).unwrap();
        assert!(read(&calm) == read(&killed), "{name} differs");
    }
    assert!(weights(&calm.file(LAST)) == weights(&killed.file(LAST)));
    assert_eq!(once(scalars(&calm.work())), once(scalars(&killed.work())));
}
