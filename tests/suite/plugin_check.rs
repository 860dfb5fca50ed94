//! Plugins that crash or hang when they are checked: a report, and no run loads them until they change. Which files a
//! run may load is what the lock file says.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use snaphook_tests::{Outcome, Workspace, fixture, programs, repository, start};

const TRAP: &str = "custom_hooks = [dict(type='TrapHook')]";

/// A workspace with the plugin that crashes while its hook is built, when a file `trap` lies beside its own folder.
fn trap() -> (Workspace, PathBuf) {
    let workspace = Workspace::with(TRAP);
    let library = workspace.add_plugin(&fixture("trap"));
    (workspace, library)
}

fn check(workspace: &Workspace, trap: &str, more: &[&str]) -> Outcome {
    let mut command =
        workspace.command(["plugins", "check", "plugins/libtrap.so"].iter().chain(more));
    command.env("TRAP", trap);
    snaphook_tests::start(command).wait()
}

#[test]
fn a_sound_plugin_is_checked_step_by_step_and_leaves_nothing_behind() {
    let workspace = Workspace::new();
    let library = workspace.add_plugin(&fixture("mark-2024"));
    let before = std::fs::read_dir(workspace.path()).unwrap().count();
    let outcome =
        workspace.snaphook(["plugins", "check", "--conformance", library.to_str().unwrap()]);
    outcome.expect_code(0).expect_text(&["MarkHook construct", "MarkHook close", "  sound"]);
    // Hooks write files; those of a check are in a folder of its own.
    assert_eq!(std::fs::read_dir(workspace.path()).unwrap().count(), before);
}

/// The plugins of the folder `plugins`: its crates and the built files.
fn plugins() -> Vec<(PathBuf, PathBuf)> {
    let entries = std::fs::read_dir(repository().join("plugins")).unwrap();
    let folders = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let built = |folder: PathBuf| {
        let name = folder.file_name().unwrap().to_str().unwrap().replace('-', "_");
        let library = programs().folder().join(format!("lib{name}.so"));
        (folder, library)
    };
    folders.map(built).collect()
}

#[test]
fn every_plugin_of_this_repository_passes_the_conformance_check() {
    let plugins = plugins();
    assert!(plugins.len() >= 17, "{plugins:?}");
    let arguments = ["plugins", "check", "--conformance"].map(PathBuf::from);
    let libraries = plugins.iter().map(|(_, library)| library.clone());
    let outcome = Workspace::new().snaphook(arguments.into_iter().chain(libraries));
    outcome.expect_code(0);
    assert_eq!(outcome.stdout.matches("\n  sound\n").count(), plugins.len(), "{outcome}");
}

/// With its defaults a hook may do little: each says in its `check.json` what makes it work.
#[test]
fn every_plugin_passes_with_arguments_that_make_it_work() {
    let workspace = Workspace::new();
    for (folder, library) in plugins() {
        let Ok(kwargs) = std::fs::read_to_string(folder.join("check.json")) else { continue };
        let library = library.to_str().unwrap();
        let fixed = ["plugins", "check", "--conformance", "--deadline-s", "60", "--kwargs"];
        let arguments = fixed.into_iter().chain([kwargs.trim(), library]);
        workspace.snaphook(arguments).expect_code(0).expect_text(&["\n  sound\n"]);
    }
}

#[test]
fn without_a_file_every_plugin_of_the_folders_is_checked_in_a_line_each() {
    let (workspace, library) = trap();
    workspace.add_plugin(&fixture("mark-2024"));
    std::fs::write(workspace.file("plugins/libbroken.so"), b"\x7fELF and no more").unwrap();
    let sweep = |trap: &str| {
        let fixed = ["plugins", "check", "--conformance", "--config", "tiny.py"];
        let mut command = workspace.command(fixed);
        command.env("TRAP", trap);
        snaphook_tests::start(command).wait()
    };
    let broken = sweep("");
    broken.expect_code(1).expect_text(&["libbroken.so", "  not run: ", "sound, 1 not\n"]);
    std::fs::remove_file(workspace.file("plugins/libbroken.so")).unwrap();
    let sound = sweep("");
    sound.expect_code(0).expect_text(&["libtrap.so): sound\n", " sound, 0 not\n"]);
    // Those of this repository are found as well: a development build searches its own folder.
    let lines = sound.stdout.lines().filter(|line| line.ends_with("): sound")).count();
    assert!(lines >= 2 + plugins().len(), "{sound}");
    assert_eq!(sound.stdout.lines().count(), lines + 1, "{sound}");

    let crashed = sweep("segfault");
    let told = "it crashed (SIGSEGV) at TrapHook construct; remembered";
    crashed.expect_code(1).expect_text(&[told, &library.display().to_string(), "sound, 1 not\n"]);
}

