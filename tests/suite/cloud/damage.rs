//! Lists of checkpoints that arrive damaged, are damaged in the store, or say what could not be removed.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use snaphook_plugin_api::prelude::HookPoint;
use snaphook_plugin_api::services::ids;

use super::bad_proxy::Fault;
use super::{Scene, ask_to_end, expect_equal, start_run, with_hook};

fn list(scene: &Scene) -> Json {
    serde_json::from_slice(&fs::read(scene.cloud("checkpoints.json")).unwrap()).unwrap()
}

#[test]
fn a_list_that_arrives_damaged_is_read_again_and_never_written_back() {
    // Still JSON, and another epoch.
    let damage = || vec![Fault::CorruptText { text: "\"epoch\": 2" }];
    let scene = Scene::new(damage());
    scene.upload(&mut scene.hook(&json!({})), 2, 1000).unwrap();
    assert_eq!(scene.proxy.left(), 1);
    let elsewhere = scene.folder.path().join("elsewhere");
    let fetched = scene.fetch(&mut scene.hook(&json!({})), &elsewhere).unwrap();
    assert_eq!(scene.proxy.left(), 0, "the list was damaged on its way");
    expect_equal(&scene.work().join("epoch_2"), &fetched);

    let scene = Scene::new(damage());
    for epoch in [2, 5] {
        scene.upload(&mut scene.hook(&json!({})), epoch, 1000).unwrap();
    }
    assert_eq!(scene.proxy.left(), 0, "the list was damaged on its way");
    let list = list(&scene);
    assert_eq!(
        (&list["checkpoints"][0]["epoch"], &list["checkpoints"][1]["epoch"]),
        (&json!(2), &json!(5))
    );
}

#[test]
fn a_list_that_is_damaged_in_the_store_is_made_anew_of_what_is_there() {
    let scene = Scene::new(Vec::new());
    for epoch in [9, 10] {
        scene.upload(&mut scene.hook(&json!({})), epoch, 1000).unwrap();
    }
    let before = list(&scene);
    let path = scene.cloud("checkpoints.json");
    let text = fs::read_to_string(&path).unwrap().replace("epoch_9", "epoch_8");
    fs::write(&path, &text).unwrap();
    // Half a checkpoint, which is none.
    fs::create_dir_all(scene.cloud("epoch_11")).unwrap();
    fs::write(scene.cloud("epoch_11/state.json"), "{}").unwrap();

    let elsewhere = scene.folder.path().join("elsewhere");
    let fetched = scene.fetch(&mut scene.hook(&json!({})), &elsewhere).unwrap();
    expect_equal(&scene.work().join("epoch_10"), &fetched);
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "whoever reads changes nothing");

    scene.upload(&mut scene.hook(&json!({})), 12, 1000).unwrap();
    assert_eq!(scene.listed(), ["epoch_9", "epoch_10", "epoch_12"]);
    let after = list(&scene);
    for key in ["name", "epoch", "iter", "is_best", "manifest_sha256"] {
        for place in 0..2 {
            assert_eq!(
                after["checkpoints"][place][key], before["checkpoints"][place][key],
                "{key}"
            );
        }
    }
}

#[test]
fn a_file_of_somebody_else_is_not_written_over() {
    let scene = Scene::new(Vec::new());
    let path = scene.cloud("checkpoints.json");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "{\"mine\": 1}").unwrap();
    let error = scene.upload(&mut scene.hook(&json!({})), 1, 1000).unwrap_err();
    assert!(error.message.contains("found another file"), "{}", error.message);
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"mine\": 1}");
}

#[test]
fn what_could_not_be_removed_is_removed_by_the_next_upload() {
    let scene = Scene::new(Vec::new());
    let hook = || scene.hook(&json!({ "keep": 1, "retry_minutes": 0.01 }));
    scene.upload(&mut hook(), 1, 1000).unwrap();
    scene.proxy.refuse_removals();
    let error = scene.upload(&mut hook(), 2, 1000).unwrap_err();
    assert!(
        error.message.contains("the next upload tries to remove it again"),
        "{}",
        error.message
    );
    assert_eq!(scene.listed(), ["epoch_2"], "the upload itself is done");
    let files = json!(["model.safetensors", "state.json"]);
    assert_eq!(list(&scene)["removing"], json!([{ "name": "epoch_1", "files": files }]));
    assert!(!scene.work().join(".uploads").exists());

    // As if the network had gone after the first file.
    fs::remove_file(scene.cloud("epoch_1/manifest.json")).unwrap();
    scene.proxy.mend();
    scene.upload(&mut hook(), 3, 1000).unwrap();
    assert_eq!(
        (scene.listed(), &list(&scene)["removing"]),
        (vec!["epoch_3".to_owned()], &json!([]))
    );
    for name in ["epoch_1", "epoch_2"] {
        for file in ["manifest.json", "model.safetensors", "state.json"] {
            assert!(!scene.cloud(name).join(file).exists(), "{name}/{file}");
        }
    }
}

#[test]
fn a_fetch_ends_when_the_process_is_asked_to_end() {
    let scene = Scene::new(vec![Fault::Down { connections: 100_000 }]);
    let (mut hook, began) = (scene.hook(&json!({ "retry_minutes": 9.0 })), Instant::now());
    let wanted = json!({ "url": "s3://bucket/runs/a", "folder": scene.work() });
    let asked = json!({ "signal": 15, "name": "SIGTERM", "times": 1 });
    let run = scene.run().payload(HookPoint::FetchCheckpoint, wanted);
    let mut run = run.answer(ids::CONTROL, "interruption", asked);
    let error = run.run_point(&mut hook, HookPoint::FetchCheckpoint, None).unwrap_err();
    assert!(error.is_fatal() && error.message.contains("asked to end"), "{}", error.message);
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_run_that_is_asked_to_end_while_it_fetches_ends_and_goes_on_another_time() {
    // A store that hangs up: the first one who comes shows that the fetch has begun.
    let store = TcpListener::bind("127.0.0.1:0").unwrap();
    store.set_nonblocking(true).unwrap();
    let address = store.local_addr().unwrap().to_string();
    let workspace = with_hook(&address, ", retry_minutes=9.0");
    let mut running = start_run(&workspace, &["--resume", "s3://bucket/runs/a"]);
    assert!(running.wait_until(|| store.accept().is_ok()));
    ask_to_end(&running);
    running.wait().expect_code(75).expect_text(&["since this process is asked to end"]);
}
