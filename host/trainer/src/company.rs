//! The processes that train with this one: joining them, and making sure before anything is written that all run the
//! same config with the same plugins. Knows nothing of how a run goes.
//!
//! The environment is that of `torchrun`, which `snaphook launch` and the other launchers are brought to.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value as Json, json};
use snaphook_c10d::{Error, Group, GroupOptions, Store, set_default_group};
use snaphook_cli::dist_timeout;
use snaphook_heartbeat::Starting;
use snaphook_runner::{RunError, RunInfo, Start};
use tch::Device;

use crate::error::TrainerError;
use crate::joining::{Hearing, Joining, Waiting};
use crate::own_address::{Way, told_interface};
use crate::{cores, cuda, heartbeat};

/// How long processes wait for each other where the config does not say: half an hour, as in PyTorch.
const TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// How long they wait for each other to come, at most.
const JOINING: Duration = Duration::from_secs(300);

/// The processes of a run; none but this one without a launcher.
#[derive(Debug, Default)]
pub(crate) struct Company {
    group: Option<Group>,
    waiting: Option<Waiting>,
}

/// What a process has to tell before it builds anything large.
pub(crate) struct Facts<'a> {
    pub(crate) config_path: String,
    pub(crate) config: &'a Json,
    pub(crate) plugins: &'a [Json],
    pub(crate) seed: u64,
    pub(crate) start: Start,
}

impl Company {
    /// Joins the processes that `RANK`, `WORLD_SIZE`, `MASTER_ADDR` and `MASTER_PORT` tell of, and shares the cores with
    /// those on this machine; with a world of one, there is nobody to join.
    ///
    /// Errors: a variable that is missing or wrong; processes that do not come in time.
    /// While it waits it says for whom, and a signal ends the process.
    pub(crate) fn join(config: &Json, waiting: &Waiting) -> Result<Company, TrainerError> {
        let world = number("WORLD_SIZE")?.unwrap_or(1);
        if world <= 1 {
            heartbeat::enter(Starting::Preparing);
            return Ok(Company::default());
        }
        let rank = number("RANK")?.ok_or_else(|| missing("RANK"))?;
        if rank >= world {
            let text = format!("expected a number below WORLD_SIZE={world}, found {rank}");
            return Err(TrainerError::Environment { name: "RANK", message: text });
        }
        let host = std::env::var("MASTER_ADDR").map_err(|_| missing("MASTER_ADDR"))?;
        let port = number("MASTER_PORT")?.and_then(|port| u16::try_from(port).ok());
        let port = port.ok_or_else(|| missing("MASTER_PORT"))?;
        let timeout = timeout(config)?;
        heartbeat::enter(Starting::Joining);
        let mut joining = Joining::begin(waiting, (rank, world), timeout.min(JOINING));
        let place = format!("{host}:{port}");
        let master = host.clone();
        let store = joining.open(&place, move |left| store((&host, port), rank, left))?;
        let interface = told_interface(rank).map_err(|error| joining.give_up(&store, error))?;
        joining.wait(&store)?;
        let is_local = number("LOCAL_WORLD_SIZE")? == Some(world);
        let address = if is_local {
            interface.is_none().then(|| "127.0.0.1".to_owned())
        } else {
            // One that is told its interface tells the others all the same.
            let way = Way::told(&store, (&master, port), rank).map_err(TrainerError::Company)?;
            match interface {
                Some(_) => None,
                None => way.own_address(&store, world).map_err(TrainerError::Company)?,
            }
        };
        // Gloo tries a connection five times, each as long.
        let of_one_try = (joining.left() / TRIES).max(SHORTEST_TRY);
        let options =
            GroupOptions { timeout: of_one_try, address, interface, ..GroupOptions::default() };
        let group = Group::gloo(&store, rank, world, &options).map_err(|source| {
            let place = options.interface.as_ref().or(options.address.as_ref());
            let listens = place.cloned().unwrap_or_else(|| "the machine's name".to_owned());
            TrainerError::Unconnected { listens, source }
        })?;
        drop(joining);
        heartbeat::enter(Starting::Preparing);
        group.set_timeout(timeout).map_err(TrainerError::Company)?;
        if config["sync_bn"].is_string() {
            group.synchronize_norms();
        }
        set_default_group(Some(group.clone()));
        let company = Company { group: Some(group), waiting: Some(waiting.clone()) };
        company.share_cores()?;
        Ok(company)
    }

    pub(crate) fn group(&self) -> Option<&Group> {
        self.group.as_ref()
    }

    pub(crate) fn rank(&self) -> usize {
        self.group.as_ref().map_or(0, Group::rank)
    }

