//! Built-in hooks in real runs, those that no other file is about.

use std::path::PathBuf;

use serde_json::Value as Json;
use snaphook_tests::{Workspace, checkpoints, is_whole};

fn epochs(workspace: &Workspace) -> Vec<String> {
    let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    checkpoints(&workspace.work()).into_iter().map(name).collect()
}

/// Never better by 2: every validation after the first is one without an improvement.
const STOPS_AFTER: &str = "custom_hooks = [dict(type='EarlyStoppingHook', monitor='coco/bbox_mAP', min_delta=2, patience=2)]";

#[test]
fn early_stopping_ends_a_run_and_goes_on_counting_after_a_resume() {
    let workspace = Workspace::with(STOPS_AFTER);
    let outcome = workspace.train(&["train_cfg.max_epochs=9"]);
    outcome.expect_code(0).expect_text(&["Training stops: coco/bbox_mAP did not improve in 2"]);
    assert_eq!(epochs(&workspace), ["epoch_1", "epoch_2", "epoch_3"]);
    let again = workspace.train(&["--resume", "--cfg-options", "train_cfg.max_epochs=9"]);
    again.expect_code(0).expect_text(&["the run had stopped for it before"]);
    assert!(!again.text().contains("where the training stopped"), "{again}");
    assert_eq!(epochs(&workspace), ["epoch_1", "epoch_2", "epoch_3"]);

    // The end that nobody planned is a last epoch too.
    let rare = Workspace::with(STOPS_AFTER);
    rare.train(&["train_cfg.max_epochs=9", "default_hooks.checkpoint.interval=10"]).expect_code(0);
    assert_eq!(epochs(&rare), ["epoch_3"]);

    let halves = Workspace::with(STOPS_AFTER);
    // The checkpoint of epoch 2 is saved before the validation that counts the first miss, which is added to it.
    halves.train(&["train_cfg.max_epochs=2"]).expect_code(0);
    halves.train(&["--resume", "--cfg-options", "train_cfg.max_epochs=9"]).expect_code(0);
    assert_eq!(epochs(&halves), ["epoch_1", "epoch_2", "epoch_3"]);
}

#[test]
fn a_training_that_was_good_enough_stays_so_after_a_resume() {
    let hook = "dict(type='EarlyStoppingHook', monitor='coco/bbox_mAP', rule='less', stopping_threshold=0.99)";
    // A hook of the same type before it is taken out on the resume: each has its own state.
    let patient = "dict(type='EarlyStoppingHook', monitor='coco/bbox_mAP_50', patience=99)";
    let workspace = Workspace::with(&format!("custom_hooks = [{patient}, {hook}]"));
    let first = workspace.train(&["train_cfg.max_epochs=9"]);
    first.expect_code(0).expect_text(&["which passes the threshold 0.99"]);
    let alone = format!("custom_hooks=[{hook}]");
    let again = workspace.train(&["--resume", "--cfg-options", "train_cfg.max_epochs=9", &alone]);
    again.expect_code(0).expect_text(&["passes the threshold 0.99; the run had stopped for it"]);
    assert_eq!(epochs(&workspace), ["epoch_1"]);
}

#[test]
fn two_hooks_that_save_keep_each_their_own_checkpoints() {
    let second = "dict(type='CheckpointHook', by_epoch=False, interval=2, filename_tmpl='keep_{}', save_last=False)";
    let workspace = Workspace::with(&format!(
        "custom_hooks = [{second}]\ndefault_hooks['checkpoint'].update(max_keep_ckpts=1, interval=1)"
    ));
    workspace.train(&["train_cfg.max_epochs=2"]).expect_code(0);
    assert_eq!(epochs(&workspace), ["epoch_2"]);
    assert!(workspace.file("work/keep_2/manifest.json").is_file());
    assert!(workspace.file("work/keep_4/manifest.json").is_file());
}

#[test]
fn the_last_and_the_best_checkpoint_are_published_with_the_parts_asked_for() {
    let workspace = Workspace::with(
        "default_hooks['checkpoint'].update(save_best='coco/bbox_mAP', published_keys=['meta', 'state_dict'])",
    );
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0).expect_text(&["is published as"]);
    let names = std::fs::read_dir(workspace.work()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let published: Vec<String> = names.filter(|name| name.contains('-')).collect();
    assert_eq!(published.len(), 2, "{published:?}");
    for name in published {
        let folder = workspace.work().join(&name);
        assert!(folder.join("model.safetensors").is_file() && is_whole(&folder), "{name}");
        assert!(!folder.join("optimizer.safetensors").exists(), "{name}");
        let tested = workspace.snaphook(["test", "tiny.py", folder.to_str().unwrap()]);
        tested.expect_code(0);
    }
}

