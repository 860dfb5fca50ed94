//! What loggers say of the end of a run in which another hook fails or is interrupted at the end, and how long they wait then.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use snaphook_tests::{Outcome, Running, Workspace, start};

use super::{events, logs, methods, mlflow, offline, webhook};
use crate::loggers::offline::Offline;

/// Keys that no store has.
const KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")];

/// Loggers in the config before a hook that uploads to a store that is away.
struct Loggers {
    mlflow: super::HttpServer,
    webhook: super::HttpServer,
    workspace: Workspace,
}

impl Loggers {
    fn before_a_store_that_is_away(more: &str) -> Loggers {
        let (mlflow, webhook) = (mlflow(), webhook());
        let workspace = Workspace::with(&format!(
            "custom_hooks = [dict(type='MlflowHook', tracking_uri='{}'), dict(type='WebhookHook', url='{}'), \
             dict(type='WandbHook'), dict(type='AWSCloudCheckpoint', url='s3://bucket/runs/a', \
             endpoint='http://127.0.0.1:9', region='us-east-1', {more})]",
            mlflow.url(),
            webhook.url()
        ));
        Loggers { mlflow, webhook, workspace }
    }

    fn start(&self) -> Running {
        let mut command = self.workspace.command([
            "train",
            "tiny.py",
            "--work-dir",
            "work",
            "train_cfg.max_epochs=1",
        ]);
        command.envs(KEYS);
        start(command)
    }

    /// What the end was for each: MLflow's state, the webhook's events, the exit code of wandb.
    fn end(&self) -> (String, Vec<String>, Option<u64>) {
        let state = methods(&self.mlflow).last().unwrap().1["status"].as_str().unwrap().to_owned();
        let file = &offline::files(&self.workspace.work())[0];
        (state, events(&self.webhook), Offline::read(file).exit_code)
    }
}

/// Asks a run to end as soon as its log has a text, and tells how long it took.
fn ended_at(mut running: Running, workspace: &Workspace, text: &str) -> (Outcome, Duration) {
    assert!(running.wait_until(|| logs(&workspace.work(), 0).concat().contains(text)));
    let kill = Command::new("kill").args(["-TERM", &running.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let began = Instant::now();
    (running.wait(), began.elapsed())
}

#[test]
fn a_run_whose_last_upload_fails_is_no_finished_one() {
    for (more, told) in [
        ("retry_minutes=0.02", &["start", "failure"][..]),
        // After the loggers: what they said first is replaced.
        ("retry_minutes=0.02, priority='LOWEST'", &["start", "end", "failure"]),
    ] {
        let loggers = Loggers::before_a_store_that_is_away(more);
        loggers.start().wait().expect_code(3);
        let (state, events, code) = loggers.end();
        assert_eq!((state.as_str(), code), ("FAILED", Some(1)), "{more}");
        assert_eq!(events, told, "{more}");
    }
}

#[test]
fn a_run_that_is_asked_to_end_while_it_uploads_is_no_finished_one() {
    let loggers = Loggers::before_a_store_that_is_away("retry_minutes=10.0");
    let (outcome, _) = ended_at(loggers.start(), &loggers.workspace, "Waiting for uploads");
    outcome.expect_code(75);
    let (state, events, code) = loggers.end();
    assert_eq!((state.as_str(), code), ("KILLED", Some(255)));
    assert_eq!(events, ["start", "end"]);
    assert_eq!(loggers.webhook.asked()[1].body["status"], json!("interrupted"));
}

#[test]
fn loggers_whose_server_is_away_hear_a_signal_while_they_wait() {
    let (mlflow, webhook) = (
        "dict(type='MlflowHook', tracking_uri='http://127.0.0.1:9')",
        "dict(type='WebhookHook', url='http://127.0.0.1:9')",
    );
    // The first in the config waits first; the other one has heard of the signal when its turn comes.
    for (hooks, text) in [
        ([mlflow, webhook], "Waiting until MLflow has heard of the end"),
        ([webhook, mlflow], "Waiting until http://127.0.0.1:9 has heard of the end"),
    ] {
        let workspace = Workspace::with(&format!("custom_hooks = [{}]", hooks.join(", ")));
        let running = workspace.start_training(&["train_cfg.max_epochs=1"]);
        let (outcome, took) = ended_at(running, &workspace, text);
        outcome.expect_code(75);
        // Of two minutes that they would wait.
        assert!(took < Duration::from_secs(20), "{took:?}\n{outcome}");
    }
}
