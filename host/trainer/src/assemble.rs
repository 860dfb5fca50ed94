//! Puts a run together: config, hooks, model and data, folders, log. Nothing is written before all of it
//! could be built. Knows nothing of how a run goes.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use snaphook_cli::args::{
    LoadArguments, LogFormat, PluginArguments, Resume, TestArguments, TrainArguments,
    TrialArguments,
};
use snaphook_cli::checkpoint_url;
use snaphook_config::Config;
use snaphook_data::Rank;
use snaphook_hooks::Dispatcher;
use snaphook_report::RunFolder;
use snaphook_runner::log::RunLogger;
use snaphook_runner::{
    Interrupt, Machine, RankSettings, Ranks, Run, RunError, RunInfo, RunNames, Start, Task,
};
use snaphook_vision::{TaskOptions, build_task};
use tch::Device;

use crate::company::{Company, Facts, shown};
use crate::error::TrainerError;
use crate::fetch::{Arrival, fetch, located};
use crate::hooks::{self, Hooks};
use crate::joining::Waiting;
use crate::start::{choose_seed, concrete_start};
use crate::{cuda, environment, flags, heartbeat, plugin_watch, run_log, signals, trial};

/// What a config and the command line ask for, before anything is built.
pub(crate) struct Request<'a> {
    config: Config,
    /// The resolved config with the command line's flags in it.
    pub(crate) value: Json,
    plugins: &'a PluginArguments,
    work_dir: Option<PathBuf>,
    pub(crate) start: Start,
    pub(crate) seed: Option<u64>,
    predictions_out: Option<PathBuf>,
    log_format: LogFormat,
    /// What flags took for granted, to be logged once there is a log.
    notes: Vec<String>,
}

impl<'a> Request<'a> {
    fn new(
        path: &Path,
        load: &LoadArguments,
        plugins: &'a PluginArguments,
    ) -> Result<Self, TrainerError> {
        let config = snaphook_cli::load(path, load)?;
        let mut value = config.value().clone();
        remove_scopes(&mut value);
        let start = Start::from_config(&value);
        Ok(Request {
            config,
            value,
            plugins,
            work_dir: None,
            start,
            seed: None,
            predictions_out: None,
            log_format: LogFormat::Text,
            notes: Vec::new(),
        })
    }

    /// Fetches the checkpoint that an address or a name means: `load_from='https://…'`.
    fn locate_start(&mut self) -> Result<(), TrainerError> {
        if let Start::Weights(path) | Start::Resume(path) = &mut self.start {
            *path = located(path)?;
        }
        Ok(())
    }

    /// Whether a hook must fetch the checkpoint that the run starts from.
    fn is_start_remote(&self) -> bool {
        match &self.start {
            Start::Resume(path) | Start::Weights(path) => checkpoint_url(path).is_some(),
            Start::Fresh | Start::ResumeLast => false,
        }
    }

    fn set_work_dir(&mut self, flag: Option<&PathBuf>) {
        let in_config = self.value["work_dir"].as_str().map(PathBuf::from);
        self.work_dir = flag.cloned().or(in_config);
    }

    /// The folder of checkpoints, as it will be called.
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.work_dir.clone().unwrap_or_else(|| Path::new("work_dirs").join(self.config.stem()))
    }

    /// Has a checkpoint fetched that is not on this machine.
    fn fetch_start(&mut self, hooks: &mut Dispatcher, log: &RunLogger) -> Result<(), TrainerError> {
        let start =
            self.before_the_run(log, (0, 1), |arrival| fetch(self.start.clone(), hooks, arrival));
        self.start = start.map_err(|error| self.run_error(error))?;
        Ok(())
    }

    /// What hooks can reach before there is a run.
    fn before_the_run<T>(
        &self,
        log: &RunLogger,
        ranks: (usize, usize),
        act: impl FnOnce(Arrival<'_>) -> T,
    ) -> T {
        let work_dir = self.checkpoints();
        let name = self.value["experiment_name"].as_str().unwrap_or(self.config.stem());
        act(Arrival { log, config: &self.value, work_dir: &work_dir, name, ranks })
    }

    fn waiting(&self, interrupt: &Interrupt, trains: bool) -> Waiting {
        Waiting { interrupt: interrupt.clone(), format: self.log_format, trains }
    }

    /// `file.py, line 3: `, where a key was written.
    fn place(&self, key: &str) -> String {
        self.config.location(key).map_or(String::new(), |location| format!("{location}: "))
    }

    pub(crate) fn run_error(&self, error: RunError) -> TrainerError {
        TrainerError::Run { place: self.place_named_in(&error.to_string()), error: Box::new(error) }
    }

    /// The place of the key that a message begins with: `model.backbone.depth: expected …`.
    fn place_named_in(&self, message: &str) -> String {
        let file = format!("{}: ", self.config.path().display());
        let Some((key, _)) = message.split_once(": ") else { return file };
        let mut key = key;
        while self.config.location(key).is_none() {
            match key.rsplit_once('.') {
                Some((parent, _)) => key = parent,
                None => return file,
            }
        }
        self.place(key)
    }
}

