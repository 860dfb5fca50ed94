//! Which libtorch the trainer would load, as the system's own dynamic loader answers it, without running
//! the trainer. Knows nothing of how libtorch got there.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Check;

const DEADLINE: Duration = Duration::from_secs(5);
const WAY_OUT: &str = "`cargo xtask libtorch`, then build the trainer again";

pub(super) fn checks(trainer: &Path) -> Vec<Check> {
    match needed_libraries(trainer) {
        Ok(answer) => from_answer(&answer),
        Err(why) => vec![Check::note("libtorch", format!("not known: {why}"))],
    }
}

/// `ld.so` prints what it would load and ends, when this variable is set; glibc's `ldd` does the same.
fn needed_libraries(trainer: &Path) -> Result<String, String> {
    let mut command = Command::new(trainer);
    command.env("LD_TRACE_LOADED_OBJECTS", "1").arg("--version");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let mut stdout = child.stdout.take().ok_or("its output cannot be read")?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    wait(&mut child)?;
    let text = reader.join().map_err(|_| "its output cannot be read")?;
    text.map_err(|error| error.to_string())
}

fn wait(child: &mut Child) -> Result<(), String> {
    let start = Instant::now();
    while start.elapsed() < DEADLINE {
        match child.try_wait() {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => std::thread::sleep(Duration::from_millis(2)),
            Err(error) => return Err(error.to_string()),
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    Err(format!("no answer within {} s", DEADLINE.as_secs()))
}

fn from_answer(answer: &str) -> Vec<Check> {
    let missing: Vec<&str> = answer
        .lines()
        .filter_map(|line| line.split_once("=> not found"))
        .map(|(name, _)| name.trim())
        .collect();
    if !missing.is_empty() {
        let found = format!("{}: not found", missing.join(", "));
        return vec![Check::missing("libtorch", found, WAY_OUT)];
    }
    match path_of(answer, "libtorch_cpu.so") {
        Some(path) => vec![libtorch(&path), graphics(&path)],
        None => vec![Check::note("libtorch", "the trainer does not name it; it may be linked in")],
    }
}

/// The path in `\tlibc10.so => /path/libc10.so (0x…)`.
fn path_of(answer: &str, library: &str) -> Option<PathBuf> {
    let line = answer.lines().find(|line| line.trim_start().starts_with(library))?;
    let (_, rest) = line.split_once("=> ")?;
    let path = rest.rsplit_once(" (0x").map_or(rest, |(path, _)| path);
    Some(PathBuf::from(path.trim()))
}

fn libtorch(path: &Path) -> Check {
    let folder = path.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    let version = version(folder).unwrap_or_else(|| "version not known".to_owned());
    Check::ok("libtorch", format!("{version} ({})", path.display()))
}

/// From `build-version` of a libtorch folder or `version.py` of a PyTorch.
fn version(folder: &Path) -> Option<String> {
    if let Ok(text) = std::fs::read_to_string(folder.join("build-version")) {
        return Some(text.trim().to_owned());
    }
    let python = std::fs::read_to_string(folder.join("version.py")).ok()?;
    let line = python.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
    Some(line.trim_matches(['\'', '"']).to_owned())
}

fn graphics(libtorch_cpu: &Path) -> Check {
    let library = libtorch_cpu.with_file_name("libtorch_cuda.so");
    if library.is_file() {
        return Check::ok("GPU library", library.display().to_string());
    }
    Check::note("GPU library", "no libtorch_cuda.so beside libtorch: trains on the CPU")
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    #[test]
    fn the_answer_of_the_dynamic_loader_is_read() {
        let answer =
            "\tlinux-vdso.so.1 (0x00)\n\tlibtorch_cpu.so => /a b/lib/libtorch_cpu.so (0x00007f)\n";
        let path = path_of(answer, "libtorch_cpu.so");
        assert_eq!(path, Some(PathBuf::from("/a b/lib/libtorch_cpu.so")));
    }

    #[test]
    fn a_library_that_is_nowhere_is_named() {
        let checks = from_answer("\tlibtorch_cpu.so => not found\n\tlibc10.so => not found\n");
        assert_eq!(checks[0].outcome, Outcome::Missing);
        assert_eq!(checks[0].found, "libtorch_cpu.so, libc10.so: not found");
    }

    #[test]
    fn versions_of_both_kinds_of_folder_are_read() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(version(folder.path()), None);
        let python = "from typing import Optional\n__version__ = '2.11.0+cpu'\n";
        std::fs::write(folder.path().join("version.py"), python).unwrap();
        assert_eq!(version(folder.path()), Some("2.11.0+cpu".to_owned()));
        std::fs::write(folder.path().join("build-version"), "2.11.0\n").unwrap();
        assert_eq!(version(folder.path()), Some("2.11.0".to_owned()));
    }
}
