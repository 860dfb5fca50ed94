//! A plugin of this repository, built as a `.so`, found, loaded and called. Knows nothing of training.

#![allow(clippy::unwrap_used)] // the lint's exception covers #[test] functions only, not what they share

use serde_json::json;
use snaphook_loader::{Catalog, LoadError, PluginHook, PluginType, Resolved, SearchPath, load};
use snaphook_plugin_api::host::{HookInstance, HookSource};
use snaphook_plugin_api::testing::FakeRunner;
use snaphook_plugin_api::{HookError, HookErrorKind, HookPoint};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The profile's folder of this build, with the plugins in it.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let program = std::env::current_exe().unwrap();
        let folder = program.ancestors().nth(2).unwrap();
        let profile = if folder.ends_with("release") { "release" } else { "dev" };
        let built = Command::new(env!("CARGO"))
            .args(["build", "--offline", "--quiet", "--profile", profile])
            .args(["--package", "check-invalid-loss", "--package", "trace", "--target-dir"])
            .arg(folder.parent().unwrap())
            .status();
        assert!(built.unwrap().success(), "the plugins do not build");
        folder.to_owned()
    })
}

fn resolve(catalog: &Catalog, name: &str) -> PluginType {
    match catalog.resolve(name, &[]) {
        Ok(Resolved::Plugin(found)) => found,
        other => panic!("{name}: {other:?}"),
    }
}

fn construct(name: &str, kwargs: serde_json::Value) -> Result<PluginHook, HookError> {
    let search_path = SearchPath::builder().without_environment().command_line([built()]).build();
    load(&resolve(&Catalog::discover(&search_path), name)).unwrap().construct(&kwargs)
}

#[test]
fn development_build_finds_its_plugins_without_a_copy() {
    let program = built().join("deps/snaphook");
    let search_path = SearchPath::builder().without_environment().program(program).build();
    let catalog = Catalog::discover(&search_path);
    let found = resolve(&catalog, "mmdet.CheckInvalidLossHook");
    assert_eq!(found.info().summary, "Stops a run whose loss is no longer finite.");
    assert_eq!(found.info().points, [HookPoint::AfterTrainIter]);
    assert!(catalog.refused().is_empty(), "{:?}", catalog.refused());
}

#[test]
fn loaded_hook_reads_the_run_and_its_error_comes_back_whole() {
    let mut hook = construct("CheckInvalidLossHook", json!({ "interval": 2 })).unwrap();
    let mut run = FakeRunner::new().output("loss", [f64::NAN]).world(3, 4);
    assert_eq!(hook.call(HookPoint::AfterTrainIter, Some(0), &mut run), Ok(()));
    run.set_progress(|progress| progress.iter = 1);
    let error = hook.call(HookPoint::AfterTrainIter, Some(1), &mut run).unwrap_err();
    assert_eq!(error.kind, HookErrorKind::Fatal);
    let expected = "loss become infinite or NaN: loss = NaN (epoch 1, iteration 2, rank 3)";
    assert!(error.message.starts_with(expected), "{}", error.message);
    assert!(error.location.unwrap().file.ends_with("lib.rs"));
    let HookSource::Plugin { name, .. } = hook.source() else { panic!() };
    assert_eq!(name, "check-invalid-loss");
}

#[test]
fn constructor_refuses_in_the_words_of_the_manifest_check() {
    let kwargs = json!({ "interval": "fast", "intervall": 1 });
    let error = construct("CheckInvalidLossHook", kwargs.clone()).err().unwrap();
    let search_path = SearchPath::builder().without_environment().command_line([built()]).build();
    let found = resolve(&Catalog::discover(&search_path), "CheckInvalidLossHook");
    let before_loading = snaphook_loader::check_kwargs(&found, &kwargs).unwrap_err();
    // What comes over the border is shown with its further lines indented.
    assert_eq!(error.message, before_loading.join("\n    "));
}

#[test]
fn every_point_reaches_the_plugin() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("trace.jsonl");
    let mut hook = construct("TraceHook", json!({ "out": out })).unwrap();
    let mut run = FakeRunner::new().metrics([("coco/bbox_mAP", 0.3)]);
    for point in HookPoint::ALL {
        hook.call(point, None, &mut run).unwrap();
    }
    let lines = std::fs::read_to_string(out).unwrap();
    let points: Vec<String> = lines
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["point"]
                .as_str()
                .unwrap()
                .into()
        })
        .collect();
    assert_eq!(points, HookPoint::ALL.map(|point| point.name().to_owned()));
}

#[test]
fn file_that_changed_after_it_was_read_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("libcopy.so");
    std::fs::copy(built().join("libcheck_invalid_loss.so"), &copy).unwrap();
    let search_path = SearchPath::builder().without_environment().command_line([folder.path()]);
    let found = resolve(&Catalog::discover(&search_path.build()), "CheckInvalidLossHook");
    std::fs::write(&copy, "overwritten").unwrap();
    assert!(matches!(load(&found), Err(LoadError::Changed { .. })));
}

#[test]
fn whole_file_cut_off_anywhere_is_refused_before_it_is_opened() {
    let whole = std::fs::read(built().join("libtrace.so")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("libcopy.so");
    let search_path =
        SearchPath::builder().without_environment().command_line([folder.path()]).build();
    for part in [1, 63, 64, 200, 4096, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&copy, &whole[..part]).unwrap();
        let catalog = Catalog::discover(&search_path);
        assert_eq!((catalog.plugins().count(), catalog.refused().len()), (0, 1), "cut at {part}");
    }
}
