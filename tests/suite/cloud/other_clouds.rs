//! Checkpoints in Google Cloud Storage and Azure: uploaded in parts, listed, and gone on from, each against a server of the test's
//! own.

use snaphook_tests::{Outcome, Workspace, checkpoints, start};

use super::azure_server::{ACCOUNT, AzureServer, KEY};
use super::s3_server::S3Server;

/// Weights and optimizer of more than one part.
const LARGER: [&str; 2] =
    ["model.backbone.widen_factor=0.375", "model.neck.in_channels=[96,192,384]"];

fn train(workspace: &Workspace, more: &[&str], environment: &[(&str, &str)]) -> Outcome {
    let fixed = ["train", "tiny.py", "--work-dir", "work"];
    let mut command = workspace.command(fixed.iter().chain(&LARGER).chain(more));
    command.envs(environment.iter().copied());
    start(command).wait()
}

/// A run that uploads, and one on an empty machine that goes on from there.
fn goes_on_from(url: &str, endpoint: &str, environment: &[(&str, &str)]) {
    let hook = format!(
        "custom_hooks = [dict(type='CloudCheckpointHook', url='{url}', endpoint='{endpoint}', part_mib=5, parallel=2, \
         keep=1, retry_minutes=0.2)]"
    );
    let first = Workspace::with(&hook);
    let outcome = train(&first, &["train_cfg.max_epochs=2"], environment);
    outcome.expect_code(0).expect_text(&[
        &format!("Uploaded epoch_2 to {url}/epoch_2"),
        &format!("Removed {url}/epoch_1 from the cloud"),
    ]);
    let second = Workspace::with(&hook);
    let outcome = train(&second, &["--resume", url], environment);
    outcome.expect_code(0).expect_text(&[
        &format!("Fetched {url} to "),
        "(epoch 2, iteration 4)",
        "Uploaded epoch_3",
    ]);
    assert_eq!(checkpoints(&second.work()).len(), 2, "the one that was fetched, and the last");
    let weights =
        |workspace: &Workspace| snaphook_tests::weights(&workspace.work().join("epoch_2"));
    assert!(weights(&first) == weights(&second));
}

#[test]
fn a_run_goes_on_from_google_cloud_storage() {
    let folder = tempfile::tempdir().unwrap();
    let server = S3Server::start_as_google(folder.path());
    let endpoint = format!("http://{}", server.address());
    let account = folder.path().join("account.json");
    let text = r#"{"private_key": "x", "private_key_id": "x", "client_email": "x", "disable_oauth": true}"#;
    std::fs::write(&account, text).unwrap();
    let environment = [("GOOGLE_SERVICE_ACCOUNT", account.to_str().unwrap())];
    goes_on_from("gs://bucket/runs/a", &endpoint, &environment);
    assert!(server.bucket().join("runs/a/epoch_3/manifest.json").is_file());
    assert!(!server.bucket().join("runs/a/epoch_2/manifest.json").exists());
}

#[test]
fn a_run_goes_on_from_azure() {
    let server = AzureServer::start();
    let endpoint = format!("http://{}/{ACCOUNT}", server.address());
    let environment = [("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT), ("AZURE_STORAGE_ACCOUNT_KEY", KEY)];
    goes_on_from("az://bucket/runs/a", &endpoint, &environment);
    assert!(server.lists() >= 3, "files of several blocks");
    let names = server.names();
    let of = |epoch: &str| names.iter().filter(|name| name.contains(epoch)).count();
    assert!(of("epoch_3") >= 3 && of("epoch_2") == 0, "{names:?}");
}
