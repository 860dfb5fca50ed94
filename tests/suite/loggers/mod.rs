//! Hooks that tell other programs of a run: MLflow, a webhook, Prometheus, Weights & Biases; each with a server of the test's own,
//! and with the real program where it is installed.

pub(crate) mod http;
pub(crate) mod offline;
mod real_mlflow;
mod run_end;

use std::path::Path;
use std::process::Command;

use http::{Asked, HttpServer, get};
use offline::Offline;
use serde_json::{Value as Json, json};
use snaphook_tests::{Running, Workspace, repository, scalars, start};

/// The losses that a run writes down are those of single iterations.
const RAW: &str = "log_processor['window_size'] = 1\n";

/// A loss that is no number from the second iteration on.
const BREAKS: &str = "optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1e30))\nparam_scheduler = []\n";

/// As much of MLflow as a run talks to.
pub(crate) fn mlflow() -> HttpServer {
    HttpServer::start(|asked| match asked.path.rsplit("/mlflow/").next().unwrap_or_default() {
        "experiments/create" => (200, json!({ "experiment_id": "8" })),
        "runs/create" => (200, json!({ "run": { "info": { "run_id": "r1" } } })),
        _ => (200, json!({})),
    })
}

/// A server that takes every letter.
pub(crate) fn webhook() -> HttpServer {
    HttpServer::start(|_| (200, Json::Null))
}

fn methods(server: &HttpServer) -> Vec<(String, Json)> {
    let method =
        |asked: Asked| (asked.path.rsplit("/mlflow/").next().unwrap().to_owned(), asked.body);
    server.asked().into_iter().map(method).collect()
}

/// Step and value of one metric, in the order in which they came.
fn history(asked: &[(String, Json)], name: &str) -> Vec<(u64, f64)> {
    let batches = asked.iter().filter(|(method, _)| method == "runs/log-batch");
    let metrics = batches.filter_map(|(_, body)| body["metrics"].as_array()).flatten();
    let of_name = metrics.filter(|metric| metric["key"] == name);
    of_name
        .map(|metric| (metric["step"].as_u64().unwrap(), metric["value"].as_f64().unwrap()))
        .collect()
}

/// The losses that the run wrote down, by iteration.
fn losses(work: &Path) -> Vec<(u64, f64)> {
    let records = scalars(work);
    let training = records.iter().filter(|record| record.get("lr").is_some());
    training.map(|r| (r["step"].as_u64().unwrap(), r["loss"].as_f64().unwrap())).collect()
}

#[track_caller]
fn assert_near(one: &[(u64, f64)], other: &[(u64, f64)]) {
    let is_near = |(one, other): (&(u64, f64), &(u64, f64))| {
        one.0 == other.0 && (one.1 - other.1).abs() < 1e-5 * other.1.abs()
    };
    let are_near = one.len() == other.len() && one.iter().zip(other).all(is_near);
    assert!(are_near, "{one:?}, expected {other:?}");
}

#[test]
fn mlflow_has_parameters_losses_metrics_and_the_end_and_a_resume_adds_to_it() {
    let server = mlflow();
    let workspace = Workspace::with(&format!(
        "{RAW}custom_hooks = [dict(type='MlflowHook', tracking_uri='{}', exp_name='shapes', run_name='one', interval=1, \
         tags=dict(team='a'))]",
        server.url()
    ));
    workspace
        .train(&["train_cfg.max_epochs=2"])
        .expect_code(0)
        .expect_text(&["The MLflow run is r1"]);
    let asked = methods(&server);
    let begin: Vec<&str> = asked.iter().take(4).map(|(method, _)| method.as_str()).collect();
    assert_eq!(
        begin,
        ["experiments/search", "experiments/create", "runs/create", "runs/log-batch"]
    );
    assert_eq!(asked[1].1["name"], "shapes");
    assert_eq!(
        (&asked[2].1["run_name"], &asked[2].1["experiment_id"]),
        (&json!("one"), &json!("8"))
    );
    assert!(
        asked[2].1["tags"].as_array().unwrap().contains(&json!({ "key": "team", "value": "a" }))
    );
    let parameters = asked.iter().filter_map(|(_, body)| body["params"].as_array()).flatten();
    let rate = json!({ "key": "optim_wrapper.optimizer.lr", "value": "0.001" });
    assert!(parameters.into_iter().any(|parameter| *parameter == rate));
    assert_near(&history(&asked, "train/loss"), &losses(&workspace.work()));
    assert_eq!(history(&asked, "val/coco/bbox_mAP").len(), 2);
    let (method, end) = asked.last().unwrap();
    assert_eq!((method.as_str(), &end["status"]), ("runs/update", &json!("FINISHED")));

    workspace.train(&["--resume"]).expect_code(0);
    let all = methods(&server);
    let again = &all[asked.len()..];
    // The same run goes on: nothing is made anew, and parameters stay.
    assert_eq!(again[0].0, "runs/update");
    assert_eq!((&again[0].1["run_id"], &again[0].1["status"]), (&json!("r1"), &json!("RUNNING")));
    assert!(again.iter().all(|(method, body)| method != "runs/create" && body["params"].is_null()));
    assert_near(&history(&all, "train/loss"), &losses(&workspace.work()));
}

