//! Plugins that exist for the tests, built as a stranger would build them: in another folder, another
//! workspace, another target folder. Knows nothing of what they do.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::programs::cargo;
use crate::{programs, repository};

/// How the fixtures name plugin-api, for people who build them by hand.
const NEARBY: &str = "\"../../../../plugin-api\"";

/// The crate of the README, which the tests build as it stands there.
const README_CRATE: &str = "loss-guard";

/// The `.so` file of a crate in `fixtures/plugins`, or of the README's plugin `loss-guard`; all of them are built once per
/// process.
pub fn fixture(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(build);
    let library = folder.join(format!("lib{}.so", name.replace('-', "_")));
    assert!(library.is_file(), "{}: no such fixture", library.display());
    library
}

/// Copies the crates out of the workspace and builds them; returns the folder of the libraries.
fn build() -> PathBuf {
    let root = programs().target().join("fixtures");
    let (crates, target) = (root.join("crates"), root.join("target"));
    let sources = repository().join("tests/fixtures/plugins");
    forget_old(&crates, &sources);
    copy(&sources, &crates);
    copy_from_readme(&crates.join(README_CRATE));
    // The versions that are on this machine already, so that nothing is fetched.
    refresh(&crates.join("Cargo.lock"), &std::fs::read(repository().join("Cargo.lock")).unwrap());
    let mut command = cargo();
    command.current_dir(&crates).args(["build", "--quiet", "--offline", "--workspace"]);
    command.arg("--target-dir").arg(&target);
    let status = command.status().unwrap();
    assert!(status.success(), "the plugins of the tests cannot be built: {command:?}");
    target.join("debug")
}

/// Removes crates that were built once and are no fixtures any more.
fn forget_old(crates: &Path, sources: &Path) {
    for entry in std::fs::read_dir(crates).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_dir() && name != README_CRATE && !sources.join(name).is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        }
    }
}

/// Writes the plugin that the README teaches, with the path of plugin-api filled in.
fn copy_from_readme(folder: &Path) {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let manifest = block(&readme, "```toml\n", "[package]");
    let path = manifest.split('"').find(|part| part.ends_with("/plugin-api")).unwrap();
    let manifest = manifest.replace(path, repository().join("plugin-api").to_str().unwrap());
    std::fs::create_dir_all(folder.join("src")).unwrap();
    refresh(&folder.join("Cargo.toml"), manifest.as_bytes());
    refresh(&folder.join("src/lib.rs"), block(&readme, "```rust\n", "export_plugin!").as_bytes());
}

/// The first code block of a language that holds this text.
fn block<'a>(readme: &'a str, language: &str, text: &str) -> &'a str {
    let blocks = readme.split(language).skip(1).filter_map(|rest| rest.split("```").next());
    blocks.into_iter().find(|block| block.contains(text)).unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if path.is_dir() && !path.ends_with("target") => copy(&path, &target),
            Some("rs") => refresh(&target, &std::fs::read(&path).unwrap()),
            Some("toml") => {
                let plugin_api = format!("{:?}", repository().join("plugin-api"));
                let text = std::fs::read_to_string(&path).unwrap().replace(NEARBY, &plugin_api);
                refresh(&target, text.as_bytes());
            }
            _ => {}
        }
    }
}

/// Writes a file unless it is there with this content: a new time would make cargo build again.
fn refresh(path: &Path, content: &[u8]) {
    if std::fs::read(path).ok().as_deref() != Some(content) {
        std::fs::write(path, content).unwrap();
    }
}
