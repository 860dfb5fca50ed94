//! Letters against a server on loopback.
#![allow(clippy::unwrap_used)] // helpers of tests count as no tests for clippy

use snaphook_plugin_api::prelude::*;
use snaphook_plugin_api::services::ids;
use snaphook_plugin_api::testing::FakeRunner;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use webhook::WebhookHook;

/// What came in: the head's lines, and the body.
type Letter = (Vec<String>, Json);

/// A server that answers with these states, one after the other; `0` hangs up without an answer.
fn server(states: &'static [u16]) -> (String, Receiver<Letter>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, letters) = channel();
    std::thread::spawn(move || {
        for state in states {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                match line.trim() {
                    "" => break,
                    line => head.push(line.to_owned()),
                }
            }
            let length = head.iter().find_map(|line| {
                line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
            });
            let mut body = vec![0; length.unwrap_or(0)];
            reader.read_exact(&mut body).unwrap();
            if *state > 0 {
                let answer = "Content-Length: 0\r\nConnection: close\r\n\r\n";
                write!(stream, "HTTP/1.1 {state} x\r\n{answer}").unwrap();
                sender.send((head, serde_json::from_slice(&body).unwrap())).unwrap();
            }
        }
    });
    (url, letters)
}

fn hook(kwargs: Json) -> WebhookHook {
    WebhookHook::from_kwargs("WebhookHook", &kwargs).unwrap()
}

fn run() -> FakeRunner {
    let info = json!({ "experiment_name": "tiny_1", "work_dir": "work" });
    let saved = json!({ "path": "work/best_1", "epoch": 1, "iter": 2, "is_best": true, "best": "coco/bbox_mAP" });
    let mut run = FakeRunner::new()
        .answer(ids::RUN, "info", info)
        .payload(HookPoint::AfterSaveCheckpoint, saved)
        .payload(HookPoint::OnException, json!({ "kind": "data", "message": "no picture" }));
    run.with_runner(|runner| runner.messages().add("val/coco/bbox_mAP", 0.5));
    run
}

#[test]
fn a_run_is_told_from_start_to_end() {
    let (url, letters) = server(&[200, 204, 200]);
    let kwargs = json!({ "url": url, "headers": { "X-Key": "a${CARGO_PKG_NAME}b" } });
    let (mut hook, mut run) = (hook(kwargs), run());
    for point in [
        HookPoint::BeforeRun,
        HookPoint::BeforeTrain,
        HookPoint::AfterSaveCheckpoint,
        HookPoint::AfterRun,
    ] {
        run.run_point(&mut hook, point, None).unwrap();
    }
    let told: Vec<Letter> = letters.iter().collect();
    let events: Vec<&Json> = told.iter().map(|(_, body)| &body["event"]).collect();
    assert_eq!(events, ["start", "best", "end"]);
    assert!(
        told[0].0.iter().any(|line| line.to_lowercase() == "x-key: awebhookb"),
        "{:?}",
        told[0].0
    );
    let best = &told[1].1;
    assert_eq!((&best["value"], &best["checkpoint"]), (&json!(0.5), &json!("work/best_1")));
    assert_eq!(best["text"], "tiny_1: new best coco/bbox_mAP = 0.5000 after epoch 1");
}

#[test]
fn a_server_that_stumbles_is_asked_again_and_a_failure_arrives() {
    let (url, letters) = server(&[0, 503, 200]);
    let (mut hook, mut run) = (hook(json!({ "url": url, "events": ["failure"] })), run());
    for point in [HookPoint::BeforeRun, HookPoint::BeforeTrain, HookPoint::OnException] {
        run.run_point(&mut hook, point, None).unwrap();
    }
    let told: Vec<Letter> = letters.iter().collect();
    assert_eq!(told.len(), 2, "the refused one and the one that arrived");
    assert_eq!(
        (&told[1].1["event"], &told[1].1["error"]),
        (&json!("failure"), &json!("no picture"))
    );
}

#[test]
fn a_letter_that_is_refused_does_not_end_the_run() {
    let (url, letters) = server(&[404]);
    let (mut hook, mut run) = (hook(json!({ "url": url, "events": ["end"] })), run());
    run.run_point(&mut hook, HookPoint::BeforeRun, None).unwrap();
    run.run_point(&mut hook, HookPoint::AfterRun, None).unwrap();
    assert_eq!(letters.iter().count(), 1, "404 is not asked again");
}

#[test]
fn wrong_events_and_missing_secrets_are_refused_before_the_run() {
    for (kwargs, expected) in [
        (json!({ "url": "http://x", "events": ["stop"] }), "found stop"),
        (json!({ "url": "http://x/${NO_SUCH_SECRET}" }), "variable NO_SUCH_SECRET"),
        (json!({ "url": "mailto:a" }), "expected http:// or https://"),
        (json!({ "url": "http://x", "headers": { "A": 1 } }), "headers.A: expected a text"),
    ] {
        let error = run().run_point(&mut hook(kwargs), HookPoint::BeforeRun, None).unwrap_err();
        assert!(error.is_fatal() && error.message.contains(expected), "{}", error.message);
    }
}

#[test]
fn other_processes_than_the_first_are_silent() {
    let mut run = run().world(1, 2);
    let mut hook = hook(json!({ "url": "http://127.0.0.1:9" }));
    for point in [HookPoint::BeforeRun, HookPoint::BeforeTrain, HookPoint::AfterRun] {
        run.run_point(&mut hook, point, None).unwrap();
    }
}
