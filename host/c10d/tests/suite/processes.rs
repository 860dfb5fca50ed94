//! Ranks are processes: a test starts its own program once for each, with the test's name and a variable that says which
//! rank it is. libtorch has races between the groups of one process.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use snaphook_c10d::{Group, GroupOptions, Store};

/// `rank size port`, in a process that is a rank.
const VARIABLE: &str = "SNAPHOOK_TEST_RANK";

pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// Runs `act` on each of `size` ranks; what fails on one of them fails the test. Once in a test, at its end.
pub(crate) fn on_ranks(size: usize, act: impl FnOnce(&Group)) {
    on_ranks_with(&[], size, act);
}

/// The same, with these variables in the environment of each.
pub(crate) fn on_ranks_with(variables: &[(&str, PathBuf)], size: usize, act: impl FnOnce(&Group)) {
    in_processes(variables, size, |rank, store| act(&join(&store, rank, size)));
}

/// The same, with a group of these options.
pub(crate) fn on_ranks_like(options: GroupOptions, size: usize, act: impl FnOnce(&Group)) {
    in_processes(&[], size, |rank, store| {
        act(&Group::gloo(&store, rank, size, &options).unwrap());
    });
}

/// The same, with a store that rank 0 serves and that ends with it.
pub(crate) fn on_ranks_of_rank_0(size: usize, act: impl FnOnce(Group)) {
    in_processes(&[], size, |rank, meeting| {
        let store = match rank {
            0 => {
                let server = Store::tcp_server("127.0.0.1", 0, TIMEOUT).unwrap();
                meeting.set("port", server.port().unwrap().to_string().as_bytes()).unwrap();
                server
            }
            _ => {
                let port = String::from_utf8(meeting.get("port").unwrap()).unwrap();
                Store::tcp("127.0.0.1", port.parse().unwrap(), TIMEOUT).unwrap()
            }
        };
        act(join(&store, rank, size));
    });
}

fn join(store: &Store, rank: usize, size: usize) -> Group {
    let options = GroupOptions { timeout: TIMEOUT, ..GroupOptions::loopback() };
    Group::gloo(store, rank, size, &options).unwrap()
}

/// Runs `act` in one process that forms its group by itself.
pub(crate) fn alone(act: impl FnOnce()) {
    in_processes(&[], 1, |_, _| act());
}

/// Runs `act` with the rank and a store that the test serves.
fn in_processes(variables: &[(&str, PathBuf)], size: usize, act: impl FnOnce(usize, Store)) {
    if let Ok(own) = std::env::var(VARIABLE) {
        let numbers: Vec<u16> = own.split(' ').map(|number| number.parse().unwrap()).collect();
        tch::set_num_threads(1);
        let store = Store::tcp("127.0.0.1", numbers[1], TIMEOUT).unwrap();
        return act(usize::from(numbers[0]), store);
    }
    let server = Store::tcp_server("127.0.0.1", 0, TIMEOUT).unwrap();
    let port = server.port().unwrap();
    let test = std::thread::current().name().unwrap().to_owned();
    let start = |rank: usize| {
        Command::new(std::env::current_exe().unwrap())
            .args([&test, "--exact", "--nocapture"])
            .env(VARIABLE, format!("{rank} {port}"))
            .envs(variables.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let ranks: Vec<_> = (0..size).map(start).collect();
    let ended: Vec<_> = ranks.into_iter().map(|rank| rank.wait_with_output().unwrap()).collect();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let all: Vec<String> = ended
        .iter()
        .enumerate()
        .map(|(rank, output)| {
            let (out, err) = (text(&output.stdout), text(&output.stderr));
            format!("--- rank {rank}: {}\n{out}{err}", output.status)
        })
        .collect();
    let is_fine = ended.iter().all(|output| {
        output.status.success() && text(&output.stdout).contains("test result: ok. 1 passed")
    });
    assert!(is_fine, "{}", all.join("\n"));
    // What a test could not try here is worth knowing, too.
    let not_run = ended.iter().flat_map(|output| {
        let said = text(&output.stderr);
        said.lines()
            .filter(|line| line.starts_with("not run: "))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    not_run.for_each(|line| std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap());
}
