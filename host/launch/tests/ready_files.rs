//! The ready files of `docs/`: what they would start is started here, with the environment that SLURM and Kubernetes would
//! set, and a program in Snaphook's place that writes down what it is told.

#![allow(clippy::unwrap_used)] // outside #[test] functions, too

mod launcher;

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use clap::Parser;
use launcher::{Ended, Place, Running, documents, manifests, until};
use serde_json::Value as Json;
use snaphook_launch::{Contract, LaunchArguments, LaunchPlan, Launcher, Variables};

/// Writes a script into `bin/` of the folder.
fn program(place: &Place, name: &str, script: &str) {
    let folder = place.path("bin");
    std::fs::create_dir_all(&folder).unwrap();
    // Copied by another process: what this one holds open for writing, a child that another test forks just then holds open
    // as well, and such a file cannot be executed ("text file busy").
    let (draft, path) = (folder.join(format!("{name}.draft")), folder.join(name));
    std::fs::write(&draft, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(Command::new("cp").arg(&draft).arg(&path).status().unwrap().success());
    std::fs::remove_file(draft).unwrap();
}

/// Runs the tasks of a step side by side, each with what srun would set; ends with the highest code.
const SRUN: &str = r#"
echo "srun $*" >> calls
while case $1 in --*) true;; *) false;; esac; do shift; done
rank=0; tasks=
for node in 0 1; do for local in $(seq 0 $((TASKS_PER_NODE - 1))); do
  SLURM_PROCID=$rank SLURM_LOCALID=$local SLURM_NODEID=$node SLURM_STEP_ID=0 SLURM_STEP_NODELIST=$SLURM_NODELIST \
  SLURM_NTASKS=$((2 * TASKS_PER_NODE)) SLURM_STEP_NUM_TASKS=$((2 * TASKS_PER_NODE)) \
  SLURM_STEP_TASKS_PER_NODE="$TASKS_PER_NODE(x2)" "$@" &
  tasks="$tasks $!"; rank=$((rank + 1))
done; done
worst=0
for task in $tasks; do wait $task; code=$?; [ $code -gt $worst ] && worst=$code; done
exit $worst
"#;

/// A batch script as SLURM would start it on two machines.
struct Batch<'a> {
    script: &'a str,
    job: u32,
    tasks_per_node: u32,
    machines: &'a str,
    /// What each task runs in Snaphook's place.
    task: &'a str,
}

impl Batch<'_> {
    fn start(&self, place: &Place) -> Running {
        program(place, "srun", SRUN);
        program(place, "scontrol", "echo \"scontrol $*\" >> calls");
        program(place, "snaphook", self.task);
        let mut command = Command::new("bash");
        command.arg(documents().join(self.script)).args(["my config.py", "train_cfg.max_epochs=3"]);
        let path = std::env::var("PATH").unwrap();
        command.env_clear().env("PATH", format!("{}:{path}", place.path("bin").display()));
        command.env("SLURM_JOB_ID", self.job.to_string()).env("SLURM_NODELIST", self.machines);
        command.env("SLURM_JOB_NUM_NODES", "2").env("SLURM_CPUS_PER_TASK", "32");
        command.env("TASKS_PER_NODE", self.tasks_per_node.to_string());
        // As whoever submits a job may have it, for another program.
        command.env("PORT", "8080");
        place.start_command("batch", command)
    }
}

/// Runs a batch script whose tasks write down what they are told; `code` is what each ends with.
fn batch(place: &Place, script: &str, tasks_per_node: u32, code: u8) -> Ended {
    let words = "echo \"$*\" > words.$SLURM_PROCID; env > env.$SLURM_PROCID";
    let task = format!("{words}; exit {code}");
    let (job, machines) = (4711, "gpu[08-09]");
    Batch { script, job, tasks_per_node, machines, task: &task }.start(place).wait()
}

fn environment(place: &Place, task: u32) -> Variables {
    let text = place.read(&format!("env.{task}"));
    Variables::of_pairs(text.lines().filter_map(|line| line.split_once('=')))
}

/// What the launcher of a machine was told.
fn launcher_plan(place: &Place, machine: u32) -> LaunchPlan {
    let words = place.read(&format!("words.{machine}"));
    plan(words.split_whitespace(), &environment(place, machine))
}

