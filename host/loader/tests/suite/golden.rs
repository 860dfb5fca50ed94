//! Plugins that were built with released versions of plugin-api, kept as files: they load and do the same in every later
//! host. The script that makes them lies beside them.

use serde_json::{Value as Json, json};
use snaphook_loader::{Catalog, PluginHook, PluginType, Resolved, SearchPath, load};
use snaphook_plugin_api::host::HookInstance;
use snaphook_plugin_api::testing::FakeRunner;
use snaphook_plugin_api::{HookErrorKind, HookPoint};
use std::path::{Path, PathBuf};

const ITERATION: HookPoint = HookPoint::AfterTrainIter;

/// The golden files, each alone in a folder.
fn golden() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|name| name == "so")).collect();
    assert!(!files.is_empty());
    files
}

fn resolve(file: &Path) -> (tempfile::TempDir, PluginType) {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(file, folder.path().join("libgolden.so")).unwrap();
    let search_path = SearchPath::builder().without_environment().command_line([folder.path()]);
    let catalog = Catalog::discover(&search_path.build());
    match catalog.resolve("GoldenHook", &[]) {
        Ok(Resolved::Plugin(found)) => (folder, found),
        other => panic!("{}: {other:?}", file.display()),
    }
}

/// Runs `test` with a constructor of each golden file's hook; on other machines than the files are for, says so.
fn each(test: impl Fn(&dyn Fn(Json) -> PluginHook)) {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        println!("the golden files are for x86-64 Linux: not run");
        return;
    }
    for file in golden() {
        let (_folder, found) = resolve(&file);
        let loaded = load(&found).unwrap();
        test(&|kwargs| loaded.construct(&kwargs).unwrap());
    }
}

#[test]
fn old_plugin_reads_the_run_and_writes_to_it() {
    each(|construct| {
        let mut hook = construct(json!({ "interval": 2 }));
        let mut run = FakeRunner::new().output("loss", [1.5]);
        hook.call(HookPoint::BeforeTrain, None, &mut run).unwrap();
        for iteration in 0..100 {
            run.set_progress(|progress| progress.iter = iteration);
            hook.call(ITERATION, Some(iteration), &mut run).unwrap();
        }
        let sums = run.scalar("train/golden");
        assert_eq!((sums.len(), sums.last()), (50, Some(&75.0)));
        assert!(
            run.logged().iter().any(|text| text.starts_with("golden: seed")),
            "{:?}",
            run.logged()
        );
    });
}

#[test]
fn state_of_an_old_plugin_survives_a_resume() {
    each(|construct| {
        let (mut first, mut second) = (construct(json!({ "interval": 1 })), construct(json!({})));
        first.call(ITERATION, Some(0), &mut FakeRunner::new().output("loss", [2.5])).unwrap();
        let saved = first.save_state().unwrap().unwrap();
        second.load_state(saved.clone()).unwrap();
        assert_eq!(second.save_state().unwrap().unwrap(), saved);
    });
}

#[test]
fn metrics_reach_an_old_plugin_and_its_stop_request_comes_back() {
    each(|construct| {
        let mut run = FakeRunner::new().metrics([("mAP", 0.7)]);
        construct(json!({})).call(HookPoint::AfterValEpoch, None, &mut run).unwrap();
        assert_eq!(run.stop_reason(), Some("golden is content"));
    });
}

#[test]
fn errors_and_panics_of_an_old_plugin_come_back_whole() {
    each(|construct| {
        let call = |mode: &str| {
            let mut hook = construct(json!({ "interval": 1, "mode": mode }));
            hook.call(ITERATION, Some(0), &mut FakeRunner::new()).unwrap_err()
        };
        let (error, panic) = (call("error"), call("panic"));
        assert_eq!((error.kind, error.message.as_str()), (HookErrorKind::Fatal, "golden error"));
        assert_eq!((panic.kind, panic.message.as_str()), (HookErrorKind::Panic, "golden panic"));
        assert!(panic.location.unwrap().file.ends_with("lib.rs"));
    });
}

#[test]
fn golden_files_are_small_and_say_their_version() {
    for file in golden() {
        assert!(std::fs::metadata(&file).unwrap().len() < 450_000, "{}", file.display());
        let plugin = snaphook_loader::Plugin::read(&file).unwrap();
        let expected = format!("plugin-api-{}.so", plugin.manifest.api_built);
        assert_eq!(file.file_name().unwrap().to_str(), Some(expected.as_str()));
    }
}
