//! What the commands print and how they end. None of those that do not train runs code of a plugin.

use std::process::{Command, Stdio};

use serde_json::Value as Json;
use snaphook_tests::{Workspace, fixture, programs, start};

/// A config with hooks of plugins at several priorities.
const HOOKS: &str = "\
custom_hooks = [
    dict(type='MarkHook', out='mark.txt', priority='HIGHEST'),
    dict(type='QuietHook', priority=48),
    dict(type='TraceHook', out='trace.jsonl', priority='LOWEST'),
    dict(type='CheckInvalidLossHook', interval=1)]";

fn with_plugins() -> Workspace {
    let workspace = Workspace::with(HOOKS);
    workspace.add_plugin(&fixture("mark-2024"));
    workspace.add_plugin(&fixture("constructor"));
    workspace
}

#[test]
fn commands_that_do_not_train_run_no_code_of_a_plugin() {
    let workspace = with_plugins();
    let loaded = workspace.file("loaded");
    let run = |arguments: &[&str]| {
        let mut command = workspace.command(arguments);
        command.env("SNAPHOOK_TEST_LOADED", &loaded);
        start(command).wait().expect_code(0).clone()
    };
    run(&["plugins", "list", "tiny.py"]).expect_text(&["constructor", "mark-2024"]);
    run(&["plugins", "inspect", "constructor", "--config", "tiny.py"]).expect_text(&["QuietHook"]);
    run(&["plugins", "inspect", "plugins/libconstructor.so"]).expect_text(&["QuietHook"]);
    run(&["hooks", "list", "tiny.py"]).expect_text(&["QuietHook"]);
    run(&["config", "print", "tiny.py"]);
    run(&["config", "check", "tiny.py"]).expect_text(&["tiny.py: no errors"]);
    run(&["config", "schema", "tiny.py"]).expect_text(&["QuietHook"]);
    run(&["doctor"]);
    assert!(!loaded.exists(), "a plugin was loaded");
    // The same plugin in a run shows that the mark would have been left.
    run(&["train", "tiny.py", "--work-dir", "work", "train_cfg.max_epochs=1"]);
    assert!(loaded.exists());
}

#[test]
fn the_schema_of_configs_has_the_hooks_of_plugins_with_their_arguments() {
    let workspace = with_plugins();
    let shown = workspace.snaphook(["config", "schema", "tiny.py"]);
    let schema: Json = serde_json::from_str(&shown.expect_code(0).stdout).unwrap();
    let mark = &schema["$defs"]["hook.MarkHook"]["properties"];
    assert!(mark["out"]["description"].is_string() && mark["priority"].is_object(), "{mark:#}");
    let names = schema["$defs"]["hook"]["properties"]["type"]["anyOf"][0]["enum"].as_array();
    for name in ["MarkHook", "QuietHook", "EMAHook"] {
        assert!(names.unwrap().contains(&Json::from(name)), "{name} is not in {names:?}");
    }
}

#[test]
fn a_run_reads_its_config_by_the_rules_of_the_command_line() {
    let workspace = Workspace::new();
    workspace.write("heir.py", "_base_ = 'tiny.py'\ndata_root = 'nowhere/'\n");
    let run = |rules: &[&str]| {
        let line = ["train", "heir.py", "--work-dir", "work", "--dry-run"];
        workspace.snaphook(line.iter().chain(rules))
    };
    run(&[]).expect_code(0);
    let outcome = run(&["--propagate"]);
    outcome.expect_code(1).expect_error(&["nowhere"]);
    let outcome = run(&["--config-root", "data"]);
    outcome.expect_code(1).expect_error(&["expected a file in data, found it elsewhere"]);
}

#[test]
fn a_mode_switch_without_transforms_to_switch_is_told() {
    let hook = "custom_hooks = [dict(type='YOLOXModeSwitchHook', num_last_epochs=1)]";
    let checked = |text: &str| {
        let workspace = Workspace::with(text);
        workspace.snaphook(["config", "check", "tiny.py"]).expect_code(0).stdout.clone()
    };
    assert!(!checked(hook).contains("switch"), "{}", checked(hook));
    let without = format!("{hook}\ntrain_pipeline.pop(0)\ntrain_pipeline.pop(0)");
    assert!(checked(&without).contains("there is nothing to switch off"), "{}", checked(&without));
}

#[test]
fn hooks_list_is_the_table_of_the_real_run() {
    let workspace = with_plugins();
    let listed = workspace.snaphook(["hooks", "list", "tiny.py"]);
    listed.expect_code(0);
    let table = listed.stdout.trim_end();
    assert!(table.starts_with("Hooks will be executed in the following order:"), "{listed}");
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0).expect_text(&[table]);
}

#[test]
fn inspecting_a_plugin_shows_what_an_author_wrote() {
    let workspace = with_plugins();
    let shown = workspace.snaphook(["plugins", "inspect", "MarkHook", "--config", "tiny.py"]);
    let parts = [
        "mark-2024",
        "1.2.3",
        "MarkHook",
        "Writes a line after every training epoch",
        "after_train_epoch",
        "times",
        "How often the text is repeated",
    ];
    shown.expect_code(0).expect_text(&parts);
    let json =
        workspace.snaphook(["plugins", "inspect", "plugins/libmark_2024.so", "--format", "json"]);
    json.expect_code(0).expect_text(&["MarkHook"]);
    serde_json::from_str::<Json>(&json.stdout).unwrap();
}

