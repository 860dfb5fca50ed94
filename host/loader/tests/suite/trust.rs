//! What was checked is what is loaded, and a run can write down what that was. Knows nothing of hooks.

use crate::c_compiler::{compile, manifest_folder};
use snaphook_loader::{Catalog, LoadError, PluginType, Resolved, SearchPath, load};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn folder_with_plugin() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o755);
    let library = folder.path().join("libcounter.so");
    compile(&manifest_folder().join("tests/fixtures/counter.c"), &library, &[]);
    set_mode(&library, 0o644);
    folder
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn discover(folder: &Path) -> Catalog {
    let search_path = SearchPath::builder().without_environment().command_line([folder]);
    Catalog::discover(&search_path.build())
}

fn counter(folder: &Path) -> PluginType {
    match discover(folder).resolve("CounterHook", &[]) {
        Ok(Resolved::Plugin(found)) => found,
        other => panic!("{other:?}"),
    }
}

#[test]
fn file_swapped_after_it_was_read_is_not_opened() {
    let folder = folder_with_plugin();
    let library = folder.path().join("libcounter.so");
    let found = counter(folder.path());
    let hash = found.plugin().sha256().unwrap().to_owned();
    // The same bytes under the same name: another file nevertheless.
    std::fs::copy(&library, folder.path().join("copy")).unwrap();
    std::fs::rename(folder.path().join("copy"), &library).unwrap();
    assert!(matches!(load(&found), Err(LoadError::Changed { .. })));
    let again = counter(folder.path());
    assert_eq!(again.plugin().sha256().unwrap(), hash);
    assert!(load(&again).is_ok());
}

#[test]
fn plugin_that_runs_is_not_disturbed_by_a_replaced_file() {
    let folder = folder_with_plugin();
    let library = folder.path().join("libcounter.so");
    let loaded = load(&counter(folder.path())).unwrap();
    std::fs::write(folder.path().join("new"), "another file").unwrap();
    std::fs::rename(folder.path().join("new"), &library).unwrap();
    assert!(loaded.construct(&serde_json::json!({})).is_ok());
}

#[test]
fn record_of_a_plugin_says_what_was_loaded() {
    let folder = folder_with_plugin();
    let found = counter(folder.path());
    let record = found.plugin().record().unwrap();
    assert_eq!((&record["name"], &record["version"]), (&"counter-in-c".into(), &"0.3.0".into()));
    assert_eq!(record["types"], serde_json::json!(["CounterHook"]));
    assert_eq!(record["api"]["built"], "1.0");
    for key in ["sha256", "build_id", "path"] {
        assert!(record[key].is_string(), "{key}: {record}");
    }
}

#[test]
fn strict_mode_refuses_what_others_may_write() {
    let folder = folder_with_plugin();
    let library = folder.path().join("libcounter.so");
    let strict = || {
        let search_path = SearchPath::builder().without_environment().command_line([folder.path()]);
        Catalog::discover(&search_path.strict().build())
    };
    assert_eq!(strict().plugins().count(), 1);
    set_mode(&library, 0o666);
    let catalog = strict();
    assert_eq!(catalog.plugins().count(), 0);
    assert!(catalog.refused()[0].reason.contains("(chmod go-w"), "{:?}", catalog.refused());
    assert_eq!(discover(folder.path()).plugins().count(), 1);
}

#[test]
fn strict_mode_is_turned_on_by_the_environment() {
    let with = |value: &'static str| {
        let variables = move |name: &str| (name == "SNAPHOOK_STRICT_PLUGINS").then(|| value.into());
        SearchPath::builder().without_environment().variables(variables).build().is_strict()
    };
    assert!(with("1"));
    assert!(!with("0") && !with(""));
}

#[test]
fn strict_mode_follows_links_to_their_file() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), folder_with_plugin());
    set_mode(folder.path(), 0o755);
    let library = elsewhere.path().join("libcounter.so");
    std::os::unix::fs::symlink(&library, folder.path().join("liblink.so")).unwrap();
    set_mode(elsewhere.path(), 0o777);
    let search_path = SearchPath::builder().without_environment().command_line([folder.path()]);
    let catalog = Catalog::discover(&search_path.strict().build());
    assert!(catalog.refused()[0].reason.contains("found mode 777"), "{:?}", catalog.refused());
    set_mode(elsewhere.path(), 0o755);
}
