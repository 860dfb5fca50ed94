//! Hands what Cargo knows of this build to the manifests of plugins. Knows nothing of their types.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for (ours, cargos) in [("TARGET", "TARGET"), ("PROFILE", "PROFILE"), ("OPT_LEVEL", "OPT_LEVEL")]
    {
        let value = std::env::var(cargos).unwrap_or_default();
        println!("cargo:rustc-env=SNAPHOOK_{ours}={value}");
    }
    println!("cargo:rustc-env=SNAPHOOK_RUSTC={}", rustc_version().unwrap_or_default());
}

fn rustc_version() -> Option<String> {
    let output = Command::new(std::env::var_os("RUSTC")?).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().nth(1).map(str::to_owned)
}
