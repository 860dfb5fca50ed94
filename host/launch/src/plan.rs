//! What the command line and the environment ask for together, as one value. Knows nothing of processes.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::arguments::{MACHINES, machines};
use crate::contract::{NODE_LISTS, first_machine};
use crate::endpoint::USUAL_PORT;
use crate::{
    Endpoint, LaunchArguments, LaunchError, Processes, Redirection, Stream, Variables, devices,
};

/// A job as it is to be run on this machine.
#[derive(Clone, Debug)]
pub struct LaunchPlan {
    /// What each rank runs.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Ranks on this machine.
    pub ranks_here: u32,
    /// Machines.
    pub nnodes: u32,
    /// Number of this machine.
    pub node_rank: u32,
    /// Where machine 0 is met.
    pub master: Endpoint,
    /// How often the job is started again.
    pub max_restarts: u32,
    /// Where the output of ranks goes.
    pub log_dir: PathBuf,
    /// What of it is shown.
    pub shown: Shown,
    /// How long anything may take.
    pub patience: Patience,
    /// Whether ranks get `OMP_NUM_THREADS=1`, as nobody said otherwise.
    pub sets_threads: bool,
}

/// What of the ranks' output is shown on the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Streams that are shown.
    pub tee: Redirection,
    /// Streams that are not, even so.
    pub hidden: Redirection,
    /// Whether each line begins with its rank.
    pub has_prefix: bool,
}

/// How long anything may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patience {
    /// For ranks to end after another one failed.
    pub grace: Duration,
    /// Without progress, until the odd rank is named.
    pub hang_warning: Duration,
    /// Without progress, until the job is ended.
    pub hang_timeout: Duration,
    /// For all machines to arrive.
    pub join: Duration,
    /// Without a word of another machine's launcher, until that machine counts as gone.
    pub peers: Duration,
}

impl LaunchPlan {
    /// Flags win over torchrun's `PET_…` variables, these over those of MMDetection's `dist_train.sh` (`NNODES`,
    /// `NODE_RANK`, `PORT` before `MASTER_PORT`, `MASTER_ADDR`), these over what SLURM and Kubernetes say of this machine. `program` and
    /// `arguments` are what each rank runs; `log_dir` is where their output goes unless a flag says otherwise.
    ///
    /// Errors: values that cannot be used, or that do not fit together.
    pub fn new(
        flags: &LaunchArguments,
        variables: &Variables,
        (program, arguments): (OsString, Vec<OsString>),
        log_dir: PathBuf,
    ) -> Result<LaunchPlan, LaunchError> {
        let machines = Machines::of(flags, variables)?;
        let asked = match flags.nproc_per_node {
            Some(asked) => asked,
            None => processes(variables)?,
        };
        let ranks_here = devices::count(asked, variables)?;
        let seconds = Duration::from_secs_f64;
        Ok(LaunchPlan {
            program,
            arguments,
            ranks_here,
            nnodes: machines.nnodes,
            node_rank: machines.node_rank,
            master: machines.master,
            max_restarts: flags.max_restarts,
            log_dir: flags.log_dir.clone().unwrap_or(log_dir),
            shown: Shown::of(flags),
            patience: Patience {
                grace: seconds(flags.grace),
                hang_warning: seconds(flags.hang_warning.min(flags.hang_timeout)),
                hang_timeout: seconds(flags.hang_timeout),
                join: seconds(flags.join_timeout),
                peers: seconds(flags.peer_timeout),
            },
            sets_threads: ranks_here > 1 && variables.get("OMP_NUM_THREADS").is_none(),
        })
    }
}

impl Shown {
    /// Whether this stream of this local rank is shown.
    pub fn shows(&self, local_rank: u32, stream: Stream) -> bool {
        self.tee.has(local_rank, stream) && !self.hidden.has(local_rank, stream)
    }

    fn of(flags: &LaunchArguments) -> Shown {
        let hidden = flags.redirects.clone().unwrap_or_default();
        match (&flags.tee, &flags.redirects) {
            (Some(tee), _) => Shown { tee: tee.clone(), hidden, has_prefix: true },
            (None, Some(_)) => Shown { tee: Redirection::all(), hidden, has_prefix: true },
            (None, None) => Shown { tee: Redirection::of_rank(0), hidden, has_prefix: false },
        }
    }
}

/// Which machines, and which one this is.
struct Machines {
    nnodes: u32,
    node_rank: u32,
    master: Endpoint,
}

