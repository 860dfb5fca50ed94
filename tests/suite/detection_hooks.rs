//! The hooks of MMDetection in real runs, each from its plugin.

use std::path::Path;

use serde_json::Value as Json;
use snaphook_tests::{Workspace, repository, scalars};

/// Wrappers around the data set, and everything that changes in the course of a run.
pub(crate) const CHANGING: &str = "
inner = train_dataloader['dataset']
train_dataloader['dataset'] = dict(
    type='RepeatDataset', times=1, dataset=dict(type='ConcatDataset', datasets=[inner]))
param_scheduler = []
last_pipeline = [dict(type='RandomFlip', prob=1.0), dict(type='PackDetInputs')]
custom_hooks = [
    dict(type='YOLOXLrUpdaterHook', num_last_epochs=1, warmup='exp', warmup_iters=1, warmup_by_epoch=True,
         warmup_ratio=1.0, by_epoch=False, min_lr_ratio=0.05),
    dict(type='SyncRandomSizeHook', ratio_range=(1, 2), img_scale=(64, 64)),
    dict(type='YOLOXModeSwitchHook', num_last_epochs=1),
    dict(type='PipelineSwitchHook', switch_epoch=2, switch_pipeline=last_pipeline),
    dict(type='NumClassCheckHook'),
    dict(type='SyncNormHook'),
    dict(type='MemoryProfilerHook', interval=2, scalars=True)]";

/// Scalars of training and validation, without those of memory, which are another number each time.
fn without_memory(work: &Path) -> Vec<Json> {
    let mut records = scalars(work);
    records.retain(|record| record.get("memory/used_memory").is_none());
    records
}

#[test]
fn switches_sizes_and_rates_work_through_wrappers_and_after_a_resume() {
    let workspace = Workspace::with(CHANGING);
    let whole = workspace.train(&[]);
    whole.expect_code(0).expect_text(&[
        "No mosaic and mixup aug now!",
        "Add additional L1 loss now!",
        "Switch pipeline now!",
        "from the next epoch on",
        "BatchSyncRandomResize in data_preprocessor.batch_augments is its successor",
    ]);
    let records = without_memory(&workspace.work());
    let training: Vec<&Json> = records.iter().filter(|record| record.get("lr").is_some()).collect();
    let rates: Vec<f64> = training.iter().map(|record| record["lr"].as_f64().unwrap()).collect();
    // Two iterations of warm-up by squares, a cosine whose middle is met, the last epoch and its eve constant.
    let expected = [0.00025, 0.001, 0.000525, 0.00005, 0.00005, 0.00005];
    for (found, expected) in rates.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-9, "{rates:?}");
    }
    let has_l1: Vec<bool> = training.iter().map(|record| record.get("loss_l1").is_some()).collect();
    assert_eq!(has_l1, [false, false, true, true, true, true]);

    let again = ["train", "tiny.py", "--work-dir", "again", "--resume", "work/epoch_1"];
    let resumed = workspace.snaphook(again);
    resumed.expect_code(0).expect_text(&["No mosaic and mixup aug now!", "Switch pipeline now!"]);
    let resumed = without_memory(&workspace.file("again"));
    // The checkpoint was saved before the validation of its epoch, with which the resumed run begins.
    assert_eq!(resumed[..], records[records.len() - resumed.len()..]);
    assert!(resumed.len() > 4);

    let plain = Workspace::with(&CHANGING.replace(
        "type='PipelineSwitchHook', switch_epoch=2",
        "type='PipelineSwitchHook', switch_epoch=9",
    ));
    plain.train(&[]).expect_code(0);
    let plain = without_memory(&plain.work());
    assert_eq!(plain[..6], records[..6]);
    assert_ne!(plain[6..], records[6..], "the other pipeline makes other pictures");
}