#[test]
fn a_run_that_fails_is_a_failed_one_everywhere() {
    let (mlflow, webhook) = (mlflow(), webhook());
    let workspace = Workspace::with(&format!(
        "{BREAKS}custom_hooks = [dict(type='MlflowHook', tracking_uri='{}'), dict(type='WebhookHook', url='{}'), \
         dict(type='WandbHook', interval=1), dict(type='CheckInvalidLossHook', interval=1)]",
        mlflow.url(),
        webhook.url()
    ));
    workspace.train(&[]).expect_code(3);
    assert_eq!(methods(&mlflow).last().unwrap().1["status"], "FAILED");
    let told = webhook.asked();
    let events: Vec<&Json> = told.iter().map(|asked| &asked.body["event"]).collect();
    assert_eq!(events, ["start", "failure"]);
    let error = told[1].body["error"].as_str().unwrap();
    assert!(error.contains("loss become infinite or NaN: loss = "), "{error}");
    let file = &offline::files(&workspace.work())[0];
    assert_eq!(Offline::read(file).exit_code, Some(1));
}

fn events(server: &HttpServer) -> Vec<String> {
    let event = |asked: Asked| asked.body["event"].as_str().unwrap_or_default().to_owned();
    server.asked().into_iter().map(event).collect()
}

#[test]
fn an_interrupted_run_is_told_as_one_and_the_one_that_goes_on_ends() {
    let (mlflow, webhook) = (mlflow(), webhook());
    let workspace = Workspace::with(&format!(
        "custom_hooks = [dict(type='MlflowHook', tracking_uri='{}'), dict(type='WebhookHook', url='{}'), \
         dict(type='WandbHook')]",
        mlflow.url(),
        webhook.url()
    ));
    let mut running = workspace.start_training(&["train_cfg.max_epochs=500"]);
    assert!(running.wait_until(|| logs(&workspace.work(), 0).concat().contains("Epoch(train)")));
    let kill = Command::new("kill").args(["-TERM", &running.id().to_string()]).status().unwrap();
    assert!(kill.success());
    running.wait().expect_code(75);
    assert_eq!(methods(&mlflow).last().unwrap().1["status"], "KILLED");
    assert_eq!(events(&webhook), ["start", "end"]);
    let end = &webhook.asked()[1].body;
    assert_eq!((&end["status"], &end["signal"]), (&json!("interrupted"), &json!("SIGTERM")));
    assert!(end["text"].as_str().unwrap().contains("was interrupted by SIGTERM"), "{end:#}");
    let file = &offline::files(&workspace.work())[0];
    assert_eq!(Offline::read(file).exit_code, Some(255));

    let done = methods(&mlflow).len();
    let epochs = snaphook_tests::checkpoints(&workspace.work()).len() + 1;
    workspace.train(&[&format!("train_cfg.max_epochs={epochs}"), "--resume"]).expect_code(0);
    assert_eq!(methods(&mlflow)[done].1["status"], "RUNNING");
    assert_eq!(methods(&mlflow).last().unwrap().1["status"], "FINISHED");
    assert_eq!(webhook.asked().last().unwrap().body["status"], "finished");
}

#[test]
fn a_run_that_fails_before_it_begins_is_told_as_a_failure() {
    let server = webhook();
    let config = format!("custom_hooks = [dict(type='WebhookHook', url='{}')]", server.url());
    let hook = Workspace::with(&format!(
        "custom_hooks = [dict(type='WebhookHook', url='{}'), dict(type='SyncRandomSizeHook', ratio_range=(9, 3))]",
        server.url()
    ));
    hook.train(&[]).expect_code(1);
    let last = server.asked().pop().unwrap().body;
    assert_eq!((&last["event"], &last["kind"]), (&json!("failure"), &json!("hook")));
    assert!(last["error"].as_str().unwrap().contains("SyncRandomSizeHook"), "{last:#}");

    let data = Workspace::with(&config);
    data.write("data/annotations/train.json", "{}");
    data.train(&["--dry-run"]).expect_code(1);
    assert_eq!(events(&server), ["failure"], "a dry run tells nobody");
    data.train(&[]).expect_code(1);
    let last = server.asked().pop().unwrap().body;
    assert_eq!((events(&server).len(), &last["event"]), (2, &json!("failure")));
    assert_eq!((&last["kind"], &last["run"]["name"]), (&json!("data"), &json!("tiny")));
    assert!(last["error"].as_str().unwrap().contains("train.json"), "{last:#}");

    let folder = Workspace::with(&config);
    folder.write("work", "a file");
    folder.train(&[]).expect_code(1);
    let last = server.asked().pop().unwrap().body;
    assert_eq!((events(&server).len(), &last["kind"]), (3, &json!("file")), "{last:#}");
}