    pub(crate) fn world(&self) -> usize {
        self.group.as_ref().map_or(1, Group::size)
    }

    /// The rank that the environment tells; that of a process which starts, before it has joined the others.
    pub(crate) fn told_rank() -> usize {
        let told = |name| number(name).ok().flatten();
        told("WORLD_SIZE").filter(|world| *world > 1).and_then(|_| told("RANK")).unwrap_or(0)
    }

    /// Whether all processes run the same config with the same plugins; returns rank 0's seed and start, which are
    /// everybody's then. Nothing for a single process, and for one that has failed itself.
    ///
    /// Errors: what failed on another one; what differs, by rank and file.
    pub(crate) fn compare(
        &self,
        own: Result<Facts<'_>, &TrainerError>,
    ) -> Result<Option<(u64, Start)>, TrainerError> {
        let Some(group) = &self.group else { return Ok(None) };
        let told = match &own {
            Ok(facts) => json!({
                "version": env!("CARGO_PKG_VERSION"),
                "config": facts.config_path,
                "digest": digest(facts.config),
                "plugins": facts.plugins,
                "seed": facts.seed,
                "start": start_to_json(&facts.start),
            }),
            Err(error) => json!({ "error": shown(error) }),
        };
        let all = self.gather(group, &told)?;
        let Ok(facts) = own else { return Ok(None) };
        others_fine(&all)?;
        let of = |key: &str| all.iter().map(|told| told[key].to_string()).collect::<Vec<_>>();
        let differs = |values: &[String]| values.iter().any(|value| *value != values[0]);
        if differs(&of("version")) {
            let text =
                by_rank(&of("version"), "expected the same version of snaphook on every rank");
            return Err(TrainerError::RanksDiffer(text));
        }
        if differs(&of("digest")) {
            return Err(self.config_difference(group, &facts)?);
        }
        let records: Vec<Vec<Json>> = all
            .iter()
            .map(|told| told["plugins"].as_array().cloned().unwrap_or_default())
            .collect();
        snaphook_loader::compare_ranks(&records)
            .map_err(|error| TrainerError::RanksDiffer(error.to_string()))?;
        let seed = all[0]["seed"].as_u64().unwrap_or(facts.seed);
        Ok(Some((seed, start_from_json(&all[0]["start"]))))
    }

    /// Ends on every process what failed on one.
    ///
    /// Errors: as [`Company::compare`].
    pub(crate) fn agree<T>(&self, own: Result<T, TrainerError>) -> Result<T, TrainerError> {
        let Some(group) = &self.group else { return own };
        let told = json!({ "error": own.as_ref().err().map(shown) });
        let all = self.gather(group, &told)?;
        let value = own?;
        others_fine(&all)?;
        Ok(value)
    }

    /// Where this process trains, alike on all: on the CPU, or on a GPU of its own, of which there is one for each process. GPUs
    /// talk over NCCL.
    ///
    /// Errors: as [`Company::compare`]; fewer GPUs than processes; GPUs on some ranks alone; a libtorch without NCCL.
    pub(crate) fn device(&self) -> Result<Device, TrainerError> {
        let Some(group) = &self.group else { return Ok(cuda::best_device()) };
        let device = self.agree(self.own_device())?;
        let kind = if device == Device::Cpu { "the CPU" } else { "a GPU" };
        let told = self.gather(group, &json!(kind))?;
        if told.iter().any(|other| *other != told[0]) {
            let kinds: Vec<_> = told.iter().filter_map(Json::as_str).map(str::to_owned).collect();
            let words = "expected a GPU on every rank or on none (set CUDA_VISIBLE_DEVICES=-1 on all to train on CPUs), found";
            return Err(TrainerError::RanksDiffer(by_rank(&kinds, words)));
        }
        if let Device::Cuda(index) = device {
            self.agree(group.add_nccl(index).map_err(TrainerError::Company))?;
        }
        Ok(device)
    }

    fn own_device(&self) -> Result<Device, TrainerError> {
        let local_rank = number("LOCAL_RANK")?.unwrap_or(0);
        let local_world = number("LOCAL_WORLD_SIZE")?.unwrap_or(local_rank + 1);
        let failed = |message| TrainerError::Device { rank: self.rank(), message };
        cuda::device_of(local_rank, local_world).map_err(failed)
    }

