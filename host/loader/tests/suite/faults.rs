//! What goes wrong inside a plugin stays inside, and what it logs comes out. Knows nothing of runs.

use serde_json::{Value as Json, json};
use snaphook_loader::{
    Catalog, LoadedPlugin, PluginHook, Resolved, SearchPath, load, set_log_level,
};
use snaphook_plugin_api::host::{HookInstance, LogLevel, set_log_sink};
use snaphook_plugin_api::testing::FakeRunner;
use snaphook_plugin_api::{HookError, HookErrorKind, HookPoint, HookState};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

const ITERATION: HookPoint = HookPoint::AfterTrainIter;

/// What reached the host outside of calls: level, target, text.
static RECORDS: Mutex<Vec<(LogLevel, String, String)>> = Mutex::new(Vec::new());
/// One test at a time may look at the records.
static LOGGING: Mutex<()> = Mutex::new(());

fn record(level: LogLevel, target: &str, text: &str) {
    RECORDS.lock().unwrap().push((level, target.to_owned(), text.to_owned()));
}

/// A folder with the faulty plugin, an example of this crate, and nothing else: cargo leaves older builds
/// beside the newest one.
pub(crate) fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let program = std::env::current_exe().unwrap();
        let folder = program.ancestors().nth(2).unwrap();
        let profile = if folder.ends_with("release") { "release" } else { "dev" };
        let built = Command::new(env!("CARGO"))
            .args(["build", "--offline", "--quiet", "--profile", profile])
            .args(["--package", "snaphook-loader", "--example", "faulty_plugin", "--target-dir"])
            .arg(folder.parent().unwrap())
            .status();
        assert!(built.unwrap().success(), "the faulty plugin does not build");
        let alone = folder.join("examples/faulty_plugin_alone");
        std::fs::create_dir_all(&alone).unwrap();
        let name = "libfaulty_plugin.so";
        let half = alone.join(format!("{name}.{}", std::process::id()));
        std::fs::copy(folder.join("examples").join(name), &half).unwrap();
        std::fs::rename(&half, alone.join(name)).unwrap();
        alone
    })
}

fn faulty() -> LoadedPlugin {
    let search_path = SearchPath::builder().without_environment().command_line([built()]).build();
    match Catalog::discover(&search_path).resolve("FaultyHook", &[]) {
        Ok(Resolved::Plugin(found)) => load(&found).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn construct(mode: &str) -> Result<PluginHook, HookError> {
    faulty().construct(&json!({ "mode": mode }))
}

fn fault(mode: &str) -> HookError {
    construct(mode).unwrap().call(ITERATION, Some(3), &mut FakeRunner::new()).unwrap_err()
}

#[test]
fn panic_of_any_payload_becomes_an_error_with_its_place() {
    let cases = [
        ("str", "plain text"),
        ("string", "batch 3"),
        ("number", "a panic without text"),
        ("grenade", "a panic without text"),
    ];
    for (mode, message) in cases {
        let error = fault(mode);
        assert_eq!((error.kind, error.message.as_str()), (HookErrorKind::Panic, message));
        assert!(error.location.unwrap().file.ends_with("faulty_plugin.rs"), "{mode}");
    }
}

#[test]
fn hook_is_not_called_again_after_a_panic_and_another_one_is() {
    let (mut broken, mut whole) = (construct("str").unwrap(), construct("nothing").unwrap());
    let mut run = FakeRunner::new();
    assert!(broken.call(ITERATION, Some(0), &mut run).is_err());
    let again = broken.call(HookPoint::BeforeTrain, None, &mut run).unwrap_err();
    assert_eq!(again.message, "FaultyHook: disabled after a panic (plain text)");
    assert_eq!(whole.call(ITERATION, Some(0), &mut run), Ok(()));
    assert_eq!(fault("error").kind, HookErrorKind::Error);
}

#[test]
fn panic_in_constructor_state_and_drop_stays_inside() {
    let error = construct("construct").err().unwrap();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (HookErrorKind::Panic, "no construction today")
    );
    let error = construct("save").unwrap().save_state().unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (HookErrorKind::Panic, "nothing to save"));
    let state = HookState { version: 1, data: Json::Null };
    let error = construct("load").unwrap().load_state(state).unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (HookErrorKind::Panic, "cannot remember"));
    drop(construct("drop").unwrap());
}

/// The records of a hook with this mode, at this level of the host.
fn records(
    _alone: &MutexGuard<'_, ()>,
    level: Option<LogLevel>,
    mode: &str,
) -> Vec<(LogLevel, String, String)> {
    set_log_sink(record, LogLevel::Info);
    set_log_level(level);
    let mut hook = construct(mode).unwrap();
    RECORDS.lock().unwrap().clear();
    hook.call(HookPoint::BeforeTrain, None, &mut FakeRunner::new()).unwrap();
    let records = RECORDS.lock().unwrap();
    // Another test's dropped hook may speak meanwhile.
    records.iter().filter(|(_, _, text)| !text.contains("does not want to go")).cloned().collect()
}

fn alone() -> MutexGuard<'static, ()> {
    LOGGING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn log_and_tracing_reach_the_host_once_with_the_plugins_name() {
    let (alone, info) = (alone(), Some(LogLevel::Info));
    let from_log = records(&alone, info, "log");
    assert_eq!(from_log, [(LogLevel::Warn, "snaphook-loader".to_owned(), "from log 1".to_owned())]);
    let from_tracing = records(&alone, info, "tracing");
    assert_eq!(from_tracing.len(), 1);
    assert_eq!(from_tracing[0].0, LogLevel::Warn);
    assert!(from_tracing[0].2.contains("from tracing") && from_tracing[0].2.contains("answer=42"));
    let within = records(&alone, info, "span");
    assert_eq!(
        within.iter().map(|(_, _, text)| text.trim()).collect::<Vec<_>>(),
        ["within a span"]
    );
}

#[test]
fn records_of_a_plugins_threads_reach_the_host() {
    let (alone, info) = (alone(), Some(LogLevel::Info));
    let texts: Vec<String> =
        records(&alone, info, "thread-log").into_iter().map(|record| record.2).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(
        texts[0].contains("from log in a thread") && texts[1].contains("from tracing in a thread")
    );
    let panicked = records(&alone, info, "thread-panic");
    assert_eq!((panicked.len(), panicked[0].0), (1, LogLevel::Error));
    assert!(panicked[0].2.contains("a thread gave up"), "{panicked:?}");
}

#[test]
fn level_of_the_host_is_obeyed_also_when_it_changes() {
    let alone = alone();
    assert!(records(&alone, Some(LogLevel::Info), "debug").is_empty());
    assert_eq!(records(&alone, Some(LogLevel::Debug), "debug").len(), 2);
    assert!(records(&alone, Some(LogLevel::Error), "log").is_empty());
    assert!(records(&alone, None, "log").is_empty());
    assert_eq!(records(&alone, Some(LogLevel::Info), "log").len(), 1);
}
