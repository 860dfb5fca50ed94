//! Several processes see the samples and the batches of one, whatever the sampler and the shapes of pictures: they train to
//! its weights, measure to its bits, and go on where others were.

use serde_json::{Value as Json, json};
use snaphook_data::Image;
use snaphook_tests::{Outcome, Running, Workspace, scalars};

use crate::ranks::{assert_near, expect_codes};

/// A detector without statistics of batches, on pictures of two orientations that are flipped at random. All are padded to
/// one size: each process pads to its own largest.
const CONFIG: &str = "\
log_processor['window_size'] = 1
param_scheduler = []
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
model = dict(type='FCOS',
    data_preprocessor=dict(type='DetDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3, pad_size_divisor=32),
    backbone=dict(type='ResNet', depth=18, base_channels=8, frozen_stages=0, norm_eval=True, init_cfg=None),
    neck=dict(type='FPN', in_channels=[8, 16, 32, 64], out_channels=16, num_outs=5),
    bbox_head=dict(type='FCOSHead', num_classes=3, in_channels=16, stacked_convs=1, feat_channels=16,
        strides=[4, 8, 16, 32, 64], norm_cfg=dict(type='GN', num_groups=4)),
    test_cfg=dict(nms_pre=50, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=20))
mixed = dict(type='CocoDataset', data_root='data/', ann_file='annotations/mixed.json', data_prefix=dict(img='mixed/'),
    metainfo=dict(classes=classes))
loaded = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]
train_dataloader['dataset'] = dict(mixed, pipeline=loaded + [
    dict(type='RandomFlip', prob=0.5), dict(type='PackDetInputs')])
val_dataloader['dataset'] = dict(mixed, test_mode=True, pipeline=loaded + [dict(type='PackDetInputs')])
val_evaluator = dict(val_evaluator, ann_file=data_root + 'annotations/mixed.json')
test_dataloader = dict(val_dataloader)
test_evaluator = val_evaluator
";

/// What the config says for training by epochs, without validations, which would only take time.
const EPOCHS: &str = "train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=10, val_interval=99)\n\
                      default_hooks['checkpoint']['interval'] = 5\n";

/// Pictures of a batch are padded to each other, so that company counts.
const CLOSE: &str = "model['data_preprocessor']['pad_size_divisor'] = 1\n";

/// So many pictures, of which every third is high and the others are wide, each with a bright object.
fn workspace(pictures: usize, lines: &str) -> Workspace {
    let workspace = Workspace::with(&format!("{CONFIG}{lines}"));
    let (mut images, mut objects) = (Vec::new(), Vec::new());
    for id in 0..pictures {
        let (width, height) = if id % 3 == 1 { (48, 64) } else { (64, 40 + id) };
        let [x, y, side] = [3 * (id % 9), 2 * (id % 7), 14 + id];
        let mut image = Image::filled(width, height, [30 + 7 * id as u8; 3]);
        image.fill([x, y, side, side], [20, 250 - 9 * id as u8, 90]);
        let name = format!("{id}.png");
        let bytes = image.to_png().unwrap();
        workspace.write(&format!("data/mixed/{name}"), bytes);
        images.push(json!({"id": id, "file_name": name, "width": width, "height": height}));
        objects.push(json!({"id": id + 1, "image_id": id, "category_id": 1 + id % 3, "iscrowd": 0,
            "bbox": [x, y, side, side], "area": side * side}));
    }
    let names = ["circle", "square", "triangle"].iter().enumerate();
    let categories: Vec<_> = names.map(|(at, name)| json!({"id": at + 1, "name": name})).collect();
    let file = json!({"images": images, "annotations": objects, "categories": categories});
    workspace.write("data/annotations/mixed.json", file.to_string());
    workspace
}

/// Twenty steps of six samples by one process, by two, by three, and by two that one takes over from on the way.
#[track_caller]
fn assert_equal_for_worlds(lines: &str, [middle, last]: [&str; 2]) {
    let workspace = workspace(12, lines);
    let train = |world: usize, work: &str, more: &[&str]| -> Vec<Outcome> {
        let size = format!("train_dataloader.batch_size={}", 6 / world);
        let fixed = ["train", "tiny.py", "--work-dir", work];
        let line: Vec<String> =
            fixed.iter().chain(more).map(|text| (*text).to_owned()).chain([size]).collect();
        let running = workspace.start_ranks(world, |_| line.clone());
        let outcomes: Vec<_> = running.into_iter().map(Running::wait).collect();
        expect_codes(&outcomes, 0);
        outcomes
    };
    train(1, "one", &[]);
    let end = |work: &str| workspace.file(work).join(last);
    for (world, work) in [(2, "two"), (3, "three")] {
        train(world, work, &[]);
        assert_near(&end("one"), &end(work), 1e-5);
    }
    let resumed = format!("two/{middle}");
    let outcomes = train(1, "taken", &["--resume", &resumed, "--cfg-options"]);
    outcomes[0].expect_text(&[
        "saved by 2 ranks with 6 samples a step, this run has 1 with 6: every step sees the same samples as before",
    ]);
    assert_near(&end("one"), &end("taken"), 1e-5);
}

#[test]
fn twenty_steps_of_an_endless_stream_are_those_of_one_process() {
    assert_equal_for_worlds(
        "train_dataloader['sampler'] = dict(type='InfiniteSampler', shuffle=True)\n\
         train_cfg = dict(type='IterBasedTrainLoop', max_iters=20, val_interval=99)\n\
         log_processor['by_epoch'] = False\n\
         default_hooks['checkpoint'] = dict(type='CheckpointHook', interval=7, by_epoch=False)\n",
        // In the middle of a pass through the data.
        ["iter_7", "iter_20"],
    );
}

