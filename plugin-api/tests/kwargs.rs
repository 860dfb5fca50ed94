//! Arguments that take more than one kind of value, and nested dicts: what the schema says is what is read.
use snaphook_plugin_api::prelude::*;
use snaphook_plugin_api::{kwargs_problems, KwargValue, KwargsProblemKind};

/// One number, or two.
#[derive(Debug, PartialEq)]
struct Pair(u64, u64);

impl KwargValue for Pair {
    fn read(value: &Json) -> Option<Pair> {
        match <(u64, u64)>::read(value) {
            Some((first, second)) => Some(Pair(first, second)),
            None => u64::read(value).map(|both| Pair(both, both)),
        }
    }
}

/// A component with nested ones.
#[derive(Debug, PartialEq, Kwargs)]
struct Detector {
    /// A size.
    #[kwarg(default = (640, 480), any_of(u64, (u64, u64)), min = 1)]
    size: Pair,
    /// Perhaps a size.
    #[kwarg(default = None, any_of(u64, (u64, u64)))]
    maybe: Option<Pair>,
    /// Not known yet.
    #[kwarg(default = false, only(false))]
    masks: bool,
    /// Not known yet, and null.
    #[kwarg(default = None, only(None, "none"))]
    nothing: Json,
    /// A loss.
    #[kwarg(component = "loss")]
    loss: Option<Json>,
    /// Steps.
    #[kwarg(default = [], component = "transform")]
    steps: Vec<Json>,
    /// One metric or several.
    #[kwarg(default = None, any_of(Json, Vec<Json>), component = "metric")]
    metric: Option<Json>,
    /// Settings.
    #[kwarg(settings = "Filter")]
    filter: Option<Json>,
}

fn read(kwargs: Json) -> Result<Detector, String> {
    Detector::from_kwargs("D", &kwargs).map_err(|error| error.message)
}

#[test]
fn each_kind_is_read_and_defaults_are_read_the_same_way() {
    let built = read(json!({})).unwrap();
    assert_eq!((built.size, built.maybe, built.masks), (Pair(640, 480), None, false));
    let built = read(json!({"size": 3, "maybe": [1, 2], "nothing": "none"})).unwrap();
    assert_eq!((built.size, built.maybe), (Pair(3, 3), Some(Pair(1, 2))));
    assert_eq!(built.nothing, json!("none"));
}

#[test]
fn what_fits_none_of_the_kinds_is_told_with_all_of_them() {
    let error = |kwargs| read(kwargs).unwrap_err();
    assert_eq!(
        error(json!({"size": "x"})),
        "D.size: expected an integer of at least 1 or a list of 2 values, found \"x\""
    );
    assert_eq!(
        error(json!({"size": [0, 3]})),
        "D.size: expected an integer of at least 1 or a list of 2 values, found [0,3]"
    );
    assert_eq!(error(json!({"masks": true})), "D.masks: expected false, found true");
    assert_eq!(error(json!({"nothing": 3})), "D.nothing: expected null or \"none\", found 3");
    assert_eq!(error(json!({"loss": 3})), "D.loss: expected a dict or null, found 3");
}

#[test]
fn the_schema_says_what_is_nested() {
    let schema: Json = serde_json::from_str(<Detector as Kwargs>::SCHEMA).unwrap();
    let of = |key: &str| schema["properties"][key].clone();
    assert_eq!(of("size")["default"], json!([640, 480]));
    assert_eq!(of("size")["anyOf"][0], json!({"type": "integer", "minimum": 1}));
    assert_eq!(of("maybe")["anyOf"][2], json!({"type": "null"}));
    assert_eq!(of("masks")["enum"], json!([false]));
    assert_eq!(of("loss")["x-component"], "loss");
    assert_eq!(of("loss")["type"], json!(["object", "null"]));
    assert_eq!(of("steps")["items"], json!({"type": "object", "x-component": "transform"}));
    assert_eq!(of("metric")["anyOf"][1]["items"]["x-component"], "metric");
    assert_eq!(of("filter")["x-settings"], "Filter");
}

#[test]
fn problems_are_told_apart_by_their_kind() {
    let schema: Json = serde_json::from_str(<Detector as Kwargs>::SCHEMA).unwrap();
    let problems = kwargs_problems(&schema, &json!({"siez": 3, "steps": [{}, 4]}));
    assert_eq!(problems[0].key, "siez");
    assert!(
        matches!(&problems[0].kind, KwargsProblemKind::Unknown { nearest: Some(near), .. } if near == "size")
    );
    assert_eq!(problems[1].key, "steps[1]");
    assert!(matches!(&problems[1].kind, KwargsProblemKind::Wrong { .. }));
}