/// Takes out `_scope_`, MMEngine's word for the package that a `type` belongs to: here every type has one
/// place only.
pub(crate) fn remove_scopes(value: &mut Json) {
    match value {
        Json::Object(map) => {
            map.remove("_scope_");
            map.values_mut().for_each(remove_scopes);
        }
        Json::Array(items) => items.iter_mut().for_each(remove_scopes),
        _ => {}
    }
}

/// `train`: everything from the command line to the last epoch.
pub(crate) fn train(arguments: &TrainArguments) -> Result<(), TrainerError> {
    let mut request = Request::new(&arguments.config, &arguments.load, &arguments.plugins)?;
    request.set_work_dir(arguments.work_dir.as_ref());
    request.seed = arguments.seed;
    request.log_format = arguments.log.log_format;
    match arguments.resume() {
        Some(Resume::Last) => request.start = Start::ResumeLast,
        Some(Resume::From(path)) => request.start = Start::Resume(path),
        None => {}
    }
    request.locate_start()?;
    flags::apply(arguments, &mut request.value).map_err(|error| request.run_error(error))?;
    let (log, interrupt) = (run_log::begin(request.log_format, &request.value), signals::catch());
    let waiting = request.waiting(&interrupt, true);
    let company = Company::join(&request.value, &waiting)?;
    let built = build(&mut request, log, (true, &arguments.trial), &company);
    let mut run = built.map_err(|error| waiting.or_ended(error))?;
    run.machine.interrupt = interrupt;
    if arguments.trial.dry_run {
        return trial::dry_run(&mut run).map_err(|error| request.run_error(error));
    }
    let claimed = company.agree(run.claim_work_folder().map_err(|error| request.run_error(error)));
    let opened = claimed.and_then(|()| open_folders(&mut run, &request, &company));
    let opened = opened.map_err(|error| waiting.or_ended(error));
    opened.inspect_err(|error| run.fail_at_start(error.kind(), &shown(error)))?;
    let _watchdog = plugin_watch::guard(&run.machine.info.work_dir, &run.machine.log);
    let result = run.train(&request.start);
    report(&run);
    let copied = run.carry_out_copies();
    result.and(copied).map_err(|error| request.run_error(error))
}

/// `test`: measures a checkpoint on the test data.
pub(crate) fn test(arguments: &TestArguments) -> Result<(), TrainerError> {
    let mut request = Request::new(&arguments.config, &arguments.load, &arguments.plugins)?;
    request.set_work_dir(arguments.work_dir.as_ref());
    request.start = Start::Weights(arguments.checkpoint.clone());
    request.locate_start()?;
    request.log_format = arguments.log.log_format;
    if let Some(folder) = &arguments.show_dir {
        let hook = &mut request.value["default_hooks"]["visualization"];
        if hook.is_null() {
            *hook = json!({ "type": "DetVisualizationHook" });
        }
        hook["draw"] = json!(true);
        hook["test_out_dir"] = json!(folder);
    }
    if arguments.tta {
        let told = flags::several_views(&mut request.value);
        request.notes = told.map_err(|error| request.run_error(error))?;
    }
    request.predictions_out = arguments.out.clone();
    let (log, interrupt) = (run_log::begin(request.log_format, &request.value), signals::catch());
    let waiting = request.waiting(&interrupt, false);
    let company = Company::join(&request.value, &waiting)?;
    let built = build(&mut request, log, (false, &TrialArguments::default()), &company);
    let mut run = built.map_err(|error| waiting.or_ended(error))?;
    run.machine.interrupt = interrupt;
    let opened = open_folders(&mut run, &request, &company);
    opened.inspect_err(|error| run.fail_at_start(error.kind(), &shown(error)))?;
    let _watchdog = plugin_watch::guard(&run.machine.info.work_dir, &run.machine.log);
    let result = run.test(&request.start);
    report(&run);
    let copied = run.carry_out_copies();
    match result.and_then(|found| copied.map(|()| found)) {
        Ok(_) => Ok(()),
        Err(RunError::Interrupted { signal }) => Err(TrainerError::TestStopped { signal }),
        Err(error) => Err(request.run_error(error)),
    }
}

