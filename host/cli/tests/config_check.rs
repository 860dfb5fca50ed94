//! `snaphook config check` and `config schema`: what they find, and how they end.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

mod folder;

use folder::Folder;
use serde_json::{Value as Json, json};

/// A whole detector with data; every test changes a line or two of it.
const DETECTOR: &str = "\
classes = ('cat', 'dog')
model = dict(
    type='YOLOX',
    backbone=dict(type='CSPDarknet', deepen_factor=0.33, widen_factor=0.125),
    neck=dict(type='YOLOXPAFPN', in_channels=[32, 64, 128], out_channels=32),
    bbox_head=dict(type='YOLOXHead', num_classes=2, in_channels=32))
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        type='MultiImageMixDataset',
        dataset=dict(
            type='CocoDataset',
            data_root='data/',
            ann_file='train.json',
            data_prefix=dict(img='pictures/'),
            metainfo=dict(classes=classes)),
        pipeline=[dict(type='Mosaic'), dict(type='PackDetInputs')]))
train_cfg = dict(max_epochs=12)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))
param_scheduler = [dict(type='MultiStepLR', milestones=[8, 11], end=12)]
";

const ANNOTATIONS: &str = r#"{"images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 64},
    {"id": 2, "file_name": "b.jpg", "width": 64, "height": 64}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 0}],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]}"#;

fn detector(more: &str) -> Folder {
    let text = format!("{DETECTOR}{more}\n");
    Folder::with(&[("a.py", &text), ("data/train.json", ANNOTATIONS), ("data/pictures/.keep", "")])
}

/// The findings as `severity code key message`, and the exit code.
fn findings(folder: &Folder, arguments: &[&str]) -> (i32, Vec<String>) {
    let arguments = [&["config", "check", "a.py", "--format", "json"], arguments].concat();
    let (code, stdout, stderr) = folder.run(&arguments);
    let report: Json = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}"));
    let text = |finding: &Json, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let line = |finding: &Json| {
        let parts = ["severity", "code", "key", "message"].map(|key| text(finding, key));
        parts.join(" ")
    };
    let lines: Vec<String> = report["findings"].as_array().unwrap().iter().map(line).collect();
    let errors = lines.iter().filter(|line| line.starts_with("error")).count();
    assert_eq!(report["errors"], json!(errors));
    assert_eq!(code, i32::from(errors > 0));
    (code, lines)
}

/// The one finding of the detector with another line at its end.
#[track_caller]
fn one(more: &str, start: &str) {
    let (_, lines) = findings(&detector(more), &[]);
    let found = lines.iter().filter(|line| line.starts_with(start)).count();
    assert!(found == 1 && lines.len() == 1, "{more}: {lines:#?}");
}

#[test]
fn a_config_that_is_right_has_no_findings() {
    let folder = detector("");
    assert_eq!(findings(&folder, &[]), (0, Vec::new()));
    let (code, stdout, _) = folder.run(&["config", "check", "a.py"]);
    assert_eq!((code, stdout.as_str()), (0, "a.py: no errors, no warnings\n"));
}

#[test]
fn types_and_arguments_of_every_component_are_checked() {
    one(
        "model['type'] = 'YOLOY'",
        "error unknown-type model.type \"YOLOY\" is no model (did you mean `YOLOX`?)",
    );
    one(
        "model['neck']['type'] = 'PAFPN'",
        "error not-yet model.neck.type PAFPN is a neck of MMDetection",
    );
    one(
        "model['backbone']['deepen'] = 1",
        "error unknown-key model.backbone.deepen unknown key of CSPDarknet (did you mean `deepen_factor`?)",
    );
    one(
        "model['neck'].pop('out_channels')",
        "error missing model.neck.out_channels missing: YOLOXPAFPN needs it",
    );
    one(
        "model['test_cfg'] = dict(nms=dict(type='nms', iou_threshold=2))",
        "error value model.test_cfg.nms.iou_threshold expected a number from 0.0 to 1.0, found 2",
    );
    one(
        "train_dataloader['dataset']['pipeline'][0]['img_scale'] = 3",
        "error value train_dataloader.dataset.pipeline.0.img_scale expected a list of 2 values, found 3",
    );
    one(
        "train_dataloader['num_workers'] = 1000000",
        "error value train_dataloader.num_workers expected an integer from 0 to 1024",
    );
    one(
        "train_cfg['val_interva'] = 3",
        "error unknown-key train_cfg.val_interva unknown key of EpochBasedTrainLoop",
    );
    one("work_dir = 3", "error value work_dir expected a string or null, found 3");
}

