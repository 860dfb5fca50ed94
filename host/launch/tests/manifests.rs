//! The manifests of `docs/kubernetes` against what an API server asks of them: field names, types, required fields and fixed
//! choices, in `kubernetes.json` beside this file. Whether a cluster runs them is not tested.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

use serde_json::{Map, Value as Json, json};

fn schema() -> Json {
    serde_json::from_str(include_str!("kubernetes.json")).unwrap()
}

fn manifests(file: &str) -> Vec<Json> {
    let path = format!("{}/../../docs/kubernetes/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

/// What is wrong with a manifest, each with its place.
fn problems(manifest: &Json) -> Vec<String> {
    let schema = schema();
    let text = |key: &str| manifest[key].as_str().unwrap_or_default();
    let kind = format!("{}/{}", text("apiVersion"), text("kind"));
    let Some(definition) = schema["kinds"][&kind].as_str() else {
        return vec![format!("unknown kind {kind}")];
    };
    let mut walk =
        Walk { definitions: schema["definitions"].as_object().unwrap(), problems: Vec::new() };
    walk.object(definition, &[], manifest, text("kind"));
    walk.problems
}

struct Walk<'a> {
    definitions: &'a Map<String, Json>,
    problems: Vec<String>,
}

impl Walk<'_> {
    fn expected(&mut self, place: &str, what: &str, found: &Json) {
        self.problems.push(format!("{place}: expected {what}, found {found}"));
    }

    fn object(&mut self, definition: &str, with: &[Json], value: &Json, place: &str) {
        let definition = &self.definitions[definition];
        let Some(object) = value.as_object() else { return self.expected(place, "fields", value) };
        let required = definition["required"].as_array().into_iter().flatten().chain(with);
        for name in required.filter_map(Json::as_str).filter(|name| !object.contains_key(*name)) {
            self.problems.push(format!("{place}.{name}: missing"));
        }
        for (name, value) in object {
            let place = format!("{place}.{name}");
            match definition["fields"].get(name) {
                Some(field) => self.value(field, value, &place),
                None => self.problems.push(format!("{place}: unknown field")),
            }
        }
    }

    fn value(&mut self, field: &Json, value: &Json, place: &str) {
        if let Some(definition) = field["is"].as_str() {
            let with = field["with"].as_array().map_or(&[][..], Vec::as_slice);
            return self.object(definition, with, value, place);
        }
        if let Some(choices) = field["one_of"].as_array() {
            if !choices.contains(value) {
                self.expected(place, &format!("one of {}", field["one_of"]), value);
            }
            return;
        }
        let (items, values) = (&field["items"], &field["values"]);
        match (value, items.is_object(), values.is_object()) {
            (Json::Array(all), true, _) => {
                let places = all.iter().enumerate();
                places.for_each(|(at, value)| self.value(items, value, &format!("{place}[{at}]")));
            }
            (Json::Object(all), _, true) => {
                all.iter().for_each(|(name, value)| {
                    self.value(values, value, &format!("{place}.{name}"))
                });
            }
            (_, true, _) => self.expected(place, "a list", value),
            (_, _, true) => self.expected(place, "a map", value),
            _ => self.scalar(field["type"].as_str().unwrap(), value, place),
        }
    }

    fn scalar(&mut self, kind: &str, value: &Json, place: &str) {
        let fits = match kind {
            "any" => true,
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_u64(),
            "quantity" => value.is_u64() || value.as_str().is_some_and(is_quantity),
            "name" => value.as_str().is_some_and(is_name),
            other => panic!("{other}: no type of the schema"),
        };
        if !fits {
            self.expected(place, &format!("a {kind}"), value);
        }
    }
}

/// `500m`, `16`, `1.5Gi`.
fn is_quantity(text: &str) -> bool {
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let units = ["", "m", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi"];
    number.parse::<f64>().is_ok() && units.contains(&&text[number.len()..])
}

/// A label of RFC 1123.
fn is_name(text: &str) -> bool {
    let is_fine = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    !text.is_empty()
        && text.len() <= 63
        && text.chars().all(|letter| is_fine(letter) || letter == '-')
        && text.starts_with(is_fine)
        && text.ends_with(is_fine)
}

#[test]
fn manifests_have_the_fields_that_an_api_server_takes() {
    for file in ["indexed-job.yaml", "pytorchjob.yaml"] {
        for manifest in manifests(file) {
            assert_eq!(problems(&manifest), Vec::<String>::new(), "{file}");
        }
    }
}

#[test]
fn what_an_api_server_refuses_is_found() {
    let job = || manifests("indexed-job.yaml").remove(1);
    type Change = fn(&mut Json);
    let changes: [(Change, &str); 8] = [
        (
            |job| job["spec"]["completionmode"] = json!("Indexed"),
            "Job.spec.completionmode: unknown field",
        ),
        (
            |job| job["spec"]["completions"] = json!("2"),
            "Job.spec.completions: expected a integer, found \"2\"",
        ),
        (
            |job| job["spec"]["completionMode"] = json!("indexed"),
            "Job.spec.completionMode: expected one of",
        ),
        (
            |job| drop(job["spec"].as_object_mut().unwrap().remove("template")),
            "Job.spec.template: missing",
        ),
        (
            |job| {
                drop(
                    job["spec"]["template"]["spec"]
                        .as_object_mut()
                        .unwrap()
                        .remove("restartPolicy"),
                )
            },
            "Job.spec.template.spec.restartPolicy: missing",
        ),
        (
            |job| {
                job["spec"]["template"]["spec"]["containers"][0]["env"][1]["value"] = json!(29500)
            },
            "Job.spec.template.spec.containers[0].env[1].value: expected a string, found 29500",
        ),
        (
            |job| job["spec"]["template"]["spec"]["containers"][0]["args"] = json!("launch"),
            "Job.spec.template.spec.containers[0].args: expected a list",
        ),
        (|job| job["metadata"]["name"] = json!("Snaphook_1"), "Job.metadata.name: expected a name"),
    ];
    for (change, expected) in changes {
        let mut wrong = job();
        change(&mut wrong);
        let found = problems(&wrong);
        assert!(matches!(&found[..], [one] if one.starts_with(expected)), "{expected}: {found:?}");
    }
    assert_eq!(problems(&json!({"apiVersion": "v1", "kind": "Job"})), ["unknown kind v1/Job"]);
}
