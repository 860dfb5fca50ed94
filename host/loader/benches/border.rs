//! What a call of a plugin's hook costs, against the same hook compiled into the host, and against a bare
//! call through a trait object. Prints nanoseconds per call and their ratios.

use serde_json::json;
use snaphook_loader::{Catalog, Resolved, SearchPath, load};
use snaphook_plugin_api::host::{HookInstance, NativeHook};
use snaphook_plugin_api::prelude::*;
use snaphook_plugin_api::testing::FakeRunner;
use std::hint::black_box;
use std::process::Command;
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

fn plugin_hook() -> impl HookInstance {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--quiet", "--release", "--package", "check-invalid-loss"])
        .args(["--message-format", "short"])
        .status();
    assert!(built.is_ok_and(|status| status.success()), "the plugin does not build");
    let catalog = Catalog::discover(&SearchPath::builder().build());
    let Ok(Resolved::Plugin(found)) = catalog.resolve("CheckInvalidLossHook", &[]) else {
        panic!("expected the plugin in the target folder, found {:?}", catalog.refused());
    };
    let loaded = load(&found).expect("the plugin loads");
    loaded.construct(&json!({ "interval": 1_000_000 })).expect("the hook is built")
}

/// The fastest of some discoveries of a folder with 100 plugins, in milliseconds.
fn discovery() -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let golden =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/plugin-api-1.0.so");
    for index in 0..100 {
        std::fs::copy(&golden, folder.path().join(format!("lib{index}.so"))).expect("a copy");
    }
    let search_path =
        SearchPath::builder().without_environment().command_line([folder.path()]).build();
    let round = |_| {
        let begin = Instant::now();
        assert_eq!(black_box(Catalog::discover(&search_path)).plugins().count(), 100);
        begin.elapsed().as_secs_f64() * 1e3
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

/// Discovery, all checks, hash, opening and start of one plugin, in milliseconds; a plugin is opened once per process.
fn loading() -> f64 {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let begin = Instant::now();
    let search_path = SearchPath::builder().without_environment().command_line([folder]).build();
    let Ok(Resolved::Plugin(found)) = Catalog::discover(&search_path).resolve("GoldenHook", &[])
    else {
        panic!("expected the golden plugin");
    };
    black_box(load(&found).expect("the golden plugin loads"));
    begin.elapsed().as_secs_f64() * 1e3
}

fn main() {
    println!("manifests of 100 plugins read:           {:.1} ms", discovery());
    println!("one plugin found, checked and opened:    {:.1} ms", loading());
    let mut run = FakeRunner::new();
    let mut plugin = plugin_hook();
    let mut native =
        NativeHook::construct::<LikeThePlugin>(&json!({ "interval": 1_000_000 })).expect("built");
    let mut bare: Box<dyn Bare> = black_box(Box::new(BareHook { interval: 1 << 40 }));
    let point = HookPoint::AfterTrainIter;
    let plugin = measure(|batch| drop(black_box(plugin.call(point, Some(batch), &mut run))));
    let native = measure(|batch| drop(black_box(native.call(point, Some(batch), &mut run))));
    let bare = measure(|batch| drop(black_box(bare.call(batch))));
    println!("hook in a .so, one look at the counters: {plugin:.1} ns per call");
    println!(
        "same hook in the host:                   {native:.1} ns per call (ratio {:.2})",
        plugin / native
    );
    println!(
        "bare call through a trait object:        {bare:.1} ns per call (ratio {:.2})",
        plugin / bare
    );
}