#[test]
fn sections_that_are_missing_or_misspelt_are_told() {
    one("del train_cfg", "error missing train_cfg missing: a training run needs it");
    one(
        "val_dataloader = train_dataloader",
        "error missing val_evaluator missing: val_dataloader is there",
    );
    one(
        "trian_dataloader = dict(batch_size=3)",
        "warning unknown-section trian_dataloader means nothing to a run (did you mean `train_dataloader`?)",
    );
}

#[test]
fn words_that_mean_nothing_are_told() {
    one("log_level = 'FOO'", "warning value log_level expected one of DEBUG, INFO");
    one("launcher = 'foo'", "warning value launcher expected one of none, pytorch");
    one(
        "visualizer = dict(type='DetLocalVisualiser')",
        "warning value visualizer.type expected one of Visualizer, DetLocalVisualizer",
    );
    one("custom_hooks = 3", "error value custom_hooks expected a list or null, found 3");
    let (_, lines) = findings(&detector("plugin_dirs = ['nowhere']"), &[]);
    assert!(lines.iter().any(|line| line.contains("nowhere: expected a folder")), "{lines:?}");
}

#[test]
fn files_classes_and_batches_are_held_against_the_data() {
    one(
        "train_dataloader['dataset']['dataset']['ann_file'] = 'trian.json'",
        "error file train_dataloader.dataset.dataset.ann_file data/trian.json: expected a file, found nothing (did you mean data/train.json?)",
    );
    one(
        "train_dataloader['dataset']['dataset']['data_root'] = 'dta'",
        "error file train_dataloader.dataset.dataset.data_root dta: expected a folder, found nothing (did you mean data?)",
    );
    one(
        "load_from = 'no/such'",
        "error file load_from no/such: expected a file or folder, found nothing",
    );
    one(
        "model['bbox_head']['num_classes'] = 1",
        "error classes model.bbox_head.num_classes expected 2, as many as the data set has classes (cat, dog), found 1",
    );
    one(
        "model['bbox_head']['num_classes'] = 80",
        "warning classes model.bbox_head.num_classes expected 2",
    );
    one(
        "train_dataloader['batch_size'] = 8",
        "warning batch train_dataloader.batch_size the data set has 2 samples, a batch 8",
    );
    one(
        "train_dataloader.update(batch_size=8, drop_last=True)",
        "error batch train_dataloader.batch_size",
    );
    one(
        "auto_scale_lr = dict(base_batch_size=64)",
        "warning learning-rate optim_wrapper.optimizer.lr 0.01 is meant for batches of 64",
    );
}

#[test]
fn annotations_are_opened_unless_that_is_not_wanted() {
    let folder = detector("");
    std::fs::write(folder.path().join("data/train.json"), "{").unwrap();
    let (code, lines) = findings(&folder, &[]);
    assert!(code == 1 && lines[0].starts_with("error data train_dataloader.dataset"), "{lines:?}");
    assert_eq!(findings(&folder, &["--no-data"]), (0, Vec::new()));
}