#[test]
fn a_leak_is_found_by_counting_and_by_valgrind_which_names_where_it_was_made() {
    let (workspace, _) = trap();
    let counted = check(&workspace, "leak", &["--conformance"]);
    counted.expect_code(1).expect_text(&["WRONG", " bytes are left of each life"]);
    let has_valgrind = Command::new("valgrind").arg("--version").output().is_ok();
    if !has_valgrind {
        let missing = check(&workspace, "", &["--valgrind"]);
        missing.expect_code(1).expect_error(&["valgrind: cannot be started", "install it"]);
        eprintln!("not tried: no valgrind");
        return;
    }
    let lost = check(&workspace, "leak", &["--valgrind"]);
    lost.expect_code(1).expect_text(&["4,000 bytes in 100 blocks are definitely lost", "trap::"]);
    let sound = check(&workspace, "", &["--valgrind"]);
    sound.expect_code(0).expect_text(&["valgrind of 100 lives", "nothing is lost", "  sound"]);
}

#[test]
fn a_crash_is_a_report_and_is_remembered_until_the_file_changes() {
    let (workspace, library) = trap();
    check(&workspace, "", &[]).expect_code(0);
    let crashed = check(&workspace, "segfault", &[]);
    let expected = ["TrapHook construct", "it crashed (SIGSEGV) at TrapHook construct; remembered"];
    crashed.expect_code(1).expect_text(&expected[1..]);
    // From now on nobody loads it, whatever it would do.
    let again = check(&workspace, "", &[]);
    again.expect_code(1).expect_text(&["not run: crashed (SIGSEGV) at TrapHook construct when"]);
    let refused = workspace.train(&[]);
    refused.expect_code(1).expect_error(&["TrapHook", "crashed (SIGSEGV)", "check --retry"]);
    assert!(!workspace.work().exists(), "{refused}");
    let listed = workspace.snaphook(["plugins", "list", "tiny.py"]);
    listed.expect_code(0).expect_text(&["Refused:", "crashed (SIGSEGV) at TrapHook construct"]);

    let whole = std::fs::read(&library).unwrap();
    std::fs::write(&library, [whole.as_slice(), b"changed"].concat()).unwrap();
    check(&workspace, "", &[]).expect_code(0);
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
}

#[test]
fn a_hang_is_a_report_and_a_retry_that_finds_it_sound_forgets_it() {
    let (workspace, _) = trap();
    let hung = check(&workspace, "hang", &["--deadline-s", "0.5", "--format", "json"]);
    hung.expect_code(1);
    let report: Json = serde_json::from_str(&hung.stdout).unwrap();
    let end = &report["checked"][0]["end"];
    assert_eq!((&end["kind"], &end["after_s"]), (&"hung".into(), &0.5.into()), "{report:#}");
    check(&workspace, "", &[]).expect_code(1).expect_text(&["hung (more than 0.5 s)"]);
    check(&workspace, "", &["--retry"]).expect_code(0).expect_text(&["  sound"]);
    check(&workspace, "", &[]).expect_code(0);
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
}

#[test]
fn a_check_that_is_ended_takes_its_child_with_it_and_remembers_nothing() {
    let (workspace, _) = trap();
    for (signal, code) in [("-TERM", 143), ("-INT", 130), ("-KILL", 137)] {
        let mut command =
            workspace.command(["plugins", "check", "plugins/libtrap.so", "--deadline-s", "600"]);
        command.env("TRAP", "hang");
        let mut running = start(command);
        let pid = running.id();
        let mut child = None;
        let is_in_the_plugin = |child: &u32| {
            let maps = std::fs::read_to_string(format!("/proc/{child}/maps"));
            maps.is_ok_and(|maps| maps.contains("libtrap.so"))
        };
        assert!(running.wait_until(|| {
            child = child_of(pid).filter(is_in_the_plugin);
            child.is_some()
        }));
        assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
        running.wait().expect_code(code);
        let left = child.unwrap();
        let is_gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{left}/stat"));
            stat.map_or(true, |stat| stat.contains(") Z"))
        };
        let end = Instant::now() + Duration::from_secs(60);
        while !is_gone() {
            assert!(Instant::now() < end, "process {left} lives after signal {signal}");
        }
    }
    check(&workspace, "", &[]).expect_code(0);
}