impl Machines {
    fn of(flags: &LaunchArguments, variables: &Variables) -> Result<Machines, LaunchError> {
        let port = port(flags, variables)?;
        if flags.standalone {
            let master = Endpoint { host: "127.0.0.1".to_owned(), port };
            return Ok(Machines { nnodes: 1, node_rank: 0, master });
        }
        let number = |names: &[&'static str]| number(variables, names);
        let nnodes = match flags.nnodes {
            Some(nnodes) => nnodes,
            None => machines_told(variables)?.unwrap_or(1),
        };
        let is_first = matches!(flags.node_rank, None | Some(0));
        if nnodes == 1 && is_first {
            // What a batch system says of a larger allocation is not about this job.
            let host = host(flags, variables).unwrap_or_else(|| "127.0.0.1".to_owned());
            return Ok(Machines { nnodes, node_rank: 0, master: Endpoint { host, port } });
        }
        let ranks = ["PET_NODE_RANK", "NODE_RANK", "SLURM_NODEID", "JOB_COMPLETION_INDEX"];
        let node_rank = flags.node_rank.map_or_else(|| number(&ranks), |rank| Ok(Some(rank)))?;
        let node_rank = node_rank.ok_or(LaunchError::NoNodeRank { nnodes })?;
        if node_rank >= nnodes {
            return Err(LaunchError::NodeRank { node_rank, nnodes });
        }
        let host = match host(flags, variables) {
            Some(host) => Some(host),
            None => first_of_slurm(variables)?,
        };
        let host = host.ok_or(LaunchError::NoMaster { nnodes })?;
        Ok(Machines { nnodes, node_rank, master: Endpoint { host, port } })
    }
}

/// What the environment says of the number of machines.
fn machines_told(variables: &Variables) -> Result<Option<u32>, LaunchError> {
    let names = ["PET_NNODES", "NNODES"];
    let told = names.into_iter().find_map(|name| Some((name, variables.get(name)?)));
    told.map(|(name, value)| {
        let wrong = |_| LaunchError::Variable { name, expected: MACHINES, value: value.to_owned() };
        machines(value).map_err(wrong)
    })
    .transpose()
}

fn first_of_slurm(variables: &Variables) -> Result<Option<String>, LaunchError> {
    let Some(name) = NODE_LISTS.into_iter().find(|name| variables.get(name).is_some()) else {
        return Ok(None);
    };
    let found = first_machine(variables, name);
    found.map(Some).map_err(|_| LaunchError::Variable {
        name,
        expected: "a list of machines such as node[01-03]",
        value: variables.get(name).unwrap_or_default().to_owned(),
    })
}

fn host(flags: &LaunchArguments, variables: &Variables) -> Option<String> {
    let endpoint = flags.rdzv_endpoint.as_ref().map(|endpoint| endpoint.host.clone());
    let named = ["PET_MASTER_ADDR", "MASTER_ADDR"].iter().find_map(|name| variables.get(name));
    flags.master_addr.clone().or(endpoint).or_else(|| named.map(str::to_owned))
}

fn port(flags: &LaunchArguments, variables: &Variables) -> Result<u16, LaunchError> {
    let endpoint = flags.rdzv_endpoint.as_ref().map(|endpoint| endpoint.port);
    if let Some(port) = flags.master_port.or(endpoint) {
        return Ok(port);
    }
    // dist_train.sh hands PORT on as a flag, so that a MASTER_PORT which is there by chance does not count.
    for name in ["PET_MASTER_PORT", "PORT", "MASTER_PORT"] {
        if let Some(value) = variables.get(name) {
            let port = value.parse().ok().filter(|port| *port > 0);
            let wrong = || LaunchError::Variable {
                name,
                expected: "a port from 1 to 65535",
                value: value.to_owned(),
            };
            return port.ok_or_else(wrong);
        }
    }
    Ok(USUAL_PORT)
}

fn number(variables: &Variables, names: &[&'static str]) -> Result<Option<u32>, LaunchError> {
    let found = names.iter().find_map(|name| Some((*name, variables.get(name)?)));
    let Some((name, value)) = found else { return Ok(None) };
    let wrong = |_| LaunchError::Variable {
        name,
        expected: "a whole number of at least 0",
        value: value.to_owned(),
    };
    value.parse().map(Some).map_err(wrong)
}

fn processes(variables: &Variables) -> Result<Processes, LaunchError> {
    let name = "PET_NPROC_PER_NODE";
    let Some(value) = variables.get(name) else { return Ok(Processes::Count(1)) };
    let expected = "a number of at least 1, gpu, cpu or auto";
    value.parse().map_err(|_| LaunchError::Variable { name, expected, value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        launch: LaunchArguments,
    }

    fn plan(line: &str, variables: Variables) -> Result<LaunchPlan, LaunchError> {
        let line = Line::try_parse_from(line.split_whitespace()).unwrap();
        let mut words = line.launch.program.clone().into_iter();
        let command = (words.next().unwrap(), words.collect());
        LaunchPlan::new(&line.launch, &variables, command, "logs".into())
    }

    #[test]
    fn the_line_of_dist_train_is_understood() {
        let variables = Variables::from([
            ("PORT", "29533"),
            ("NNODES", "2"),
            ("NODE_RANK", "1"),
            ("MASTER_ADDR", "10.1.1.1"),
        ]);
        let plan = plan("launch --nproc-per-node 4 train a.py --work-dir w", variables).unwrap();
        assert_eq!((plan.ranks_here, plan.nnodes, plan.node_rank), (4, 2, 1));
        assert_eq!(plan.master.to_string(), "10.1.1.1:29533");
        assert_eq!(plan.arguments, ["a.py", "--work-dir", "w"]);
        assert!(plan.sets_threads);
    }

    #[test]
    fn the_port_of_dist_train_wins_over_one_that_was_inherited() {
        let port = |variables: &[(&str, &str)], line: &str| {
            plan(line, Variables::of_pairs(variables.iter().copied())).unwrap().master.port
        };
        let (own, inherited) = (("PORT", "29533"), ("MASTER_PORT", "1000"));
        assert_eq!(port(&[own, inherited], "launch -- x"), 29533);
        assert_eq!(port(&[inherited], "launch -- x"), 1000);
        assert_eq!(port(&[own, inherited, ("PET_MASTER_PORT", "7")], "launch -- x"), 7);
        assert_eq!(port(&[own, inherited], "launch --master-port 8 -- x"), 8);
    }

    #[test]
    fn flags_win_over_variables_and_standalone_over_all() {
        let variables = || {
            Variables::from([
                ("NNODES", "2"),
                ("MASTER_PORT", "1000"),
                ("OMP_NUM_THREADS", "2"),
                ("PET_NNODES", "3"),
                ("PET_NODE_RANK", "2"),
                ("PET_MASTER_ADDR", "m"),
            ])
        };
        let alone = plan("launch --standalone --nproc_per_node=2 -- x", variables()).unwrap();
        assert_eq!((alone.nnodes, alone.sets_threads), (1, false));
        let pet = plan("launch --master-port 7 -- x", variables()).unwrap();
        assert_eq!((pet.nnodes, pet.node_rank, pet.master.to_string().as_str()), (3, 2, "m:7"));
        let endpoint = plan("launch --rdzv-endpoint h:9 --node-rank 0 -- x", variables()).unwrap();
        assert_eq!(endpoint.master.to_string(), "h:9");
    }

    #[test]
    fn batch_systems_say_which_machine_this_is() {
        let slurm = [("SLURM_NODEID", "1"), ("SLURM_NODELIST", "n[04-05]")];
        let slurm = plan("launch --nnodes 2 -- x", Variables::from(slurm)).unwrap();
        assert_eq!((slurm.node_rank, slurm.master.host.as_str()), (1, "n04"));
        let pod = [("JOB_COMPLETION_INDEX", "1"), ("MASTER_ADDR", "job-0.job")];
        assert_eq!(plan("launch --nnodes 2 -- x", Variables::from(pod)).unwrap().node_rank, 1);
        let one = plan("launch -- x", Variables::from([("JOB_COMPLETION_INDEX", "1")])).unwrap();
        assert_eq!((one.nnodes, one.node_rank), (1, 0));
    }

    #[test]
    fn one_machine_needs_no_name_and_none_is_taken_from_a_batch_system() {
        let variables = || Variables::from([("SLURM_NODELIST", "n[04-05]"), ("SLURM_NODEID", "1")]);
        for line in ["launch -- x", "launch --nnodes 1 --node-rank 0 -- x"] {
            let one = plan(line, variables()).unwrap();
            assert_eq!((one.node_rank, one.master.host.as_str()), (0, "127.0.0.1"), "{line}");
        }
        let told = plan("launch --node-rank 0 --master-addr here -- x", variables()).unwrap();
        assert_eq!(told.master.host, "here");
    }

    #[test]
    fn what_does_not_fit_together_is_told() {
        let error = |line: &str| plan(line, Variables::default()).unwrap_err().to_string();
        assert!(error("launch --nnodes 2 -- x").contains("--node-rank"));
        assert!(error("launch --nnodes 2 --node-rank 0 -- x").contains("--master-addr"));
        assert!(error("launch --nnodes 2 --node-rank 2 -- x").contains("below"));
        assert!(error("launch --node-rank 1 -- x").contains("below"));
        let told = plan("launch -- x", Variables::from([("PET_NNODES", "1:4")]));
        let told = told.unwrap_err().to_string();
        assert!(told.starts_with("PET_NNODES: expected a number of machines"), "{told}");
        assert_eq!(plan("launch --nnodes 1:1 -- x", Variables::default()).unwrap().nnodes, 1);
        let port =
            plan("launch -- x", Variables::from([("PORT", "many")])).unwrap_err().to_string();
        assert!(port.starts_with("PORT: expected a port"), "{port}");
    }

    #[test]
    fn the_terminal_shows_what_was_asked_for() {
        let shown = |line: &str| {
            let shown = plan(line, Variables::default()).unwrap().shown;
            let is_shown = |rank, stream| shown.shows(rank, stream);
            (
                [0, 1].map(|rank| (is_shown(rank, Stream::Stdout), is_shown(rank, Stream::Stderr))),
                shown.has_prefix,
            )
        };
        assert_eq!(shown("launch -- x"), ([(true, true), (false, false)], false));
        assert_eq!(shown("launch --tee 3 -- x"), ([(true, true), (true, true)], true));
        assert_eq!(shown("launch --redirects 1 -- x"), ([(false, true), (false, true)], true));
        assert_eq!(shown("launch -t 1:2 -- x"), ([(false, false), (false, true)], true));
    }
}
