//! `plugins/README.md` says of every plugin what its manifest says. The part between the marks is written by this test when
//! `SNAPHOOK_UPDATE_README=1`, and compared otherwise.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use serde_json::Value as Json;
use snaphook_tests::{Workspace, programs, repository};

const BEGIN: &str = "<!-- from the manifests: begin -->\n";
const END: &str = "<!-- from the manifests: end -->";

/// The manifests of the folders in `plugins`, by their names.
fn manifests() -> BTreeMap<String, Json> {
    let folders = std::fs::read_dir(repository().join("plugins")).unwrap();
    let folders = folders.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let library = |folder: PathBuf| {
        let name = folder.file_name().unwrap().to_str().unwrap().replace('-', "_");
        programs().folder().join(format!("lib{name}.so"))
    };
    let inspect = |library: PathBuf| {
        let arguments = ["plugins", "inspect", "--format", "json"].map(PathBuf::from);
        let outcome = Workspace::new().snaphook(arguments.into_iter().chain([library]));
        outcome.expect_code(0);
        let mut json: Json = serde_json::from_str(&outcome.stdout).unwrap();
        let manifest = json["plugins"][0]["manifest"].take();
        (manifest["plugin"]["name"].as_str().unwrap().to_owned(), manifest)
    };
    folders.map(library).map(inspect).collect()
}

/// One section for each type.
fn reference(manifests: &BTreeMap<String, Json>) -> String {
    let mut text = String::new();
    for (plugin, manifest) in manifests {
        for hook in manifest["types"].as_array().unwrap() {
            let points: Vec<&str> =
                hook["points"].as_array().unwrap().iter().filter_map(Json::as_str).collect();
            let priority =
                hook["priority"].as_u64().map_or("NORMAL (50)".to_owned(), |n| n.to_string());
            let (name, summary) =
                (hook["name"].as_str().unwrap(), hook["summary"].as_str().unwrap());
            let cost = hook["cost_us"].as_u64().unwrap();
            write!(
                text,
                "### {name}\n\n{summary} Plugin `{plugin}`, priority {priority}, at most {cost} µs a call.\n\nPoints: `{}`.\n\n",
                points.join("`, `")
            )
            .unwrap();
            text += &arguments(&hook["kwargs_schema"]);
        }
    }
    text
}

fn arguments(schema: &Json) -> String {
    let properties = schema["properties"].as_object().unwrap();
    if properties.is_empty() {
        return "No arguments.\n\n".to_owned();
    }
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let mut text = "| argument | default | meaning |\n|---|---|---|\n".to_owned();
    for (name, property) in properties {
        let default = match property.get("default") {
            _ if required.contains(&name.as_str()) => "required".to_owned(),
            None | Some(Json::Null) => "`None`".to_owned(),
            Some(Json::Bool(value)) => if *value { "`True`" } else { "`False`" }.to_owned(),
            Some(value) => format!("`{value}`"),
        };
        let meaning = property["description"].as_str().unwrap_or_default().replace('|', "\\|");
        writeln!(text, "| `{name}` | {default} | {meaning} |").unwrap();
    }
    text + "\n"
}

#[test]
fn the_page_about_plugins_says_what_the_manifests_say() {
    let path = repository().join("plugins/README.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    let manifests = manifests();
    let expected = format!("\n{}", reference(&manifests));
    if std::env::var_os("SNAPHOOK_UPDATE_README").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    let differs = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(
        found == expected,
        "plugins/README.md differs from the manifests at {differs:?} (SNAPHOOK_UPDATE_README=1 writes it anew)"
    );
    for hook in manifests.values().flat_map(|manifest| manifest["types"].as_array().unwrap()) {
        let name = hook["name"].as_str().unwrap();
        assert!(before.contains(&format!("| `{name}` |")), "{name}: not in the first table");
    }
}
