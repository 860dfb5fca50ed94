//! Checkpoints in a cloud: a real S3 server in this process, with a proxy before it that cuts, delays, corrupts and goes down.

mod azure_server;
mod bad_proxy;
mod damage;
mod destinations;
mod other_clouds;
pub(crate) mod s3_server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bad_proxy::{BadProxy, Fault};
use cloud_checkpoint::AWSCloudCheckpoint;
use s3_server::S3Server;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use snaphook_plugin_api::prelude::{Hook, HookError, HookPoint, HookResult, Kwargs};
use snaphook_plugin_api::services::ids;
use snaphook_plugin_api::testing::FakeRunner;
use snaphook_tests::{Running, Workspace, checkpoints, is_whole, start};
use tempfile::TempDir;

const MIB: usize = 1 << 20;

/// A folder with what a run has in it, and a bucket.
struct Scene {
    folder: TempDir,
    server: S3Server,
    proxy: BadProxy,
}

impl Scene {
    fn new(faults: Vec<Fault>) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let server = S3Server::start(&folder.path().join("cloud"));
        let proxy = BadProxy::start(server.address(), faults);
        let keys = format!(
            "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            s3_server::KEY_ID,
            s3_server::SECRET
        );
        fs::write(folder.path().join("keys"), keys).unwrap();
        Scene { folder, server, proxy }
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// A file of the bucket.
    fn cloud(&self, path: &str) -> PathBuf {
        self.server.bucket().join("runs/a").join(path)
    }

    fn hook(&self, more: &Json) -> AWSCloudCheckpoint {
        let mut kwargs = json!({
            "url": "s3://bucket/runs/a",
            "endpoint": format!("http://{}", self.proxy.address()),
            "region": "us-east-1",
            "credentials": self.folder.path().join("keys"),
            "part_mib": 5,
            "parallel": 2,
            "timeout_s": 20,
        });
        for (key, value) in more.as_object().unwrap() {
            kwargs[key] = value.clone();
        }
        AWSCloudCheckpoint::from_kwargs("AWSCloudCheckpoint", &kwargs).unwrap()
    }

    fn run(&self) -> FakeRunner {
        let info = json!({ "work_dir": self.work(), "run_dir": self.work().join("now"), "timestamp": "now" });
        FakeRunner::new().max_epochs(9).answer(ids::RUN, "info", info)
    }

    /// Writes a checkpoint, and tells the hook of it as a trainer does.
    fn save(
        &self,
        run: FakeRunner,
        hook: &mut dyn Hook,
        epoch: u64,
        bytes: usize,
    ) -> (FakeRunner, HookResult) {
        let path = write_checkpoint(&self.work(), &format!("epoch_{epoch}"), bytes);
        let saved = json!({ "path": path, "epoch": epoch, "iter": 10 * epoch, "is_best": false });
        let mut run = run.payload(HookPoint::AfterSaveCheckpoint, saved);
        let result = run.run_point(hook, HookPoint::AfterSaveCheckpoint, None);
        (run, result)
    }

    /// A whole run with one checkpoint.
    fn upload(&self, hook: &mut dyn Hook, epoch: u64, bytes: usize) -> HookResult {
        let mut run = self.run();
        run.run_point(hook, HookPoint::BeforeRun, None)?;
        let (mut run, result) = self.save(run, hook, epoch, bytes);
        result.and(run.run_point(hook, HookPoint::AfterRun, None))
    }

    /// What a run on an empty machine does first; the folder of the checkpoint.
    fn fetch(&self, hook: &mut dyn Hook, folder: &Path) -> Result<PathBuf, HookError> {
        let wanted = json!({ "url": "s3://bucket/runs/a", "folder": folder });
        let mut run = self.run().payload(HookPoint::FetchCheckpoint, wanted);
        run.run_point(hook, HookPoint::FetchCheckpoint, None)?;
        let told = run.calls_of(ids::CHECKPOINT, "fetched");
        Ok(PathBuf::from(told[0]["path"].as_str().unwrap()))
    }

