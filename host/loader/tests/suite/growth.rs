//! What happens when the contract grows: a copy of plugin-api becomes 1.1, with a new hook point and a new extension. Old
//! plugins run in the new host, new ones in this host of 1.0 unless they say that they cannot.

use serde_json::json;
use snaphook_loader::{Catalog, Resolved, SearchPath, load};
use snaphook_plugin_api::HookPoint;
use snaphook_plugin_api::host::HookInstance;
use snaphook_plugin_api::testing::FakeRunner;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

/// Writes a file unless it is there with this content: a new time would make cargo build again.
fn write(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    if std::fs::read(path).ok().as_deref() != Some(content.as_bytes()) {
        std::fs::write(path, content).unwrap();
    }
}

/// A file of this repository, changed: each change must find its place.
fn change(root: &Path, path: &str, changes: &[(&str, &str)]) {
    let mut text = read(path);
    for (from, to) in changes {
        assert!(text.contains(from), "{path}: no {from:?} to change any more");
        text = text.replacen(from, to, 1);
    }
    write(&root.join(path), &text);
}

fn copy(root: &Path, folder: &str) {
    for entry in std::fs::read_dir(repository().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        let is_source = [".rs", ".toml", ".txt"].iter().any(|end| path.ends_with(end));
        if entry.file_type().unwrap().is_dir() {
            copy(root, &path);
        } else if is_source && !CHANGED.contains(&path.as_str()) {
            // What is changed below would otherwise look new in every run.
            write(&root.join(&path), &read(&path));
        }
    }
}

const CHANGED: [&str; 7] = [
    "plugin-api/Cargo.toml",
    "plugin-api/src/abi/mod.rs",
    "plugin-api/src/point.rs",
    "plugin-api/src/hook.rs",
    "plugin-api/src/dispatch.rs",
    "plugin-api/src/host.rs",
    "host/loader/Cargo.toml",
];

fn grow(root: &Path) {
    copy(root, "plugin-api");
    copy(root, "host/loader/src");
    change(root, CHANGED[0], &[("version = \"1.0.0\"", "version = \"1.1.0\"")]);
    change(root, CHANGED[1], &[("(u32, u32) = (1, 0)", "(u32, u32) = (1, 1)")]);
    change(
        root,
        CHANGED[2],
        &[
            ("FetchCheckpoint = 27,", "FetchCheckpoint = 27,\n    AfterEverything = 28,"),
            ("[HookPoint; 28]", "[HookPoint; 29]"),
            (
                "HookPoint::FetchCheckpoint,\n",
                "HookPoint::FetchCheckpoint,\n        HookPoint::AfterEverything,\n",
            ),
            (
                "HookPoint::OnException =>",
                "HookPoint::AfterEverything => \"after_everything\",\n            HookPoint::OnException =>",
            ),
        ],
    );
    change(
        root,
        CHANGED[3],
        &[(
            "        after_run: ",
            "        after_everything: \"After all.\";\n        after_run: ",
        )],
    );
    change(
        root,
        CHANGED[4],
        &[(
            "        HookPoint::AfterRun =>",
            "        HookPoint::AfterEverything => hook.after_everything(runner),\n        HookPoint::AfterRun =>",
        )],
    );
    change(
        root,
        CHANGED[5],
        &[(
            "EXTENSIONS: [&str; 16] = [",
            "EXTENSIONS: [&str; 17] = [\n    \"snaphook.pictures/2\",",
        )],
    );
    let loader = read(CHANGED[6]);
    let loader = loader.split("[dev-dependencies]").next().unwrap();
    write(&root.join(CHANGED[6]), loader);
}

fn add_crate(root: &Path, name: &str, source: &str, kind: &str) {
    let package = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\npublish = false\n\n{kind}\n[dependencies]\n\
         snaphook-plugin-api.workspace = true\nserde_json.workspace = true\n"
    );
    let (package, file) = match kind {
        "" => (format!("{package}snaphook-loader.workspace = true\n"), "main.rs"),
        _ => (package, "lib.rs"),
    };
    write(&root.join(name).join("Cargo.toml"), &package);
    write(&root.join(name).join("src").join(file), source);
}

fn plugin(name: &str, needs: &str) -> String {
    let source = read("host/loader/tests/fixtures/growth/plugin.rs");
    source.replace("NAME", name).replace("EXPORT", &format!("export_plugin!({name}{needs});"))
}

