//! What the trainer is told of its place in a job, whoever started it. One test only: programs that are written here and
//! started at once must not meet the forks of other tests.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Writes down its place and its arguments; ends with 3 where it is told to fail.
const TRAINER: &str = "#!/bin/sh
echo \"$RANK/$WORLD_SIZE $LOCAL_RANK/$LOCAL_WORLD_SIZE $MASTER_ADDR:$MASTER_PORT $*\"
[ \"$RANK\" != \"$FAILING\" ] || { echo 'error: no such picture' >&2; exit 3; }
";

/// SIGHUP, SIGINT, SIGUSR1, SIGUSR2 and SIGTERM.
const HEARD: u64 = 1 | 1 << 1 | 1 << 9 | 1 << 11 | 1 << 14;

/// The signals that wait, by a line of `/proc`.
fn blocked(line: &str) -> u64 {
    u64::from_str_radix(line.trim_start_matches("SigBlk:").trim(), 16).unwrap()
}

/// Exit code, stdout and stderr with these variables and no others that matter.
fn run(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(folder.join("snaphook"));
    command.args(arguments).current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin");
    command.env("XDG_DATA_HOME", folder.join("data")).env("FAILING", "none");
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_trainer_is_told_its_place_in_torchrun_s_words() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::copy(env!("CARGO_BIN_EXE_snaphook"), folder.join("snaphook")).unwrap();
    std::fs::write(folder.join("a.py"), "lr = 0.1").unwrap();
    let trainer = folder.join("snaphook-trainer");
    std::fs::write(&trainer, TRAINER).unwrap();
    std::fs::set_permissions(&trainer, std::fs::Permissions::from_mode(0o755)).unwrap();

    let (code, alone, _) = run(folder, &[], &["train", "a.py"]);
    assert_eq!((code, alone.as_str()), (0, "/ / : train a.py\n"));

    let slurm = [
        ("SLURM_JOB_ID", "7"),
        ("SLURM_STEP_ID", "0"),
        ("SLURM_PROCID", "3"),
        ("SLURM_LOCALID", "1"),
        ("SLURM_NODEID", "1"),
        ("SLURM_NTASKS", "4"),
        ("SLURM_TASKS_PER_NODE", "2(x2)"),
        ("SLURM_NODELIST", "n[09-10]"),
        ("MASTER_PORT", "29501"),
    ];
    for flags in [&["train", "a.py"][..], &["train", "a.py", "--launcher", "slurm"]] {
        let (code, told, stderr) = run(folder, &slurm, flags);
        assert_eq!(code, 0, "{stderr}");
        assert!(told.starts_with("3/4 1/2 n09:29501 train a.py"), "{told}");
    }
    let (_, told, _) = run(folder, &slurm, &["train", "a.py", "--launcher", "none"]);
    assert!(told.starts_with("/ / :29501 train"), "{told}");

    for (rank, is_told) in [("0", true), ("1", false)] {
        let mpi = [
            ("OMPI_COMM_WORLD_RANK", rank),
            ("OMPI_COMM_WORLD_SIZE", "2"),
            ("OMPI_COMM_WORLD_LOCAL_RANK", rank),
            ("OMPI_COMM_WORLD_LOCAL_SIZE", "2"),
        ];
        let (_, told, stderr) = run(folder, &mpi, &["train", "a.py", "--launcher", "mpi"]);
        assert!(told.starts_with(&format!("{rank}/2 {rank}/2 127.0.0.1:29500")), "{told}");
        // Once for all ranks.
        assert_eq!(stderr.contains("MASTER_PORT is not set"), is_told, "{stderr}");
    }

    // torch.distributed.launch of old: the number on the machine is an argument.
    let old = [("RANK", "3"), ("WORLD_SIZE", "4"), ("MASTER_ADDR", "m"), ("MASTER_PORT", "1")];
    let (_, told, stderr) = run(folder, &old, &["train", "a.py", "--local_rank=1"]);
    assert!(told.starts_with("3/4 1/ m:1") && stderr.is_empty(), "{told}{stderr}");

    let (code, _, stderr) = run(folder, &[("RANK", "1")], &["train", "a.py"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("WORLD_SIZE, MASTER_ADDR and MASTER_PORT"), "{stderr}");
    let (code, _, stderr) = run(folder, &[], &["train", "a.py", "--launcher", "slurm"]);
    assert!(code == 1 && stderr.contains("start with srun"), "{stderr}");

    let launch = ["launch", "--nproc-per-node", "2", "--tee", "1", "train", "a.py", "lr=1"];
    let (code, told, stderr) = run(folder, &[], &launch);
    assert_eq!(code, 0, "{stderr}");
    for rank in 0..2 {
        let line = format!("[rank {rank}] {rank}/2 {rank}/2 127.0.0.1:");
        assert!(told.contains(&line) && told.contains("train a.py lr=1"), "{told}");
    }
    let (code, _, stderr) = run(folder, &[("FAILING", "1")], &launch);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("rank 1 ended with exit code 3"), "{stderr}");
    // A trainer unblocks the signals that it hears; other programs do not know of any. Shells unblock all when they start.
    let shows_mask = "#!/usr/bin/env -S grep -hs ^SigBlk /proc/self/status\n";
    std::fs::write(&trainer, shows_mask).unwrap();
    let (_, told, _) = run(folder, &[], &["launch", "train", "a.py"]);
    assert_eq!(blocked(&told) & HEARD, HEARD, "{told}");
    let other = ["launch", "grep", "SigBlk", "/proc/self/status"];
    let (_, told, _) = run(folder, &[], &other);
    assert_eq!(blocked(&told) & HEARD, 0, "{told}");

    let (code, _, stderr) = run(folder, &[], &["launch", "--nnodes", "2", "train", "a.py"]);
    assert!(code == 2 && stderr.contains("--node-rank"), "{stderr}");
}
