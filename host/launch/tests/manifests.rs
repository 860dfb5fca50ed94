//! The manifests of `docs/kubernetes` against the schemas of Kubernetes and of Kubeflow's PyTorchJob: what these manifests
//! use of them is in `kubernetes.json` beside this file, which `scripts/check_manifests.py` cuts out. Whether a cluster runs
//! them is not tested.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

mod launcher;

use launcher::manifests;
use serde_json::{Value as Json, json};

fn schema() -> Json {
    serde_json::from_str(include_str!("kubernetes.json")).unwrap()
}

/// What is wrong with a manifest, each with its place.
fn problems(mut schema: Json, manifest: &Json) -> Vec<String> {
    let text = |key: &str| manifest[key].as_str().unwrap_or_default();
    let kind = format!("{}/{}", text("apiVersion"), text("kind"));
    let Some(definition) = schema["kinds"][&kind].as_str() else {
        return vec![format!("unknown kind {kind}")];
    };
    schema["$ref"] = json!(format!("#/$defs/{definition}"));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problem =
        |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
    validator.iter_errors(manifest).map(problem).collect()
}

#[test]
fn manifests_have_the_fields_that_an_api_server_takes() {
    for file in ["indexed-job.yaml", "pytorchjob.yaml"] {
        for manifest in manifests(file) {
            assert_eq!(problems(schema(), &manifest), Vec::<String>::new(), "{file}");
        }
    }
}

/// Of a field that no manifest had when the schemas were cut, only the name is known: nothing is asked of its value.
#[test]
fn schemas_are_known_of_every_field_that_a_manifest_has() {
    let mut schema = schema();
    for definition in schema["$defs"].as_object_mut().unwrap().values_mut() {
        let fields = definition.get_mut("properties").and_then(Json::as_object_mut);
        let fields = fields.into_iter().flat_map(|all| all.values_mut());
        fields.filter(|field| **field == json!(true)).for_each(|field| *field = json!(false));
    }
    for file in ["indexed-job.yaml", "pytorchjob.yaml"] {
        for manifest in manifests(file) {
            let found = problems(schema.clone(), &manifest);
            assert_eq!(found, Vec::<String>::new(), "{file}: scripts/check_manifests.py --cut");
        }
    }
}

#[test]
fn what_an_api_server_refuses_is_found() {
    let job = || manifests("indexed-job.yaml").remove(1);
    type Change = fn(&mut Json);
    let changes: [(Change, &str); 9] = [
        (|job| job["spec"]["completionmode"] = json!("Indexed"), "/spec: Additional properties"),
        (|job| job["spec"]["completions"] = json!("2"), "/spec/completions: \"2\" is not"),
        (
            |job| job["spec"]["completionMode"] = json!("indexed"),
            "/spec/completionMode: \"indexed\"",
        ),
        (
            |job| drop(job["spec"].as_object_mut().unwrap().remove("template")),
            "/spec: \"template\" is a required property",
        ),
        (
            |job| {
                job["spec"]["template"]["spec"]["containers"][0]["env"][1]["value"] = json!(29500)
            },
            "/spec/template/spec/containers/0/env/1/value: 29500 is not",
        ),
        (
            |job| job["spec"]["template"]["spec"]["containers"][0]["args"] = json!("launch"),
            "/spec/template/spec/containers/0/args: \"launch\" is not",
        ),
        (
            |job| job["spec"]["podFailurePolicy"]["rules"][1]["action"] = json!("Retry"),
            "/spec/podFailurePolicy/rules/1/action: \"Retry\"",
        ),
        (
            |job| job["spec"]["podFailurePolicy"]["rules"][1]["onExitCodes"]["values"] = json!(75),
            "/spec/podFailurePolicy/rules/1/onExitCodes/values: 75 is not",
        ),
        (
            |job| job["spec"]["podFailurePolicy"]["rules"][0]["onPodConditions"][0] = json!({}),
            "/spec/podFailurePolicy/rules/0/onPodConditions/0: \"type\" is a required property",
        ),
    ];
    for (change, expected) in changes {
        let mut wrong = job();
        change(&mut wrong);
        let found = problems(schema(), &wrong);
        assert!(matches!(&found[..], [one] if one.starts_with(expected)), "{expected}: {found:?}");
    }
    let mut wrong = manifests("pytorchjob.yaml").remove(0);
    wrong["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]["container"] = json!([]);
    let place = "/spec/pytorchReplicaSpecs/Worker/template/spec: Additional properties";
    assert!(problems(schema(), &wrong)[0].starts_with(place), "{:?}", problems(schema(), &wrong));
    assert_eq!(
        problems(schema(), &json!({"apiVersion": "v1", "kind": "Job"})),
        ["unknown kind v1/Job"]
    );
}