#[test]
fn a_webhook_hears_of_start_best_and_end_and_its_secrets_are_nowhere_else() {
    let server = webhook();
    let workspace = Workspace::with(&format!(
        "default_hooks['checkpoint']['save_best'] = 'coco/bbox_mAP'\n\
         custom_hooks = [dict(type='WebhookHook', url='{}/${{HOOK_KEY}}', \
         headers=dict(Authorization='Bearer ${{HOOK_TOKEN}}'))]",
        server.url()
    ));
    let mut command = workspace.command(["train", "tiny.py", "--work-dir", "work"]);
    command.env("HOOK_KEY", "key5a5a").env("HOOK_TOKEN", "token6b6b");
    let outcome = start(command).wait();
    outcome.expect_code(0);
    let told = server.asked();
    let events: Vec<&str> =
        told.iter().map(|asked| asked.body["event"].as_str().unwrap()).collect();
    let (first, last) = (events[0], events[events.len() - 1]);
    assert_eq!((first, last), ("start", "end"), "{events:?}");
    assert!(told.iter().all(|asked| asked.path == "/key5a5a"));
    let has_token = |line: &String| line.to_lowercase() == "authorization: bearer token6b6b";
    assert!(told.iter().all(|asked| asked.head.iter().any(has_token)));
    let best = &told[1].body;
    assert_eq!((&best["event"], &best["metric"]), (&json!("best"), &json!("coco/bbox_mAP")));
    assert!(best["value"].is_number(), "{best:#}");
    assert!(workspace.path().join(best["checkpoint"].as_str().unwrap()).is_dir(), "{best:#}");

    for secret in ["key5a5a", "token6b6b"] {
        assert!(!outcome.text().contains(secret), "{outcome}");
        let found =
            Command::new("grep").args(["-rl", secret]).arg(workspace.work()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&found.stdout), "", "{secret}");
    }
}

/// Waits until the log of a rank tells an address, and returns it.
pub(crate) fn metrics_address(running: &mut Running, workspace: &Workspace, rank: usize) -> String {
    let mut address = None;
    let is_there = running.wait_until(|| {
        address = logs(&workspace.work(), rank).iter().find_map(|log| {
            let (_, rest) = log.split_once("Metrics for Prometheus are at http://")?;
            rest.split_once("/metrics").map(|(address, _)| address.to_owned())
        });
        address.is_some()
    });
    assert!(is_there, "the run has ended");
    address.unwrap()
}

/// The logs that a rank wrote into a work folder.
pub(crate) fn logs(work: &Path, rank: usize) -> Vec<String> {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries(work).flat_map(|run| entries(&run.path()).collect::<Vec<_>>());
    let is_of_rank = |name: &str| match name.strip_suffix(".log") {
        Some(stem) if rank == 0 => !stem.contains("_rank"),
        Some(stem) => stem.ends_with(&format!("_rank{rank}")),
        None => false,
    };
    let logs = files.filter(|file| is_of_rank(&file.file_name().to_string_lossy()));
    logs.filter_map(|log| std::fs::read_to_string(log.path()).ok()).collect()
}

#[test]
fn prometheus_scrapes_a_run_while_it_trains() {
    let workspace =
        Workspace::with("custom_hooks = [dict(type='PrometheusHook', port=0, interval=1)]");
    let mut running = workspace.start_training(&["train_cfg.max_epochs=500"]);
    let address = metrics_address(&mut running, &workspace, 0);
    let value = |page: &str, name: &str| -> Option<f64> {
        page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    };
    let mut pages: Vec<String> = Vec::new();
    // Two looks: after the first epoch, and when more was trained.
    assert!(running.wait_until(|| {
        let Some((head, page)) = get(&address, "/metrics") else { return false };
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        let iteration = value(&page, "snaphook_iteration").unwrap_or(0.0);
        let before = pages.last().map_or(2.0, |page| value(page, "snaphook_iteration").unwrap());
        // A checkpoint is written beside the training, and may come later than the metrics.
        let is_told = |name: &str| value(&page, name).is_some();
        let is_whole = is_told("snaphook_metric{name=\"coco/bbox_mAP\"}")
            && is_told("snaphook_checkpoint_iteration");
        if iteration > before && is_whole {
            pages.push(page);
        }
        pages.len() == 2
    }));
    for page in &pages {
        assert!(value(page, "snaphook_loss{name=\"loss\"}").unwrap() > 0.0, "{page}");
        assert_eq!(value(page, "snaphook_max_epochs"), Some(500.0));
        assert!(value(page, "snaphook_learning_rate").unwrap() > 0.0);
        assert!(value(page, "snaphook_checkpoint_iteration").unwrap() >= 2.0, "{page}");
    }
    let kill = Command::new("kill").args(["-TERM", &running.id().to_string()]).status().unwrap();
    assert!(kill.success());
    running.wait().expect_code(75);
    assert!(get(&address, "/metrics").is_none(), "the page ends with the run");
}

