//! Several processes on this machine: they train as one, measure as one, go on as one, and end together.

use std::path::Path;
use std::process::Command;

use snaphook_tests::{Outcome, Running, Workspace, checkpoints, fixture, scalars, weights};

/// No random pipeline, small steps, and norms with the statistics of all ranks: what remains are roundings.
const CALM: &str = "\
sync_bn = 'torch'
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.0005, momentum=0.9, weight_decay=5e-4))
";

/// The numbers of the weights of a checkpoint: all tensors here but the counters are f32.
fn numbers(checkpoint: &Path) -> Vec<f32> {
    let bytes = weights(checkpoint);
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: serde_json::Value = serde_json::from_slice(header).unwrap();
    let tensors = header.as_object().unwrap().values().filter(|tensor| tensor["dtype"] == "F32");
    let range = |tensor: &serde_json::Value| {
        let at = |end: usize| tensor["data_offsets"][end].as_u64().unwrap() as usize;
        data[at(0)..at(1)].to_vec()
    };
    let bytes: Vec<u8> = tensors.flat_map(range).collect();
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

/// Boxes, proposals, areas, single classes, VOC's numbers, and a file alone.
const EVERY_METRIC: &str = "\
model['test_cfg']['score_thr'] = 0.0
test_evaluator = [
    dict(test_evaluator, metric=['bbox', 'proposal'], classwise=True),
    dict(type='VOCMetric', iou_thrs=[0.3, 0.5], eval_mode='area'),
    dict(test_evaluator, format_only=True, outfile_prefix='formatted')]
";

#[track_caller]
pub(crate) fn assert_near(one: &Path, other: &Path, tolerance: f32) {
    let (one, other) = (numbers(one), numbers(other));
    assert_eq!(one.len(), other.len());
    let furthest = one
        .iter()
        .zip(&other)
        .map(|(one, other)| (one - other).abs() / (1.0 + one.abs()))
        .fold(0.0, f32::max);
    assert!(furthest < tolerance, "they differ by {furthest}");
}

#[track_caller]
pub(crate) fn expect_codes(outcomes: &[Outcome], code: i32) {
    outcomes.iter().for_each(|outcome| {
        outcome.expect_code(code);
    });
}

#[test]
fn two_ranks_train_as_one_process_with_a_batch_of_twice_the_size() {
    let one = Workspace::with(CALM);
    one.train(&["train_dataloader.batch_size=4"]).expect_code(0);
    let two = Workspace::with(CALM);
    let outcomes = two.train_ranks(2, &["default_hooks.logger.mean_over_ranks=True"]);
    expect_codes(&outcomes, 0);
    // From the second step on, a rounding can change which priors a box is given to.
    for (epoch, tolerance) in [("work/epoch_1", 1e-4), ("work/epoch_3", 1e-2)] {
        assert_near(&one.file(epoch), &two.file(epoch), tolerance);
    }
    let loss = |workspace: &Workspace| scalars(&workspace.work())[0]["loss"].as_f64().unwrap();
    assert!((loss(&one) - loss(&two)).abs() < 1e-4, "{} and {}", loss(&one), loss(&two));
    // Rank 0 alone writes lines and scalars; the other one has a log of its own.
    assert!(outcomes[0].stdout.contains("Epoch(train) [3]"));
    assert_eq!(outcomes[1].stdout, "");
    assert_eq!(scalars(&one.work()).len(), scalars(&two.work()).len());
}

/// What the newest run of a work folder says of what goes wrong where; its page shows it as well.
fn diagnosed(workspace: &Workspace, work: &str) -> Vec<serde_json::Value> {
    let entries = std::fs::read_dir(workspace.file(work)).unwrap().flatten();
    let runs = entries.map(|entry| entry.path()).filter(|path| path.join("vis_data").is_dir());
    let run = runs.max().unwrap();
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("VOCMetric: Precision over recall"));
    assert!(page.contains("VOCMetric: Which class is taken for which"));
    let text = std::fs::read_to_string(run.join("vis_data/evaluation.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn metrics_and_predictions_are_the_same_for_every_number_of_ranks() {
    let workspace = Workspace::with(EVERY_METRIC);
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    // Two batches of two pictures: of three ranks, one has none.
    let found: Vec<String> = (1..=3)
        .map(|world| {
            let out = format!("found{world}.json");
            let running = workspace.start_ranks(world, |_| {
                let fixed = ["test", "tiny.py", "work/epoch_1", "--work-dir", "tested", "--out"];
                fixed.iter().map(|text| (*text).to_owned()).chain([out.clone()]).collect()
            });
            let outcomes: Vec<_> = running.into_iter().map(Running::wait).collect();
            expect_codes(&outcomes, 0);
            let stdout = &outcomes[0].stdout;
            let line = stdout.lines().find(|line| line.contains("coco/bbox_mAP:")).unwrap();
            let metrics = line.split("coco/").skip(1).map(|part| part.split("data_time").next());
            let metrics: Vec<_> = metrics.flatten().map(str::trim).collect();
            for name in ["bbox_mAP_m:", "square_precision:", "AR@100:", "pascal_voc/AP30:"] {
                assert!(line.contains(name), "{name} is not in {line}");
            }
            let written = workspace.read("formatted.bbox.json");
            std::fs::remove_file(workspace.file("formatted.bbox.json")).unwrap();
            let diagnosed = diagnosed(&workspace, "tested");
            let names: Vec<_> = diagnosed.iter().map(|one| &one["name"]).collect();
            assert_eq!(names, ["CocoMetric", "VOCMetric"]);
            assert_eq!(diagnosed[1]["precision"][0].as_array().unwrap().len(), 101);
            assert_eq!(diagnosed[0]["confusion"], diagnosed[1]["confusion"]);
            let told = serde_json::to_string(&diagnosed).unwrap();
            format!("{}\n{written}\n{}\n{told}", metrics.join(" "), workspace.read(&out))
        })
        .collect();
    assert!(found[0].len() > 200, "{}", found[0]);
    assert!(found[1] == found[0] && found[2] == found[0], "metrics or predictions differ");
}

#[test]
fn a_resume_is_exact_with_as_many_ranks_and_says_what_it_does_with_others() {
    // Three: the sum of two numbers does not depend on their order.
    let small = "train_dataloader.batch_size=1";
    let three = Workspace::new();
    expect_codes(&three.train_ranks(3, &[small, "train_cfg.max_epochs=3"]), 0);
    let parts = Workspace::new();
    expect_codes(&parts.train_ranks(3, &[small, "train_cfg.max_epochs=2"]), 0);
    expect_codes(&parts.train_ranks(3, &["--resume", "--cfg-options", small]), 0);
    assert!(weights(&three.file("work/epoch_3")) == weights(&parts.file("work/epoch_3")));

    let halves = Workspace::new();
    expect_codes(&halves.train_ranks(2, &["train_cfg.max_epochs=2"]), 0);

    let alone = halves.train(&["--resume", "work/epoch_2"]);
    alone.expect_code(0).expect_text(&[
        "saved by 2 ranks with 4 samples a step, this run has 1 with 2: iteration 2 is now 4",
    ]);
    let same = halves.train(&[
        "--resume",
        "work/epoch_2",
        "--cfg-options",
        "train_dataloader.batch_size=4",
    ]);
    same.expect_code(0).expect_text(&["every step sees the same samples as before"]);

    // Six samples of the second epoch, whose steps have four now.
    let middle = Workspace::new();
    let lines = [small, "default_hooks.checkpoint.by_epoch=False", "train_cfg.max_epochs=2"];
    expect_codes(&middle.train_ranks(3, &lines), 0);
    let words = "saved by 3 ranks with 3 samples a step, this run has 2 with 4: iteration 3 is now 1, so that 3 samples are trained again";
    let line = ["--resume", "work/iter_3", "--cfg-options", "train_cfg.max_epochs=2"];
    let outcomes = middle.train_ranks(2, &line);
    expect_codes(&outcomes, 0);
    outcomes[0].expect_text(&[words]);
}

#[test]
fn a_resume_between_two_steps_of_the_optimizer_is_exact_with_three_ranks() {
    // Two iterations in an epoch: the first checkpoint has half of what a step needs.
    let shared = ["train_dataloader.batch_size=1", "optim_wrapper.accumulative_counts=4"];
    let train = |workspace: &Workspace, more: &[&str]| {
        expect_codes(&workspace.train_ranks(3, &[more, &shared].concat()), 0);
    };
    let (whole, halves) = (Workspace::new(), Workspace::new());
    train(&whole, &["train_cfg.max_epochs=4"]);
    train(&halves, &["train_cfg.max_epochs=4"]);
    let gathered = std::fs::read(halves.file("work/epoch_1/gradients.safetensors")).unwrap();
    assert!(gathered.windows(6).any(|part| part == b"rank2/"));
    assert!(weights(&whole.file("work/epoch_4")) == weights(&halves.file("work/epoch_4")));
    std::fs::remove_dir_all(halves.file("work/epoch_4")).unwrap();
    train(&halves, &["--resume", "work/epoch_1", "--cfg-options", "train_cfg.max_epochs=4"]);
    assert!(weights(&whole.file("work/epoch_4")) == weights(&halves.file("work/epoch_4")));
    // With other numbers of ranks they go on with the mean.
    for world in [1, 2] {
        let more = ["--resume", "work/epoch_1", "--cfg-options", "train_cfg.max_epochs=4"];
        expect_codes(&halves.train_ranks(world, &[&more[..], &shared].concat()), 0);
    }
}

#[test]
fn learning_rates_are_scaled_by_the_samples_of_all_ranks() {
    let workspace = Workspace::new();
    let scaled = ["auto_scale_lr.enable=True", "auto_scale_lr.base_batch_size=16"];
    let line = "LR is set based on batch size of 16 and the current batch size is 4. Scaling the original LR by 0.25.";
    let outcomes = workspace.train_ranks(2, &[&["train_cfg.max_epochs=1"], &scaled[..]].concat());
    expect_codes(&outcomes, 0);
    outcomes[0].expect_text(&[line]);
    let resumed = ["--resume", "work/epoch_1", "--cfg-options", "train_dataloader.batch_size=1"];
    workspace.train(&[&resumed[..], &scaled[..]].concat()).expect_code(1).expect_error(&[
        "auto_scale_lr.enable: the checkpoint's step had 4 samples over 2 ranks, this run's has 1 over 1",
    ]);
}

#[test]
fn another_config_on_one_rank_is_refused_with_files_and_keys() {
    let workspace = Workspace::new();
    workspace.write("other.py", "_base_ = 'tiny.py'\ntrain_cfg = dict(max_epochs=7)\n");
    let running = workspace.start_ranks(2, |rank| {
        let config = if rank == 1 { "other.py" } else { "tiny.py" };
        ["train", config, "--work-dir", "work"].map(str::to_owned).to_vec()
    });
    for outcome in running.into_iter().map(Running::wait) {
        outcome.expect_code(1).expect_error(&[
            "expected the same config on every rank",
            "rank 0: tiny.py",
            "rank 1: other.py: train_cfg.max_epochs is 7, on rank 0 it is 3",
        ]);
    }
    assert!(!workspace.work().exists(), "nothing is written");
}

#[test]
fn another_plugin_file_on_one_rank_is_refused_with_all_files() {
    let workspace = Workspace::with("custom_hooks = [dict(type='MeetHook')]");
    let plugin = std::fs::read(fixture("meet")).unwrap();
    workspace.write("ours/libmeet.so", &plugin);
    // What lies behind an ELF file's end changes its content and nothing else.
    workspace.write("theirs/libmeet.so", [plugin.as_slice(), b"newer"].concat());
    let running = workspace.start_ranks(2, |rank| {
        let folder = if rank == 1 { "theirs" } else { "ours" };
        let fixed = ["train", "tiny.py", "--work-dir", "work", "--plugins", folder];
        fixed.map(str::to_owned).to_vec()
    });
    for outcome in running.into_iter().map(Running::wait) {
        outcome.expect_code(1).expect_error(&[
            "expected the same plugins on every rank, found others",
            "plugin meet on rank 0: ours/libmeet.so (",
            "plugin meet on rank 1: theirs/libmeet.so (",
        ]);
    }
    assert!(!workspace.work().exists(), "nothing is written");
}

fn meeting(does: &str) -> Workspace {
    let workspace =
        Workspace::with(&format!("custom_hooks = [dict(type='MeetHook', does='{does}')]"));
    workspace.add_plugin(&fixture("meet"));
    workspace
}

#[test]
fn plugins_meet_on_every_rank() {
    let workspace = meeting("nothing");
    let outcomes = workspace.train_ranks(2, &["train_cfg.max_epochs=1"]);
    expect_codes(&outcomes, 0);
    let said = |rank: &str| {
        let run = std::fs::read_dir(workspace.work()).unwrap().map(|entry| entry.unwrap().path());
        let run = run.into_iter().find(|path| path.join("vis_data").is_dir()).unwrap();
        let name = format!("{}{rank}.log", run.file_name().unwrap().to_str().unwrap());
        std::fs::read_to_string(run.join(name)).unwrap()
    };
    assert!(said("").contains("met: 0 of 2, [0.5, 4.0], {\"rank\":0}, [0,10]"), "{}", said(""));
    assert!(said("_rank1").contains("met: 1 of 2, [0.5, 4.0], {\"rank\":0}, [0,10]"));
}

#[test]
fn a_hook_that_fails_on_one_rank_ends_all_with_its_reason() {
    for (does, saved) in [("after", true), ("before", false)] {
        let workspace = meeting(does);
        let outcomes = workspace.train_ranks(2, &[]);
        expect_codes(&outcomes, 3);
        let words = format!("misbehaves {does} the iteration");
        let place = format!(
            "hook MeetHook (plugin meet 0.1.0) at {does}_train_iter (epoch 2, iteration 2)"
        );
        outcomes[1].expect_error(&[&words, &place]);
        outcomes[0].expect_error(&["rank 1 failed, and the run ends on every rank: ", &words]);
        let emergency = workspace.work().join("emergency_iter_2");
        // Between two iterations the state of all ranks is one moment's.
        assert_eq!(emergency.is_dir(), saved, "{does}");
    }
}

#[test]
fn a_service_that_a_hook_calls_on_one_rank_alone_ends_all_and_is_named_on_all() {
    let workspace = meeting("alone");
    let outcomes = workspace.train_ranks(2, &[]);
    expect_codes(&outcomes, 3);
    let called = "rank 1: MeetHook at after_train_iter called all_reduce_mean of 1 number (";
    let places = format!("ranks are at different places: rank 0: between two iterations; {called}");
    for outcome in &outcomes {
        outcome.expect_error(&[&places]);
    }
    let place = "hook MeetHook (plugin meet 0.1.0) at after_train_iter (epoch 2, iteration 2)";
    outcomes[1].expect_error(&[place]);
}

#[test]
fn a_hook_that_keeps_such_an_error_to_itself_ends_all_the_same() {
    let workspace = meeting("swallow");
    let outcomes = workspace.train_ranks(2, &[]);
    expect_codes(&outcomes, 3);
    let called = "rank 1: MeetHook at after_train_iter called broadcast (";
    let places = format!("ranks are at different places: rank 0: between two iterations; {called}");
    for outcome in &outcomes {
        outcome.expect_error(&[&places]);
    }
}

#[test]
fn a_service_with_other_numbers_on_each_rank_is_told_on_all() {
    let workspace = meeting("lengths");
    let outcomes = workspace.train_ranks(2, &[]);
    expect_codes(&outcomes, 3);
    let called =
        |length| format!("MeetHook at after_train_iter called all_reduce_mean of {length}");
    let places = format!("rank 0: {}; rank 1: {} (", called("1 number"), called("2 numbers"));
    for outcome in &outcomes {
        outcome.expect_error(&[&places]);
    }
}

#[test]
fn a_hook_that_fails_on_one_rank_where_others_call_a_service_is_the_reason_on_all() {
    let workspace = meeting("misses");
    let outcomes = workspace.train_ranks(2, &[]);
    expect_codes(&outcomes, 3);
    let failed = "hook MeetHook (plugin meet 0.1.0) at after_train_iter (epoch 2, iteration 2): misses the others";
    outcomes[1].expect_error(&[failed]);
    outcomes[0].expect_error(&["rank 1 failed, and the run ends on every rank: ", failed]);
}

#[test]
fn a_service_on_one_rank_while_the_others_compute_is_named_after_the_timeout() {
    let workspace = meeting("alone_before");
    let outcomes = workspace.train_ranks(2, &["env_cfg.dist_cfg.timeout=4"]);
    expect_codes(&outcomes, 3);
    let called = "; rank 1: MeetHook at before_train_iter called barrier; ";
    for outcome in &outcomes {
        outcome
            .expect_error(&["ranks lost each other, and all of them are there: rank 0: ", called]);
    }
}

#[test]
fn a_rank_that_is_gone_is_named() {
    let workspace = meeting("abort");
    let outcomes = workspace.train_ranks(3, &["env_cfg.dist_cfg.timeout=30"]);
    for rank in [0, 2] {
        let place = format!(
            "(rank {rank}, training, epoch 2, iteration 2, last hook point before_train_iter)"
        );
        let gone = "rank 1 is gone or does not answer: ";
        outcomes[rank].expect_code(3).expect_error(&[gone, &place]);
    }
}

#[test]
fn a_stop_on_one_rank_stops_all_in_good_order() {
    let workspace = meeting("stop");
    let outcomes = workspace.train_ranks(2, &[]);
    expect_codes(&outcomes, 0);
    outcomes[0].expect_text(&["Training stops: rank has seen enough (rank 1)"]);
}

#[test]
fn a_signal_to_one_rank_saves_one_checkpoint_for_all() {
    let workspace = Workspace::new();
    let mut running = workspace.start_ranks(2, |_| {
        let arguments = ["train", "tiny.py", "--work-dir", "work", "train_cfg.max_epochs=500"];
        arguments.map(str::to_owned).to_vec()
    });
    assert!(running[0].wait_until(|| !checkpoints(&workspace.work()).is_empty()));
    let status =
        Command::new("kill").args(["-TERM", &running[1].id().to_string()]).status().unwrap();
    assert!(status.success());
    let outcomes: Vec<_> = running.into_iter().map(Running::wait).collect();
    expect_codes(&outcomes, 75);
    outcomes[0].expect_text(&["Interrupted by SIGTERM, saved to"]);
    expect_codes(
        &workspace.train_ranks(2, &["--resume", "--cfg-options", "train_cfg.max_epochs=1"]),
        0,
    );
}
