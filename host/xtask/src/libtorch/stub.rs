//! `libtorch.so`, an empty library that stands for the one with CUDA behind it.
//!
//! `torch-sys` asks the linker for `-ltorch`; everything a CPU build uses is in `libtorch_cpu.so`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::LibtorchError;
use crate::environment::Environment;

/// The C++ compiler that the `cc` crate will use: `CXX`, else `c++`.
#[derive(Debug, Clone)]
pub(crate) struct Compiler {
    pub(crate) program: PathBuf,
    arguments: Vec<String>,
}

/// Finds the compiler before anything long begins.
pub(crate) fn find_compiler(environment: &Environment) -> Result<Compiler, LibtorchError> {
    let named = environment.get("CXX").map(|value| value.to_string_lossy().into_owned());
    let command =
        named.filter(|value| !value.trim().is_empty()).unwrap_or_else(|| "c++".to_owned());
    // CXX may carry a wrapper or options: "ccache g++".
    let mut words = command.split_whitespace().map(str::to_owned);
    let program = words.next().and_then(|name| environment.find_program(&name));
    let arguments = words.collect();
    match program {
        Some(program) => Ok(Compiler { program, arguments }),
        None => Err(LibtorchError::NoCompiler { tried: format!("`{command}` on PATH") }),
    }
}

/// Links the stub beside the libraries in `folder`/lib.
pub(crate) fn link_stub(compiler: &Compiler, folder: &Path) -> Result<(), LibtorchError> {
    let libraries = folder.join("lib");
    let output = Command::new(&compiler.program)
        .args(&compiler.arguments)
        .args(["-shared", "-nostdlib", "-o", "libtorch.so", "-Wl,-soname,libtorch.so"])
        .args(["-Wl,--no-as-needed", "-L.", "-l:libtorch_cpu.so", "-Wl,-rpath,$ORIGIN"])
        .args(["-Wl,--allow-shlib-undefined"])
        .current_dir(&libraries)
        .output()
        .map_err(LibtorchError::io("start it", &compiler.program))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let tail: Vec<&str> = errors.lines().rev().take(5).collect();
    Err(LibtorchError::Stub {
        compiler: compiler.program.display().to_string(),
        status: output.status.to_string(),
        tail: tail.into_iter().rev().collect::<Vec<_>>().join("\n"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cxx_with_options_is_split_and_found() {
        let folder = tempfile::tempdir().unwrap();
        crate::fake_program::write(folder.path(), "ccache", "#!/bin/sh\n");
        let path = folder.path().to_str().unwrap();
        let environment = Environment::of([("PATH", path), ("CXX", "ccache g++ -m64")]);
        let compiler = find_compiler(&environment).unwrap();
        assert_eq!(compiler.program, folder.path().join("ccache"));
        assert_eq!(compiler.arguments, ["g++", "-m64"]);
    }

    #[test]
    fn a_missing_compiler_is_named_as_it_was_asked_for() {
        let environment = Environment::of([("PATH", "/nowhere"), ("CXX", "clang++-99")]);
        let text = find_compiler(&environment).unwrap_err().to_string();
        assert!(text.contains("clang++-99") && text.contains("install one"), "{text}");
    }
}
