//! Plugins built in every way that authors build plugins load and run in this host. Knows nothing of how they are built.

use crate::plugin_builds::{Build, OTHER_ALLOCATOR, build, plain, run};
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn plugin_of_any_edition_optimization_and_allocator_runs() {
    let builds = [
        Build { arguments: &["--", "-Copt-level=0"], ..plain() },
        Build { arguments: &["--", "-Copt-level=3", "-Cstrip=symbols"], ..plain() },
        Build { edition: "2024", ..plain() },
        Build { more: OTHER_ALLOCATOR, ..plain() },
    ];
    for variant in builds {
        run(&build(&variant)).unwrap();
    }
}

#[test]
fn plugin_that_aborts_on_panic_is_refused_with_the_reason() {
    let variant = Build { arguments: &["--", "-Cpanic=abort"], ..plain() };
    let reason = run(&build(&variant)).unwrap_err();
    assert!(reason.contains("rebuild golden with panic = \"unwind\""), "{reason}");
}

#[test]
fn plugin_with_fat_lto_opt_level_3_and_stripped_symbols_runs() {
    const RELEASE: &[(&str, &str)] = &[
        ("CARGO_PROFILE_RELEASE_LTO", "fat"),
        ("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
        ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ];
    let (target, arguments) = ("plugin-builds/lto", &["--release"] as &[_]);
    run(&build(&Build { target, arguments, variables: RELEASE, ..plain() })).unwrap();
}

#[test]
fn plugin_whose_compiler_shuffles_layouts_runs() {
    const SHUFFLED: &[(&str, &str)] =
        &[("RUSTC_BOOTSTRAP", "1"), ("RUSTFLAGS", "-Zrandomize-layout")];
    run(&build(&Build { target: "plugin-builds/shuffled", variables: SHUFFLED, ..plain() }))
        .unwrap();
}

/// The compiler that `SNAPHOOK_OTHER_RUSTC` names, or the system's own (Debian: `apt-get install rustc-web`).
fn other_compiler() -> Option<(PathBuf, String)> {
    let version = |rustc: &Path| {
        let output = Command::new(rustc).arg("--version").output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let ours = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let ours = version(ours.as_ref());
    let named = std::env::var_os("SNAPHOOK_OTHER_RUSTC").map(PathBuf::from);
    let candidates = named.into_iter().chain(["/usr/bin/rustc".into()]);
    let known = candidates.filter_map(|path| version(&path).map(|version| (path, version)));
    known.into_iter().find(|(_, version)| Some(version) != ours.as_ref())
}

#[test]
fn plugin_of_another_compiler_runs() {
    let Some((rustc, version)) = other_compiler() else {
        println!("no second rustc here (SNAPHOOK_OTHER_RUSTC, /usr/bin/rustc): not run");
        return;
    };
    let variant = Build { target: "plugin-builds/other", rustc: Some(rustc), ..plain() };
    let built_with = run(&build(&variant)).unwrap();
    println!("ran a plugin of {version}");
    assert!(
        version.contains(&built_with) || built_with.contains(&version),
        "{built_with}, {version}"
    );
}