/// The last checkpoint of the first run has a rate that the hook has lowered, and so has that of the second.
#[test]
fn a_rate_of_yolox_is_the_same_however_often_the_run_is_resumed() {
    let workspace = Workspace::with(
        "param_scheduler = []\noptim_wrapper['paramwise_cfg'] = dict(bias_lr_mult=2.0)\ncustom_hooks = [\n    \
         dict(type='YOLOXLrUpdaterHook', num_last_epochs=1, min_lr_ratio=0.05, by_epoch=False)]",
    );
    workspace.train(&["train_cfg.max_epochs=4"]).expect_code(0);
    let records = scalars(&workspace.work());
    let rates = |records: &[Json]| -> Vec<f64> {
        records.iter().filter_map(|record| record["lr"].as_f64()).collect()
    };
    assert!(rates(&records).windows(2).any(|pair| pair[1] < pair[0]), "{:?}", rates(&records));
    for (from, to) in [("work/epoch_2", "once"), ("once/epoch_3", "twice")] {
        let fixed = ["train", "tiny.py", "--work-dir", to, "--resume", from];
        let more = ["train_cfg.max_epochs=4"];
        workspace.snaphook(fixed.into_iter().chain(more)).expect_code(0);
        let resumed = scalars(&workspace.file(to));
        assert!(!rates(&resumed).is_empty());
        assert_eq!(resumed[..], records[records.len() - resumed.len()..], "{to}");
        let weights =
            |work: &str| snaphook_tests::weights(&workspace.file(format!("{work}/epoch_4")));
        assert!(weights(to) == weights("work"), "{to}");
    }
    let edited = ["train", "tiny.py", "--work-dir", "edited", "--resume", "work/epoch_2"];
    let more = ["train_cfg.max_epochs=4", "optim_wrapper.optimizer.lr=0.002"];
    workspace.snaphook(edited.into_iter().chain(more)).expect_code(0);
    let (edited, whole) = (rates(&scalars(&workspace.file("edited"))), rates(&records));
    let doubled: Vec<f64> =
        whole[whole.len() - edited.len()..].iter().map(|rate| 2.0 * rate).collect();
    for (found, expected) in edited.iter().zip(&doubled) {
        assert!((found - expected).abs() < 1e-9, "{edited:?}, expected {doubled:?}");
    }
}

const SWITCH: &str = "dict(type='PipelineSwitchHook', switch_epoch=1, switch_pipeline=[dict(type='RandomFlip', prob=1.0), \
                      dict(type='Resize', scale=(64, 64), keep_ratio=True), dict(type='PackDetInputs')])";

/// Sizes and pipelines that change in one run.
fn with_hooks(hooks: &[&str]) -> Workspace {
    Workspace::with(&format!("param_scheduler = []\ncustom_hooks = [{}]", hooks.join(", ")))
}

#[test]
fn a_size_leaves_the_pipeline_that_another_hook_has_brought_in() {
    let same_size = "dict(type='SyncRandomSizeHook', ratio_range=(2, 2), img_scale=(64, 64))";
    let (without, with) = (with_hooks(&[SWITCH]), with_hooks(&[SWITCH, same_size]));
    without.train(&[]).expect_code(0);
    with.train(&[]).expect_code(0).expect_text(&["Pictures of 64 x 64"]);
    assert_eq!(scalars(&with.work()), scalars(&without.work()));
}

#[test]
fn sizes_and_switches_are_the_same_in_any_order_and_after_a_resume() {
    let size = "dict(type='SyncRandomSizeHook', ratio_range=(1, 6), img_scale=(64, 64))";
    let (one, other) = (with_hooks(&[SWITCH, size]), with_hooks(&[size, SWITCH]));
    for workspace in [&one, &other] {
        let outcome = workspace.train(&["randomness.seed=1"]);
        outcome.expect_code(0);
        assert!(!outcome.text().contains("keep their size"), "{outcome}");
    }
    let records = scalars(&one.work());
    assert_eq!(scalars(&other.work()), records);
    let again = [
        "train",
        "tiny.py",
        "--work-dir",
        "again",
        "--resume",
        "work/epoch_2",
        "randomness.seed=1",
    ];
    one.snaphook(again).expect_code(0);
    let resumed = scalars(&one.file("again"));
    assert_eq!(resumed[..], records[records.len() - resumed.len()..]);
    assert!(resumed.len() > 2);
}

#[test]
fn a_data_set_of_unlike_parts_takes_a_size() {
    let workspace = Workspace::with(
        "mixed = train_dataloader['dataset']\nsingle = dict(mixed['dataset'])\nsingle['pipeline'] = [\n    \
         dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),\n    \
         dict(type='Resize', scale=(32, 32)), dict(type='PackDetInputs')]\n\
         train_dataloader['dataset'] = dict(type='ConcatDataset', datasets=[mixed, single])\n\
         custom_hooks = [dict(type='SyncRandomSizeHook', ratio_range=(3, 3), img_scale=(64, 64))]",
    );
    let outcome = workspace.train(&["train_cfg.max_epochs=2"]);
    outcome.expect_code(0).expect_text(&["Pictures of 96 x 96"]);
    assert!(!outcome.text().contains("keep their size"), "{outcome}");
}