#[test]
fn schedules_are_held_against_the_run() {
    one(
        "train_cfg['max_epochs'] = 24",
        "warning schedule param_scheduler.0.end the last schedule ends at 12, the run goes on to 24 epochs",
    );
    let (_, lines) = findings(&detector("train_cfg['max_epochs'] = 10"), &[]);
    assert!(
        lines[0].starts_with("warning schedule param_scheduler.0.milestones 11 is never reached"),
        "{lines:?}"
    );
    one(
        "param_scheduler.append(dict(type='ConstantLR', begin=12))",
        "warning schedule param_scheduler.1.begin never begins",
    );
    // Two pictures in batches of two, twelve epochs: the data says how many iterations there are.
    let more =
        "param_scheduler.append(dict(type='LinearLR', by_epoch=False, end=500, start_factor=0.1))";
    one(
        more,
        "warning schedule param_scheduler.1.end ends after the run, which has 12 iterations (12 epochs of 1)",
    );
    // A run that counts iterations is held against schedules that do.
    let more = "train_cfg = dict(type='IterBasedTrainLoop', max_iters=100)\n\
        param_scheduler = [dict(type='LinearLR', by_epoch=False, begin=0, end=500, start_factor=0.1)]";
    one(
        more,
        "warning schedule param_scheduler.0.end ends after the run, which has 100 iterations: found 500",
    );
}

#[test]
fn hooks_that_fight_are_told() {
    one(
        "custom_hooks = [dict(type='EMAHook'), dict(type='EMAHook')]",
        "error fight custom_hooks.1 a second average of the weights, beside custom_hooks.0",
    );
    one(
        "custom_hooks = [dict(type='CheckpointHook', interval=3)]",
        "warning fight custom_hooks.0 saves into the folder that default_hooks.checkpoint saves into",
    );
    one(
        "custom_hooks = [dict(type='ParamSchedulerHook')]",
        "error fight custom_hooks.0 steps all schedules a second time",
    );
    one(
        "custom_hooks = [dict(type='EMAHook', begin_epoch=99)]",
        "warning schedule custom_hooks.0.begin_epoch never begins",
    );
    one(
        "custom_hooks = [dict(type='EMAHok')]",
        "error hook custom_hooks.0.type hook type 'EMAHok'",
    );
    one(
        "custom_hooks = [dict(type='EMAHook', momentum=3)]",
        "error hook custom_hooks.0.momentum expected a number from 0.0 to 1.0",
    );
    one(
        "default_hooks = dict(checkpoint=dict(save_best='auto'))",
        "warning hook default_hooks.checkpoint.save_best no best checkpoint is ever found",
    );
}

#[test]
fn a_finding_shows_file_line_and_a_mark() {
    let folder = detector("model['bbox_head']['num_clases'] = 3");
    let (code, stdout, _) =
        folder.run(&["config", "check", "a.py", "train_dataloader.batch_size=0"]);
    assert_eq!(code, 1);
    let expected = "\
error[unknown-key]: model.bbox_head.num_clases: unknown key of YOLOXHead (did you mean `num_classes`?)
  --> a.py:21:21
   |
21 | model['bbox_head']['num_clases'] = 3
   |                     ^^^^^^^^^^
";
    assert!(stdout.starts_with(expected), "{stdout}");
    assert!(stdout.contains("--cfg-options:1:"), "{stdout}");
    assert!(stdout.ends_with("a.py: 2 errors, no warnings\n"), "{stdout}");
    assert!(!stdout.contains('\x1b'), "escape sequences in a pipe: {stdout:?}");
}

#[test]
fn a_changed_variable_that_is_lost_is_told_by_check_and_train() {
    let folder = detector("");
    std::fs::write(folder.path().join("b.py"), "_base_ = 'a.py'\nclasses = ('cat', 'cow')\n")
        .unwrap();
    let (code, stdout, _) = folder.run(&["config", "check", "b.py"]);
    assert_eq!(code, 0);
    assert!(
        stdout.contains("warning[lost-variable]: classes: is changed, but train_dataloader"),
        "{stdout}"
    );
    let (_, _, stderr) = folder.run(&["train", "b.py", "--dry-run", "work_dir=w"]);
    assert!(stderr.contains("warning: b.py, line 2: classes: is changed"), "{stderr}");
    let (_, stdout, _) = folder.run(&["config", "check", "b.py", "--propagate"]);
    assert!(!stdout.contains("lost-variable"), "{stdout}");
}

