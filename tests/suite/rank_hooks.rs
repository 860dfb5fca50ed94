//! Hooks of plugins in runs of two processes: what must happen once happens once, what must be equal is equal, and what ends
//! one ends both.

use std::path::Path;
use std::process::Command;

use serde_json::{Value as Json, json};
use snaphook_tests::{Outcome, Running, Workspace, checkpoints, claimed_port, scalars};

use crate::cloud::s3_server::{KEY_ID, S3Server, SECRET};
use crate::detection_hooks::CHANGING;
use crate::loggers::http::get;
use crate::loggers::{logs, metrics_address, mlflow, webhook};

fn train(workspace: &Workspace, more: &[&str]) -> Vec<Outcome> {
    let outcomes = workspace.train_ranks(2, more);
    for outcome in &outcomes {
        outcome.expect_code(0);
    }
    outcomes
}

/// The log of each rank; the test has one run in its folder.
fn both_logs(work: &Path) -> [String; 2] {
    [0, 1].map(|rank| logs(work, rank).remove(0))
}

/// What stands after a text in each line of a log that has it.
fn after<'a>(log: &'a str, text: &str) -> Vec<&'a str> {
    log.lines().filter_map(|line| Some(line.split_once(text)?.1)).collect()
}

#[test]
fn a_loss_that_is_no_number_ends_both_and_each_names_loss_iteration_and_rank() {
    let workspace = Workspace::with(
        "custom_hooks = [dict(type='CheckInvalidLossHook', interval=1)]\noptim_wrapper = dict(\n    \
         type='OptimWrapper', optimizer=dict(type='SGD', lr=1e30))\nparam_scheduler = []",
    );
    let outcomes = workspace.train_ranks(2, &[]);
    for (rank, outcome) in outcomes.iter().enumerate() {
        outcome.expect_code(3);
        let error = outcome.error();
        assert!(error.contains("loss become infinite or NaN: loss = "), "{error}");
        assert!(error.contains("iteration 2, rank "), "{error}");
        let log = &both_logs(&workspace.work())[rank];
        assert!(log.contains("loss become infinite or NaN!"), "{log}");
    }
}

#[test]
fn a_head_of_another_number_of_classes_ends_both_before_the_first_iteration() {
    let workspace = Workspace::with("custom_hooks = [dict(type='NumClassCheckHook')]");
    for outcome in workspace.train_ranks(2, &["model.bbox_head.num_classes=5"]) {
        outcome.expect_code(3);
        assert!(outcome.error().contains("The `num_classes` (5) in YOLOXHead"), "{outcome}");
        assert!(!outcome.stdout.contains("Epoch(train)"), "{outcome}");
    }
}

#[test]
fn sizes_switches_and_rates_are_the_same_in_both_and_memory_is_told_by_each() {
    let config = CHANGING
        .replace("interval=2", "interval=1")
        .replace("ratio_range=(1, 2)", "ratio_range=(1, 6)");
    let workspace = Workspace::with(&config);
    train(&workspace, &[]);
    let [first, second] = both_logs(&workspace.work());
    for told in [
        "Pictures of ",
        "No mosaic and mixup aug now!",
        "Add additional L1 loss now!",
        "Switch pipeline now!",
    ] {
        assert!(!after(&first, told).is_empty(), "{told}\n{first}");
        assert_eq!(after(&first, told), after(&second, told), "{told}");
    }
    assert!(after(&first, "Pictures of ").len() >= 2, "{first}");
    // Each process has its own memory, and tells it in its own log.
    let own = |log: &str| after(log, "Memory information available_memory: ").len();
    assert!(own(&first) > 0 && own(&first) == own(&second), "{first}\n{second}");
    let records = scalars(&workspace.work());
    let training: Vec<&Json> = records.iter().filter(|record| record.get("lr").is_some()).collect();
    let has_l1: Vec<bool> = training.iter().map(|record| record.get("loss_l1").is_some()).collect();
    assert_eq!(has_l1, [false, true, true], "an iteration an epoch");
}

