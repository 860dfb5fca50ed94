//! A plugin crate of another workspace takes part in a run of a trainer that knows nothing of it.

use std::time::SystemTime;

use snaphook_tests::{Workspace, fixture, programs};

const MARK: &str = "custom_hooks = [dict(type='MarkHook', out='mark.txt', text='x', times=2)]";
const MARKED: &str = "xx 0 1\nxx 1 2\nxx 2 3\n";

fn trainer_built_at() -> SystemTime {
    std::fs::metadata(programs().trainer()).unwrap().modified().unwrap()
}

#[test]
fn a_plugin_dropped_beside_the_config_runs_and_the_trainer_is_not_rebuilt() {
    let before = trainer_built_at();
    let workspace = Workspace::with(MARK);
    workspace.add_plugin(&fixture("mark-2024"));
    workspace.train(&[]).expect_code(0).expect_text(&["mark-2024 1.2.3"]);
    assert_eq!(workspace.read("mark.txt"), MARKED);
    assert_eq!(trainer_built_at(), before);
}

#[test]
fn a_plugin_of_edition_2021_runs_as_well() {
    let workspace = Workspace::with(MARK);
    workspace.add_plugin(&fixture("mark-2021"));
    workspace.train(&[]).expect_code(0).expect_text(&["mark-2021 1.0.1"]);
    assert_eq!(workspace.read("mark.txt"), MARKED);
}

#[test]
fn a_plugin_is_found_in_every_place_that_is_searched() {
    let library = fixture("mark-2024");
    let folder = library.parent().unwrap().to_str().unwrap();
    let listed = |workspace: &Workspace, arguments: &[&str], path: Option<&str>| {
        let mut command = workspace.command(["hooks", "list", "tiny.py"].iter().chain(arguments));
        command.envs(path.map(|path| ("SNAPHOOK_PLUGIN_PATH", path)));
        let outcome = snaphook_tests::start(command).wait();
        outcome.expect_code(0).expect_text(&["MarkHook", "mark-2024 1.2.3"]);
    };
    // The folder of all fixtures has the type twice, which the qualified spelling sorts out.
    let mark = "custom_hooks = [dict(type='mark-2024:MarkHook', out='mark.txt')]";
    listed(&Workspace::with(mark), &["--plugins", folder], None);
    listed(&Workspace::with(mark), &[], Some(folder));
    listed(&Workspace::with(&format!("{mark}\nplugin_dirs = [{folder:?}]")), &[], None);
    let at_home = Workspace::with(mark);
    at_home.write("share/snaphook/plugins/libmark.so", std::fs::read(&library).unwrap());
    listed(&at_home, &[], None);
}

#[test]
fn a_resumed_plugin_has_its_state_back() {
    let workspace = Workspace::with(MARK);
    workspace.add_plugin(&fixture("mark-2024"));
    workspace.train(&["train_cfg.max_epochs=2"]).expect_code(0);
    workspace.train(&["--resume"]).expect_code(0);
    assert_eq!(workspace.read("mark.txt"), MARKED);
}

#[test]
fn the_plugin_of_the_readme_builds_and_does_what_the_readme_says() {
    let workspace =
        Workspace::with("custom_hooks = [dict(type='LossGuardHook', limit=1000.0, interval=1)]");
    workspace.add_plugin(&fixture("loss-guard"));
    workspace.train(&["train_cfg.max_epochs=1"]).expect_code(0);
    let outcome = workspace.train(&["custom_hooks.0.limit=0.001"]);
    outcome.expect_code(3);
    assert!(outcome.error().contains("above 0.001"), "{outcome}");
}
