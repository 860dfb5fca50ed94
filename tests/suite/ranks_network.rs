//! Two ranks that train on two machines whose cable is cut: two network namespaces, so that no end hears that the other one
//! is gone. Needs `unshare`, `nsenter` and `ip`, and a system that lets this user make namespaces; says so where it cannot be
//! run.

use std::io::Write;
use std::process::Command;

use snaphook_tests::{Outcome, Workspace, fixture, programs, start};

/// Runs in the namespace of machine 0; machine 1 is that of a sleeping process. Both have a name that leads to the loopback, as
/// Debian gives it.
const TWO_MACHINES: &str = r#"
set -e
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$(hostname)" > hosts
mount --bind hosts /etc/hosts
ip link set lo up
unshare -n sleep 600 & there=$!
while [ "$(readlink /proc/$there/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
on_1() { nsenter -t $there -n "$@"; }
ip link add name va type veth peer name vb netns $there
ip addr add 10.98.0.1/24 dev va; ip link set va up
on_1 ip addr add 10.98.0.2/24 dev vb; on_1 ip link set vb up
on_1 ip link set lo up
set +e
"#;

/// A job whose ranks wait for each other so many seconds, and what happens once rank 1's hook was called at the fifth iteration.
fn job(timeout: u32, event: &str) -> String {
    format!(
        r#"{TWO_MACHINES}
export WORLD_SIZE=2 LOCAL_RANK=0 LOCAL_WORLD_SIZE=1 MASTER_ADDR=10.98.0.1 MASTER_PORT=29500
train="$SNAPHOOK train tiny.py --work-dir work env_cfg.dist_cfg.timeout={timeout} train_cfg.max_epochs=5000 train_cfg.val_interval=10000"
RANK=0 $train > 0.out 2> 0.err & first=$!
RANK=1 on_1 $train > 1.out 2> 1.err & second=$!
until grep -qs 'called at iteration 5' work/*/*_rank1.log; do
  kill -0 $first && kill -0 $second || break
  sleep 0.02
done
{event}
date +%s > cut
wait $first; echo first $?
wait $second; echo second $?
date +%s > over
"#
    )
}

/// The kernel gives a connection up on which nothing comes back for some seconds, and not for a quarter of an hour.
const GIVES_UP_SOON: &str = "echo 4 > /proc/sys/net/ipv4/tcp_retries2";

/// All that it starts is gone with it.
fn in_namespace(workspace: &Workspace, script: &str) -> Command {
    let mut command = Command::new("unshare");
    workspace.set_up(&mut command);
    command.args(["--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"]);
    command.args(["--mount-proc", "sh", "-c", script]).env("SNAPHOOK", programs().snaphook());
    command
}

/// Whether this script can be run; says so where it cannot.
fn can_run(workspace: &Workspace, script: &str) -> bool {
    let trial = in_namespace(workspace, script).output();
    let trial =
        trial.map(|output| (output.status, String::from_utf8_lossy(&output.stderr).into_owned()));
    let is_fine = matches!(&trial, Ok((status, _)) if status.success());
    if !is_fine {
        let line = format!("not run: no network namespaces here: {trial:?}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    is_fine
}

fn slow() -> Workspace {
    let hook = "custom_hooks = [dict(type='StumbleHook', how='slow', at_iter=0)]";
    let workspace = Workspace::with(hook);
    workspace.add_plugin(&fixture("stumble"));
    workspace
}

/// Both ranks have ended, and each names the other one.
#[track_caller]
fn expect_lost(workspace: &Workspace, ended: &Outcome) {
    let said = |rank: u8| workspace.read(&format!("{rank}.err"));
    assert_eq!(ended.stdout, "first 3\nsecond 3\n", "{ended}\n{}\n{}", said(0), said(1));
    for (rank, other) in [(0, 1), (1, 0)] {
        let error = said(rank);
        let gone = format!("error: tiny.py: rank {other} is gone or does not answer: ");
        let place = format!("(rank {rank}, training, epoch ");
        for part in [gone.as_str(), place.as_str(), ", iteration ", ", last hook point "] {
            assert!(error.contains(part), "expected {part}: {error}");
        }
    }
}

#[test]
fn a_cut_cable_between_ranks_ends_both_within_the_timeout() {
    let workspace = slow();
    if !can_run(&workspace, TWO_MACHINES) {
        return;
    }
    let ended = start(in_namespace(&workspace, &job(6, "ip link set va down"))).wait();
    expect_lost(&workspace, &ended);
    let seconds = |name: &str| workspace.read(name).trim().parse::<u64>().unwrap();
    // The timeout of six seconds, and up to ten for the words of others, on a machine that does other things as well.
    assert!(seconds("over") - seconds("cut") < 40);
}

#[test]
fn a_machine_of_which_the_kernel_says_that_there_is_no_way_to_it_is_named() {
    let workspace = slow();
    let setting = format!("{TWO_MACHINES}set -e\n{GIVES_UP_SOON}\non_1 sh -c '{GIVES_UP_SOON}'");
    if !can_run(&workspace, &setting) {
        return;
    }
    let event = format!(
        "{GIVES_UP_SOON}\non_1 sh -c '{GIVES_UP_SOON}'\n\
         on_1 ip addr add 10.98.7.2/24 dev vb; on_1 ip addr del 10.98.0.2/24 dev vb; ip neigh flush dev va"
    );
    // The kernel tells a rank that has sent something; one that only waits is left to its timeout.
    let ended = start(in_namespace(&workspace, &job(20, &event))).wait();
    expect_lost(&workspace, &ended);
}