/// The child of a process with one child.
fn child_of(pid: u32) -> Option<u32> {
    let parent = format!("\nPPid:\t{pid}\n");
    let mut entries = std::fs::read_dir("/proc").ok()?.flatten();
    entries.find_map(|entry| {
        let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
        status.contains(&parent).then(|| entry.file_name().to_str()?.parse().ok())?
    })
}

#[test]
fn what_was_killed_from_outside_or_had_other_arguments_is_not_remembered() {
    let (workspace, _) = trap();
    let killed = check(&workspace, "kill", &[]);
    killed.expect_code(1).expect_text(&["inconclusive: SIGKILL ended it at TrapHook construct"]);
    let argued = check(&workspace, "segfault", &["--kwargs", "{}"]);
    argued.expect_code(1).expect_text(&["it crashed (SIGSEGV)", "not remembered, since other"]);
    check(&workspace, "", &[]).expect_code(0);
    // A file where the folder of what is remembered should be.
    workspace.write(".cache/snaphook/plugin-failures", "");
    let forgotten = check(&workspace, "segfault", &[]);
    forgotten.expect_code(1).expect_text(&["not remembered, so runs still load this file"]);
}

#[test]
fn too_much_memory_and_what_is_no_plugin_are_reports() {
    let (workspace, _) = trap();
    let greedy = check(&workspace, "greedy", &["--memory-mib", "512"]);
    greedy.expect_code(1).expect_text(&["it crashed (SIGABRT) at TrapHook construct"]);
    workspace.write("plugins/libtext.so", "text");
    let files = ["plugins/libtext.so", "plugins/libnone.so", "plugins"];
    let outcome = workspace.snaphook(["plugins", "check"].iter().chain(&files));
    outcome.expect_code(1).expect_text(&["found another kind of file", "cannot be read"]);
    assert_eq!(outcome.stdout.matches("not run: ").count(), 3, "{outcome}");
    check(&workspace, "", &["--kwargs", "[1]"]).expect_code(2);
}

#[test]
fn locked_runs_load_what_was_locked_byte_for_byte_and_nothing_else() {
    let workspace = Workspace::with("custom_hooks = [dict(type='MarkHook', out='mark.txt')]");
    let library = workspace.add_plugin(&fixture("mark-2024"));
    let missing = workspace.train(&["--locked"]);
    missing.expect_code(1).expect_error(&["plugins.lock", "snaphook plugins lock"]);

    let locked = workspace.snaphook(["plugins", "lock", "tiny.py"]);
    locked.expect_code(0).expect_text(&[
        "plugins.lock: ",
        "mark-2024 1.2.3",
        "plugins/libmark_2024.so",
    ]);
    let lock: Json = serde_json::from_str(&workspace.read("plugins.lock")).unwrap();
    let plugins = lock["plugins"].as_array().unwrap();
    let mark = plugins.iter().find(|plugin| plugin["name"] == "mark-2024").unwrap();
    assert_eq!((&mark["api"], &mark["types"][0]), (&"1.0".into(), &"MarkHook".into()));
    workspace.train(&["--locked", "train_cfg.max_epochs=1"]).expect_code(0);

    let whole = std::fs::read(&library).unwrap();
    std::fs::write(&library, [whole.as_slice(), b"changed"].concat()).unwrap();
    let refused = workspace.train(&["--locked"]);
    let expected = ["expected mark-2024 1.2.3 with SHA-256", "found mark-2024 1.2.3 with"];
    refused.expect_code(1).expect_error(&expected);
    let listed = workspace.snaphook(["plugins", "list", "tiny.py", "--locked"]);
    listed.expect_code(0).expect_text(&expected);
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    workspace.snaphook(["plugins", "lock", "tiny.py"]).expect_code(0);
    workspace.train(&["--locked", "train_cfg.max_epochs=1"]).expect_code(0);
}
