//! A run against a server that answers as MLflow does, and against MLflow's own where one runs.
#![allow(clippy::unwrap_used)] // helpers of tests count as no tests for clippy

use mlflow::MlflowHook;
use snaphook_plugin_api::prelude::*;
use snaphook_plugin_api::services::ids;
use snaphook_plugin_api::testing::FakeRunner;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the server was asked: method and body.
type Asked = Arc<Mutex<Vec<(String, Json)>>>;

/// As much of MLflow as the hook talks to. The first requests, `stumbles` of them, are answered with 503.
fn server(stumbles: usize) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let asked = Asked::default();
    let all = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut left = stumbles;
        for stream in listener.incoming().map_while(Result::ok) {
            let (path, body) = read(&stream);
            let method = path.rsplit("/mlflow/").next().unwrap().to_owned();
            if left > 0 {
                left -= 1;
                respond(stream, 503, &json!({ "error_code": "TEMPORARILY_UNAVAILABLE" }));
                continue;
            }
            let (status, answer) = answer(&method, &body);
            all.lock().unwrap().push((method, body));
            respond(stream, status, &answer);
        }
    });
    (url, asked)
}

fn read(stream: &TcpStream) -> (String, Json) {
    let mut reader = BufReader::new(stream);
    let (mut path, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_lowercase();
        if line.is_empty() {
            break;
        }
        if path.is_empty() {
            path = line.split(' ').nth(1).unwrap().to_owned();
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (path, serde_json::from_slice(&body).unwrap())
}

fn respond(mut stream: TcpStream, status: u16, answer: &Json) {
    let answer = answer.to_string();
    let length = answer.len();
    write!(
        stream,
        "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}"
    )
    .unwrap();
}

/// The answers that MLflow 3 gives.
fn answer(method: &str, body: &Json) -> (u16, Json) {
    match method {
        "experiments/search" if body["filter"] == "name = 'known'" => {
            (200, json!({ "experiments": [{ "experiment_id": "7", "name": "known" }] }))
        }
        "experiments/search" => (200, json!({})),
        "experiments/create" => (200, json!({ "experiment_id": "8" })),
        "runs/create" => (200, json!({ "run": { "info": { "run_id": "r1" } } })),
        "runs/search" => (200, json!({ "runs": [{ "info": { "run_id": "r1" } }] })),
        "runs/update" if body["run_id"] == "gone" => {
            (404, json!({ "error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no run gone" }))
        }
        _ => (200, json!({})),
    }
}

fn hook(kwargs: Json) -> MlflowHook {
    MlflowHook::from_kwargs("MlflowHook", &kwargs).unwrap()
}

fn run() -> FakeRunner {
    let info = json!({ "experiment_name": "tiny_1", "version": "0.1.0" });
    FakeRunner::new()
        .answer(ids::RUN, "info", info)
        .config(json!({ "model": { "type": "YOLOX" }, "seeds": [1, 2] }))
        .output("loss", [0.5])
        .output("loss_obj", [f64::NAN])
        .learning_rate(0.01)
        .metrics([("coco/bbox_mAP", 0.25)])
        .payload(HookPoint::OnException, json!({ "kind": "hook", "message": "why" }))
}

fn go_through(hook: &mut MlflowHook, end: HookPoint) {
    let mut run = run();
    for (point, batch) in [
        (HookPoint::BeforeRun, None),
        (HookPoint::BeforeTrain, None),
        (HookPoint::AfterTrainIter, Some(0)),
        (HookPoint::AfterValEpoch, None),
        (end, None),
    ] {
        run.run_point(hook, point, batch).unwrap();
    }
}

fn methods(asked: &Asked) -> Vec<String> {
    asked.lock().unwrap().iter().map(|(method, _)| method.clone()).collect()
}

#[test]
fn a_run_is_written_from_begin_to_end_through_a_server_that_stumbles() {
    let (url, asked) = server(2);
    let mut hook = hook(
        json!({ "tracking_uri": url, "exp_name": "new", "interval": 1, "tags": { "team": "a" } }),
    );
    go_through(&mut hook, HookPoint::AfterRun);
    let expected = [
        "experiments/search",
        "experiments/create",
        "runs/create",
        "runs/log-batch",
        "runs/log-batch",
        "runs/log-batch",
        "runs/update",
    ];
    assert_eq!(methods(&asked), expected);
    let asked = asked.lock().unwrap();
    assert_eq!(asked[2].1["experiment_id"], "8");
    assert!(
        asked[2].1["tags"].as_array().unwrap().contains(&json!({ "key": "team", "value": "a" }))
    );
    assert_eq!(asked[3].1["params"][1], json!({ "key": "seeds", "value": "[1,2]" }));
    let metrics = asked[4].1["metrics"].as_array().unwrap();
    let value =
        |key: &str| metrics.iter().find(|metric| metric["key"] == key).unwrap()["value"].clone();
    assert_eq!(value("train/loss"), 0.5);
    assert_eq!((value("train/loss_obj"), value("train/lr")), (json!("NaN"), json!(0.01)));
    assert_eq!(asked[5].1["metrics"][0]["key"], "val/coco/bbox_mAP");
    assert_eq!((&asked[6].1["status"], &asked[6].1["run_id"]), (&json!("FINISHED"), &json!("r1")));
}

#[test]
fn a_resumed_run_goes_on_and_a_lost_one_is_begun_anew() {
    let (url, asked) = server(0);
    let kwargs = json!({ "tracking_uri": url, "exp_name": "known" });
    let mut first = hook(kwargs.clone());
    go_through(&mut first, HookPoint::OnException);
    let state = first.save_state().unwrap();
    assert_eq!(state.data["run_id"], "r1");
    assert_eq!(asked.lock().unwrap().last().unwrap().1["status"], "FAILED");

    for (run_id, expected) in [("r1", "runs/update"), ("gone", "experiments/search")] {
        asked.lock().unwrap().clear();
        let mut second = hook(kwargs.clone());
        second.load_state(HookState { version: 1, data: json!({ "run_id": run_id }) }).unwrap();
        go_through(&mut second, HookPoint::AfterRun);
        let methods = methods(&asked);
        assert!(methods.contains(&expected.to_owned()), "{methods:?}");
        assert_eq!(methods.contains(&"runs/create".to_owned()), run_id == "gone");
    }
}

#[test]
fn a_failure_after_the_end_makes_it_a_failed_run() {
    let (url, asked) = server(0);
    let mut hook = hook(json!({ "tracking_uri": url }));
    go_through(&mut hook, HookPoint::AfterRun);
    let told = methods(&asked).len();
    for _ in 0..2 {
        run().run_point(&mut hook, HookPoint::OnException, None).unwrap();
    }
    let asked = asked.lock().unwrap();
    let states: Vec<(&Json, &Json)> =
        asked[told..].iter().map(|(_, body)| (&body["run_id"], &body["status"])).collect();
    assert_eq!(states, [(&json!("r1"), &json!("RUNNING")), (&json!("r1"), &json!("FAILED"))]);
}

#[test]
fn a_run_is_found_again_when_its_checkpoint_was_saved_before_the_server_answered() {
    let (url, asked) = server(0);
    let kwargs = json!({ "tracking_uri": url, "exp_name": "known" });
    let mut early = hook(json!({ "tracking_uri": "http://127.0.0.1:9", "retry_minutes": 0.0 }));
    let mut first = run();
    for point in [HookPoint::BeforeRun, HookPoint::BeforeTrain] {
        first.run_point(&mut early, point, None).unwrap();
    }
    let state = early.save_state().unwrap();
    assert!(state.data["run_id"].is_null() && state.data["mark"].is_string(), "{state:?}");
    let mut second = hook(kwargs);
    second.load_state(state.clone()).unwrap();
    go_through(&mut second, HookPoint::AfterRun);
    let methods = methods(&asked);
    assert_eq!(methods[..3], ["experiments/search", "runs/search", "runs/update"]);
    assert!(!methods.contains(&"runs/create".to_owned()), "{methods:?}");
    let filter = asked.lock().unwrap()[1].1["filter"].clone();
    let mark = state.data["mark"].as_str().unwrap();
    assert_eq!(filter, format!("tags.`snaphook.run` = '{mark}'"));
}

#[test]
fn a_server_that_is_away_does_not_end_the_run() {
    let kwargs = json!({ "tracking_uri": "http://127.0.0.1:9", "retry_minutes": 0.0 });
    go_through(&mut hook(kwargs), HookPoint::AfterRun);
}

#[test]
fn a_run_without_a_server_is_refused() {
    let mut hook = hook(json!({ "tracking_uri": "file:///tmp/mlruns" }));
    let error = run().run_point(&mut hook, HookPoint::BeforeRun, None).unwrap_err();
    assert!(error.message.contains("expected the URL of an MLflow server"), "{}", error.message);
}

/// MLflow's own server has what the hook wrote.
#[test]
fn a_real_server_has_it_all_where_one_runs() {
    let Ok(url) = std::env::var("SNAPHOOK_MLFLOW_URL") else {
        eprintln!("not compared: no MLflow server (SNAPHOOK_MLFLOW_URL names one)");
        return;
    };
    let name = format!("snaphook test {}", std::process::id());
    let kwargs = json!({ "tracking_uri": url, "exp_name": name, "interval": 1 });
    let mut first = hook(kwargs.clone());
    go_through(&mut first, HookPoint::AfterRun);
    let state = first.save_state().unwrap();
    let run_id = state.data["run_id"].as_str().unwrap().to_owned();
    // A resumed run adds to it.
    let mut second = hook(kwargs);
    second.load_state(state).unwrap();
    go_through(&mut second, HookPoint::AfterRun);
    let uri = format!("{}/api/2.0/mlflow/runs/get?run_id={run_id}", url.trim_end_matches('/'));
    let text = ureq::get(&uri).call().unwrap().body_mut().read_to_string().unwrap();
    let run: Json = serde_json::from_str(&text).unwrap();
    assert_eq!(run["run"]["info"]["status"], "FINISHED");
    let data = &run["run"]["data"];
    let has = |list: &str, key: &str, value: Json| {
        let found = data[list].as_array().unwrap().iter().find(|entry| entry["key"] == key);
        assert_eq!(found.unwrap_or_else(|| panic!("{key}: {data:#}"))["value"], value);
    };
    has("metrics", "train/loss", json!(0.5));
    has("metrics", "val/coco/bbox_mAP", json!(0.25));
    has("params", "model.type", json!("YOLOX"));
}
