//! The golden plugin's source, built in the ways that authors build plugins, and run. Knows nothing of what is tested.

use serde_json::json;
use snaphook_loader::{Catalog, Resolved, SearchPath, load};
use snaphook_plugin_api::HookPoint;
use snaphook_plugin_api::host::HookInstance;
use snaphook_plugin_api::testing::FakeRunner;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One way to build.
#[derive(Clone, Default)]
pub(crate) struct Build {
    /// Name of a target folder that stays, so that only the first run of a test compiles everything.
    pub(crate) target: &'static str,
    pub(crate) edition: &'static str,
    /// More source.
    pub(crate) more: &'static str,
    /// Arguments of `cargo rustc`, those of rustc after `--`.
    pub(crate) arguments: &'static [&'static str],
    /// Variables of cargo.
    pub(crate) variables: &'static [(&'static str, &'static str)],
    /// Another compiler.
    pub(crate) rustc: Option<PathBuf>,
}

/// An allocator that puts a header before each block: a block that another allocator frees, or that another one made,
/// ends the process.
pub(crate) const OTHER_ALLOCATOR: &str = "
struct WithHeader;
unsafe impl std::alloc::GlobalAlloc for WithHeader {
    unsafe fn alloc(&self, layout: std::alloc::Layout) -> *mut u8 {
        let front = layout.align().max(64);
        let Ok(whole) = std::alloc::Layout::from_size_align(layout.size() + front, front) else {
            return std::ptr::null_mut();
        };
        let block = std::alloc::System.alloc(whole);
        if block.is_null() { block } else { block.add(front) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: std::alloc::Layout) {
        let front = layout.align().max(64);
        let whole = std::alloc::Layout::from_size_align_unchecked(layout.size() + front, front);
        std::alloc::System.dealloc(block.sub(front), whole)
    }
}
#[global_allocator]
static GLOBAL: WithHeader = WithHeader;
";

/// The plain way, in a target folder whose crates the growth tests have built already.
pub(crate) fn plain() -> Build {
    Build { target: "plugin-growth/target", edition: "2021", ..Build::default() }
}

/// Builds the plugin and puts it alone into a folder, whose path is returned.
pub(crate) fn build(build: &Build) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let golden = here.join("tests/golden/plugin");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let root = tempfile::tempdir().unwrap();
    let plugin_api = here.join("../../plugin-api").canonicalize().unwrap();
    let package = read(&golden.join("Cargo.toml"));
    // The profile of the golden file is for its size.
    let (package, _) = package.split_once("[profile.release]").unwrap();
    let package = package.replace("../../../../../plugin-api", &plugin_api.to_string_lossy());
    let package = package.replace("edition = \"2021\"", &format!("edition = {:?}", build.edition));
    std::fs::create_dir(root.path().join("src")).unwrap();
    std::fs::write(root.path().join("Cargo.toml"), format!("{package}[workspace]\n")).unwrap();
    std::fs::copy(here.join("../../Cargo.lock"), root.path().join("Cargo.lock")).unwrap();
    let source = read(&golden.join("src/lib.rs")) + build.more;
    std::fs::write(root.path().join("src/lib.rs"), source).unwrap();

    let program = std::env::current_exe().unwrap();
    let target = program.ancestors().nth(3).unwrap().join(build.target);
    let mut command = Command::new(env!("CARGO"));
    command.args(["rustc", "--offline", "--quiet", "--lib", "--target-dir"]).arg(&target);
    command.args(build.arguments).current_dir(root.path());
    command.env_remove("CARGO_TARGET_DIR").envs(build.variables.iter().copied());
    if let Some(rustc) = &build.rustc {
        command.env("RUSTC", rustc);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let profile = if build.arguments.contains(&"--release") { "release" } else { "debug" };
    let folder = tempfile::tempdir().unwrap().keep();
    let built = target.join(profile).join("libgolden.so");
    std::fs::copy(built, folder.join("libgolden.so")).unwrap();
    folder
}

/// Loads the plugin of a folder and runs its hook; the compiler that it was built with.
///
/// Errors: why it is refused.
pub(crate) fn run(folder: &Path) -> Result<String, String> {
    let search_path = SearchPath::builder().without_environment().command_line([folder]);
    let catalog = Catalog::discover(&search_path.build());
    if let Some(refused) = catalog.refused().first() {
        return Err(refused.reason.clone());
    }
    let found = match catalog.resolve("GoldenHook", &[]) {
        Ok(Resolved::Plugin(found)) => found,
        other => panic!("{other:?}"),
    };
    let loaded = load(&found).unwrap();
    let construct = |mode: &str| loaded.construct(&json!({ "interval": 1, "mode": mode })).unwrap();
    let mut run = FakeRunner::new().output("loss", [1.5]);
    let (mut sum, point) = (construct("sum"), HookPoint::AfterTrainIter);
    for batch in 0..100 {
        sum.call(point, Some(batch), &mut run).unwrap();
    }
    assert_eq!(run.scalar("train/golden").last(), Some(&150.0));
    let state = sum.save_state().unwrap().unwrap();
    construct("sum").load_state(state).unwrap();
    for (mode, message) in [("panic", "golden panic"), ("error", "golden error")] {
        let error = construct(mode).call(point, Some(0), &mut run).unwrap_err();
        assert_eq!(error.message, message);
    }
    Ok(found.plugin().manifest.build.rustc.clone())
}
