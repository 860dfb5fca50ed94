//! Whole runs of detectors other than YOLOX: two stages, one stage with anchors, a model of the user's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use snaphook_tests::{Workspace, weights};

/// A ResNet of 18 layers with an eighth of the channels, and a pyramid on it.
const PYRAMID: &str = "\
backbone = dict(type='ResNet', depth=18, base_channels=8, frozen_stages=0, norm_eval=True, init_cfg=None)
neck = dict(type='FPN', in_channels=[8, 16, 32, 64], out_channels=16, num_outs=5)
rpn = dict(nms_pre=100, max_per_img=30, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0)
assigner = dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0.1)
sampler = dict(type='RandomSampler', num=32, pos_fraction=0.5, add_gt_as_proposals=False)
preprocessor = dict(type='DetDataPreprocessor', mean=[123.7, 116.3, 103.5], std=[58.4, 57.1, 57.4], bgr_to_rgb=True, pad_size_divisor=32)
train_dataloader['dataset'] = dict(train_dataloader['dataset']['dataset'], pipeline=[
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=img_scale, keep_ratio=True), dict(type='RandomFlip', prob=0.5), dict(type='PackDetInputs')])
";

const FASTER_RCNN: &str = "\
model = dict(type='FasterRCNN', data_preprocessor=preprocessor, backbone=backbone, neck=neck,
    rpn_head=dict(type='RPNHead', in_channels=16, feat_channels=16,
        anchor_generator=dict(type='AnchorGenerator', scales=[8], ratios=[0.5, 1.0, 2.0], strides=[4, 8, 16, 32, 64])),
    roi_head=dict(type='StandardRoIHead',
        bbox_roi_extractor=dict(type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0),
            out_channels=16, featmap_strides=[4, 8, 16, 32]),
        bbox_head=dict(type='Shared2FCBBoxHead', in_channels=16, fc_out_channels=32, num_classes=3)),
    train_cfg=dict(rpn=dict(assigner=assigner, sampler=sampler), rpn_proposal=rpn,
        rcnn=dict(assigner=assigner, sampler=dict(sampler, add_gt_as_proposals=True))),
    test_cfg=dict(rpn=rpn, rcnn=dict(score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=20)))
";

const RETINA_NET: &str = "\
model = dict(type='RetinaNet', data_preprocessor=preprocessor, backbone=backbone, neck=neck,
    bbox_head=dict(type='RetinaHead', num_classes=3, in_channels=16, stacked_convs=1, feat_channels=16,
        anchor_generator=dict(type='AnchorGenerator', scales=[4], ratios=[1.0], strides=[4, 8, 16, 32, 64]),
        loss_cls=dict(type='FocalLoss'), loss_bbox=dict(type='L1Loss')),
    train_cfg=dict(assigner=assigner, sampler=dict(type='PseudoSampler')),
    test_cfg=dict(nms_pre=50, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=20))
";

/// Classes, distances and middles of places, without anchors.
const FCOS_HEAD: &str = "\
places = dict(type='FCOSHead', num_classes=3, in_channels=16, stacked_convs=1, feat_channels=16, strides=[4, 8, 16, 32, 64],
    norm_cfg=dict(type='GN', num_groups=4))
";

const FCOS: &str = "\
model = dict(type='FCOS', data_preprocessor=preprocessor, backbone=backbone, neck=neck, bbox_head=places,
    test_cfg=dict(nms_pre=50, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=20))
";

fn faster_rcnn() -> Workspace {
    Workspace::with(&format!("{PYRAMID}{FASTER_RCNN}"))
}

#[test]
fn a_resumed_faster_rcnn_draws_the_same_anchors_and_regions() {
    let whole = faster_rcnn();
    let outcome = whole.train(&["train_cfg.max_epochs=2"]);
    outcome.expect_code(0).expect_text(&[
        "loss_rpn_cls: ",
        "loss_bbox: ",
        "acc: ",
        "Epoch(val) [2]",
    ]);
    let cut = faster_rcnn();
    cut.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    cut.train(&["train_cfg.max_epochs=2", "--resume"]).expect_code(0);
    let last = |workspace: &Workspace| weights(&workspace.file("work/epoch_2"));
    assert!(last(&whole) == last(&cut));
}

#[test]
fn places_without_anchors_find_boxes_and_propose_regions() {
    let whole = Workspace::with(&format!("{PYRAMID}{FCOS_HEAD}{FCOS}"));
    let outcome = whole.train(&["train_cfg.max_epochs=2"]);
    outcome.expect_code(0).expect_text(&["loss_centerness: ", "Epoch(val) [2]"]);
    let line = ["train", "tiny.py", "--work-dir", "again", "--resume", "work/epoch_1"];
    whole.snaphook(line.iter().chain(&["train_cfg.max_epochs=2"])).expect_code(0);
    let last = |work: &str| weights(&whole.file(work).join("epoch_2"));
    assert!(last("work") == last("again"));
    let first = "model['rpn_head'] = places\n";
    let two = Workspace::with(&format!("{PYRAMID}{FCOS_HEAD}{FASTER_RCNN}{first}"));
    let outcome = two.train(&["train_cfg.max_epochs=1"]);
    outcome.expect_code(0).expect_text(&["rpn_loss_centerness: ", "loss_bbox: "]);
}

