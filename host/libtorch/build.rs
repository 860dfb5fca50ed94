//! Compiles the few lines of C++ that listen to libtorch, against the headers of the libtorch that torch-sys found.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=src/shim");
    let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") else {
        panic!("torch-sys told no folder of libtorch's libraries");
    };
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    let include = Path::new(&lib).parent().unwrap_or(Path::new("/")).join("include");
    cc::Build::new()
        .cpp(true)
        // As libtorch's packages are built: some classes of its headers have a member more without it.
        .define("NDEBUG", None)
        .std("c++17")
        // The headers are large and the code is little.
        .opt_level(1)
        .debug(false)
        .warnings(false)
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .include(include)
        .file("src/shim/listen.cpp")
        .file("src/shim/memory.cpp")
        .file("src/shim/determinism.cpp")
        .file("src/shim/norm_swish.cpp")
        .file("src/shim/script.cpp")
        .compile("snaphook_libtorch");
}
