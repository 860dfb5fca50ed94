//! The LoggerHook's lines and records against those of MMEngine 0.10.7, given the same scalars in the same order.
//! `golden/make_logs.py` makes the golden file.
#![allow(clippy::unwrap_used)] // helpers of tests count as no tests for clippy

use serde_json::{Value as Json, json};
use snaphook_hooks::built_in;
use snaphook_plugin_api::HookPoint;
use snaphook_plugin_api::host::{HookInstance, Services};
use snaphook_plugin_api::testing::FakeRunner;

/// Python's JSON has NaN; here it is the text that the LoggerHook gives to its writers.
fn golden() -> Json {
    let text =
        include_str!("golden/logs.json").replace(":NaN", ":\"NaN\"").replace(",NaN", ",\"NaN\"");
    serde_json::from_str(&text).unwrap()
}

fn float(value: &Json) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// A run that is told what MMEngine's was told, and a LoggerHook in it.
struct Replay {
    run: FakeRunner,
    hook: Box<dyn HookInstance>,
    folder: tempfile::TempDir,
    logged: usize,
    recorded: usize,
}

impl Replay {
    fn new(scenario: &Json) -> Replay {
        let folder = tempfile::tempdir().unwrap();
        let info = json!({
            "work_dir": folder.path(), "run_dir": folder.path(), "timestamp": "time", "experiment_name": "NAME",
        });
        let mut run = FakeRunner::new()
            .config(json!({ "log_processor": scenario["log_processor"] }))
            .answer("snaphook.run/1", "info", info);
        let construct = built_in::find("LoggerHook").unwrap().construct;
        let mut hook = construct(&scenario["logger"]).unwrap();
        hook.call(HookPoint::BeforeRun, None, &mut run).unwrap();
        Replay { run, hook, folder, logged: 0, recorded: 0 }
    }

    fn event(&mut self, event: &Json) {
        match event[0].as_str().unwrap() {
            "scalar" => {
                let key = event[1].as_str().unwrap();
                self.run.scalar_add(key, float(&event[2]), event[3].as_u64().unwrap());
            }
            "info" => {
                let arguments = json!({ "key": event[1], "value": event[2] });
                self.run.call("snaphook.messages/1", "set_info", arguments).unwrap();
            }
            _ => self.call(event),
        }
    }

    fn call(&mut self, event: &Json) {
        let point = HookPoint::ALL.into_iter().find(|point| point.name() == event[1]).unwrap();
        let counter = |name: &str| event[2][name].as_u64().unwrap();
        self.run.set_progress(|progress| {
            progress.epoch = counter("epoch");
            progress.iter = counter("iter");
            progress.max_epochs = counter("max_epochs");
            progress.max_iters = counter("max_iters");
            progress.epoch_length = counter("epoch_length");
            progress.by_epoch = u32::from(event[2]["by_epoch"] == true);
        });
        self.hook.call(point, event[3].as_u64(), &mut self.run).unwrap();
        let lines: Vec<&str> = self.run.logged().split_off(self.logged);
        self.logged += lines.len();
        assert_eq!(json!(lines), event[4], "lines at {event}");
        let written = self.records(point);
        assert_eq!(json!(written), event[5], "records at {event}");
    }

    /// What was written for programs since the last time: `scalars.json`, or the file of a test.
    fn records(&mut self, point: HookPoint) -> Vec<Json> {
        if point == HookPoint::AfterTestEpoch {
            let text = std::fs::read_to_string(self.folder.path().join("time.json")).unwrap();
            return vec![serde_json::from_str(&text.replace("NaN", "\"NaN\"")).unwrap()];
        }
        let calls = self.run.calls_of("snaphook.visual/1", "scalars");
        let new = calls[self.recorded..].iter().map(|call| {
            let mut record = call["values"].clone();
            record["step"] = call["step"].clone();
            record
        });
        let new: Vec<Json> = new.collect();
        self.recorded += new.len();
        new
    }
}

/// The names of a record in the order in which they are written; equality of JSON does not look at it.
fn names(record: &Json) -> Vec<&String> {
    record.as_object().unwrap().keys().collect()
}

#[test]
fn lines_and_records_are_mmengines_to_the_letter() {
    let golden = golden();
    let scenarios = golden.as_object().unwrap();
    assert_eq!(scenarios.len(), 8);
    for (name, scenario) in scenarios {
        let mut replay = Replay::new(scenario);
        let events = scenario["events"].as_array().unwrap();
        events.iter().for_each(|event| replay.event(event));
        assert!(replay.logged > 1, "{name}");
    }
}

#[test]
fn the_names_of_a_record_come_in_mmengines_order() {
    let golden = golden();
    for scenario in golden.as_object().unwrap().values() {
        let mut replay = Replay::new(scenario);
        for event in scenario["events"].as_array().unwrap() {
            let seen = replay.recorded;
            replay.event(event);
            let calls = replay.run.calls_of("snaphook.visual/1", "scalars");
            for (call, record) in
                calls[seen..].iter().zip(event[5].as_array().into_iter().flatten())
            {
                let mut ours = names(&call["values"]);
                let step = "step".to_owned();
                ours.push(&step);
                assert_eq!(ours, names(record));
            }
        }
    }
}