#[test]
fn an_unknown_plugin_is_refused_with_what_there_is() {
    let workspace = with_plugins();
    let outcome = workspace.snaphook(["plugins", "inspect", "MarkHok", "--config", "tiny.py"]);
    outcome.expect_code(1);
    assert!(outcome.error().contains("MarkHook"), "{outcome}");
}

#[test]
fn a_printed_config_reads_back_as_the_same_config() {
    let workspace = with_plugins();
    let print = |arguments: &[&str]| {
        let outcome = workspace.snaphook(["config", "print"].iter().chain(arguments));
        outcome.expect_code(0).stdout.clone()
    };
    let json = print(&["tiny.py"]);
    let value: Json = serde_json::from_str(&json).unwrap();
    assert_eq!(value["train_cfg"]["max_epochs"], 3);
    assert_eq!(value["model"]["bbox_head"]["num_classes"], 3);
    assert_eq!(value["train_pipeline"][1]["border"], serde_json::json!([-32, -32]));
    workspace.write("printed.json", &json);
    assert_eq!(print(&["printed.json"]), json);
    workspace.write("printed.py", print(&["tiny.py", "--format", "py"]));
    assert_eq!(print(&["printed.py"]), json);
    let changed: Json =
        serde_json::from_str(&print(&["tiny.py", "train_cfg.max_epochs=7"])).unwrap();
    assert_eq!(changed["train_cfg"]["max_epochs"], 7);
}

#[test]
fn the_config_kept_with_a_run_is_the_config_that_ran() {
    let workspace = with_plugins();
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    let print = |arguments: &[&str]| {
        let outcome = workspace.snaphook(["config", "print"].iter().chain(arguments));
        outcome.expect_code(0).stdout.clone()
    };
    assert_eq!(print(&["work/tiny.py"]), print(&["tiny.py", "train_cfg.max_epochs=1"]));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let workspace = with_plugins();
    let commands: [&[&str]; 5] = [
        &["config", "print", "tiny.py"],
        &["hooks", "list", "tiny.py"],
        &["plugins", "list", "tiny.py"],
        &["doctor"],
        &["--help"],
    ];
    for arguments in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = workspace.command(arguments);
        let output =
            command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
        assert_ne!(output.status.code(), Some(101), "{arguments:?}: {stderr}");
    }
}

#[test]
fn without_a_terminal_a_run_prints_plain_lines() {
    let workspace = Workspace::new();
    let outcome = workspace.train(&["train_cfg.max_epochs=1"]);
    outcome.expect_code(0).expect_text(&["Epoch(train)", "Epoch(val)", "coco/bbox_mAP"]);
    let text = outcome.text();
    assert!(!text.contains('\x1b') && !text.contains('\r'), "{outcome}");
    // One line for each iteration, in MMEngine's form, and the same lines in the log.
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("Epoch(train)")).collect();
    assert_eq!(lines.len(), 2, "{outcome}");
    let form = " - mmengine - INFO - Epoch(train) [1][2/2]  lr: ";
    assert!(lines[1].contains(form), "{}", lines[1]);
    let log = find_log(&workspace);
    assert!(log.contains(lines[1]), "{log}");
}

/// The text of the only `work/<timestamp>/<timestamp>.log`.
fn find_log(workspace: &Workspace) -> String {
    let entries = std::fs::read_dir(workspace.work()).unwrap().map(|entry| entry.unwrap().path());
    let log = |path: std::path::PathBuf| {
        let name = format!("{}.log", path.file_name()?.to_str()?);
        std::fs::read_to_string(path.join(name)).ok()
    };
    let logs: Vec<String> = entries.filter_map(log).collect();
    assert_eq!(logs.len(), 1);
    logs.into_iter().next().unwrap()
}

#[test]
fn a_wrong_command_line_is_usage_and_help_is_not() {
    let workspace = Workspace::new();
    for arguments in [&["trian", "tiny.py"][..], &["train"], &["train", "tiny.py", "--nonsense"]] {
        workspace.snaphook(arguments).expect_code(2);
    }
    workspace.snaphook(["--help"]).expect_code(0).expect_text(&["Exit codes"]);
    workspace.snaphook(["--version"]).expect_code(0);
}

#[test]
fn a_dry_run_writes_nothing() {
    let workspace = with_plugins();
    workspace.train(&["--dry-run"]).expect_code(0);
    assert!(!workspace.work().exists());
}

#[test]
fn what_people_type_links_no_libtorch() {
    let workspace = Workspace::new();
    let links_libtorch = |program: std::path::PathBuf| {
        let mut command = Command::new(program);
        workspace.set_up(&mut command);
        // The system's loader lists the libraries in place of running the program.
        command.env("LD_TRACE_LOADED_OBJECTS", "1");
        let outcome = start(command).wait();
        outcome.expect_code(0).expect_text(&["libc.so"]);
        assert!(!outcome.text().contains("not found"), "{outcome}");
        outcome.text().contains("libtorch")
    };
    assert!(!links_libtorch(programs().snaphook()));
    assert!(links_libtorch(programs().trainer()), "the search finds what is there");
}