/// Writes the run's page, also of a run that failed. A page that cannot be written is no failure of the run.
fn report(run: &Run) {
    if !run.machine.ranks.is_main() {
        return;
    }
    let folder = RunFolder { path: run.machine.info.run_dir.clone() };
    match snaphook_report::write_report(&folder) {
        Ok(path) => run.machine.log.info(format!("The report is in {}", path.display())),
        Err(error) => run.machine.log.warn(format!("the report cannot be written: {error}")),
    }
}

fn build(
    request: &mut Request<'_>,
    log: RunLogger,
    (trains, trial): (bool, &TrialArguments),
    company: &Company,
) -> Result<Run, TrainerError> {
    plugin_watch::listen(&log);
    plugin_watch::expect_crashes(&request.checkpoints(), &log);
    for warning in request.config.warnings() {
        log.warn(warning);
    }
    snaphook_cli::ignored_keys(&request.config).for_each(|warning| log.warn(warning));
    snaphook_cli::odd_words(&request.config).for_each(|warning| log.warn(warning));
    request.notes.iter().for_each(|note| log.warn(note));
    if request.value["randomness"]["deterministic"] == true {
        snaphook_libtorch::set_deterministic();
    }
    if let Err(error) = cuda::open() {
        log.warn(format!(
            "the CUDA part of libtorch cannot be opened, the run goes on without it: {error}"
        ));
    }
    let mut dispatcher = Dispatcher::default();
    let built = build_all(request, (trains, trial, company), &log, &mut dispatcher);
    built.inspect_err(|error| {
        // A run that only shows what it would do calls no hook.
        if !trial.dry_run && !error.is_interruption() {
            let ranks = (company.rank(), company.world());
            request.before_the_run(&log, ranks, |arrival| {
                arrival.tell_failure(error, &mut dispatcher)
            });
        }
    })
}

/// Hooks, model and data; after an error, hooks that could be built are left in `dispatcher`.
fn build_all(
    request: &mut Request<'_>,
    (trains, trial, company): (bool, &TrialArguments, &Company),
    log: &RunLogger,
    dispatcher: &mut Dispatcher,
) -> Result<Run, TrainerError> {
    let built = build_hooks(request).and_then(|hooks| {
        *dispatcher = hooks.dispatcher;
        request.start = concrete_start(request, log)?;
        if company.rank() == 0 {
            request.fetch_start(dispatcher, log)?;
        } else if request.is_start_remote() {
            // Rank 0 has it fetched, and tells where it is.
            request.start = Start::Fresh;
        }
        let seed = choose_seed(request, log)?;
        Ok((hooks.plugins, seed, request.start.clone()))
    });
    let told = built.as_ref().map(|(plugins, seed, start)| Facts {
        config_path: request.config.path().display().to_string(),
        config: &request.value,
        plugins,
        seed: *seed,
        start: start.clone(),
    });
    let agreed = company.compare(told)?;
    let (plugins, seed, start) = built?;
    let (seed, start) = agreed.unwrap_or((seed, start));
    request.start = start;
    let device = company.device()?;
    let machine = build_machine(request, (trains, company), (log.clone(), plugins), (seed, device));
    let machine = company.agree(machine)?;
    let mut run = Run::new(machine, std::mem::take(dispatcher));
    trial::apply(trial, &mut run);
    let ready = company.agree(check_run(request, trains, &mut run));
    ready.inspect_err(|_| *dispatcher = std::mem::take(&mut run.dispatcher))?;
    heartbeat::connect(&mut run);
    Ok(run)
}