#[test]
fn a_teacher_of_two_processes_is_the_one_of_one_process() {
    let teacher = |workspace: &Workspace| {
        let weights = snaphook_tests::weights(&workspace.work().join("epoch_1"));
        let name = "bbox_head.multi_level_cls_convs.1.0.conv.weight";
        let bytes = crate::detection_hooks::tensor(&weights, name).to_vec();
        let numbers =
            bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap()));
        numbers.collect::<Vec<f32>>()
    };
    let config = "sync_bn = 'torch'\nparam_scheduler = []\noptim_wrapper = dict(type='OptimWrapper', \
                  optimizer=dict(type='SGD', lr=0.0005))\n";
    let hook = "custom_hooks = [dict(type='MeanTeacherHook', momentum=0.5, \
                teacher='bbox_head.multi_level_cls_convs.1', student='bbox_head.multi_level_cls_convs.0')]";
    let (one, two) =
        (Workspace::with(&format!("{config}{hook}")), Workspace::with(&format!("{config}{hook}")));
    let without = Workspace::with(config);
    one.train(&["train_cfg.max_epochs=1", "train_dataloader.batch_size=4"]).expect_code(0);
    train(&two, &["train_cfg.max_epochs=1"]);
    train(&without, &["train_cfg.max_epochs=1"]);
    let furthest = |one: &[f32], other: &[f32]| {
        one.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max)
    };
    assert!(furthest(&teacher(&one), &teacher(&two)) < 1e-5);
    assert!(furthest(&teacher(&without), &teacher(&two)) > 1e-3, "the hook has done something");
}

/// Running means and variances of a checkpoint of the tests' run, in the order of their names.
fn statistics(workspace: &Workspace, epoch: u64) -> Vec<f64> {
    let file = snaphook_tests::weights(&workspace.work().join(format!("epoch_{epoch}")));
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: serde_json::Map<String, Json> =
        serde_json::from_slice(&file[8..8 + length]).unwrap();
    let mut names: Vec<&String> = header.keys().filter(|name| name.contains(".running_")).collect();
    names.sort();
    assert!(!names.is_empty());
    let bytes = names.iter().flat_map(|name| crate::detection_hooks::tensor(&file, name).to_vec());
    let bytes: Vec<u8> = bytes.collect();
    let numbers = bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap()));
    numbers.map(f64::from).collect()
}

/// With a rate of 0 each epoch does the same with running statistics `x` of a process: `a x + b`, where `a` is of the model and
/// `b` of the process' pictures. So checkpoints of one process that has the pictures of one of two tell what becomes of any
/// statistics; those of two tell which ones the processes went on with.
#[test]
fn statistics_of_both_processes_are_their_mean_after_each_validation_begins() {
    let config = "optim_wrapper['optimizer']['lr'] = 0.0\nparam_scheduler = []\n\
                  train_dataloader['sampler']['shuffle'] = False\n\
                  train_dataloader['dataset'] = dict(train_dataloader['dataset']['dataset'])\n\
                  train_dataloader['dataset']['pipeline'] = test_pipeline\n";
    let synced = Workspace::with(&format!("{config}custom_hooks = [dict(type='SyncNormHook')]"));
    train(&synced, &[]);
    let alone = ["[0,2]", "[1,3]"].map(|pictures| {
        let workspace = Workspace::with(config);
        let indices = format!("train_dataloader.dataset.indices={pictures}");
        workspace.train(&[&indices, "train_cfg.max_epochs=2"]).expect_code(0);
        [1, 2].map(|epoch| statistics(&workspace, epoch))
    });
    let furthest = |one: &[f64], other: &[f64]| {
        let off =
            one.iter().zip(other).map(|(one, other)| (one - other).abs() / other.abs().max(1.0));
        off.fold(0.0, f64::max)
    };
    assert_eq!(
        furthest(&statistics(&synced, 1), &alone[0][0]),
        0.0,
        "rank 0 before the hook's point"
    );
    assert!(furthest(&alone[0][0], &alone[1][0]) > 1e-3, "they differ");
    let mean = |one: &[f64], other: &[f64]| -> Vec<f64> {
        one.iter().zip(other).map(|(one, other)| (one + other) / 2.0).collect()
    };
    // The momentum of these norms is 0.03.
    let next = |rank: usize, from: &[f64]| -> Vec<f64> {
        let [first, second] = &alone[rank];
        let moved = from.iter().zip(first).zip(second);
        moved.map(|((from, first), second)| second + 0.97 * (from - first)).collect()
    };
    let first = mean(&alone[0][0], &alone[1][0]);
    let second = mean(&next(0, &first), &next(1, &first));
    let (found, expected) = (statistics(&synced, 2), next(0, &first));
    assert!(furthest(&found, &expected) < 1e-5, "rank 0 went on with the mean");
    let without = mean(&next(0, &first), &alone[1][1]);
    let (found, expected) = (statistics(&synced, 3), next(0, &second));
    assert!(furthest(&found, &expected) < 1e-5, "rank 1 went on with the mean");
    assert!(furthest(&found, &next(0, &without)) > 1e-4, "one that had kept its own would show");
}

