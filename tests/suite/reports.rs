//! What is said about runs afterwards: the page, `snaphook report`, `snaphook runs list` and `diff`.

use std::path::PathBuf;

use serde_json::Value as Json;
use snaphook_tests::Workspace;

/// The run folders in a work folder, in the order in which they began.
fn runs(workspace: &Workspace, work: &str) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(workspace.file(work)).unwrap().map(|entry| entry.unwrap().path());
    let mut runs: Vec<PathBuf> = entries.filter(|path| path.join("run.json").is_file()).collect();
    runs.sort();
    runs
}

fn record(run: &std::path::Path) -> Json {
    serde_json::from_str(&std::fs::read_to_string(run.join("run.json")).unwrap()).unwrap()
}

#[test]
fn a_run_ends_with_a_page_about_it() {
    let workspace = Workspace::with(
        "default_hooks['visualization'] = dict(type='DetVisualizationHook', draw=True, interval=1)",
    );
    let outcome = workspace.train(&["train_cfg.max_epochs=2"]);
    outcome.expect_code(0).expect_text(&["The report is in "]);
    let run = &runs(&workspace, "work")[0];
    let record = record(run);
    assert_eq!((&record["status"], &record["kind"]), (&"done".into(), &"train".into()));
    assert_eq!(record["position"]["iter"], 4);
    let seconds = |name: &str| {
        let phases = record["phases"].as_array().unwrap();
        phases.iter().find(|phase| phase["name"] == name).unwrap()["seconds"].as_f64().unwrap()
    };
    for name in ["data", "forward", "backward", "optimizer", "hooks", "evaluation", "checkpoint"] {
        assert!(seconds(name) > 0.0, "{name}: {record:#}");
    }
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    for text in [
        "best coco/bbox_mAP",
        "Losses",
        "loss_obj",
        "LoggerHook",
        "det-visualization",
        "data:image/png;base64,",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("http://") && !page.contains("https://"), "nothing is fetched");
}

#[test]
fn a_run_that_fails_has_a_page_that_says_why() {
    let workspace = Workspace::new();
    workspace.write("data/train/00000.jpg", "no picture");
    workspace.train(&[]).expect_code(1);
    let run = &runs(&workspace, "work")[0];
    let record = record(run);
    assert_eq!(record["status"], "failed");
    assert!(record["reason"].as_str().unwrap().contains("00000.jpg"), "{record:#}");
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("The run failed: training data"), "{page}");
}

#[test]
fn a_killed_run_is_told_from_one_that_goes_on() {
    let workspace = Workspace::new();
    let mut running = workspace.start_training(&["train_cfg.max_epochs=500"]);
    let work = workspace.work();
    let has_checkpoint = || work.join("epoch_1").is_dir();
    assert!(running.wait_until(has_checkpoint));
    let list = workspace.snaphook(["runs", "list", "work"]);
    list.expect_code(0).expect_text(&["RUN", "running", "/500"]);
    running.kill();
    running.wait();
    workspace.snaphook(["runs", "list", "work"]).expect_code(0).expect_text(&["interrupted"]);
}

#[test]
fn runs_are_listed_and_compared() {
    let workspace = Workspace::new();
    let train = |work: &str, change: &str| {
        let arguments = [
            "train",
            "tiny.py",
            "--work-dir",
            work,
            "--cfg-options",
            "train_cfg.max_epochs=1",
            change,
        ];
        workspace.snaphook(arguments).expect_code(0);
    };
    train("runs/a", "optim_wrapper.optimizer.lr=0.001");
    train("runs/b", "optim_wrapper.optimizer.lr=0.002");
    let list = workspace.snaphook(["runs", "list", "runs", "--format", "json"]);
    let listed: Json = serde_json::from_str(&list.expect_code(0).stdout).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(listed[1]["run"].as_str().unwrap().starts_with("b/"));
    assert_eq!(listed[0]["status"], "done");
    assert_eq!(listed[0]["position"]["iter"], 2);
    assert!(listed[0]["metrics"]["coco/bbox_mAP"]["best"].is_f64());

    let change = "~ optim_wrapper.optimizer.lr: 0.001 -> 0.002";
    let diff = workspace.snaphook(["runs", "diff", "runs/a", "runs/b"]);
    diff.expect_code(0).expect_text(&["best coco/bbox_mAP", "last loss", change]);
    assert!(!diff.stdout.contains("~ train_cfg"), "{diff}");

    let report = workspace.snaphook(["report", "runs/a", "runs/b"]);
    assert_eq!(report.expect_code(0).stdout, "comparison.html\n");
    let page = workspace.read("comparison.html");
    assert!(page.contains("2 runs compared") && page.contains("0.001 -&gt; 0.002"));
    let alone = workspace.snaphook(["report", "runs/a", "--out", "a.html"]);
    assert_eq!(alone.expect_code(0).stdout, "a.html\n");
    assert!(workspace.read("a.html").contains("best coco/bbox_mAP"));
}

#[test]
fn folders_without_a_run_are_named() {
    let workspace = Workspace::new();
    let missing = workspace.snaphook(["report", "nowhere"]);
    missing.expect_code(1).expect_error(&["nowhere: No such file"]);
    let empty = workspace.snaphook(["runs", "list", "data"]);
    empty.expect_code(1).expect_error(&["data: expected a run's folder"]);
}

#[test]
fn metrics_of_a_training_by_iterations_are_at_their_iteration() {
    let workspace = Workspace::with(
        "train_cfg = dict(type='IterBasedTrainLoop', max_iters=7, val_interval=3)\n\
         default_hooks['checkpoint'].update(by_epoch=False, interval=7)\n\
         default_hooks['logger'] = dict(type='LoggerHook', interval=2)\n",
    );
    workspace.train(&[]).expect_code(0);
    let list = workspace.snaphook(["runs", "list", "work", "--format", "json"]);
    list.expect_code(0);
    let runs: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    let metric = &runs[0]["metrics"]["coco/bbox_mAP"];
    let found = (metric["iter"].as_u64().unwrap(), metric["epoch"].is_null());
    assert!([(3, true), (6, true)].contains(&found), "{metric}");
}
