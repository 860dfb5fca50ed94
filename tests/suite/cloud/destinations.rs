//! Where checkpoints go: several hooks of one run, profiles and endpoints that are refused before it.

use std::fs;

use serde_json::json;
use snaphook_plugin_api::prelude::HookPoint;
use snaphook_tests::Workspace;

use super::bad_proxy::Fault;
use super::{Scene, start_run, with_hook};

#[test]
fn a_hook_uploads_only_what_was_to_go_where_it_uploads_to() {
    let scene = Scene::new(vec![Fault::Down { connections: 1000 }]);
    scene.upload(&mut scene.hook(&json!({ "retry_minutes": 0.01 })), 1, 1000).unwrap_err();
    scene.proxy.mend();
    let left = scene.work().join(".uploads/epoch_1");
    let endpoint = format!("http://{}", scene.proxy.address());
    let config = |urls: &[&str]| {
        let hooks = urls.iter().map(|url| json!({ "url": url, "endpoint": endpoint }));
        json!({ "custom_hooks": hooks.collect::<Vec<_>>() })
    };
    let (a, b) = ("s3://bucket/runs/a/", "s3://bucket/runs/b");

    // Nobody's: told, and left alone.
    let (mut other, mut run) = (scene.hook(&json!({ "url": b })), scene.run().config(config(&[b])));
    run.run_point(&mut other, HookPoint::BeforeRun, None).unwrap();
    run.run_point(&mut other, HookPoint::AfterRun, None).unwrap();
    let told = format!("was to be uploaded to s3://bucket/runs/a at {endpoint}, and not to {b}");
    assert!(run.logged().iter().any(|line| line.contains(&told)), "{:?}", run.logged());
    assert!(
        left.join("model.safetensors").exists() && !scene.server.bucket().join("runs/b").exists()
    );

    // Two hooks of one run: each takes its own.
    let mut own = scene.hook(&json!({}));
    let mut run = scene.run().config(config(&[b, a]));
    for point in [HookPoint::BeforeRun, HookPoint::AfterRun] {
        run.run_point(&mut other, point, None).unwrap();
        run.run_point(&mut own, point, None).unwrap();
    }
    assert!(!run.logged().iter().any(|line| line.contains("and stays")), "{:?}", run.logged());
    assert_eq!(scene.listed(), ["epoch_1"]);
    assert!(!left.exists() && !scene.server.bucket().join("runs/b").exists());
}

#[test]
fn two_hooks_of_a_run_make_up_each_for_its_own_uploads() {
    let scene = Scene::new(vec![Fault::Down { connections: 1000 }]);
    let hook = |url: &str| {
        format!(
            "dict(type='AWSCloudCheckpoint', url='s3://bucket/runs/{url}', endpoint='http://{}', region='us-east-1', \
             retry_minutes=0.005, on_error='warn')",
            scene.proxy.address()
        )
    };
    let workspace = Workspace::with(&format!("custom_hooks = [{}, {}]", hook("b"), hook("a")));
    start_run(&workspace, &["train_cfg.max_epochs=1"]).wait().expect_code(0);
    assert!(workspace.file("work/.uploads/epoch_1").exists());
    assert!(workspace.file("work/.uploads/epoch_1~").exists());

    scene.proxy.mend();
    // With one of them, the other's stays.
    let one = "custom_hooks.1.url=s3://bucket/runs/c";
    let outcome = start_run(&workspace, &["train_cfg.max_epochs=1", one, "--resume"]).wait();
    outcome.expect_code(0).expect_text(&["was to be uploaded to s3://bucket/runs/a at http://"]);
    let uploaded = |url: &str| {
        scene.server.bucket().join(format!("runs/{url}/epoch_1/manifest.json")).exists()
    };
    assert_eq!(["a", "b", "c"].map(uploaded), [false, true, false]);

    let outcome = start_run(&workspace, &["train_cfg.max_epochs=1", "--resume"]).wait();
    outcome.expect_code(0);
    assert!(!outcome.text().contains("was to be uploaded"), "{outcome}");
    assert_eq!(["a", "b", "c"].map(uploaded), [true, true, false]);
    assert!(!workspace.file("work/.uploads").exists());
}

#[test]
fn what_does_not_say_where_it_was_to_go_stays() {
    let scene = Scene::new(vec![Fault::Down { connections: 1000 }]);
    scene.upload(&mut scene.hook(&json!({ "retry_minutes": 0.01 })), 1, 1000).unwrap_err();
    scene.proxy.mend();
    let left = scene.work().join(".uploads/epoch_1");
    let kept = "{\"epoch\": 1, \"iter\": 10, \"is_best\": false, \"saved_ms\": 1}";
    fs::write(left.join(".entry.json"), kept).unwrap();
    let (mut hook, mut run) = (scene.hook(&json!({})), scene.run());
    run.run_point(&mut hook, HookPoint::BeforeRun, None).unwrap();
    run.run_point(&mut hook, HookPoint::AfterRun, None).unwrap();
    let told = "does not say where it was to be uploaded";
    assert!(run.logged().iter().any(|line| line.contains(told)), "{:?}", run.logged());
    assert!(left.join("model.safetensors").exists() && scene.listed().is_empty());
}

#[test]
fn a_profile_that_is_not_followed_is_refused_before_the_training() {
    let workspace = with_hook("127.0.0.1:9", "");
    let config = workspace.file("aws-config");
    fs::write(
        &config,
        "[profile work]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = default\n",
    )
    .unwrap();
    let train = |profile: &str| {
        let mut command = workspace.command(["train", "tiny.py", "--work-dir", "work"]);
        for variable in
            ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE"]
        {
            command.env_remove(variable);
        }
        command.env("AWS_PROFILE", profile).env("AWS_CONFIG_FILE", &config);
        command.env("AWS_SHARED_CREDENTIALS_FILE", workspace.file("none"));
        let outcome = snaphook_tests::start(command).wait();
        outcome.expect_code(1);
        assert!(!outcome.text().contains("Epoch(train)"), "{outcome}");
        outcome
    };
    train("work").expect_error(&[
        "AWSCloudCheckpoint: the AWS profile: expected keys or credential_process, found role_arn, source_profile, which is \
         not followed here",
        "aws configure export-credentials",
    ]);
    train("nobody").expect_error(&[
        "AWS_PROFILE: expected a profile of ~/.aws/config",
        "found no \"nobody\" there",
    ]);
}

#[test]
fn an_endpoint_with_a_password_is_refused_without_showing_it() {
    let scene = Scene::new(Vec::new());
    let mut hook = scene.hook(&json!({ "endpoint": "http://user:hush@127.0.0.1:9" }));
    let mut run = scene.run();
    let error = run.run_point(&mut hook, HookPoint::BeforeRun, None).unwrap_err();
    assert!(
        error.message.contains("AWSCloudCheckpoint.endpoint: expected an address"),
        "{}",
        error.message
    );
    assert!(!error.message.contains("hush") && !run.logged().concat().contains("hush"));
}