    /// The names on the list in the bucket.
    fn listed(&self) -> Vec<String> {
        let Ok(index) = fs::read(self.cloud("checkpoints.json")) else { return Vec::new() };
        let index: Json = serde_json::from_slice(&index).unwrap();
        let entries = index["checkpoints"].as_array().unwrap().iter();
        entries.map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// A checkpoint with `bytes` of weights that no compression would shorten.
fn write_checkpoint(work: &Path, name: &str, bytes: usize) -> PathBuf {
    let folder = work.join(name);
    fs::create_dir_all(&folder).unwrap();
    let mut word = 0x9e37_79b9_7f4a_7c15_u64 ^ name.len() as u64;
    let mut weights = Vec::with_capacity(bytes + 8);
    while weights.len() < bytes {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        weights.extend(word.to_le_bytes());
    }
    weights.truncate(bytes);
    let epoch: u64 = name.trim_start_matches("epoch_").parse().unwrap();
    let state = json!({ "meta": { "epoch": epoch, "iter": 10 * epoch } }).to_string().into_bytes();
    let mut files = serde_json::Map::new();
    for (file, content) in [("model.safetensors", weights), ("state.json", state)] {
        let hash =
            Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        files.insert(file.to_owned(), json!({ "bytes": content.len(), "sha256": hash }));
        fs::write(folder.join(file), content).unwrap();
    }
    let manifest = json!({ "format": "snaphook checkpoint", "version": 1, "files": files });
    fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    folder
}

fn expect_equal(one: &Path, other: &Path) {
    for file in ["model.safetensors", "state.json", "manifest.json"] {
        assert!(
            fs::read(one.join(file)).unwrap() == fs::read(other.join(file)).unwrap(),
            "{file} differs"
        );
    }
}

#[test]
fn a_checkpoint_survives_a_bad_network_in_both_directions() {
    let scene = Scene::new(vec![
        Fault::Down { connections: 2 },
        Fault::CutUp { after: 3 * MIB },
        Fault::DelayUp { after: 6 * MIB, ms: 300 },
        Fault::CorruptUp { after: 9 * MIB },
        Fault::CutDown { after: MIB },
        Fault::CorruptDown { after: 5 * MIB },
    ]);
    let mut hook = scene.hook(&json!({}));
    scene.upload(&mut hook, 3, 12 * MIB + 17).unwrap();
    assert_eq!(scene.listed(), ["epoch_3"]);
    expect_equal(&scene.work().join("epoch_3"), &scene.cloud("epoch_3"));
    assert!(!scene.work().join(".uploads").exists());

    let elsewhere = scene.folder.path().join("elsewhere");
    let fetched = scene.fetch(&mut scene.hook(&json!({})), &elsewhere).unwrap();
    assert_eq!(fetched, elsewhere.join("epoch_3"));
    expect_equal(&scene.work().join("epoch_3"), &fetched);
    assert_eq!(scene.proxy.left(), 0, "every fault has happened");
    // A second time nothing is fetched: it is there.
    let before = scene.proxy.received();
    scene.fetch(&mut scene.hook(&json!({})), &elsewhere).unwrap();
    assert!(scene.proxy.received() - before < 64 << 10);
}

#[test]
fn the_last_ones_stay_and_a_reader_never_meets_half_a_checkpoint() {
    let scene = Scene::new(vec![Fault::DelayUp { after: 5 * MIB, ms: 1500 }]);
    let mut hook = scene.hook(&json!({ "keep": 2 }));
    let mut run = scene.run();
    run.run_point(&mut hook, HookPoint::BeforeRun, None).unwrap();
    let (run, result) = scene.save(run, &mut hook, 1, 6 * MIB);
    result.unwrap();
    // The upload stands still; whoever comes now finds nothing, or all of it.
    let error = scene.fetch(&mut scene.hook(&json!({})), &scene.folder.path().join("early"));
    assert!(
        error.is_ok() || error.unwrap_err().message.contains("expected checkpoints, found none")
    );
    let (run, result) = scene.save(run, &mut hook, 2, 1000);
    result.unwrap();
    let (mut run, result) = scene.save(run, &mut hook, 3, 1000);
    result.unwrap();
    // The run removes its own copies while they wait.
    for epoch in 1..=3 {
        fs::remove_dir_all(scene.work().join(format!("epoch_{epoch}"))).unwrap();
    }
    run.run_point(&mut hook, HookPoint::AfterRun, None).unwrap();
    assert_eq!(scene.listed(), ["epoch_2", "epoch_3"]);
    assert!(!scene.cloud("epoch_1/model.safetensors").exists());
    let fetched =
        scene.fetch(&mut scene.hook(&json!({})), &scene.folder.path().join("late")).unwrap();
    assert!(fetched.ends_with("epoch_3") && is_whole(&fetched));
}

#[test]
fn a_failed_upload_is_an_error_of_the_hook_and_the_next_run_makes_up_for_it() {
    let scene = Scene::new(vec![Fault::Down { connections: 1000 }]);
    let error =
        scene.upload(&mut scene.hook(&json!({ "retry_minutes": 0.01 })), 1, 1000).unwrap_err();
    assert!(!error.is_fatal(), "the config's on_error says what it means");
    assert!(error.message.contains("given up after"), "{}", error.message);
    assert!(scene.listed().is_empty());

    scene.proxy.mend();
    let (mut hook, mut run) = (scene.hook(&json!({})), scene.run());
    run.run_point(&mut hook, HookPoint::BeforeRun, None).unwrap();
    run.run_point(&mut hook, HookPoint::AfterRun, None).unwrap();
    assert!(
        run.logged().iter().any(|line| line.contains("epoch_1 was not uploaded by an earlier run"))
    );
    assert_eq!(scene.listed(), ["epoch_1"]);
}

#[test]
fn wrong_keys_end_soon_and_show_no_secret() {
    let scene = Scene::new(Vec::new());
    let keys = scene.folder.path().join("other");
    let text = "[default]\naws_access_key_id = AKIAWRONG\naws_secret_access_key = dontshowme\n";
    fs::write(&keys, text).unwrap();
    let mut hook = scene.hook(&json!({ "credentials": keys }));
    let error = scene.upload(&mut hook, 1, 1000).unwrap_err();
    for secret in ["AKIAWRONG", "dontshowme", s3_server::KEY_ID, s3_server::SECRET] {
        assert!(!error.message.contains(secret), "{}", error.message);
    }
    assert!(!error.message.contains("given up"), "{}", error.message);
}

#[test]
fn which_checkpoints_are_uploaded_is_what_the_config_says() {
    let scene = Scene::new(Vec::new());
    let mut hook = scene.hook(&json!({ "interval": 4, "logs": true, "config": true }));
    let vis_data = scene.work().join("now/vis_data");
    fs::create_dir_all(&vis_data).unwrap();
    for file in ["now/now.log", "now/vis_data/scalars.json", "now/vis_data/config.py"] {
        fs::write(scene.work().join(file), file).unwrap();
    }
    let mut run = scene.run();
    run.run_point(&mut hook, HookPoint::BeforeRun, None).unwrap();
    for epoch in [1, 4, 6, 9] {
        let (next, result) = scene.save(run, &mut hook, epoch, 100);
        result.unwrap();
        run = next;
    }
    run.run_point(&mut hook, HookPoint::AfterRun, None).unwrap();
    assert_eq!(scene.listed(), ["epoch_4", "epoch_9"], "every fourth, and the last of the run");
    for file in ["now.log", "scalars.json", "config.py"] {
        assert!(scene.cloud("now").join(file).is_file(), "{file}");
    }
}

#[test]
fn what_an_older_training_has_left_is_not_gone_on_from() {
    let scene = Scene::new(Vec::new());
    scene.upload(&mut scene.hook(&json!({})), 9, 1000).unwrap();
    // Another training, of fewer iterations so far.
    std::thread::sleep(std::time::Duration::from_millis(20));
    scene.upload(&mut scene.hook(&json!({})), 1, 1000).unwrap();
    assert_eq!(scene.listed(), ["epoch_9", "epoch_1"]);
    let fetched = scene.fetch(&mut scene.hook(&json!({})), &scene.folder.path().join("new"));
    assert!(fetched.unwrap().ends_with("epoch_1"));
}

#[test]
fn keys_come_from_a_program_that_the_profile_names() {
    let scene = Scene::new(Vec::new());
    let keys = json!({ "Version": 1, "AccessKeyId": s3_server::KEY_ID, "SecretAccessKey": s3_server::SECRET });
    let profile = format!("[default]\ncredential_process = echo '{keys}'\n");
    let file = scene.folder.path().join("program");
    fs::write(&file, profile).unwrap();
    scene.upload(&mut scene.hook(&json!({ "credentials": file })), 1, 1000).unwrap();
    assert_eq!(scene.listed(), ["epoch_1"]);

    fs::write(&file, "[default]\ncredential_process = false\n").unwrap();
    let error =
        scene.upload(&mut scene.hook(&json!({ "credentials": file })), 2, 1000).unwrap_err();
    assert!(error.message.contains("credential_process: expected keys"), "{}", error.message);
}

/// A hook for the tests' run, with the keys in the environment.
fn start_run(workspace: &Workspace, more: &[&str]) -> Running {
    let fixed = ["train", "tiny.py", "--work-dir", "work"];
    let mut command = workspace.command(fixed.iter().chain(more));
    command.env("AWS_ACCESS_KEY_ID", s3_server::KEY_ID);
    command.env("AWS_SECRET_ACCESS_KEY", s3_server::SECRET);
    start(command)
}

fn with_hook(endpoint: &str, more: &str) -> Workspace {
    Workspace::with(&format!(
        "custom_hooks = [dict(type='AWSCloudCheckpoint', interval=1, url='s3://bucket/runs/a', endpoint='http://{endpoint}', \
         region='us-east-1'{more})]"
    ))
}

fn ask_to_end(running: &Running) {
    let kill = Command::new("kill").args(["-TERM", &running.id().to_string()]).status().unwrap();
    assert!(kill.success());
}

fn log(workspace: &Workspace) -> String {
    crate::loggers::logs(&workspace.work(), 0).concat()
}

#[test]
fn a_run_that_is_asked_to_end_while_it_waits_for_uploads_ends_and_the_next_one_makes_up_for_them() {
    let scene = Scene::new(vec![Fault::Down { connections: 1000 }]);
    let workspace = with_hook(&scene.proxy.address().to_string(), ", retry_minutes=9.0");
    let mut running = start_run(&workspace, &["train_cfg.max_epochs=1"]);
    assert!(running.wait_until(|| log(&workspace).contains("Waiting for uploads")));
    ask_to_end(&running);
    let outcome = running.wait();
    outcome.expect_code(75).expect_text(&[
        "Not waiting for uploads any more, since this process is asked to end: 1 to go",
        "Interrupted by SIGTERM after the last iteration",
    ]);

    scene.proxy.mend();
    let outcome = start_run(&workspace, &["train_cfg.max_epochs=1", "--resume"]).wait();
    outcome.expect_code(0).expect_text(&["epoch_1 was not uploaded by an earlier run"]);
    assert_eq!(scene.listed(), ["epoch_1"]);
}

#[test]
fn an_interrupted_run_waits_until_what_one_goes_on_from_is_uploaded() {
    let scene = Scene::new(vec![Fault::Down { connections: 4 }]);
    let workspace = with_hook(&scene.proxy.address().to_string(), "");
    let mut running = start_run(&workspace, &["train_cfg.max_epochs=500"]);
    assert!(running.wait_until(|| log(&workspace).contains("Epoch(train)")));
    ask_to_end(&running);
    running.wait().expect_code(75);
    let listed = scene.listed();
    let last = listed.last().unwrap();
    assert!(workspace.read("work/last_checkpoint").ends_with(last.as_str()), "{listed:?}");
    assert!(!workspace.file("work/.uploads").exists());
}

#[test]
fn a_run_on_an_empty_machine_goes_on_from_the_cloud() {
    let scene = Scene::new(Vec::new());
    let hook = format!(
        "custom_hooks = [dict(type='AWSCloudCheckpoint', interval=1, url='s3://bucket/runs/a', \
         endpoint='http://{}', region='us-east-1')]",
        scene.proxy.address()
    );
    let train = |workspace: &Workspace, arguments: &[&str]| {
        let fixed = ["train", "tiny.py", "--work-dir", "work"];
        let mut command = workspace.command(fixed.iter().chain(arguments));
        command.env("AWS_ACCESS_KEY_ID", s3_server::KEY_ID);
        command.env("AWS_SECRET_ACCESS_KEY", s3_server::SECRET);
        snaphook_tests::start(command).wait()
    };
    let first = Workspace::with(&hook);
    let outcome = train(&first, &["train_cfg.max_epochs=2"]);
    outcome.expect_code(0).expect_text(&[
        "Checkpoints will be uploaded to s3://bucket/runs/a",
        "Uploaded epoch_2 to s3://bucket/runs/a/epoch_2",
    ]);
    assert!(!outcome.text().contains(s3_server::SECRET));

    let second = Workspace::with(&hook);
    let resume = ["--resume", "s3://bucket/runs/a"];
    let outcome = train(&second, &resume);
    outcome
        .expect_code(0)
        .expect_text(&["Fetched s3://bucket/runs/a to ", "(epoch 2, iteration 4)"]);
    let names = |workspace: &Workspace| checkpoints(&workspace.work()).len();
    assert_eq!((names(&first), names(&second)), (2, 2), "epochs 1 and 2; epochs 2 and 3");
    assert_eq!(scene.listed(), ["epoch_1", "epoch_2", "epoch_3"]);

    let nobody = Workspace::new();
    let outcome = train(&nobody, &resume);
    outcome.expect_code(1);
    assert!(
        outcome.error().contains("expected a hook in the config that fetches s3://bucket/runs/a"),
        "{outcome}"
    );
}
