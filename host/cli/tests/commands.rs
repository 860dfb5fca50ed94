//! The built `snaphook` on small configs: what it prints, and how it ends.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

/// A folder with configs in which the program runs.
struct Folder(tempfile::TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Folder {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Folder(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snaphook"));
        command.args(line.split_whitespace()).current_dir(self.path());
        command.env("XDG_DATA_HOME", self.path().join("data")).env_remove("SNAPHOOK_PLUGIN_PATH");
        command.env_remove("SNAPHOOK_CONFIG_PATH");
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// The text on stderr of a command that must end with `code` and print nothing else.
    fn fails(&self, code: i32, line: &str) -> String {
        let output = self.run(line);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{line}: {stderr}");
        assert!(output.stdout.is_empty(), "{line}");
        assert!(stderr.starts_with("error: "), "{stderr}");
        stderr
    }

    fn prints(&self, line: &str) -> String {
        let output = self.run(line);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{line}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn prints_json(&self, line: &str) -> Json {
        serde_json::from_str(&self.prints(line)).unwrap()
    }
}

#[test]
fn printed_config_is_resolved_with_both_kinds_of_changes() {
    let files = [
        ("base.py", "lr = 0.1\nsteps = [1, 2]"),
        ("a.py", "_base_ = 'base.py'\nname = f'{2 * 3}'"),
    ];
    let folder = Folder::with(&files);
    let json = folder.prints_json("config print a.py lr=0.5 --cfg-options lr=0.2 steps.0=9");
    assert_eq!(json, serde_json::json!({ "lr": 0.5, "steps": [9, 2], "name": "6" }));
    let python = folder.prints("config print a.py --format py");
    assert!(python.contains("lr = 0.1\n"), "{python}");
}

#[test]
fn missing_and_broken_configs_are_named_with_their_lines() {
    let folder = Folder::with(&[
        ("broken.py", "a = 1\nb = [1,\n"),
        ("os.py", "import os\na = os.getcwd()\n"),
    ]);
    for command in ["config print", "hooks list", "train"] {
        let text = folder.fails(1, &format!("{command} nowhere.py"));
        assert!(text.starts_with("error: nowhere.py: expected a config file"), "{text}");
        assert_eq!(text.matches("No such file").count(), 1, "{text}");
        let text = folder.fails(1, &format!("{command} broken.py"));
        assert!(text.contains("broken.py, line "), "{text}");
    }
    let text = folder.fails(1, "config print os.py");
    assert!(text.contains("os.py, line "), "{text}");
}

#[test]
fn unknown_hook_type_names_the_folders_and_the_nearest_type() {
    let folder = Folder::with(&[("a.py", "custom_hooks = [\n  dict(type='CheckpontHook')]")]);
    for command in ["hooks list a.py --plugins mine", "train a.py --plugins mine"] {
        let text = folder.fails(1, command);
        assert!(text.starts_with("error: a.py, line 2: custom_hooks.0.type: "), "{text}");
        assert!(text.contains("did you mean 'CheckpointHook'?"), "{text}");
        assert!(text.contains("searched: mine (--plugins, not there)"), "{text}");
        assert!(text.contains("plugins (beside the config"), "{text}");
        let user_data = folder.path().join("data/snaphook/plugins");
        assert!(text.contains(user_data.to_str().unwrap()), "{text}");
    }
}

#[test]
fn wrong_arguments_of_hooks_are_found_before_anything_starts() {
    let text = "default_hooks = dict(\n  checkpoint=dict(\n    interval='fast',\n    keep=3))";
    let folder = Folder::with(&[("a.py", text)]);
    let text = folder.fails(1, "train a.py");
    assert!(
        text.contains("a.py, line 3: default_hooks.checkpoint: CheckpointHook.interval:"),
        "{text}"
    );
    assert!(text.contains("found \"fast\""), "{text}");
    assert!(
        text.contains("a.py, line 4: default_hooks.checkpoint: CheckpointHook.keep:"),
        "{text}"
    );
}

#[test]
fn hooks_are_listed_in_the_order_of_mmengine() {
    let text = "custom_hooks = [dict(type='EMAHook', priority=49)]";
    let folder = Folder::with(&[("a.py", text)]);
    let json = folder.prints_json("hooks list a.py --format json");
    let points = json["points"].as_array().unwrap();
    let after_iter = points.iter().find(|point| point["point"] == "after_train_iter").unwrap();
    let hooks = after_iter["hooks"].as_array().unwrap();
    let order: Vec<_> = hooks
        .iter()
        .map(|hook| (hook["type"].as_str().unwrap(), hook["priority"].as_i64().unwrap()))
        .collect();
    let expected = [
        ("RuntimeInfoHook", 10),
        ("EMAHook", 49),
        ("IterTimerHook", 50),
        ("LoggerHook", 60),
        ("ParamSchedulerHook", 70),
        ("CheckpointHook", 90),
    ];
    assert_eq!(order, expected);
    assert_eq!(hooks[1]["source"], "built-in");
    let table = folder.prints("hooks list a.py");
    assert!(
        table.starts_with("Hooks will be executed in the following order:\nbefore_run:\n"),
        "{table}"
    );
    assert!(table.contains("(49          ) EMAHook"), "{table}");
}

#[test]
fn plugin_folders_are_listed_with_origins_and_refused_files() {
    let folder = Folder::with(&[("a.py", "plugin_dirs = ['hooks']")]);
    std::fs::create_dir(folder.path().join("hooks")).unwrap();
    std::fs::write(folder.path().join("hooks/libtext.so"), "no plugin").unwrap();
    let text = folder.prints("plugins list a.py --plugins mine");
    assert!(text.contains("--plugins") && text.contains("plugin_dirs in the config"), "{text}");
    assert!(text.contains("hooks/libtext.so (plugin_dirs in the config)"), "{text}");
    let json = folder.prints_json("plugins list a.py --format json");
    assert_eq!(json["folders"][0]["origin"], "plugin_dirs in the config");
    assert!(json["refused"][0]["path"].as_str().unwrap().ends_with("hooks/libtext.so"));
}

#[test]
fn plugin_dirs_are_relative_to_the_file_that_wrote_them() {
    let folder =
        Folder::with(&[("a.py", "_base_ = 'bases/b.py'"), ("wrong.py", "plugin_dirs = [3]")]);
    std::fs::create_dir(folder.path().join("bases")).unwrap();
    std::fs::write(folder.path().join("bases/b.py"), "plugin_dirs = ['hooks']").unwrap();
    let json = folder.prints_json("plugins list a.py --format json");
    assert!(json["folders"][0]["path"].as_str().unwrap().ends_with("bases/hooks"), "{json}");
    let text = folder.fails(1, "plugins list wrong.py");
    assert!(
        text.contains("wrong.py, line 1: plugin_dirs.0: expected a folder's name, found 3"),
        "{text}"
    );
}

#[test]
fn inspect_shows_built_in_hooks_and_names_what_is_no_plugin() {
    let folder = Folder::with(&[("libtext.so", "no plugin")]);
    let text = folder.prints("plugins inspect CheckpointHook");
    assert!(text.starts_with("CheckpointHook (hook, built in)"), "{text}");
    assert!(text.contains("VERY_LOW (90)") && text.contains("max_keep_ckpts"), "{text}");
    let text = folder.fails(1, "plugins inspect ./libtext.so");
    assert!(text.starts_with("error: plugin ./libtext.so: "), "{text}");
    let text = folder.fails(1, "plugins inspect Nothing");
    assert!(text.contains("searched: "), "{text}");
}

#[test]
fn wrong_command_lines_end_with_2_and_help_with_0() {
    let folder = Folder::with(&[("a.py", "")]);
    for line in ["", "trian a.py", "train", "train a.py --launcher pbs", "config print a.py lr"] {
        assert_eq!(folder.run(line).status.code(), Some(2), "{line}");
    }
    assert!(folder.fails(2, "test a.py b --show").contains("not in this version"));
    assert!(folder.prints("train --help").contains("128+n"));
}

#[test]
fn missing_checkpoints_are_named() {
    let folder = Folder::with(&[("a.py", "")]);
    let text = folder.fails(1, "test a.py epoch_3");
    assert!(text.starts_with("error: checkpoint epoch_3: expected a file"), "{text}");
    assert!(folder.fails(1, "train a.py --resume epoch_3").contains("--resume takes the last one"));
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let values: String = (0..20_000).map(|index| format!("key_{index} = 'some text'\n")).collect();
    let folder = Folder::with(&[("a.py", &values)]);
    let mut command = folder.command("config print a.py");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn doctor_says_what_it_found() {
    let folder = Folder::with(&[]);
    let output = folder.run("doctor --format json");
    let json: Json = serde_json::from_slice(&output.stdout).unwrap();
    let checks = json["checks"].as_array().unwrap();
    let names: Vec<_> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    for name in ["snaphook", "trainer", "plugins", "processors", "memory", "disk", "python"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let is_whole =
        checks.iter().all(|check| check["outcome"] == "ok" || check["outcome"] == "note");
    assert_eq!(output.status.code(), Some(if is_whole { 0 } else { 1 }));
}
