//! Compiles the C++ shim against the libtorch that torch-sys found, and lets the programs of this crate find libtorch
//! without an environment variable.

use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=cpp");
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys tells where libtorch is");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    let lib = PathBuf::from(lib);
    let include = lib.with_file_name("include");
    let header = include.join("torch/csrc/distributed/c10d/reducer.hpp");
    assert!(
        header.exists(),
        "{}: expected libtorch's headers beside its libraries, found none (use a libtorch with its include folder)",
        header.display()
    );
    cc::Build::new()
        .cpp(true)
        // As libtorch's packages are built: some classes of its headers have a member more without it.
        .define("NDEBUG", None)
        .pic(true)
        .std("c++17")
        // Unoptimised, the templates of libtorch's headers make an object of 100 MB.
        .opt_level(2)
        .debug(false)
        .include("cpp/gloo")
        .include("cpp")
        .flag("-isystem")
        .flag(include.display().to_string())
        .flag("-isystem")
        .flag(include.join("torch/csrc/api/include").display().to_string())
        .file("cpp/shim.cpp")
        .compile("snaphook_c10d_shim");
    println!("cargo:rustc-link-search=native={}", lib.display());
    for library in ["torch_cpu", "c10"] {
        println!("cargo:rustc-link-lib={library}");
    }
}
