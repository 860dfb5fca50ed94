//! A job on two machines whose network is cut: two network namespaces with a cable between them, so that no end hears
//! that the other one is gone. Needs `unshare` and `ip`, and a system that lets this user make namespaces; says so where it
//! cannot be run.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

mod launcher;

use std::process::Command;

use launcher::{Place, not_run};

/// Runs in the namespace of machine 0; machine 1 is that of a sleeping process.
const TWO_MACHINES: &str = r#"
set -e
ip link set lo up
unshare -n sleep 600 & there=$!
while [ "$(readlink /proc/$there/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
on_1() { nsenter -t $there -n "$@"; }
ip link add name va type veth peer name vb netns $there
ip addr add 10.99.0.1/24 dev va; ip link set va up
on_1 ip addr add 10.99.0.2/24 dev vb; on_1 ip link set vb up
"#;

const JOB: &str = r#"
flags="--nnodes 2 --master-addr 10.99.0.1 --peer-timeout 2 --grace 5"
rank='echo $$ > pid.$RANK; exec sleep 600'
$LAUNCHER $flags --node-rank 0 --log-dir m0 -- sh -c "$rank" 2> m0.err & first=$!
on_1 $LAUNCHER $flags --node-rank 1 --log-dir m1 -- sh -c "$rank" 2> m1.err & second=$!
while [ ! -s pid.0 -o ! -s pid.1 ]; do sleep 0.01; done
ip link set va down
set +e
wait $first; echo first $?
wait $second; echo second $?
kill $there
"#;

fn in_namespace(place: &Place, script: &str) -> Command {
    let mut command = Command::new("unshare");
    // All that it starts is gone with it.
    command.args(["--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"]);
    command.args(["--mount-proc", "sh", "-c", script]);
    command.current_dir(place.path("")).env("LAUNCHER", env!("CARGO_BIN_EXE_snaphook-launch"));
    command
}

#[test]
fn a_cut_cable_ends_the_job_on_both_machines() {
    let place = Place::new();
    let trial = in_namespace(&place, &format!("{TWO_MACHINES}\nkill $there")).output();
    match trial {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            return not_run(&format!("no network namespaces here: {}", why.trim()));
        }
        Err(error) => return not_run(&format!("no unshare here: {error}")),
    }
    let command = in_namespace(&place, &format!("{TWO_MACHINES}{JOB}"));
    let ended = place.start_command("both", command).wait();
    ended.expect(0, &[]);
    assert_eq!(ended.stdout, "first 3\nsecond 3\n");
    for (file, other) in [("m0.err", 1), ("m1.err", 0)] {
        let said = place.read(file);
        let reason = format!("the launcher of machine {other} is gone: ");
        assert!(said.contains(&reason) && said.contains("ending 1 rank"), "{said}");
    }
}