    /// Rank 0 makes the folders of the run, and all are told how they are called.
    ///
    /// Errors: as [`Company::compare`].
    pub(crate) fn folders(
        &self,
        planned: &RunInfo,
        create: impl FnOnce() -> Result<RunInfo, TrainerError>,
    ) -> Result<RunInfo, TrainerError> {
        let Some(group) = &self.group else { return create() };
        let own = if self.rank() == 0 { create().map(Some) } else { Ok(None) };
        let own = self.agree(own)?;
        let told = own.as_ref().map_or(Json::Null, |info| {
            json!([info.work_dir, info.run_dir, info.timestamp, info.experiment_name])
        });
        let hearing = self.hearing();
        let bytes = group.broadcast_bytes(told.to_string().as_bytes(), 0);
        drop(hearing);
        let bytes = bytes.map_err(TrainerError::Company)?;
        let told: Json = serde_json::from_slice(&bytes).unwrap_or_default();
        let text = |at: usize| told[at].as_str().unwrap_or_default().to_owned();
        let here = Path::new(told[1].as_str().unwrap_or_default());
        let is_first_here = number("LOCAL_RANK")?.unwrap_or(0) == 0;
        if let (Some(waiting), true, false) = (&self.waiting, is_first_here, here.is_dir()) {
            waiting.say(&format!(
                "{}: rank 0's folder is not on the machine of rank {}: --resume needs a work folder that all machines share",
                here.display(),
                self.rank()
            ));
        }
        Ok(own.unwrap_or_else(|| RunInfo {
            work_dir: PathBuf::from(text(0)),
            run_dir: PathBuf::from(text(1)),
            timestamp: text(2),
            experiment_name: text(3),
            ..planned.clone()
        }))
    }

    /// The cores of the machine by the processes that share them; a number of the user's own wins. MMEngine takes one.
    ///
    /// Errors: a rank that is gone.
    fn share_cores(&self) -> Result<(), TrainerError> {
        let Some(group) = &self.group else { return Ok(()) };
        let own = cores::own();
        let told = self.gather(group, &own)?;
        if std::env::var_os("OMP_NUM_THREADS").is_none() {
            let all = std::thread::available_parallelism().map_or(1, usize::from);
            let threads = cores::threads(all, &own, &told);
            tch::set_num_threads(i32::try_from(threads).unwrap_or(1));
        }
        Ok(())
    }

    /// Hears a signal while ranks wait for each other.
    fn hearing(&self) -> Option<Hearing> {
        self.waiting.as_ref().map(|waiting| Hearing::at_start(waiting, (self.rank(), self.world())))
    }

    fn gather(&self, group: &Group, told: &Json) -> Result<Vec<Json>, TrainerError> {
        let hearing = self.hearing();
        let all = group.all_gather_bytes(told.to_string().as_bytes());
        drop(hearing);
        let read = |bytes: &Vec<u8>| serde_json::from_slice(bytes).unwrap_or_default();
        Ok(all.map_err(TrainerError::Company)?.iter().map(read).collect())
    }

    /// The first key in which each rank's config differs from rank 0's.
    fn config_difference(
        &self,
        group: &Group,
        facts: &Facts<'_>,
    ) -> Result<TrainerError, TrainerError> {
        let first = group.broadcast_bytes(facts.config.to_string().as_bytes(), 0);
        let first: Json =
            serde_json::from_slice(&first.map_err(TrainerError::Company)?).unwrap_or_default();
        let found = difference(&first, facts.config, "");
        let all = self.gather(group, &json!([facts.config_path, found]))?;
        let line = |told: &Json| {
            let path = told[0].as_str().unwrap_or("?");
            told[1].as_str().map_or(path.to_owned(), |found| format!("{path}: {found}"))
        };
        let lines: Vec<_> = all.iter().map(line).collect();
        let words = "expected the same config on every rank, found others";
        Ok(TrainerError::RanksDiffer(by_rank(&lines, words)))
    }
}

fn by_rank(values: &[String], words: &str) -> String {
    let lines = values.iter().enumerate().map(|(rank, value)| format!("\n  rank {rank}: {value}"));
    format!("{words}{}", lines.collect::<String>())
}

/// `train_cfg.max_epochs is 3, on rank 0 it is 2`.
fn difference(first: &Json, own: &Json, key: &str) -> Option<String> {
    if first == own {
        return None;
    }
    let below = |part: &dyn std::fmt::Display| match key {
        "" => part.to_string(),
        _ => format!("{key}.{part}"),
    };
    match (first, own) {
        (Json::Object(first), Json::Object(own)) => {
            let keys = first.keys().chain(own.keys().filter(|key| !first.contains_key(*key)));
            keys.map(|key| {
                let value = |map: &serde_json::Map<String, Json>| map.get(key).cloned();
                match (value(first), value(own)) {
                    (Some(first), Some(own)) => difference(&first, &own, &below(key)),
                    (Some(_), None) => Some(format!("{} is missing, rank 0 has it", below(key))),
                    _ => Some(format!("{} is there, rank 0 does not have it", below(key))),
                }
            })
            .find_map(|found| found)
        }
        (Json::Array(first), Json::Array(own)) if first.len() == own.len() => {
            let pairs = first.iter().zip(own).enumerate();
            pairs
                .map(|(at, (first, own))| difference(first, own, &below(&at)))
                .find_map(|found| found)
        }
        _ => Some(format!("{key} is {own}, on rank 0 it is {first}")),
    }
}