#[test]
fn batch_scripts_are_sound() {
    for script in ["slurm/train.sbatch", "slurm/launch.sbatch"] {
        let path = documents().join(script);
        let checked = Command::new("bash").arg("-n").arg(&path).output().unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("#!/bin/bash\n"), "{script}");
        // SLURM reads its lines up to the first command.
        let first_command =
            text.lines().position(|line| !line.starts_with('#') && !line.is_empty()).unwrap();
        let is_directive = |line: &&str| line.starts_with("#SBATCH ");
        assert!(!text.lines().skip(first_command).any(|line| is_directive(&line)), "{script}");
        for flag in ["--nodes=", "--ntasks-per-node=", "--signal=USR1@", "--requeue", "--time="] {
            assert!(text.lines().filter(is_directive).any(|line| line.contains(flag)), "{flag}");
        }
    }
}

#[test]
fn tasks_of_the_batch_script_know_their_ranks() {
    let place = Place::new();
    batch(&place, "slurm/train.sbatch", 4, 0).expect(0, &[]);
    for task in 0..8 {
        let words = place.read(&format!("words.{task}"));
        let expected = "train my config.py --launcher slurm --work-dir work_dirs/slurm-4711 \
            train_cfg.max_epochs=3 --resume\n";
        assert_eq!(words, expected);
        let contract = Contract::read(Some(Launcher::Slurm), &environment(&place, task)).unwrap();
        let found = contract.place.unwrap();
        assert_eq!((found.rank, found.local_rank, found.world_size), (task, task % 4, 8));
        assert_eq!((found.master_addr.as_str(), found.local_world_size), ("gpu08", Some(4)));
        assert_eq!(environment(&place, task).get("OMP_NUM_THREADS"), Some("32"), "all of its CPUs");
    }
    let calls = place.read("calls");
    assert!(!calls.contains("scontrol"), "{calls}");
    assert!(calls.starts_with("srun --export=ALL "), "also after sbatch --export=NONE: {calls}");
}

#[test]
fn a_batch_script_goes_back_to_the_queue_when_its_tasks_saved_and_only_then() {
    for script in ["slurm/train.sbatch", "slurm/launch.sbatch"] {
        for (code, is_requeued) in [(75, true), (3, false), (143, false)] {
            let place = Place::new();
            batch(&place, script, 1, code).expect(code.into(), &[]);
            let requeued = place.read("calls").contains("scontrol requeue 4711");
            assert_eq!(requeued, is_requeued, "{script} {code}");
        }
    }
}

#[test]
fn launchers_of_the_batch_script_know_their_machines() {
    let place = Place::new();
    batch(&place, "slurm/launch.sbatch", 1, 0).expect(0, &[]);
    for machine in 0..2 {
        let plan = launcher_plan(&place, machine);
        assert_eq!((plan.nnodes, plan.node_rank, plan.ranks_here), (2, machine, 4));
        assert_eq!(plan.master.to_string(), "gpu08:29200");
        assert_eq!(plan.max_restarts, 3);
        assert_eq!(plan.program, "train");
        assert!(!plan.sets_threads);
        let threads = environment(&place, machine).get("OMP_NUM_THREADS").map(str::to_owned);
        assert_eq!(threads.as_deref(), Some("8"), "four ranks share 32 CPUs");
    }
}

#[test]
fn two_jobs_with_neighbouring_numbers_share_a_machine() {
    let number = number_with_free_ports();
    let jobs = [Place::new(), Place::new()];
    let launcher = format!("shift; exec {} \"$@\"", env!("CARGO_BIN_EXE_snaphook-launch"));
    let start = |place: &Place, job: u32| {
        // Ranks end when they are told to, or their folder is gone.
        let rank = "echo $MASTER_PORT > port.$RANK; until [ -e go ] || [ ! -e calls ]; do sleep 0.02; done";
        program(place, "train", rank);
        let (script, machines) = ("slurm/launch.sbatch", "127.0.0.[1-2]");
        Batch { script, job, tasks_per_node: 1, machines, task: &launcher }.start(place)
    };
    let first = start(&jobs[0], number);
    let port = jobs[0].process("port.0");
    // In rank 0's place.
    let _store = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port as u16)).unwrap();
    let second = start(&jobs[1], number + 1);
    until("ranks of the second job, or its end", || {
        jobs[1].path("port.7").is_file() || second.stderr().contains("error: ")
    });
    for place in &jobs {
        std::fs::write(place.path("go"), "").unwrap();
    }
    second.wait().expect(0, &[]);
    first.wait().expect(0, &[]);
}