#[test]
fn a_part_of_a_pth_file_is_taken_for_another_model() {
    let workspace = faster_rcnn();
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    let line = ["checkpoint", "export", "work/epoch_1", "--pth", "a.pth"];
    workspace.snaphook(line).expect_code(0);
    let pretrained =
        "backbone['init_cfg'] = dict(type='Pretrained', checkpoint='a.pth', prefix='backbone')\n";
    let other = Workspace::with(&format!("{PYRAMID}{pretrained}{RETINA_NET}"));
    std::fs::copy(workspace.file("a.pth"), other.file("a.pth")).unwrap();
    let outcome = other.train(&["train_cfg.max_epochs=1"]);
    outcome.expect_code(0).expect_text(&["backbone: ", " tensors from a.pth", "loss_cls: "]);
    // What does not fit at all is refused, with the file.
    let lines = pretrained.replace("prefix='backbone'", "prefix='neck'");
    let nothing = Workspace::with(&format!("{PYRAMID}{lines}{RETINA_NET}"));
    std::fs::copy(workspace.file("a.pth"), nothing.file("a.pth")).unwrap();
    let outcome = nothing.train(&["train_cfg.max_epochs=1"]);
    outcome
        .expect_code(1)
        .expect_error(&["model.backbone.init_cfg", "a.pth: no tensor in it fits"]);
    // A resume and a test have all weights in the checkpoint.
    std::fs::remove_file(other.file("a.pth")).unwrap();
    other.train(&["train_cfg.max_epochs=2", "--resume"]).expect_code(0);
    other.snaphook(["test", "tiny.py", "work/epoch_2", "--work-dir", "tested"]).expect_code(0);
    let outcome = other.train(&["train_cfg.max_epochs=1"]);
    outcome.expect_code(1).expect_error(&["model.backbone.init_cfg", "a.pth"]);
}

/// A model of TorchScript; validations would only take time.
const SCRIPT_MODEL: &str = "\
model = dict(type='ScriptModel', file='tiny.pt', num_classes=3,
    data_preprocessor=dict(type='DetDataPreprocessor', pad_size_divisor=32))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=9)
";

/// The folder of `make.py` and of what it made.
fn exported() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/vision/src/models/script_model")
}

#[test]
fn a_model_of_torchscript_trains_resumes_and_is_tested() {
    let workspace = Workspace::with(SCRIPT_MODEL);
    std::fs::copy(exported().join("tiny.pt"), workspace.file("tiny.pt")).unwrap();
    workspace.train(&[]).expect_code(0).expect_text(&["loss_cls: ", "scale: 64"]);
    let line = ["train", "tiny.py", "--work-dir", "again", "--resume", "work/epoch_1"];
    workspace.snaphook(line).expect_code(0);
    let last = |work: &str| weights(&workspace.file(work).join("epoch_2"));
    assert!(last("work") == last("again"));
    let line = ["test", "tiny.py", "work/epoch_2", "--work-dir", "tested", "--out", "found.json"];
    workspace.snaphook(line).expect_code(0);
    assert!(workspace.read("found.json").contains("score"));
}

#[test]
fn norms_of_all_ranks_are_refused_where_they_are_inside_of_a_script() {
    let workspace = Workspace::with(&format!("{SCRIPT_MODEL}sync_bn = 'torch'\n"));
    std::fs::copy(exported().join("tiny.pt"), workspace.file("tiny.pt")).unwrap();
    let told = "sync_bn=\"torch\" cannot reach the batch norms inside of ScriptModel's tiny.pt";
    let checked = workspace.snaphook(["config", "check", "tiny.py"]);
    checked.expect_code(1).expect_text(&[told, "sync_bn = 'torch'"]);
    workspace.train(&[]).expect_code(1).expect_error(&["tiny.py"]);
    assert!(workspace.train(&["--dry-run"]).stderr.contains(told));
    assert!(!workspace.work().exists(), "nothing is written");
    // A test has nothing to synchronise.
    workspace.train(&["sync_bn=None", "train_cfg.max_epochs=1"]).expect_code(0);
    let line = ["test", "tiny.py", "work/epoch_1", "--work-dir", "tested"];
    workspace.snaphook(line).expect_code(0);
}

#[test]
fn a_module_that_the_torch_package_exports_now_trains() {
    let Some(python) = std::env::var_os("PEER_PYTHON") else {
        println!("set PEER_PYTHON to a Python with torch: nothing was exported");
        return;
    };
    let workspace = Workspace::with(SCRIPT_MODEL);
    let mut export = Command::new(python);
    export.arg(exported().join("make.py")).arg(workspace.file("tiny.pt"));
    let done = export.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0).expect_text(&["loss_cls: "]);
}