#[test]
fn a_config_that_cannot_be_loaded_is_a_finding_too() {
    let folder = Folder::with(&[("a.py", "a = 1\nb = [1,\n")]);
    let (code, lines) = findings(&folder, &[]);
    assert_eq!(code, 1);
    assert!(lines[0].starts_with("error config  expected Python syntax"), "{lines:?}");
    let (_, stdout, _) = folder.run(&["config", "check", "a.py"]);
    assert!(stdout.contains("a.py:2:") || stdout.contains("a.py:3:"), "{stdout}");
}

#[test]
fn wrong_components_end_training_before_it_begins() {
    let folder = detector("model['neck']['type'] = 'YOLOXPAFPM'");
    let (code, stdout, stderr) = folder.run(&["train", "a.py"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(
        stderr.starts_with("error: a.py: one thing is wrong with its components\n"),
        "{stderr}"
    );
    assert!(
        stderr.contains("did you mean `YOLOXPAFPN`?") && stderr.contains("a.py:21:"),
        "{stderr}"
    );
}

fn schema(folder: &Folder, arguments: &[&str]) -> Json {
    let (code, stdout, stderr) = folder.run(&[&["config", "schema"], arguments].concat());
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn the_schema_is_one_and_describes_what_it_lets_through() {
    let folder = detector("");
    for arguments in [&[][..], &["--resolved"]] {
        let schema = schema(&folder, arguments);
        assert!(jsonschema::draft202012::meta::is_valid(&schema));
        let text = &schema["$defs"]["backbone.CSPDarknet"]["properties"]["widen_factor"];
        assert_eq!(text["description"], "Factor for the number of channels.");
        assert_eq!(text["default"], json!(1.0));
    }
}

/// Key paths at which a schema refuses the detector with another line at its end.
fn refused(more: &str) -> Vec<String> {
    let folder = detector(more);
    let schema = schema(&folder, &["--resolved"]);
    let (_, stdout, _) = folder.run(&["config", "print", "a.py"]);
    let config: Json = serde_json::from_str(&stdout).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    validator.iter_errors(&config).map(|error| error.instance_path().to_string()).collect()
}

#[test]
fn the_schema_refuses_what_the_check_refuses() {
    let visualizer = "visualizer = dict(type='mmdet.DetLocalVisualizer', name='visualizer',\n\
        vis_backends=[dict(type='LocalVisBackend')])";
    for accepted in ["", visualizer] {
        assert!(refused(accepted).is_empty(), "{:?}", refused(accepted));
    }
    for (more, path) in [
        ("model['backbone']['deepen'] = 1", "/model/backbone"),
        ("model['type'] = 'YOLOY'", "/model/type"),
        ("model['neck'].pop('out_channels')", "/model/neck"),
        (
            "train_dataloader['dataset']['pipeline'][0]['img_scale'] = 3",
            "/train_dataloader/dataset",
        ),
        ("train_cfg['max_epochs'] = 'many'", "/train_cfg"),
        ("custom_hooks = [dict(type='EMAHook', momentum=3)]", "/custom_hooks"),
        ("custom_hooks = [dict(type='Nowhere')]", "/custom_hooks"),
        ("default_hooks = dict(checkpoint=dict(intervall=3))", "/default_hooks/checkpoint"),
    ] {
        let paths = refused(more);
        assert!(
            paths.iter().any(|found| found.starts_with(path) || path.starts_with(found.as_str())),
            "{more}: {paths:?}"
        );
        assert!(!paths.is_empty(), "{more}");
    }
}

#[test]
fn the_schema_for_files_lets_heirs_leave_out_what_their_bases_say() {
    let folder = detector("");
    let validator = jsonschema::draft202012::new(&schema(&folder, &[])).unwrap();
    let heir = json!({"_base_": "a.py", "model": {"bbox_head": {"num_classes": 3}},
        "train_cfg": {"max_epochs": "{{_base_.epochs}}"}, "default_hooks": {"logger": {"interval": 5}, "timer": null}});
    assert!(
        validator.is_valid(&heir),
        "{:?}",
        validator.iter_errors(&heir).map(|e| e.to_string()).collect::<Vec<_>>()
    );
    assert!(!validator.is_valid(&json!({"default_hooks": {"logger": {"intervall": 5}}})));
}