/// A job's number such that nobody listens at its ports and those of the next one.
fn number_with_free_ports() -> u32 {
    let is_free = |port: u32| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port as u16)).is_ok();
    let ports = |job: u32| 20_000 + job % 1187 * 8..20_000 + job % 1187 * 8 + 16;
    // Another process that runs this test begins with other jobs.
    let mut numbers = (2 * std::process::id()..).step_by(2);
    // The last block is not before the first one.
    numbers.find(|job| job % 1187 < 1186 && ports(*job).all(is_free)).unwrap()
}

#[test]
fn ports_of_the_batch_script_are_those_that_follow_from_the_job() {
    let place = Place::new();
    batch(&place, "slurm/train.sbatch", 4, 0).expect(0, &[]);
    let contract = Contract::read(Some(Launcher::Slurm), &environment(&place, 5)).unwrap();
    batch(&place, "slurm/launch.sbatch", 1, 0).expect(0, &[]);
    let port = launcher_plan(&place, 0).master.port;
    assert_eq!(Some(port), contract.place.map(|place| place.master_port));
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    flags: LaunchArguments,
}

/// The plan of a line that begins with `launch`.
fn plan<'a>(words: impl Iterator<Item = &'a str>, variables: &Variables) -> LaunchPlan {
    let flags = Line::try_parse_from(words).unwrap().flags;
    let command = (flags.program[0].clone(), flags.program[1..].to_vec());
    LaunchPlan::new(&flags, variables, command, "logs".into()).unwrap()
}

/// What every pod template must have.
#[track_caller]
fn container(template: &Json) -> (Vec<String>, Vec<(String, String)>) {
    let spec = &template["spec"];
    let containers = spec["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    let container = &containers[0];
    assert!(container["image"].is_string());
    assert_eq!(container["command"], serde_json::json!(["snaphook"]));
    assert!(container["resources"]["limits"]["cpu"].as_u64().unwrap() > 0);
    let volumes: Vec<&Json> =
        spec["volumes"].as_array().unwrap().iter().map(|v| &v["name"]).collect();
    for mount in container["volumeMounts"].as_array().unwrap() {
        assert!(volumes.contains(&&mount["name"]), "{mount}");
        assert!(mount["mountPath"].as_str().unwrap().starts_with('/'));
    }
    assert!(spec["terminationGracePeriodSeconds"].as_u64().unwrap() > 30, "time to save");
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    let arguments = container["args"].as_array().unwrap().iter().map(text).collect();
    let environment = container["env"].as_array().into_iter().flatten();
    let environment =
        environment.map(|entry| (text(&entry["name"]), text(&entry["value"]))).collect();
    (arguments, environment)
}

fn cpus(template: &Json) -> u64 {
    template["spec"]["containers"][0]["resources"]["limits"]["cpu"].as_u64().unwrap()
}

/// What the Job's controller does with a pod: the action of the first rule that fits, or `None` for one that counts.
fn action<'a>(job: &'a Json, condition: Option<&str>, code: u64) -> Option<&'a str> {
    let rules = job["spec"]["podFailurePolicy"]["rules"].as_array().unwrap();
    let fits = |rule: &&Json| {
        let codes = &rule["onExitCodes"];
        let conditions = rule["onPodConditions"].as_array();
        let has_code = codes["values"].as_array().is_some_and(|all| all.contains(&code.into()));
        if codes.is_object() {
            assert_eq!(
                (&codes["operator"], &codes["containerName"]),
                (&"In".into(), &"train".into())
            );
        }
        let mut conditions = conditions.into_iter().flatten();
        has_code || conditions.any(|one| condition.is_some() && one["type"].as_str() == condition)
    };
    rules.iter().find(fits).and_then(|rule| rule["action"].as_str())
}

/// The image finds its libraries, and has the program of the manifests where the system looks for programs.
#[test]
fn the_image_has_programs_and_libraries_where_they_are_looked_for() {
    let text = std::fs::read_to_string(documents().join("kubernetes/Dockerfile")).unwrap();
    let folder = |from: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("COPY {from} ")));
        line.unwrap().trim_end_matches('/')
    };
    assert_eq!(folder("bin/"), "/usr/local/bin");
    assert_eq!(folder("plugins/"), "/usr/local/lib/snaphook/plugins", "beside the program");
    assert!(text.contains(&format!("\nENV LD_LIBRARY_PATH={}\n", folder("lib/"))), "{text}");
}