#[test]
fn a_process_that_uploads_in_vain_keeps_the_others_waiting_and_none_fails() {
    let workspace = Workspace::with(
        "env_cfg = dict(dist_cfg=dict(timeout=8))\ncustom_hooks = [dict(type='AWSCloudCheckpoint', interval=9, \
         url='s3://bucket/runs/a', endpoint='http://127.0.0.1:9', region='us-east-1', retry_minutes=0.3, on_error='warn')]",
    );
    let keys = [("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    let outcomes = workspace.train_ranks_with(2, &["train_cfg.max_epochs=1"], &keys);
    for outcome in &outcomes {
        outcome.expect_code(0);
    }
    outcomes[0].expect_text(&["Waiting for uploads", "given up after", "the run goes on"]);
    assert!(workspace.file("work/.uploads/epoch_1").is_dir(), "for the next run");
}

#[test]
fn mlflow_webhook_and_wandb_hear_of_one_run() {
    let (mlflow, webhook) = (mlflow(), webhook());
    let workspace = Workspace::with(&format!(
        "custom_hooks = [dict(type='MlflowHook', tracking_uri='{}', interval=1), dict(type='WebhookHook', url='{}'), \
         dict(type='WandbHook', interval=1)]",
        mlflow.url(),
        webhook.url()
    ));
    train(&workspace, &["train_cfg.max_epochs=2"]);
    let count = |end: &str| mlflow.asked().iter().filter(|asked| asked.path.ends_with(end)).count();
    assert_eq!((count("runs/create"), count("runs/update")), (1, 1));
    let events: Vec<Json> =
        webhook.asked().iter().map(|asked| asked.body["event"].clone()).collect();
    assert_eq!(events, [json!("start"), json!("end")]);
    assert_eq!(crate::loggers::offline::files(&workspace.work()).len(), 1);
}

#[test]
fn each_process_has_its_own_page_for_prometheus_and_a_taken_port_is_told() {
    let workspace =
        Workspace::with("custom_hooks = [dict(type='PrometheusHook', port=0, interval=1)]");
    let mut running = workspace.start_ranks(2, |_| {
        let fixed = ["train", "tiny.py", "--work-dir", "work", "train_cfg.max_epochs=500"];
        fixed.map(str::to_owned).to_vec()
    });
    for rank in 0..2 {
        let address = metrics_address(&mut running[0], &workspace, rank);
        let of_rank = format!("rank=\"{rank}\"");
        let is_of_rank =
            || get(&address, "/metrics").is_some_and(|(_, page)| page.contains(&of_rank));
        assert!(running[0].wait_until(is_of_rank), "rank {rank}");
    }
    let kill = Command::new("kill").args(["-TERM", &running[0].id().to_string()]).status().unwrap();
    assert!(kill.success());
    for outcome in running.into_iter().map(Running::wait) {
        outcome.expect_code(75);
    }

    // The second process would have the next port, which somebody else has.
    let (port, _taken) = neighbours();
    let refused =
        Workspace::with(&format!("custom_hooks = [dict(type='PrometheusHook', port={port})]"));
    for (outcome, code) in refused.train_ranks(2, &[]).into_iter().zip([3, 1]) {
        outcome
            .expect_code(code)
            .expect_error(&[&format!("port {}: ", port + 1), "port=…, or 0 for a free one"]);
    }
}

/// A free port whose next one is taken.
fn neighbours() -> (u16, std::net::TcpListener) {
    loop {
        let [port, next] = [claimed_port(), claimed_port()];
        if next == port + 1 {
            return (port, std::net::TcpListener::bind(("127.0.0.1", next)).unwrap());
        }
    }
}

#[test]
fn checkpoints_of_two_processes_are_uploaded_once_and_both_go_on_from_them() {
    let folder = tempfile::tempdir().unwrap();
    let server = S3Server::start(folder.path());
    let hook = format!(
        "custom_hooks = [dict(type='AWSCloudCheckpoint', interval=1, url='s3://bucket/runs/a', endpoint='http://{}', \
         region='us-east-1')]",
        server.address()
    );
    let train = |workspace: &Workspace, more: &[&str]| -> Vec<Outcome> {
        let keys = [("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET)];
        let outcomes = workspace.train_ranks_with(2, more, &keys);
        outcomes.iter().for_each(|outcome| {
            outcome.expect_code(0);
        });
        outcomes
    };
    let first = Workspace::with(&hook);
    let outcomes = train(&first, &["train_cfg.max_epochs=2"]);
    let uploads = |outcome: &Outcome| outcome.text().matches("Uploaded epoch_").count();
    assert_eq!(outcomes.iter().map(uploads).collect::<Vec<_>>(), [2, 0]);
    let [_, log] = both_logs(&first.work());
    assert!(!log.contains("Uploaded") && !log.contains("will be uploaded"), "{log}");

    let second = Workspace::with(&hook);
    let outcomes = train(&second, &["--resume", "s3://bucket/runs/a"]);
    outcomes[0].expect_text(&["(epoch 2, iteration 2)", "Uploaded epoch_3"]);
    assert_eq!(checkpoints(&second.work()).len(), 2, "the one that was fetched, and the last");
    assert!(!second.work().join(".uploads").exists());
}
