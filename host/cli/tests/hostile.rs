//! Configs that mean harm: each is a clear error within a second of processor time and 200 MB of memory.
//!
//! The limits are the kernel's: a program that goes beyond them does not end with an exit code of its own.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

mod folder;

use std::process::Output;

use folder::Folder;

/// Address space in KiB, and seconds of processor time: one, and one more since tests are not optimised.
const LIMITS: &str = "ulimit -v 204800 && ulimit -t 2 && exec \"$0\" \"$@\"";

/// The message of a command that must end with exit code 1 inside the limits.
fn limited(folder: &Folder, arguments: &[&str]) -> String {
    let mut command = folder.command("sh");
    command.args(["-c", LIMITS, env!("CARGO_BIN_EXE_snaphook")]).args(arguments);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    let shown: String = format!("{arguments:?}").chars().take(200).collect();
    assert_eq!(status.code(), Some(1), "{shown} ended with {status}: {stderr}");
    assert!(stdout.is_empty() && stderr.starts_with("error: "), "{shown}: {stderr}");
    assert!(stderr.len() < 4000, "a message of {} bytes", stderr.len());
    stderr
}

/// A single file in Python's syntax, with words that its error must have.
#[track_caller]
fn refused(text: &str, words: &str) {
    let folder = Folder::with(&[("a.py", text)]);
    for command in [&["config", "print", "a.py"][..], &["config", "explain", "a.py", "x"]] {
        let message = limited(&folder, command);
        let shown: String = text.chars().take(60).collect();
        assert!(message.contains(words), "{shown}: {message}");
    }
}

const SIZE: &str = "size of all values in bytes: expected at most";

#[test]
fn texts_and_lists_that_would_fill_the_memory() {
    refused("x = 'a' * 10**12", SIZE);
    refused("x = [0] * 10**12", SIZE);
    refused("x = (1, 2) * 10**12", SIZE);
    refused("x = range(10**12)", SIZE);
    refused("x = list(range(10**9))", SIZE);
    refused("x = '%1000000000d' % 1", "a.py, line 1: ");
    refused("x = '{:>1000000000}'.format(1)", "a.py, line 1: ");
    refused("n = 1000000000\nx = f'{1:>{n}}'", "a.py, line 2: ");
    refused("x = 'a'.zfill(10**12)", SIZE);
    refused("x = 'a'.ljust(10**12)", SIZE);
    refused("x = 'a'\nfor i in range(60):\n    x += x", SIZE);
    refused("x = [1]\nfor i in range(60):\n    x = x + x", SIZE);
    refused("x = 'ab' * 100000\nx = x.replace('a', x)", SIZE);
    refused("x = ','.join(['a' * 1000] * 1000000)", SIZE);
}

#[test]
fn loops_and_comprehensions_that_would_never_end() {
    refused(
        "x = [[[[1 for a in range(999)] for b in range(999)] for c in range(999)] for d in range(999)]",
        "expected at most",
    );
    refused("x = sum([a * b for a in range(99999) for b in range(99999)])", "expected at most");
    refused("for a in range(9999):\n    for b in range(9999):\n        x = a", "expected at most");
    refused(
        "x = {a: {b: {c: 1 for c in range(999)} for b in range(999)} for a in range(999)}",
        "expected at most",
    );
}

#[test]
fn numbers_that_would_fill_the_memory() {
    for text in ["x = 10 ** (10**9)", "x = 1 << 10**9", "x = pow(2, 10**9)", "x = 9 ** 9 ** 9"] {
        refused(text, "a.py, line 1: ");
    }
    refused(&format!("x = int('{}')", "9".repeat(1_000_000)), "a.py, line 1: ");
}

#[test]
fn values_that_hold_themselves_or_go_too_deep() {
    refused("x = []\nx.append(x)", "a.py, line ");
    refused("x = {}\nx['x'] = x", "a.py, line ");
    refused("x = []\nfor i in range(5000):\n    x = [x]", "depth of nesting: expected at most");
    refused(&format!("x = {}1{}", "(".repeat(100_000), ")".repeat(100_000)), "a.py, line ");
    refused(&format!("x = {}1", "-".repeat(100_000)), "a.py, line ");
    refused(&format!("x = 1{}", " + 1".repeat(100_000)), "a.py, line ");
}

