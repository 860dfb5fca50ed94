//! What an author writes, as another crate sees it. Knows nothing of how the macros work.

use snaphook_plugin_api::host::{HookInstance, HookType, NativeHook};
use snaphook_plugin_api::prelude::*;
use snaphook_plugin_api::services::ids;
use snaphook_plugin_api::testing::FakeRunner;
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Debug, PartialEq)]
enum Rule {
    Greater,
    Less,
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Rule, String> {
        match text {
            "greater" => Ok(Rule::Greater),
            "less" => Ok(Rule::Less),
            _ => Err(text.to_owned()),
        }
    }
}

/// Has an argument of
/// every type.
///
/// And more to say.
#[derive(Kwargs, Debug, PartialEq)]
struct EveryType {
    /// A whole number.
    #[kwarg(default = 50, min = 1)]
    interval: u64,
    #[kwarg(default = -1, min = -1, max = 8)]
    small: i8,
    #[kwarg(default = 1, max = 2.5)]
    momentum: f64,
    #[kwarg(default = true)]
    by_epoch: bool,
    #[kwarg(default = "say \"hi\"")]
    text: String,
    #[kwarg(required)]
    out: PathBuf,
    #[kwarg]
    maybe: Option<u32>,
    #[kwarg(default = ["a", "b"])]
    names: Vec<String>,
    #[kwarg(default = (14, 26), min = 1)]
    range: (u32, u32),
    #[kwarg(default = "less", choices("greater", "less"))]
    rule: Rule,
    #[kwarg(default = Json::Null)]
    anything: Json,
    calls: u64,
}

#[hook(name = "custom.EveryType", priority = "VERY_LOW", stability = "experimental")]
impl Hook for EveryType {
    fn after_val_epoch(&mut self, runner: &mut Runner, metrics: &Metrics) -> HookResult {
        self.calls += 1;
        runner.messages().set_info("best", json!(metrics.get("ap")))?;
        if metrics.get("ap").unwrap_or(0.0) > 0.5 {
            runner.control().stop("good enough")?;
        }
        Ok(())
    }

    fn before_save_checkpoint(
        &mut self,
        _: &mut Runner,
        checkpoint: &mut Checkpoint,
    ) -> HookResult {
        checkpoint.set_entry("calls", self.calls)?;
        Ok(())
    }

    fn save_state(&self) -> Option<HookState> {
        Some(HookState { version: 1, data: json!(self.calls) })
    }

    fn load_state(&mut self, state: HookState) -> HookResult {
        self.calls = state.data.as_u64().ok_or("state: expected a number")?;
        Ok(())
    }
}

fn build(kwargs: Json) -> Result<EveryType, HookError> {
    EveryType::construct(&kwargs.to_string())
}

#[test]
fn defaults_fill_what_is_not_given() {
    let built = build(json!({ "out": "x.json" })).unwrap();
    let expected = EveryType {
        interval: 50,
        small: -1,
        momentum: 1.0,
        by_epoch: true,
        text: "say \"hi\"".into(),
        out: "x.json".into(),
        maybe: None,
        names: vec!["a".into(), "b".into()],
        range: (14, 26),
        rule: Rule::Less,
        anything: Json::Null,
        calls: 0,
    };
    assert_eq!(built, expected);
    let built =
        build(json!({ "out": "x", "rule": "greater", "maybe": 3, "range": [1, 2] })).unwrap();
    assert_eq!((built.rule, built.maybe, built.range), (Rule::Greater, Some(3), (1, 2)));
}

#[test]
fn schema_has_types_bounds_defaults_and_descriptions() {
    let schema: Json = serde_json::from_str(EveryType::KWARGS_SCHEMA).unwrap();
    assert_eq!(
        schema["properties"]["interval"],
        json!({ "type": "integer", "minimum": 1, "default": 50, "description": "A whole number." })
    );
    assert_eq!(schema["properties"]["small"]["maximum"], 8);
    assert_eq!(schema["properties"]["text"]["default"], "say \"hi\"");
    assert_eq!(schema["properties"]["maybe"]["type"], json!(["integer", "null"]));
    assert_eq!(schema["properties"]["range"]["default"], json!([14, 26]));
    assert_eq!(schema["properties"]["rule"]["enum"], json!(["greater", "less"]));
    assert_eq!(schema["required"], json!(["out"]));
    assert!(schema["properties"].get("calls").is_none());
}

#[test]
fn attributes_say_name_points_and_priority() {
    assert_eq!(EveryType::NAME, "custom.EveryType");
    assert_eq!(<EveryType as HookType>::SUMMARY, "Has an argument of every type.");
    assert_eq!(EveryType::POINTS, [HookPoint::AfterValEpoch, HookPoint::BeforeSaveCheckpoint]);
    assert_eq!((EveryType::PRIORITY, EveryType::STABILITY), (Some(90), "experimental"));
}

#[test]
fn hook_uses_services_and_its_state_survives() {
    let mut run = FakeRunner::new().metrics([("ap", 0.6)]);
    let mut hook = NativeHook::new(build(json!({ "out": "x" })).unwrap());
    hook.call(HookPoint::AfterValEpoch, None, &mut run).unwrap();
    hook.call(HookPoint::BeforeSaveCheckpoint, None, &mut run).unwrap();
    assert_eq!(run.stop_reason(), Some("good enough"));
    assert_eq!(
        run.calls_of(ids::CHECKPOINT, "set_entry"),
        [&json!({ "key": "calls", "value": 1 })]
    );
    let state = hook.save_state().unwrap().unwrap();
    let mut other = NativeHook::construct::<EveryType>(&json!({ "out": "x" })).unwrap();
    other.load_state(state.clone()).unwrap();
    assert_eq!(other.save_state().unwrap(), Some(state));
}

#[test]
fn missing_service_is_an_error_of_its_own_kind() {
    let mut run = FakeRunner::new();
    let error = run.with_runner(|runner| runner.call("snaphook.tomorrow/1", "do", json!({})));
    let error = HookError::from(error.unwrap_err());
    assert_eq!(error.kind, HookErrorKind::Unsupported);
    assert!(error.message.contains("snaphook.tomorrow/1 do: not offered by this host"), "{error}");
}
