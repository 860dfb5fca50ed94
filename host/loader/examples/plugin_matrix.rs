//! Builds one plugin in every way that authors build plugins, and loads and runs each in this process:
//! `cargo run -p snaphook-loader --example plugin_matrix`. Takes minutes; needs no network when the crates are cached.

use serde_json::json;
use snaphook_loader::{Catalog, Resolved, SearchPath, load};
use snaphook_plugin_api::HookPoint;
use snaphook_plugin_api::host::HookInstance;
use snaphook_plugin_api::testing::FakeRunner;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// One way to build.
#[derive(Default)]
struct Variant {
    name: &'static str,
    /// Variables of cargo.
    variables: &'static [(&'static str, &'static str)],
    is_debug: bool,
    edition: &'static str,
    /// More source.
    more: &'static str,
    toolchain: Option<&'static str>,
    /// What the refusal says, for a plugin that must be refused.
    refusal: Option<&'static str>,
}

const PLAIN: &[(&str, &str)] = &[
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_STRIP", "none"),
];

const COUNTING_ALLOCATOR: &str = "
struct Counting;
static ALLOCATED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
// A header before each block: a block that another allocator frees, or that another one made, ends the process.
unsafe impl std::alloc::GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: std::alloc::Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), std::sync::atomic::Ordering::Relaxed);
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
static GLOBAL: Counting = Counting;
";

fn variants() -> Vec<Variant> {
    let plain = |name| Variant { name, variables: PLAIN, edition: "2021", ..Variant::default() };
    vec![
        Variant { is_debug: true, ..plain("debug, opt-level 0") },
        plain("release, opt-level 3"),
        Variant { edition: "2024", ..plain("edition 2024") },
        Variant { more: COUNTING_ALLOCATOR, ..plain("another global allocator") },
        Variant { variables: &[], ..plain("opt-level z, lto = fat, strip = symbols") },
        Variant {
            variables: &[
                ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
                ("CARGO_PROFILE_RELEASE_LTO", "off"),
                ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
            ],
            refusal: Some("panic = \"abort\""),
            ..plain("panic = abort")
        },
        Variant {
            variables: &[
                ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
                ("CARGO_PROFILE_RELEASE_LTO", "off"),
                ("RUSTC_BOOTSTRAP", "1"),
                ("RUSTFLAGS", "-Zrandomize-layout"),
            ],
            ..plain("layouts randomized")
        },
        Variant { toolchain: Some("nightly"), ..plain("another compiler: nightly") },
    ]
}

fn has_toolchain(name: &str) -> bool {
    let version = Command::new("cargo").arg("--version").env("RUSTUP_TOOLCHAIN", name).output();
    version.is_ok_and(|output| output.status.success())
}

fn build(variant: &Variant, root: &Path) -> Result<PathBuf, String> {
    let fail = |error: std::io::Error| error.to_string();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let golden = here.join("tests/golden/plugin");
    let read = |path: &Path| std::fs::read_to_string(path).map_err(fail);
    let package = read(&golden.join("Cargo.toml"))?;
    let plugin_api = here.join("../../plugin-api").canonicalize().map_err(fail)?;
    let package = package.replace("../../../../../plugin-api", &plugin_api.to_string_lossy());
    let package =
        package.replace("edition = \"2021\"", &format!("edition = \"{}\"", variant.edition));
    std::fs::create_dir_all(root.join("src")).map_err(fail)?;
    std::fs::write(root.join("Cargo.toml"), package).map_err(fail)?;
    std::fs::copy(here.join("../../Cargo.lock"), root.join("Cargo.lock")).map_err(fail)?;
    let source = read(&golden.join("src/lib.rs"))? + variant.more;
    std::fs::write(root.join("src/lib.rs"), source).map_err(fail)?;
    let mut command = Command::new(variant.toolchain.map_or(env!("CARGO"), |_| "cargo"));
    command.args(["build", "--offline", "--quiet", "--target-dir", "target"]).current_dir(root);
    command.args((!variant.is_debug).then_some("--release"));
    command.env_remove("CARGO_TARGET_DIR").envs(variant.variables.iter().copied());
    if let Some(toolchain) = variant.toolchain {
        command.env("RUSTUP_TOOLCHAIN", toolchain).env_remove("RUSTC").env_remove("CARGO");
    }
    let output = command.output().map_err(fail)?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let built = root.join("target").join(if variant.is_debug { "debug" } else { "release" });
    Ok(built.join("libgolden.so"))
}

/// Loads the file and runs a hook of it; what it found out, in words.
fn run(file: &Path) -> Result<String, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    std::fs::copy(file, folder.path().join("libgolden.so")).map_err(|error| error.to_string())?;
    let search_path = SearchPath::builder().without_environment().command_line([folder.path()]);
    let catalog = Catalog::discover(&search_path.build());
    if let Some(refused) = catalog.refused().first() {
        return Err(refused.reason.clone());
    }
    let found = match catalog.resolve("GoldenHook", &[]) {
        Ok(Resolved::Plugin(found)) => found,
        other => return Err(format!("{other:?}")),
    };
    let loaded = load(&found).map_err(|error| error.to_string())?;
    let construct = |mode: &str| {
        let hook = loaded.construct(&json!({ "interval": 1, "mode": mode }));
        hook.map_err(|error| error.to_string())
    };
    let mut run = FakeRunner::new().output("loss", [1.5]);
    let (mut sum, point) = (construct("sum")?, HookPoint::AfterTrainIter);
    for batch in 0..100 {
        sum.call(point, Some(batch), &mut run).map_err(|error| error.to_string())?;
    }
    let panic = construct("panic")?.call(point, Some(0), &mut run).err().map(|error| error.message);
    match (run.scalar("train/golden").last(), panic.as_deref()) {
        (Some(150.0), Some("golden panic")) => {
            Ok(format!("ran, rustc {}", found.plugin().manifest.build.rustc))
        }
        other => Err(format!("expected a sum of 150 and a panic, found {other:?}")),
    }
}

fn main() -> ExitCode {
    let program = std::env::current_exe().unwrap_or_default();
    let root = program.ancestors().nth(3).unwrap_or(Path::new("target")).join("plugin-matrix");
    let mut failures = 0;
    for variant in variants() {
        if let Some(toolchain) = variant.toolchain.filter(|toolchain| !has_toolchain(toolchain)) {
            println!("{:44} not run: no toolchain {toolchain} here", variant.name);
            continue;
        }
        let outcome = build(&variant, &root).and_then(|file| run(&file));
        let (is_right, text) = match (outcome, variant.refusal) {
            (Ok(text), None) => (true, text),
            (Err(reason), Some(part)) if reason.contains(part) => {
                (true, format!("refused: {reason}"))
            }
            (Ok(text), Some(_)) => (false, format!("{text}, and should have been refused")),
            (Err(reason), _) => (false, reason),
        };
        failures += u32::from(!is_right);
        println!("{:44} {}: {text}", variant.name, if is_right { "ok" } else { "FAILED" });
    }
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
