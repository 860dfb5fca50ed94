//! What plugins cost: a call of a hook against the same hook compiled into the host and against a bare call through a
//! trait object; a point that no hook wants; a record below the level; finding and loading. Prints times and ratios, and
//! fails when a promise of `docs/plugins.md` is broken.

use serde_json::{Value as Json, json};
use snaphook_hooks::{Dispatcher, HookFault, Host, OnError, Priority};
use snaphook_loader::{Catalog, Resolved, SearchPath, load};
use snaphook_plugin_api::host::{
    HookInstance, NativeHook, Progress, Services, Statistic, TensorHandle,
};
use snaphook_plugin_api::prelude::*;
use snaphook_plugin_api::testing::FakeRunner;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

const CALLS: u64 = 2_000_000;
const ROUNDS: usize = 7;

/// The same work as the plugin does between two intervals: one look at the counters.
#[derive(Kwargs)]
struct LikeThePlugin {
    #[kwarg(default = 50)]
    interval: u64,
}

#[hook]
impl Hook for LikeThePlugin {
    fn after_train_iter(&mut self, runner: &mut Runner, step: &TrainStep) -> HookResult {
        if runner.every_n_train_iters(self.interval) && !step.outputs.all_finite("loss")? {
            return Err(HookError::fatal("loss became infinite or NaN"));
        }
        Ok(())
    }
}

trait Bare {
    fn call(&mut self, iter: u64) -> Result<(), String>;
}

struct BareHook {
    interval: u64,
}

impl Bare for BareHook {
    #[inline(never)]
    fn call(&mut self, iter: u64) -> Result<(), String> {
        if (iter + 1).is_multiple_of(self.interval) { Err("due".to_owned()) } else { Ok(()) }
    }
}

