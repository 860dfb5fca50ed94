//! How `snaphook train` becomes the trainer. One test only: programs that are written here and started at
//! once must not meet the forks of other tests.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn train(program: &Path, arguments: &[&str]) -> Output {
    let folder = program.parent().unwrap();
    let mut command = Command::new(program);
    command.arg("train").arg("a.py").args(arguments).current_dir(folder);
    command.env("XDG_DATA_HOME", folder.join("data")).env("PATH", "/usr/bin:/bin");
    command.output().unwrap()
}

#[test]
fn the_trainer_beside_the_program_gets_the_arguments_and_gives_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("snaphook");
    std::fs::copy(env!("CARGO_BIN_EXE_snaphook"), &program).unwrap();
    std::fs::write(folder.path().join("a.py"), "lr = 0.1").unwrap();

    let missing = train(&program, &[]);
    let text = String::from_utf8(missing.stderr).unwrap();
    assert_eq!(missing.status.code(), Some(1), "{text}");
    assert!(text.contains("cargo build --release -p snaphook-trainer"), "{text}");

    let trainer = folder.path().join("snaphook-trainer");
    std::fs::write(&trainer, "#!/bin/sh\necho \"$@\"\nexit 75\n").unwrap();
    std::fs::set_permissions(&trainer, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = train(&program, &["--work-dir", "w", "--cfg-options", "lr=1", "x=2"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, "train a.py --work-dir w --cfg-options lr=1 x=2\n");
    assert_eq!(output.status.code(), Some(75));

    std::fs::write(&trainer, "#!/bin/sh\nkill -KILL $$\n").unwrap();
    let killed = train(&program, &[]).status;
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&killed), Some(9));

    std::fs::set_permissions(&trainer, std::fs::Permissions::from_mode(0o644)).unwrap();
    let text = String::from_utf8(train(&program, &[]).stderr).unwrap();
    assert!(text.contains("snaphook-trainer: expected a program that starts"), "{text}");
    assert!(text.contains("caused by:"), "{text}");
}