/// One number for a config: equal where it is.
fn digest(config: &Json) -> u64 {
    let mut hasher = DefaultHasher::new();
    config.to_string().hash(&mut hasher);
    hasher.finish()
}

fn others_fine(all: &[Json]) -> Result<(), TrainerError> {
    let failed =
        all.iter().enumerate().find_map(|(rank, told)| Some((rank, told["error"].as_str()?)));
    match failed {
        Some((rank, message)) => Err(TrainerError::OtherRank { rank, message: message.to_owned() }),
        None => Ok(()),
    }
}

/// An error with its causes in one line.
pub(crate) fn shown(error: &TrainerError) -> String {
    snaphook_cli::report::error_text(error).replace("\n  caused by: ", ": ")
}

fn start_to_json(start: &Start) -> Json {
    match start {
        Start::Fresh => json!("fresh"),
        Start::Weights(path) => json!({ "weights": path }),
        Start::Resume(path) => json!({ "resume": path }),
        Start::ResumeLast => json!("last"),
    }
}

fn start_from_json(value: &Json) -> Start {
    let path = |key: &str| value[key].as_str().map(PathBuf::from);
    match (path("weights"), path("resume")) {
        (Some(path), _) => Start::Weights(path),
        (_, Some(path)) => Start::Resume(path),
        _ if value == "last" => Start::ResumeLast,
        _ => Start::Fresh,
    }
}

const TRIES: u32 = 5;
const SHORTEST_TRY: Duration = Duration::from_secs(2);

/// The store that rank 0 serves, or torchrun's agent.
fn store(place: (&str, u16), rank: usize, timeout: Duration) -> Result<Store, Error> {
    let (host, port) = place;
    if is_served_by_agent() {
        let attempt = std::env::var("TORCHELASTIC_RESTART_COUNT").unwrap_or_else(|_| "0".into());
        Store::tcp(host, port, timeout)
            .and_then(|store| store.with_prefix(&format!("/worker/attempt_{attempt}")))
    } else if rank == 0 {
        Store::tcp_server(host, port, timeout)
    } else {
        Store::tcp(host, port, timeout)
    }
}

/// Source: `_torchelastic_use_agent_store` in `torch/distributed/rendezvous.py`.
fn is_served_by_agent() -> bool {
    std::env::var("TORCHELASTIC_USE_AGENT_STORE").is_ok_and(|value| value == "True")
}

fn timeout(config: &Json) -> Result<Duration, TrainerError> {
    let wrong = |message| TrainerError::Run {
        place: String::new(),
        error: Box::new(RunError::config("env_cfg.dist_cfg.timeout", message)),
    };
    Ok(dist_timeout(config).map_err(wrong)?.unwrap_or(TIMEOUT))
}

fn number(name: &'static str) -> Result<Option<usize>, TrainerError> {
    let Ok(text) = std::env::var(name) else { return Ok(None) };
    let wrong = |_| {
        let message = format!("expected a whole number, found {text:?}");
        TrainerError::Environment { name, message }
    };
    text.trim().parse().map(Some).map_err(wrong)
}

fn missing(name: &'static str) -> TrainerError {
    let message = "missing or wrong, and WORLD_SIZE tells of several processes (start them with \
                   `snaphook launch`, torchrun or srun)";
    TrainerError::Environment { name, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_that_differs_is_named() {
        let first = json!({"a": {"b": [1, 2]}, "c": 3});
        let own = json!({"a": {"b": [1, 5]}, "c": 4});
        assert_eq!(difference(&first, &first, ""), None);
        assert_eq!(difference(&first, &own, "").unwrap(), "a.b.1 is 5, on rank 0 it is 2");
        let less = json!({"a": {"b": [1, 2]}});
        assert_eq!(difference(&first, &less, "").unwrap(), "c is missing, rank 0 has it");
        assert_eq!(difference(&less, &first, "").unwrap(), "c is there, rank 0 does not have it");
    }

    #[test]
    fn a_start_arrives_as_it_was() {
        for start in [
            Start::Fresh,
            Start::ResumeLast,
            Start::Resume("a/b".into()),
            Start::Weights("w".into()),
        ] {
            assert_eq!(start_from_json(&start_to_json(&start)), start);
        }
    }
}