#[test]
fn memory_is_told_in_training_and_validation_with_scalars() {
    let workspace = Workspace::with(
        "custom_hooks = [dict(type='MemoryProfilerHook', interval=1, scalars=True, gpu=True)]",
    );
    let outcome = workspace.train(&["train_cfg.max_epochs=1"]);
    outcome
        .expect_code(0)
        .expect_text(&["The system has ", "GPU memory is not shown: the model is on cpu"]);
    let lines = outcome.stdout.matches("Memory information available_memory: ").count();
    assert_eq!(lines, 4, "two batches of training, two of validation\n{outcome}");
    let records = scalars(&workspace.work());
    let told: Vec<&Json> =
        records.iter().filter(|record| record.get("memory/used_memory").is_some()).collect();
    assert_eq!(told.len(), 4);
    assert!(told[0]["memory/current_process_memory"].as_f64().unwrap() > 10.0);
    let test = workspace.snaphook(["test", "tiny.py", "work/epoch_1"]);
    test.expect_code(0).expect_text(&["Memory information available_memory: "]);
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_with_its_name_and_place() {
    let workspace = Workspace::with(
        "custom_hooks = [dict(type='CheckInvalidLossHook', interval=1)]\noptim_wrapper = dict(\n    \
         type='OptimWrapper', optimizer=dict(type='SGD', lr=1e30))\nparam_scheduler = []",
    );
    let outcome = workspace.train(&[]);
    outcome.expect_code(3).expect_text(&["loss become infinite or NaN!"]);
    let error = outcome.error();
    assert!(error.contains("loss become infinite or NaN: loss = "), "{error}");
    assert!(error.contains("(epoch 1, iteration 2, rank 0)"), "{error}");
}

#[test]
fn hooks_that_the_model_does_not_fit_end_the_run_and_say_why() {
    for (hook, more, expected) in [
        (
            "NumClassCheckHook",
            "model.bbox_head.num_classes=5",
            "The `num_classes` (5) in YOLOXHead (bbox_head) of YOLOX does not match the length of `classes` (3) in \
             MultiImageMixDataset of the train data",
        ),
        ("SetEpochInfoHook", "randomness.seed=1", "set_epoch"),
        ("MeanTeacherHook", "randomness.seed=1", "the model has no part \"teacher\""),
    ] {
        let workspace = Workspace::with(&format!("custom_hooks = [dict(type='{hook}')]"));
        let outcome = workspace.train(&[more]);
        outcome.expect_code(3);
        assert!(outcome.error().contains(expected), "{outcome}");
    }
}

#[test]
fn a_model_hears_which_epoch_begins_also_after_a_resume() {
    let workspace = Workspace::with(
        "model = dict(type='ScriptModel', file='tiny.pt', num_classes=3,\n    \
         data_preprocessor=dict(type='DetDataPreprocessor', pad_size_divisor=32))\n\
         custom_hooks = [dict(type='SetEpochInfoHook')]\nlog_processor['window_size'] = 1",
    );
    let module = repository().join("host/vision/src/models/script_model/tiny.pt");
    std::fs::copy(module, workspace.file("tiny.pt")).unwrap();
    workspace.train(&["train_cfg.max_epochs=2"]).expect_code(0);
    workspace.train(&["--resume"]).expect_code(0);
    let records = scalars(&workspace.work());
    let seen: Vec<f64> =
        records.iter().filter_map(|record| record["epoch_seen"].as_f64()).collect();
    assert_eq!(seen, [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]);
}

#[test]
fn a_teacher_begins_as_a_copy_of_its_student() {
    // Two branches of the head have one structure; with a rate of 0 nothing but the hook changes them.
    let workspace = Workspace::with(
        "custom_hooks = [dict(type='MeanTeacherHook', momentum=0.5, teacher='bbox_head.multi_level_cls_convs.1', \
         student='bbox_head.multi_level_cls_convs.0')]\noptim_wrapper['optimizer']['lr'] = 0.0\nparam_scheduler = []",
    );
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    let weights = snaphook_tests::weights(&workspace.work().join("epoch_1"));
    let tensor = |level: u32| {
        tensor(&weights, &format!("bbox_head.multi_level_cls_convs.{level}.0.conv.weight"))
    };
    assert_eq!(tensor(1), tensor(0));
    assert_ne!(tensor(2), tensor(0));
}

/// The bytes of a tensor in a file of safetensors.
pub(crate) fn tensor<'a>(file: &'a [u8], name: &str) -> &'a [u8] {
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let (header, data) = file[8..].split_at(length);
    let header: Json = serde_json::from_slice(header).unwrap();
    let offset = |index: usize| header[name]["data_offsets"][index].as_u64().unwrap() as usize;
    &data[offset(0)..offset(1)]
}