#[test]
fn bombs_of_aliases_and_nesting_in_the_other_formats() {
    let mut yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let before = [format!("*a{}", i - 1), ", ".to_owned()].concat().repeat(9);
        yaml += &format!("a{i}: &a{i} [{}]\n", before.trim_end_matches(", "));
    }
    let deep =
        |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    let files = [
        ("a.yaml", yaml),
        ("b.yaml", format!("a: {}", deep("[", "]"))),
        ("c.json", format!("{{\"a\": {}}}", deep("[", "]"))),
        ("d.toml", format!("a = {}", deep("[", "]"))),
        ("e.json", format!("{{\"a\": 1{}}}", "0".repeat(1_000_000))),
        ("f.yaml", "a: &a [*a]".to_owned()),
    ];
    for (name, text) in files {
        let folder = Folder::with(&[(name, &text)]);
        let message = limited(&folder, &["config", "print", name]);
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn bases_that_go_in_circles_or_never_end() {
    let folder = Folder::with(&[
        ("a.py", "_base_ = 'b.py'"),
        ("b.py", "_base_ = './a.py'"),
        ("self.py", "_base_ = 'self.py'"),
    ]);
    for name in ["a.py", "self.py"] {
        assert!(limited(&folder, &["config", "print", name]).contains("bases form a cycle"));
    }
    // Each file names the next one twice: two to the thirtieth files, without a rule.
    let texts: Vec<(String, String)> = (0..31)
        .map(|i| (format!("b{i}.py"), format!("_base_ = ['b{0}.py', 'b{0}.py']", i + 1)))
        .collect();
    let mut files: Vec<(&str, &str)> = texts.iter().map(|(a, b)| (&**a, &**b)).collect();
    files.push(("b31.py", ""));
    let message = limited(&Folder::with(&files), &["config", "print", "b0.py"]);
    assert!(message.contains("number of files: expected at most"), "{message}");
}

#[test]
fn links_devices_and_pipes_are_no_configs() {
    let folder = Folder::with(&[
        ("a.py", "_base_ = 'loop.py'"),
        ("in/b.py", "_base_ = 'away.py'"),
        ("secret.py", "x = 1"),
    ]);
    let link =
        |to: &str, name: &str| std::os::unix::fs::symlink(to, folder.path().join(name)).unwrap();
    link("loop2.py", "loop.py");
    link("loop.py", "loop2.py");
    link("../secret.py", "in/away.py");
    link("/dev/zero", "zero.py");
    let fifo = std::process::Command::new("mkfifo").arg(folder.path().join("fifo.py")).status();
    assert!(fifo.unwrap().success());
    assert!(limited(&folder, &["config", "print", "a.py"]).contains("loop.py"));
    assert!(limited(&folder, &["config", "print", "loop.py"]).contains("loop.py"));
    let away = limited(&folder, &["config", "print", "in/b.py", "--config-root", "in"]);
    assert!(away.contains("expected a file in in, found it elsewhere"), "{away}");
    for name in ["zero.py", "fifo.py"] {
        let message = limited(&folder, &["config", "print", name]);
        assert!(message.contains("expected a regular file"), "{message}");
        std::fs::write(folder.path().join("over.py"), format!("_base_ = '{name}'")).unwrap();
        let message = limited(&folder, &["config", "print", "over.py"]);
        assert!(message.contains("expected a regular file"), "{message}");
    }
}

#[test]
fn a_file_or_an_override_that_is_too_large() {
    let folder = Folder::with(&[("a.py", "x = 1")]);
    let file = std::fs::File::create(folder.path().join("big.py")).unwrap();
    file.set_len(10 << 30).unwrap(); // a hole: takes no room
    assert!(limited(&folder, &["config", "print", "big.py"]).contains("size of a file in bytes"));
    let deep = format!("x={}", "[".repeat(50_000));
    limited(&folder, &["config", "print", "a.py", &deep]);
    let deep = format!("x={}1{}", "[".repeat(50_000), "]".repeat(50_000));
    limited(&folder, &["config", "print", "a.py", &deep]);
}

#[test]
fn placeholders_cannot_multiply() {
    let text = format!("x = '{}'", "{{ fileDirname }}".repeat(100_000));
    let name = format!("{}/a.py", "d".repeat(200));
    let message = limited(&Folder::with(&[(&name, &text)]), &["config", "print", &name]);
    assert!(message.contains("placeholders replaced: expected at most"), "{message}");
    let base = format!("b = '{}'", "x".repeat(1 << 20));
    let heir = format!("_base_ = 'base.py'\ny = [{}]", "'{{_base_.b}}', ".repeat(1000));
    let folder = Folder::with(&[("base.py", &base), ("a.py", &heir)]);
    let message = limited(&folder, &["config", "print", "a.py"]);
    assert!(message.contains("expected at most"), "{message}");
}