/// The fastest of some rounds, in nanoseconds per call: what else runs on the machine only adds.
fn measure(mut call: impl FnMut(u64)) -> f64 {
    let round = |_| {
        let begin = Instant::now();
        (0..CALLS).for_each(&mut call);
        begin.elapsed().as_nanos() as f64 / CALLS as f64
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

/// A run for the dispatcher: the fake one, with nothing to carry out.
struct Quiet(FakeRunner);

impl Host for Quiet {
    type Error = Box<HookFault>;

    fn has_requests(&self) -> bool {
        false
    }

    fn carry_out(&mut self, _: &mut Dispatcher) -> Result<(), Self::Error> {
        Ok(())
    }

    fn drop_requests(&mut self) {}
}

macro_rules! as_the_fake_run {
    ($($name:ident($($argument:ident: $kind:ty),*) $(-> $answer:ty)?;)*) => {
        impl Services for Quiet {
            $(fn $name(&mut self, $($argument: $kind),*) $(-> $answer)? { Services::$name(&mut self.0, $($argument),*) })*
        }
    };
}

as_the_fake_run! {
    progress() -> Progress;
    log_level() -> LogLevel;
    log(level: LogLevel, target: &str, message: &str);
    scalar_add(key: &str, value: f64, count: u64);
    scalar_add_tensor(key: &str, tensor: TensorHandle);
    scalar_read(key: &str, statistic: Statistic, window: u64) -> Option<f64>;
    output(name: &str) -> Option<TensorHandle>;
    output_names() -> Vec<String>;
    tensor_item(tensor: TensorHandle) -> Result<f64, ServiceError>;
    tensor_all_finite(tensor: TensorHandle) -> Result<bool, ServiceError>;
    learning_rate() -> Option<f64>;
    payload(point: HookPoint) -> Json;
    call(service: &str, method: &str, arguments: Json) -> Result<Json, ServiceError>;
}

/// Builds a part of the workspace in the release profile.
fn built(arguments: &[&str]) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--offline", "--quiet", "--release"]).args(arguments);
    assert!(cargo.status().is_ok_and(|status| status.success()), "{arguments:?} does not build");
}

/// The folder of the release profile.
fn release() -> PathBuf {
    let program = std::env::current_exe().expect("a program");
    program.ancestors().nth(2).expect("target/release").to_path_buf()
}

/// A hook of the plugin in one folder, which has no other plugin of the type.
fn hook_of(folder: &Path, type_name: &str, kwargs: &Json) -> impl HookInstance + use<> {
    let search_path = SearchPath::builder().without_environment().command_line([folder]).build();
    let catalog = Catalog::discover(&search_path);
    let Ok(Resolved::Plugin(found)) = catalog.resolve(type_name, &[]) else {
        panic!("expected {type_name} in {}, found {:?}", folder.display(), catalog.refused());
    };
    let loaded = load(&found).expect("the plugin loads");
    loaded.construct(kwargs).expect("the hook is built")
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// A folder with 100 plugins.
fn hundred_plugins() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for index in 0..100 {
        let copy = folder.path().join(format!("lib{index}.so"));
        std::fs::copy(golden().join("plugin-api-1.0.so"), copy).expect("a copy");
    }
    folder
}

/// The fastest of some rounds, in milliseconds.
fn milliseconds(mut work: impl FnMut()) -> f64 {
    let round = |_| {
        let begin = Instant::now();
        work();
        begin.elapsed().as_secs_f64() * 1e3
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

/// Discovery, all checks, hash, opening and start of one plugin, and its hook built, in milliseconds. A file is opened
/// once per process, so each round has a copy of its own.
fn loading() -> f64 {
    let folders: Vec<_> = (0..ROUNDS).map(|_| tempfile::tempdir().expect("a folder")).collect();
    for folder in &folders {
        let copy = folder.path().join("libgolden.so");
        std::fs::copy(golden().join("plugin-api-1.0.so"), copy).expect("a copy");
    }
    let mut next = folders.iter();
    milliseconds(|| {
        let folder = next.next().expect("a folder for each round");
        black_box(hook_of(folder.path(), "GoldenHook", &json!({})));
    })
}

/// Two records, one of `log` and one of `tracing`, below the level of the host, in nanoseconds for one of them.
fn record_below_the_level() -> f64 {
    built(&["--package", "snaphook-loader", "--example", "faulty_plugin"]);
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("libfaulty_plugin.so");
    std::fs::copy(release().join("examples/libfaulty_plugin.so"), copy).expect("a copy");
    let cost = |mode: &str| {
        let mut hook = hook_of(folder.path(), "FaultyHook", &json!({ "mode": mode }));
        let mut run = FakeRunner::new();
        measure(|_| drop(black_box(hook.call(HookPoint::BeforeTrain, None, &mut run))))
    };
    (cost("debug") - cost("nothing")).max(0.0) / 2.0
}

/// A point of a run with one hook that does not want it.
fn unused_point() -> f64 {
    let mut hooks = Dispatcher::default();
    let kwargs = json!({ "interval": 1_000_000 });
    let hook = NativeHook::construct::<LikeThePlugin>(&kwargs).expect("built");
    hooks.register(Box::new(hook), Priority::NORMAL, OnError::Stop);
    let mut run = Quiet(FakeRunner::new());
    let point = black_box(HookPoint::AfterBackward);
    measure(|batch| drop(black_box(hooks.call(point, Some(batch), &mut run))))
}

/// Prints what was measured against what is promised; whether it is kept.
fn tell(what: &str, measured: f64, unit: &str, promised: f64) -> bool {
    let is_kept = measured < promised;
    let verdict = if is_kept { "" } else { "  BROKEN" };
    println!("{what:<52}{measured:>8.2} {unit}  (promised: below {promised} {unit}){verdict}");
    is_kept
}

fn main() -> ExitCode {
    built(&["--package", "snaphook-cli", "--package", "check-invalid-loss"]);
    let folder = hundred_plugins();
    let search_path =
        SearchPath::builder().without_environment().command_line([folder.path()]).build();
    let mut is_kept =
        tell("one plugin found, hashed, checked, opened, built", loading(), "ms", 5.0);
    let read = milliseconds(|| {
        assert_eq!(black_box(Catalog::discover(&search_path)).plugins().count(), 100);
    });
    println!("{:<52}{read:>8.2} ms", "manifests of 100 plugins read");
    let listed = milliseconds(|| {
        let mut command = Command::new(release().join("snaphook"));
        command.args(["plugins", "list", "--plugins"]).arg(folder.path());
        assert!(command.output().is_ok_and(|output| output.status.success()));
    });
    is_kept &= tell("snaphook plugins list, 100 plugins, as a process", listed, "ms", 100.0);

    let (mut run, kwargs) = (FakeRunner::new(), json!({ "interval": 1_000_000 }));
    let mut plugin = hook_of(&release(), "CheckInvalidLossHook", &kwargs);
    let mut native = NativeHook::construct::<LikeThePlugin>(&kwargs).expect("built");
    let mut bare: Box<dyn Bare> = black_box(Box::new(BareHook { interval: 1 << 40 }));
    let point = HookPoint::AfterTrainIter;
    let plugin = measure(|batch| drop(black_box(plugin.call(point, Some(batch), &mut run))));
    let native = measure(|batch| drop(black_box(native.call(point, Some(batch), &mut run))));
    let bare = measure(|batch| drop(black_box(bare.call(batch))));
    is_kept &= tell("hook in a .so, one look at the counters, per call", plugin, "ns", 50.0);
    println!("{:<52}{native:>8.2} ns  (ratio {:.2})", "same hook in the host", plugin / native);
    println!(
        "{:<52}{bare:>8.2} ns  (ratio {:.2})",
        "bare call through a trait object",
        plugin / bare
    );
    is_kept &= tell("point that no hook wants", unused_point(), "ns", 10.0);
    is_kept &= tell("record of a plugin below the level", record_below_the_level(), "ns", 10.0);
    if is_kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
