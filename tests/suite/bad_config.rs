//! Configs that are missing, broken or ask for what is not there: one message with file and line.

use snaphook_tests::{Outcome, Workspace};

/// A run that must end before it writes anything, with one error that has these parts.
#[track_caller]
fn refused(workspace: &Workspace, parts: &[&str]) -> Outcome {
    let outcome = workspace.train(&[]);
    outcome.expect_code(1);
    let error = outcome.error();
    for part in parts {
        assert!(error.contains(part), "{part} is not in the error\n{outcome}");
    }
    assert!(!workspace.work().exists(), "something was written\n{outcome}");
    outcome
}

#[test]
fn a_missing_config_is_named() {
    let workspace = Workspace::new();
    std::fs::remove_file(workspace.file("tiny.py")).unwrap();
    refused(&workspace, &["tiny.py"]);
}

#[test]
fn a_config_that_is_no_python_is_refused_with_its_line() {
    let workspace = Workspace::new();
    workspace.write("tiny.py", "a = 1\nb = dict(\nc = = 2\n");
    refused(&workspace, &["tiny.py, line 3"]);
}

#[test]
fn a_config_of_any_language_that_is_broken_is_refused_with_its_line() {
    let broken = [
        ("a.json", "{\n  \"a\": 1,\n  \"b\": ]\n}\n"),
        ("a.toml", "a = 1\n\nb = = 2\n"),
        ("a.yaml", "a: 1\nb: 2\nc: [1, 2\n"),
    ];
    for (name, text) in broken {
        let workspace = Workspace::new();
        workspace.write(name, text);
        let outcome = workspace.snaphook(["config", "print", name]);
        outcome.expect_code(1);
        assert!(outcome.error().contains(&format!("{name}, line ")), "{outcome}");
    }
}

#[test]
fn a_config_that_would_run_code_is_refused_and_runs_none() {
    let workspace = Workspace::with("__import__('os').mkdir('ran')");
    refused(&workspace, &["tiny.py, line "]);
    assert!(!workspace.file("ran").exists());
}

#[test]
fn a_time_to_wait_for_ranks_that_is_none_is_refused_for_one_process_too() {
    for value in ["-5", "0", "'soon'", "2e6"] {
        let workspace = Workspace::with(&format!("env_cfg = dict(dist_cfg=dict(timeout={value}))"));
        let told = "expected seconds above 0 and up to 1000000, found";
        let checked = workspace.snaphook(["config", "check", "tiny.py"]);
        checked.expect_code(1).expect_text(&["env_cfg.dist_cfg.timeout", told]);
        let outcome = refused(&workspace, &["tiny.py"]);
        assert!(outcome.stderr.contains(told), "{outcome}");
    }
    let workspace = Workspace::with("env_cfg = dict(dist_cfg=dict(timeout=-5))");
    for outcome in workspace.train_ranks(2, &[]) {
        outcome.expect_code(1);
    }
}

#[test]
fn a_base_that_is_missing_is_named() {
    let workspace = Workspace::new();
    workspace.write("tiny.py", "_base_ = './nowhere.py'\n");
    refused(&workspace, &["nowhere.py", "tiny.py"]);
}

#[test]
fn bases_that_inherit_each_other_are_told_and_do_not_hang() {
    let workspace = Workspace::new();
    workspace.write("tiny.py", "_base_ = './other.py'\n");
    workspace.write("other.py", "_base_ = './tiny.py'\n");
    refused(&workspace, &["other.py"]);
}

#[test]
fn a_component_that_is_not_there_is_refused_by_name() {
    let cases = [
        ("model['type'] = 'YOLOY'", "YOLOY"),
        ("train_pipeline[1]['type'] = 'RandomAfine'", "RandomAfine"),
        ("train_pipeline[1]['scaling_ratio'] = 1", "scaling_ratio"),
        ("optim_wrapper['optimizer']['type'] = 'AdamX'", "AdamX"),
        ("param_scheduler[0]['type'] = 'LinearRate'", "LinearRate"),
        ("val_evaluator['type'] = 'CocoMetrics'", "CocoMetrics"),
        ("train_dataloader['dataset']['dataset']['type'] = 'CocoData'", "CocoData"),
        ("train_cfg['max_epochs'] = 'many'", "train_cfg.max_epochs"),
        ("train_cfg['type'] = 'IterBasedTrainLoop'", "IterBasedTrainLoop"),
        ("custom_hooks = dict(type='EMAHook')", "custom_hooks"),
    ];
    for (line, name) in cases {
        refused(&Workspace::with(line), &["tiny.py", name]);
    }
}

#[test]
fn a_change_of_a_key_on_the_command_line_that_cannot_be_read_is_named() {
    let workspace = Workspace::new();
    let outcome = workspace.train(&["train_cfg.max_epochs.deeper=1"]);
    outcome.expect_code(1);
    assert!(outcome.error().contains("train_cfg.max_epochs"), "{outcome}");
}