#[test]
fn twenty_steps_are_those_of_one_process_that_takes_over_in_the_middle_of_an_epoch() {
    let saves =
        "default_hooks['checkpoint'] = dict(type='CheckpointHook', interval=7, by_epoch=False)\n";
    assert_equal_for_worlds(&format!("{EPOCHS}{saves}"), ["iter_7", "iter_20"]);
}

#[test]
fn twenty_steps_with_classes_in_turn_are_those_of_one_process() {
    let sampler = "train_dataloader['sampler'] = dict(type='ClassAwareSampler')\n";
    assert_equal_for_worlds(&format!("{EPOCHS}{sampler}"), ["epoch_5", "epoch_10"]);
}

#[test]
fn twenty_steps_with_batches_of_one_orientation_are_those_of_one_process() {
    let sampler = "train_dataloader['batch_sampler'] = dict(type='AspectRatioBatchSampler')\n";
    assert_equal_for_worlds(&format!("{EPOCHS}{sampler}"), ["epoch_5", "epoch_10"]);
}

/// The last record of scalars of the newest run, and all lines of metrics, of a training that changes no weight.
fn validated(workspace: &Workspace, world: usize, more: &[&str]) -> Json {
    let work = format!("work{world}");
    let fixed = ["train", "tiny.py", "--work-dir", &work, "train_cfg.max_epochs=1"];
    let line: Vec<String> = fixed.iter().chain(more).map(|text| (*text).to_owned()).collect();
    let running = workspace.start_ranks(world, |_| line.clone());
    let outcomes: Vec<_> = running.into_iter().map(Running::wait).collect();
    expect_codes(&outcomes, 0);
    let found = scalars(&workspace.file(&work)).pop().unwrap();
    std::fs::remove_dir_all(workspace.file(&work)).unwrap();
    found
}

#[test]
fn metrics_and_losses_of_several_validation_sets_are_those_of_one_process() {
    // No step changes a weight, so that all have the same to the bit.
    let workspace = workspace(
        13,
        &format!(
            "{CLOSE}\
         optim_wrapper['optimizer'] = dict(type='SGD', lr=0.0)\nval_cfg = dict(type='ValLoop', loss=True)\n\
         val_dataloader['batch_size'] = 3\n\
         val_dataloader = [val_dataloader, dict(val_dataloader, name='full', batch_size=4, drop_last=True)]\n\
         val_evaluator = [val_evaluator, dict(type='VOCMetric')]\n"
        ),
    );
    let alone = validated(&workspace, 1, &[]);
    let keys =
        ["0/coco/bbox_mAP", "0/val_loss", "0/loss_cls", "full/pascal_voc/mAP", "full/val_loss"];
    assert!(keys.iter().all(|key| alone[key].is_number()), "{alone}");
    for world in [2, 3] {
        assert_eq!(validated(&workspace, world, &[]), alone, "{world}");
    }
    // The limit is one for all: of three ranks, one has no batch, also in the check before.
    let limit = ["--limit-val-batches", "2", "--sanity-val", "1"];
    let alone = validated(&workspace, 1, &limit);
    assert!(alone["0/val_loss"].is_number(), "{alone}");
    assert_eq!(validated(&workspace, 3, &limit), alone);
}

/// The metrics and predictions of a test, to the last digit that is written.
fn tested(workspace: &Workspace, world: usize, more: &[&str]) -> String {
    let out = format!("found{world}.json");
    let fixed = ["test", "tiny.py", "work/epoch_1", "--work-dir", "tested", "--out", &out];
    let mut line: Vec<String> = fixed.iter().map(|text| (*text).to_owned()).collect();
    if !more.is_empty() {
        line.push("--cfg-options".to_owned());
        line.extend(more.iter().map(|text| (*text).to_owned()));
    }
    let running = workspace.start_ranks(world, |_| line.clone());
    let outcomes: Vec<_> = running.into_iter().map(Running::wait).collect();
    expect_codes(&outcomes, 0);
    let line = outcomes[0].stdout.lines().rev().find(|line| line.contains("coco/bbox_mAP:"));
    let metrics = line.unwrap().split("coco/").skip(1).map(|part| part.split("data_time").next());
    let metrics: Vec<_> = metrics.flatten().collect();
    format!("{}\n{}", metrics.join(" "), workspace.read(&out))
}

#[test]
fn a_test_is_that_of_one_process_with_short_batches_and_pictures_of_other_shapes() {
    let once = "train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=9)\n";
    let workspace = workspace(13, &format!("{CLOSE}{once}"));
    workspace.train(&[]).expect_code(0);
    let cases: [&[&str]; 3] = [
        &["test_dataloader.batch_size=2"],
        &["test_dataloader.batch_size=4", "test_dataloader.drop_last=True"],
        // More ranks than batches.
        &["test_dataloader.batch_size=7"],
    ];
    let found = cases.map(|case| {
        let alone = tested(&workspace, 1, case);
        assert!(alone.contains("bbox_mAP") && alone.len() > 2000, "{alone}");
        for world in [2, 3] {
            assert!(tested(&workspace, world, case) == alone, "{case:?} with {world} ranks");
        }
        alone
    });
    // Company counts: that is why batches are shared whole.
    assert!(found[0] != found[2]);
}