fn build_machine(
    request: &Request<'_>,
    (trains, company): (bool, &Company),
    (log, plugins): (RunLogger, Vec<Json>),
    (seed, device): (u64, Device),
) -> Result<Machine, TrainerError> {
    let settings =
        RankSettings::from_config(&request.value).map_err(|error| request.run_error(error))?;
    let task = build_model_and_data(request, (seed, device), trains, company)?;
    let names = names(request, seed, device);
    let info = RunInfo::planned(&names);
    let mut machine = Machine::new(log, request.value.clone(), info, task);
    machine.plugins = plugins;
    machine.ranks = Ranks::new(company.group().cloned(), settings);
    Ok(machine)
}

/// Whether the config's numbers and the checkpoint to start from fit what was built.
fn check_run(request: &Request<'_>, trains: bool, run: &mut Run) -> Result<(), TrainerError> {
    if trains {
        run.prepare().map_err(|error| request.run_error(error))?;
    }
    run.check_start(&request.start).map_err(|error| request.run_error(error))
}

fn names<'a>(request: &'a Request<'_>, seed: u64, device: Device) -> RunNames<'a> {
    RunNames {
        config_path: request.config.path(),
        work_dir: request.work_dir.as_deref(),
        experiment_name: request.value["experiment_name"].as_str(),
        seed,
        device,
    }
}

fn build_hooks(request: &Request<'_>) -> Result<Hooks, TrainerError> {
    let built = hooks::build(&request.config, &request.value, request.plugins);
    built.map_err(|error| TrainerError::Hook {
        place: request.place(&error.key),
        message: error.message,
    })
}

fn build_model_and_data(
    request: &Request<'_>,
    (seed, device): (u64, Device),
    trains: bool,
    company: &Company,
) -> Result<Task, TrainerError> {
    let options = TaskOptions {
        device,
        seed,
        rank: Rank { rank: company.rank(), world: company.world() },
        with_train: trains,
        with_val: trains,
        with_test: !trains,
        predictions_out: request.predictions_out.clone(),
        ..TaskOptions::default()
    };
    build_task(&request.value, &options).map_err(|error| TrainerError::Build {
        place: request.place_named_in(&error.to_string()),
        error: Box::new(error),
    })
}

/// Makes the run's folders and files, and writes down what runs.
fn open_folders(
    run: &mut Run,
    request: &Request<'_>,
    company: &Company,
) -> Result<(), TrainerError> {
    let (seed, device) = (run.machine.info.seed, run.machine.info.device);
    let create = || {
        names(request, seed, device).create().map_err(|error| match error {
            RunError::File { path, source } => TrainerError::WorkFolder { path, source },
            other => request.run_error(other),
        })
    };
    let info = company.folders(&run.machine.info, create)?;
    company.agree(open_files(run, request, info))
}

fn open_files(run: &mut Run, request: &Request<'_>, info: RunInfo) -> Result<(), TrainerError> {
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| TrainerError::File { path, source }
    };
    std::fs::create_dir_all(info.vis_data()).map_err(file(&info.vis_data()))?;
    let rank = run.machine.ranks.rank();
    let suffix = if rank == 0 { String::new() } else { format!("_rank{rank}") };
    let log_path = info.run_dir.join(format!("{}{suffix}.log", info.timestamp));
    run.machine.log.attach_file(&log_path).map_err(file(&log_path))?;
    heartbeat::begin_in(&info.run_dir, &run.machine.log);
    heartbeat::connect(run);
    if rank > 0 {
        run.machine.info = info;
        return Ok(());
    }
    let text = request.config.to_python();
    let copy = info.work_dir.join(format!("{}.py", request.config.stem()));
    for path in [copy, info.vis_data().join("config.py")] {
        std::fs::write(&path, &text).map_err(file(&path))?;
    }
    let plugins = &run.machine.plugins;
    plugin_watch::write(&info.run_dir, plugins).map_err(file(&info.run_dir))?;
    environment::log(run, &info, &request.value);
    environment::log_config(&run.machine.log, &text);
    run.machine.info = info;
    Ok(())
}