/// The folder with the new host and the new plugins, in a target folder of its own that stays.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let program = std::env::current_exe().unwrap();
        let root = program.ancestors().nth(3).unwrap().join("plugin-growth");
        grow(&root);
        let workspace = read("Cargo.toml");
        let (_, rest) = workspace.split_once("[workspace.package]").unwrap();
        let (rest, _) = rest.split_once("[profile.dev]").unwrap();
        let members = "\"plugin-api\", \"plugin-api/macros\", \"host/loader\", \"new-host\", \"optional\", \"needing\"";
        let head = format!("[workspace]\nresolver = \"2\"\nmembers = [{members}]\n\n[workspace.package]");
        write(&root.join("Cargo.toml"), &format!("{head}{rest}"));
        if !root.join("Cargo.lock").exists() {
            write(&root.join("Cargo.lock"), &read("Cargo.lock"));
        }
        let library = "[lib]\ncrate-type = [\"cdylib\"]\n";
        add_crate(&root, "new-host", &read("host/loader/tests/fixtures/growth/host.rs"), "");
        add_crate(&root, "optional", &plugin("OptionalHook", ""), library);
        let needs = "; needs_api = \"1.1\", needs_extensions = &[\"snaphook.pictures/2\"]";
        add_crate(&root, "needing", &plugin("NeedingHook", needs), library);
        let built = Command::new(env!("CARGO"))
            .args(["build", "--offline", "--quiet", "--workspace", "--target-dir", "target"])
            .current_dir(&root)
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        root.join("target/debug")
    })
}

fn golden() -> PathBuf {
    repository().join("host/loader/tests/golden/plugin-api-1.0.so")
}

fn discover(files: &[PathBuf]) -> (tempfile::TempDir, Catalog) {
    let folder = tempfile::tempdir().unwrap();
    for (index, file) in files.iter().enumerate() {
        std::os::unix::fs::symlink(file, folder.path().join(format!("lib{index}.so"))).unwrap();
    }
    let search_path = SearchPath::builder().without_environment().command_line([folder.path()]);
    let catalog = Catalog::discover(&search_path.build());
    (folder, catalog)
}

#[test]
fn old_plugin_runs_in_a_grown_host_beside_new_ones() {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        println!("the golden file is for x86-64 Linux: not run");
        return;
    }
    let files = [golden(), built().join("liboptional.so"), built().join("libneeding.so")];
    let (folder, _) = discover(&files);
    let ran = Command::new(built().join("new-host")).arg(folder.path()).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(
        String::from_utf8_lossy(&ran.stdout),
        "GoldenHook: 3 []\nOptionalHook: 2 [1.0, 11.0]\nNeedingHook: 2 [1.0, 11.0]\n"
    );
}

#[test]
fn new_plugin_that_can_live_without_the_new_runs_in_this_host() {
    let (_folder, catalog) = discover(&[built().join("liboptional.so")]);
    let Ok(Resolved::Plugin(found)) = catalog.resolve("OptionalHook", &[]) else {
        panic!("{:?}", catalog.refused())
    };
    assert_eq!(found.plugin().manifest.api_built.to_string(), "1.1");
    assert_eq!(found.info().points, [HookPoint::AfterTrainIter]);
    let mut hook = load(&found).unwrap().construct(&json!({ "interval": 4 })).unwrap();
    let mut run = FakeRunner::new();
    hook.call(HookPoint::AfterTrainIter, Some(0), &mut run).unwrap();
    assert_eq!(run.scalar("train/mark"), [4.0]);
}

#[test]
fn new_plugin_that_needs_the_new_is_refused_before_any_of_its_code_runs() {
    const CHILD: &str = "SNAPHOOK_TEST_CHILD";
    let name = "growth::new_plugin_that_needs_the_new_is_refused_before_any_of_its_code_runs";
    let folder = tempfile::tempdir().unwrap();
    let tripwire = folder.path().join("tripwire");
    if std::env::var_os(CHILD).is_none() {
        built();
        // Alone in a process: another test's plugins have the same tripwire.
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(CHILD, "1")
            .env("SNAPHOOK_TEST_TRIPWIRE", &tripwire)
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        assert!(!tripwire.exists());
        return;
    }
    let (_folder, catalog) = discover(&[built().join("libneeding.so")]);
    assert_eq!(catalog.plugins().count(), 0);
    assert_eq!(
        catalog.refused()[0].reason,
        "built for plugin-api 1.1, this host offers 1.0 (update snaphook, or rebuild needing with plugin-api 1.0)"
    );
    let error = catalog.resolve("NeedingHook", &[]).unwrap_err().to_string();
    assert!(error.contains("built for plugin-api 1.1, this host offers 1.0"), "{error}");
}