#[test]
fn pods_that_were_evicted_or_saved_count_for_nothing_and_wrong_configs_end_the_job() {
    let job = manifests("indexed-job.yaml").remove(1);
    assert_eq!(job["spec"]["template"]["spec"]["containers"][0]["name"], "train");
    for code in [1, 3, 75, 137] {
        assert_eq!(action(&job, Some("DisruptionTarget"), code), Some("Ignore"), "{code}");
    }
    assert_eq!(action(&job, None, 75), Some("Ignore"));
    assert_eq!([1, 2].map(|code| action(&job, None, code)), [Some("FailJob"); 2]);
    assert_eq!([3, 137, 143].map(|code| action(&job, None, code)), [None; 3]);
}

#[test]
fn pods_of_the_indexed_job_know_their_machines() {
    let [service, job] = manifests("indexed-job.yaml").try_into().unwrap();
    assert_eq!((&service["apiVersion"], &service["kind"]), (&"v1".into(), &"Service".into()));
    assert_eq!(service["spec"]["clusterIP"], "None");
    assert_eq!((&job["apiVersion"], &job["kind"]), (&"batch/v1".into(), &"Job".into()));
    let spec = &job["spec"];
    assert_eq!(spec["completionMode"], "Indexed");
    assert_eq!(spec["completions"], spec["parallelism"], "all machines run at once");
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["restartPolicy"], "Never", "podFailurePolicy asks for it");
    // Pod 0 is called JOB-0.SUBDOMAIN, if the service selects it.
    let (name, subdomain) =
        (job["metadata"]["name"].as_str().unwrap(), pod["subdomain"].as_str().unwrap());
    assert_eq!(service["metadata"]["name"], subdomain);
    assert_eq!(service["spec"]["selector"], spec["template"]["metadata"]["labels"]);
    let (arguments, environment) = container(&spec["template"]);
    let machines = spec["completions"].as_u64().unwrap() as u32;
    let threads = environment.iter().find(|(name, _)| name == "OMP_NUM_THREADS").unwrap();
    assert_eq!(threads.1, (cpus(&spec["template"]) / 4).to_string());
    for index in 0..machines {
        let mut all = environment.clone();
        all.push(("JOB_COMPLETION_INDEX".to_owned(), index.to_string()));
        let pairs = all.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let plan = plan(arguments.iter().map(String::as_str), &Variables::of_pairs(pairs));
        assert_eq!((plan.nnodes, plan.node_rank), (machines, index));
        assert_eq!(plan.master.to_string(), format!("{name}-0.{subdomain}:29500"));
        assert!(plan.arguments.iter().any(|word| word == "--resume"));
    }
}

#[test]
fn pods_of_the_pytorchjob_know_their_machines() {
    let [job] = manifests("pytorchjob.yaml").try_into().unwrap();
    assert_eq!(
        (&job["apiVersion"], &job["kind"]),
        (&"kubeflow.org/v1".into(), &"PyTorchJob".into())
    );
    let replicas = &job["spec"]["pytorchReplicaSpecs"];
    let count = |role: &str| replicas[role]["replicas"].as_u64().unwrap() as u32;
    assert_eq!(count("Master"), 1, "the operator takes one master");
    let machines = 1 + count("Worker");
    for machine in 0..machines {
        let role = if machine == 0 { "Master" } else { "Worker" };
        let template = &replicas[role]["template"];
        assert_eq!(
            template["spec"]["containers"][0]["name"], "pytorch",
            "the operator looks for it"
        );
        let (arguments, environment) = container(template);
        let names: Vec<&str> = environment.iter().map(|(name, _)| name.as_str()).collect();
        let ours = ["OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"];
        assert_eq!(names, ours, "the operator says the rest");
        assert_eq!(environment[0].1, (cpus(template) / 4).to_string());
        // What the operator sets for each pod.
        let (nnodes, node_rank) = (machines.to_string(), machine.to_string());
        let set = [
            ("PET_NPROC_PER_NODE", job["spec"]["nprocPerNode"].as_str().unwrap()),
            ("PET_NNODES", &nnodes),
            ("PET_NODE_RANK", &node_rank),
            ("PET_MASTER_ADDR", "snaphook-master-0"),
            ("PET_MASTER_PORT", "23456"),
            ("MASTER_ADDR", "snaphook-master-0"),
            ("MASTER_PORT", "23456"),
            ("WORLD_SIZE", "8"),
            ("RANK", &node_rank),
        ];
        let plan = plan(arguments.iter().map(String::as_str), &Variables::of_pairs(set));
        assert_eq!((plan.nnodes, plan.node_rank, plan.ranks_here), (machines, machine, 4));
        assert_eq!(plan.master.to_string(), "snaphook-master-0:23456");
    }
}
