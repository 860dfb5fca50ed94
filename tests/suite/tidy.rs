//! What the sources promise beyond what the compiler checks. Knows nothing of what they do.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;
use snaphook_tests::repository;

/// Lines of a file without its tests.
const MOST_LINES: usize = 450;

/// Crates that must answer at once, or be built by people without libtorch.
const WITHOUT_LIBTORCH: [&str; 16] = [
    "snaphook-plugin-api",
    "snaphook-config",
    "snaphook-loader",
    "snaphook-data",
    "snaphook-hooks",
    "snaphook-heartbeat",
    "snaphook-launch",
    "snaphook-components",
    "snaphook-optimizers",
    "snaphook-pth",
    "snaphook-schedules",
    "snaphook-weights",
    "snaphook-report",
    "snaphook-cli",
    "snaphook-tests",
    "xtask",
];

const TEST_ONLY: &str = "#[cfg(test)]";

/// A source file: its path from the root, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The lines before the first inline test module; none of a file that is all test.
    fn code(&self) -> Vec<&str> {
        let is_test = self.path.starts_with("tests/")
            || ["/tests/", "/benches/", "/examples/"].iter().any(|part| self.path.contains(part));
        if is_test || self.is_test_module() {
            return Vec::new();
        }
        let lines: Vec<&str> = self.text.lines().collect();
        let is_inline = |pair: &[&str]| pair[0].trim() == TEST_ONLY && !pair[1].ends_with(';');
        let end = lines.windows(2).position(is_inline).unwrap_or(lines.len());
        lines[..end].to_vec()
    }

    /// Whether the file that declares this module compiles it for tests only.
    fn is_test_module(&self) -> bool {
        let path = repository().join(&self.path);
        let (folder, name) = (path.parent().unwrap(), path.file_stem().unwrap().to_string_lossy());
        let declaration = format!("{TEST_ONLY}\nmod {name};");
        let beside = ["lib.rs", "main.rs", "mod.rs"].map(|name| folder.join(name));
        let above = folder.with_extension("rs");
        beside.iter().chain([&above]).any(|declaring| {
            std::fs::read_to_string(declaring).is_ok_and(|text| text.contains(&declaration))
        })
    }
}

/// Every Rust file of the repository, generated ones left out.
fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    for folder in ["plugin-api", "host", "plugins", "tests"] {
        collect(&repository().join(folder), &mut sources);
    }
    assert!(sources.len() > 100, "only {} files were found", sources.len());
    sources
}

fn collect(folder: &Path, sources: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            collect(&path, sources);
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(repository()).unwrap().to_str().unwrap().to_owned();
            sources.push(Source { path, text });
        }
    }
}

/// Fails with all findings at once.
#[track_caller]
fn expect_none(rule: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = sources().into_iter().filter(|source| !source.text.starts_with("//! "));
    expect_none("a file begins with //!", silent.map(|source| source.path).collect());
}

#[test]
fn no_file_is_longer_than_can_be_read() {
    let too_long = |source: Source| {
        let lines = source.code().len();
        (lines > MOST_LINES).then(|| format!("{}: {lines} lines", source.path))
    };
    let rule = format!("at most {MOST_LINES} lines without tests");
    expect_none(&rule, sources().into_iter().filter_map(too_long).collect());
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    let names = ["base.rs", "util.rs", "utils.rs", "common.rs", "helpers.rs"];
    let found = sources().into_iter().map(|source| source.path);
    let found = found.filter(|path| names.iter().any(|name| path.ends_with(&format!("/{name}"))));
    expect_none("names say what is inside", found.collect());
}

#[test]
fn nothing_is_unwrapped_outside_of_tests() {
    let mut found = Vec::new();
    for source in sources() {
        for (number, line) in source.code().iter().enumerate() {
            let code = line.trim_start();
            if !code.starts_with("//") && code.contains(".unwrap()") {
                found.push(format!("{}:{}: {code}", source.path, number + 1));
            }
        }
    }
    expect_none("no unwrap outside of tests", found);
}

#[test]
fn no_source_knows_the_machine_it_was_written_on() {
    // In parts, so that this file does not find itself.
    let places = [concat!("/", "root/"), concat!("/", "work/")];
    let mut found = Vec::new();
    for source in sources() {
        for (number, line) in source.text.lines().enumerate() {
            if places.iter().any(|place| {
                line.contains(&format!("\"{place}")) || line.contains(&format!(" {place}"))
            }) {
                found.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    expect_none("no path of one machine", found);
}

#[test]
fn unsafe_code_is_where_the_border_is() {
    let may = [
        "host/c10d/",
        "host/loader/",
        "host/libtorch/",
        "plugin-api/",
        "tests/fixtures/",
        "tests/suite/tidy.rs",
    ];
    let has_unsafe = |source: &Source| {
        source.text.lines().any(|line| {
            let code = line.trim_start();
            !code.starts_with("//")
                && code
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .any(|word| word == "unsafe")
        })
    };
    let found = sources()
        .into_iter()
        .filter(|source| !may.iter().any(|place| source.path.starts_with(place)));
    expect_none(
        "unsafe code in the loader and the border alone",
        found.filter(has_unsafe).map(|source| source.path).collect(),
    );
}

/// Packages by id with the ids of what they need to run: no dependencies of tests.
fn dependencies() -> (HashMap<String, String>, HashMap<String, Vec<String>>) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(repository()).args(["metadata", "--format-version", "1", "--offline"]);
    // Packages for other systems need not have been fetched.
    command.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Json = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    let names =
        packages.iter().map(|package| (text(&package["name"]), text(&package["id"]))).collect();
    let is_needed = |dependency: &&Json| {
        dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"] != "dev")
    };
    let node = |node: &Json| {
        let needed = node["deps"].as_array().unwrap().iter().filter(is_needed);
        (text(&node["id"]), needed.map(|dependency| text(&dependency["pkg"])).collect())
    };
    (names, metadata["resolve"]["nodes"].as_array().unwrap().iter().map(node).collect())
}

#[test]
fn crates_that_must_not_link_libtorch_do_not() {
    let (names, needed) = dependencies();
    let mut without: Vec<String> = WITHOUT_LIBTORCH.map(str::to_owned).to_vec();
    for entry in std::fs::read_dir(repository().join("plugins")).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let name = manifest.lines().find_map(|line| line.strip_prefix("name = ")).unwrap();
        without.push(name.trim_matches('"').to_owned());
    }
    let libtorch = ["tch", "torch-sys"].map(|name| names[name].clone());
    let links = |name: &String| {
        let (mut seen, mut next) = (HashSet::new(), vec![&names[name]]);
        while let Some(id) = next.pop() {
            if seen.insert(id) {
                next.extend(needed.get(id).into_iter().flatten());
            }
        }
        libtorch.iter().any(|id| seen.contains(id))
    };
    assert!(links(&"snaphook-trainer".to_owned()), "the search finds what is there");
    expect_none("no libtorch here", without.into_iter().filter(links).collect());
}

#[test]
fn a_plugin_names_no_part_of_the_host() {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(repository().join("plugins")).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let path = folder.join("Cargo.toml");
        let manifest = std::fs::read_to_string(&path).unwrap();
        for line in manifest.lines().filter(|line| line.starts_with("snaphook-")) {
            if !line.starts_with("snaphook-plugin-api") {
                found.push(format!(
                    "{}: {line}",
                    path.strip_prefix(repository()).unwrap().display()
                ));
            }
        }
    }
    expect_none("plugins depend on snaphook-plugin-api alone", found);
}
