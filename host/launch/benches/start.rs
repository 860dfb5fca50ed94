//! What the launcher adds to the start and the end of ranks: the same shell command as ranks of a job, and started directly,
//! in turns. `cargo bench -p snaphook-launch --bench start`; prints milliseconds.

use std::process::{Child, Command, Stdio};
use std::time::Instant;

const ROUNDS: usize = 9;
/// The limit, in milliseconds a rank.
const LIMIT: f64 = 300.0;

fn main() {
    let folder = std::env::temp_dir().join(format!("snaphook-launch-bench-{}", std::process::id()));
    println!("ranks  directly  launched  more a rank (median of {ROUNDS}, ms; limit {LIMIT})");
    for ranks in [1, 2, 8, 32] {
        let (mut direct, mut launched) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            direct.push(time(|| directly(ranks)));
            let logs = folder.join(format!("{ranks}_{round}"));
            launched.push(time(|| through_the_launcher(ranks, &logs)));
        }
        let (direct, launched) = (median(direct), median(launched));
        let more = (launched - direct) / f64::from(ranks);
        let verdict = if more < LIMIT { "" } else { "  ABOVE THE LIMIT" };
        println!("{ranks:>5}  {direct:>8.1}  {launched:>8.1}  {more:>8.2}{verdict}");
    }
    let _ = std::fs::remove_dir_all(folder);
}

fn time(run: impl FnOnce()) -> f64 {
    let began = Instant::now();
    run();
    1e3 * began.elapsed().as_secs_f64()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

fn directly(ranks: u32) {
    let start = |_| quiet(Command::new("sh").args(["-c", ":"])).spawn().expect("a shell");
    let children: Vec<Child> = (0..ranks).map(start).collect();
    for mut child in children {
        child.wait().expect("a child that can be waited for");
    }
}

fn through_the_launcher(ranks: u32, logs: &std::path::Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snaphook-launch"));
    command.args(["--standalone", "--nproc-per-node", &ranks.to_string(), "--log-dir"]).arg(logs);
    command.args(["--", "sh", "-c", ":"]);
    let status = quiet(&mut command).status().expect("the launcher");
    assert!(status.success(), "the launcher ended with {status}");
}