#[test]
fn a_trace_has_iterations_phases_hooks_and_operators() {
    let workspace = Workspace::with(
        "custom_hooks = [dict(type='ProfilerHook', on_trace_ready=dict(type='log_trace'), json_trace_path='t/a.json', record_shapes=True), \
         dict(type='SyncBuffersHook'), dict(type='EmptyCacheHook', before_epoch=True, after_iter=True)]",
    );
    let outcome = workspace.train(&["train_cfg.max_epochs=1"]);
    let expected = ["The trace is in ", "Time of the run so far:", "Operators, by self_cpu_time"];
    outcome.expect_code(0).expect_text(&expected).expect_text(&["\naten::"]);
    let line = outcome.stdout.lines().find(|line| line.contains("The trace is in ")).unwrap();
    let path = line.split("The trace is in ").nth(1).unwrap();
    assert!(path.ends_with("/t/a.json"), "{path}");
    let trace: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let count = |name: &str| events.iter().filter(|event| event["name"] == name).count();
    assert_eq!((count("iteration 0"), count("iteration 1"), count("forward")), (1, 1, 2));
    assert!(count("data") >= 2 && count("backward") == 2 && count("optimizer") >= 2);
    let hook = events.iter().find(|event| event["name"] == "IterTimerHook").unwrap();
    assert!(hook["args"]["point"].is_string() && hook["dur"].is_f64());
    // Phases follow each other without a gap: a microsecond is what rounding may leave.
    let phases: Vec<_> = events.iter().filter(|e| e["tid"] == 2 && e["ph"] == "X").collect();
    for pair in phases.windows(2) {
        let end = pair[0]["ts"].as_f64().unwrap() + pair[0]["dur"].as_f64().unwrap();
        assert!((pair[1]["ts"].as_f64().unwrap() - end).abs() < 1.0);
    }
    // Operators lie on a row of their own, each inside the phase that asked for it.
    let span = |event: &Json| {
        let start = event["ts"].as_f64().unwrap();
        (start, start + event["dur"].as_f64().unwrap())
    };
    let (from, to) = span(events.iter().find(|event| event["name"] == "forward").unwrap());
    let normalised = events.iter().filter(|event| event["name"] == "aten::native_batch_norm");
    let first = normalised.min_by(|a, b| span(a).0.total_cmp(&span(b).0)).unwrap();
    assert!(from <= span(first).0 && span(first).1 <= to && first["tid"] == 4);
    let is_of_maps = |event: &&Json| {
        event["name"] == "aten::native_batch_norm"
            && event["args"]["Input Dims"][0].as_array().is_some_and(|dims| dims.len() == 4)
    };
    assert!(events.iter().any(|event| is_of_maps(&event)));
    assert!(events.iter().any(|event| event["name"] == "ConvolutionBackward0"));
}

#[test]
fn checkpoints_go_where_out_dir_says_and_are_resumed_from_there() {
    let workspace = Workspace::with(
        "default_hooks['checkpoint'].update(out_dir='store', max_keep_ckpts=1, save_best='coco/bbox_mAP')",
    );
    workspace.train(&["train_cfg.max_epochs=2"]).expect_code(0);
    let store = workspace.file("store/work");
    let names = |folder: &std::path::Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert!(checkpoints(&workspace.work()).is_empty());
    let stored = names(&store);
    assert!(stored.contains(&"epoch_2".to_owned()) && !stored.contains(&"epoch_1".to_owned()));
    assert!(stored.iter().any(|name| name.starts_with("best_coco_bbox_mAP_")), "{stored:?}");
    let last = std::fs::read_to_string(workspace.work().join("last_checkpoint")).unwrap();
    assert_eq!(std::path::Path::new(&last), store.canonicalize().unwrap().join("epoch_2"));
    let resumed = workspace.train(&["--resume", "--cfg-options", "train_cfg.max_epochs=3"]);
    resumed.expect_code(0).expect_text(&["Resumed from ", "store/work/epoch_2 (epoch 2"]);
    let stored = names(&store);
    assert!(stored.contains(&"epoch_3".to_owned()) && !stored.contains(&"epoch_2".to_owned()));
}

#[test]
fn logs_are_copied_where_the_config_says() {
    let workspace =
        Workspace::with("default_hooks['logger'].update(out_dir='copies', keep_local=False)");
    let outcome = workspace.train(&["train_cfg.max_epochs=1"]);
    outcome
        .expect_code(0)
        .expect_text(&["Text logs will be saved to copies/work", "has been uploaded to"]);
    let copies = workspace.file("copies/work");
    assert!(copies.join("vis_data/scalars.json").is_file());
    let page = std::fs::read_to_string(copies.join("report.html")).unwrap();
    assert!(page.contains("<svg"), "the page was written before the numbers were taken away");
    let record = std::fs::read_to_string(copies.join("run.json")).unwrap();
    assert!(!record.contains("\"running\""), "{record}");
    let elsewhere = workspace
        .train(&["train_cfg.max_epochs=1", "default_hooks.logger.out_dir=s3://bucket/logs"]);
    elsewhere
        .expect_code(1)
        .expect_error(&["out_dir: expected a local folder, found s3://bucket/logs"]);
}

#[test]
fn a_plain_mean_of_the_weights_is_an_average_too() {
    let workspace = Workspace::with(
        "custom_hooks = [dict(type='EMAHook', ema_type='StochasticWeightAverage', device='cpu')]",
    );
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    assert!(workspace.file("work/epoch_1/ema.safetensors").is_file());
    let refused = workspace.train(&["custom_hooks.0.momentum=0.1"]);
    refused.expect_code(1).expect_error(&["momentum"]);
}