const WANDB: &str = "log_processor['window_size'] = 1\ncustom_hooks = [dict(type='WandbHook', project='shapes', entity='someone', name='one', \
                     tags=['a', 'b'], interval=1)]";

#[test]
fn an_offline_run_has_every_row_and_goes_on_after_a_resume() {
    let workspace = Workspace::with(WANDB);
    let outcome = workspace.train(&["train_cfg.max_epochs=2"]);
    outcome.expect_code(0).expect_text(&["For Weights & Biases: wandb sync "]);
    workspace.train(&["--resume"]).expect_code(0);
    let files = offline::files(&workspace.work());
    let runs: Vec<Offline> = files.iter().map(|file| Offline::read(file)).collect();
    assert_eq!(runs.len(), 2);
    for run in &runs {
        let text = |field: u64| run.texts[&field].join(" ");
        assert_eq!([2, 3, 8, 10].map(text), ["someone", "shapes", "one", "a b"]);
        assert!(run.config["optim_wrapper"].contains("0.001"), "{:?}", run.config);
        assert_eq!(run.exit_code, Some(0));
    }
    assert_eq!(runs[0].texts[&1], runs[1].texts[&1], "one run in two files");
    let rows = || runs.iter().flat_map(|run| &run.rows);
    let number = |row: &std::collections::BTreeMap<String, String>, name: &str| -> Option<f64> {
        row.get(name)?.parse().ok()
    };
    let steps: Vec<f64> = rows().filter_map(|row| number(row, "_step")).collect();
    let expected: Vec<f64> = (0..9).map(f64::from).collect();
    assert_eq!(steps, expected, "six iterations and three validations");
    let trained =
        rows().filter_map(|row| Some((number(row, "iter")? as u64, number(row, "train/loss")?)));
    assert_near(&trained.collect::<Vec<_>>(), &losses(&workspace.work()));
    assert_eq!(rows().filter(|row| row.contains_key("val/coco/bbox_mAP")).count(), 3);
}

/// `wandb sync`, the package's own reader, takes both files of a resumed run and sends what the plugin wrote.
#[test]
fn wandb_sync_reads_an_offline_run_back_where_it_is_installed() {
    let python = std::env::var_os("SNAPHOOK_WANDB_PYTHON").unwrap_or_else(|| "python3".into());
    let import = Command::new(&python).args(["-c", "import wandb.sdk"]).output();
    if !import.is_ok_and(|output| output.status.success()) {
        eprintln!("not compared: no python3 with wandb (SNAPHOOK_WANDB_PYTHON names another)");
        return;
    }
    let workspace = Workspace::with(WANDB);
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    let file = &offline::files(&workspace.work())[0];
    let mut sync = Command::new(&python);
    sync.arg(repository().join("tests/fixtures/wandb_sync.py")).arg(file.parent().unwrap());
    let synced = start(sync).wait();
    synced.expect_code(0);
    let arrived: Json = serde_json::from_str(&synced.stdout).unwrap();
    let run = &arrived["runs"][0];
    assert_eq!((&run["project"], &run["displayName"]), (&json!("shapes"), &json!("one")));
    let config: Json = serde_json::from_str(run["config"].as_str().unwrap()).unwrap();
    assert_eq!(config["optim_wrapper"]["value"]["optimizer"]["lr"], 0.001);
    let rows = arrived["rows"].as_array().unwrap();
    let trained =
        rows.iter().filter_map(|row| Some((row["iter"].as_u64()?, row["train/loss"].as_f64()?)));
    assert_near(&trained.collect::<Vec<_>>(), &losses(&workspace.work()));
    assert!(arrived["summary"]["val/coco/bbox_mAP"].is_number(), "{arrived:#}");
    assert_eq!(arrived["exit_code"], 0);
}
