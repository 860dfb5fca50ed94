//! The page for authors, followed to the letter: its crate is built, its tests pass, its hook runs. Knows nothing of why.

use serde_json::json;
use snaphook_loader::{Catalog, Resolved, SearchPath, load};
use snaphook_plugin_api::HookPoint;
use snaphook_plugin_api::host::HookInstance;
use snaphook_plugin_api::testing::FakeRunner;
use std::path::Path;
use std::process::Command;

/// The first block of this language on the page.
fn block<'a>(page: &'a str, language: &str) -> &'a str {
    let (_, after) = page.split_once(&format!("```{language}\n")).unwrap();
    after.split_once("```").unwrap().0
}

#[test]
fn hook_of_the_page_for_authors_builds_passes_its_test_and_runs() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let page = std::fs::read_to_string(repository.join("docs/plugins.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let package = block(&page, "toml");
    let nearby = "\"../snaphook/plugin-api\"";
    assert!(package.contains(nearby));
    let package = package.replace(nearby, &format!("{:?}", repository.join("plugin-api")));
    std::fs::create_dir(folder.path().join("src")).unwrap();
    std::fs::write(folder.path().join("Cargo.toml"), package).unwrap();
    std::fs::write(folder.path().join("src/lib.rs"), block(&page, "rust")).unwrap();
    // The versions that are on this machine already, so that nothing is fetched.
    std::fs::copy(repository.join("Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();
    // The folder in which the grown api is built has the same crates built already.
    let program = std::env::current_exe().unwrap();
    let target = program.ancestors().nth(3).unwrap().join("plugin-growth/target");
    for command in ["test", "build"] {
        let output = Command::new(env!("CARGO"))
            .args([command, "--offline", "--quiet", "--target-dir"])
            .arg(&target)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let plugins = tempfile::tempdir().unwrap();
    std::fs::copy(target.join("debug/libcheck_loss.so"), plugins.path().join("libcheck_loss.so"))
        .unwrap();
    let search_path = SearchPath::builder().without_environment().command_line([plugins.path()]);
    let found = match Catalog::discover(&search_path.build()).resolve("CheckLossHook", &[]) {
        Ok(Resolved::Plugin(found)) => found,
        other => panic!("{other:?}"),
    };
    assert_eq!(found.info().summary, "Stops a run whose loss is too high.");
    let mut hook = load(&found).unwrap().construct(&json!({ "limit": 50.0 })).unwrap();
    let mut run = FakeRunner::new().output("loss", [51.0]);
    let error = hook.call(HookPoint::AfterTrainIter, Some(0), &mut run).unwrap_err();
    assert!(error.is_fatal() && error.message == "loss 51 is above 50", "{error}");
}
