//! The way from nothing to a hook in a running training, as the page for authors tells it: its commands are run word for
//! word, and what it shows is what is written. Knows nothing of what the hook does.

use std::path::{Path, PathBuf};
use std::process::Command;

use snaphook_tests::{Outcome, Workspace, programs, repository, start};

/// The part of the page that leads from nothing to a running hook.
fn section() -> String {
    let page = std::fs::read_to_string(repository().join("docs/plugins.md")).unwrap();
    let (_, section) = page.split_once("\n## A hook in five minutes\n").unwrap();
    section.split_once("\n## ").unwrap().0.to_owned()
}

/// All blocks of a language, in order.
fn blocks(section: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    let blocks = section.split(&opening).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// A shell where this build's `snaphook` is the one that is found, and cargo fetches nothing.
fn shell(workspace: &Workspace, folder: &Path, script: &str) -> Outcome {
    let mut command = Command::new("bash");
    set_up(workspace, &mut command);
    command.current_dir(folder).args(["-e", "-o", "pipefail", "-c", script]);
    start(command).wait()
}

fn set_up(workspace: &Workspace, command: &mut Command) {
    workspace.set_up(command);
    let home = std::env::home_dir().unwrap();
    for (name, at_home) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        let folder = std::env::var_os(name).map_or_else(|| home.join(at_home), PathBuf::from);
        command.env(name, folder);
    }
    let own = [programs().folder().to_path_buf()];
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&path))).unwrap();
    command.env("PATH", path).env("CARGO_NET_OFFLINE", "true");
}

#[test]
fn page_for_authors_leads_from_nothing_to_a_line_in_the_training_log() {
    let (workspace, section) = (Workspace::new(), section());
    let [begin, go] = <[String; 2]>::try_from(blocks(&section, "sh")).unwrap();
    shell(&workspace, workspace.path(), &begin).expect_code(0).expect_text(&["cargo test"]);
    let folder = workspace.file("check-loss");

    let [package] = <[String; 1]>::try_from(blocks(&section, "toml")).unwrap();
    let plugin_api = repository().join("plugin-api");
    let package = package.replace("/path/to/snaphook/plugin-api", plugin_api.to_str().unwrap());
    assert_eq!(workspace.read("check-loss/Cargo.toml"), package);
    let [hook] = <[String; 1]>::try_from(blocks(&section, "rust")).unwrap();
    assert_eq!(workspace.read("check-loss/src/lib.rs"), hook);
    let [line] = <[String; 1]>::try_from(blocks(&section, "python")).unwrap();
    assert!(workspace.read("check-loss/config.py").contains(line.trim()), "{line}");

    // The versions that are on this machine already, and what an earlier run of this test compiled.
    std::fs::copy(repository().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let kept = programs().target().join("author");
    std::fs::create_dir_all(&kept).unwrap();
    std::os::unix::fs::symlink(&kept, folder.join("target")).unwrap();

    // On a machine where it is the first time this takes longer than any run: without its deadline.
    for build in [&["test", "--no-run"][..], &["build", "--release"]] {
        let mut command = Command::new("cargo");
        set_up(&workspace, &mut command);
        assert!(command.args(build).current_dir(&folder).status().unwrap().success());
    }
    let outcome = shell(&workspace, &folder, &go);
    outcome.expect_code(0).expect_text(&[
        "test tests::high_loss_stops_the_run ... ok",
        "  sound",
        "INFO - CheckLossHook: loss ",
        " is within 100",
        "coco/bbox_mAP",
    ]);
}

#[test]
fn a_new_plugin_does_not_replace_what_is_there() {
    let workspace = Workspace::new();
    workspace.write("data-guard/mine.txt", "mine");
    let outcome = workspace.snaphook(["plugins", "new", "data-guard"]);
    outcome.expect_code(1).expect_error(&["data-guard: expected no such folder yet"]);
    assert_eq!(workspace.read("data-guard/mine.txt"), "mine");
    workspace.snaphook(["plugins", "new", "Data Guard"]).expect_code(1);
    let outcome =
        workspace.snaphook(["plugins", "new", "x", "--plugin-api", "data-guard", "--parent", "p"]);
    outcome.expect_code(1).expect_error(&["found no Cargo.toml in it"]);
    assert!(!workspace.file("p").exists());
}

#[test]
fn the_api_can_be_packed_as_it_would_be_published() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(repository()).args([
        "package",
        "--offline",
        "--no-verify",
        "--allow-dirty",
    ]);
    command.args(["--package", "snaphook-plugin-api-macros", "--package", "snaphook-plugin-api"]);
    command.arg("--target-dir").arg(programs().target().join("packed"));
    start(command).wait().expect_code(0);
    let packed = programs().target().join("packed/package/snaphook-plugin-api-1.0.0.crate");
    let listed = start({
        let mut tar = Command::new("tar");
        tar.arg("-tzf").arg(packed);
        tar
    });
    let files = ["include/snaphook_plugin.h", "src/abi/released-1.0.txt", "src/testing.rs"];
    listed.wait().expect_code(0).expect_text(&files);
}
