//! `WandbHook`: the run as an offline one of Weights & Biases, which `wandb sync` uploads when one likes. Knows nothing of
//! networks.
//!
//! Source: the file that `wandb` 0.31 writes with `mode="offline"`, and `wandb/proto/wandb_internal.proto` of that package;
//! names of arguments as `WandbVisBackend` in `mmengine/visualization/vis_backend.py` passes them on.

mod file;
mod message;

use file::RunFile;
use message::Record;
use snaphook_plugin_api::prelude::*;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Writes losses, learning rate, metrics, the config and the end of the run to a file that `wandb sync` uploads.
///
/// The end has the exit code 0, 1 of a run that failed, or 255, as `wandb` writes after Ctrl-C, where the run was asked to end.
/// The file is `wandb/offline-run-<time>-<id>/run-<id>.wandb` in the run's folder. A resumed run writes another file of the
/// same id, which `wandb sync --append` adds to the first.
#[derive(Kwargs)]
pub struct WandbHook {
    /// The project that the run will belong to.
    #[kwarg(default = "uncategorized")]
    project: String,
    /// The user or team that it will belong to; who uploads it, without it.
    #[kwarg]
    entity: Option<String>,
    /// The name of the run; the one of the run folder without it.
    #[kwarg]
    name: Option<String>,
    /// Tags.
    #[kwarg(default = [])]
    tags: Vec<String>,
    /// Write scalars of the training every this many iterations.
    #[kwarg(default = 10, min = 1)]
    interval: u64,
    run: Option<Open>,
    /// Of this run, or of the one that was resumed.
    id: Option<String>,
    /// Number of the next row, which goes on after a resume.
    step: i64,
}

/// The exit code that `wandb` has for Ctrl-C.
const INTERRUPTED: i64 = 255;

struct Open {
    file: RunFile,
    began: Instant,
}

// The last of all, so that it knows how the run ended: what else can fail at the end comes before.
#[hook(priority = "LOWEST", cost_us = 2000)]
impl Hook for WandbHook {
    fn before_train(&mut self, runner: &mut Runner) -> HookResult {
        self.open(runner)
    }

    fn before_test(&mut self, runner: &mut Runner) -> HookResult {
        self.open(runner)
    }

    fn after_train_iter(&mut self, runner: &mut Runner, step: &TrainStep) -> HookResult {
        if !self.is_open() || !runner.every_n_train_iters(self.interval) {
            return Ok(());
        }
        let mut values = Vec::new();
        for name in step.outputs.names() {
            // Outputs of more than one element are no losses.
            values.extend(
                step.outputs.value(&name).ok().map(|value| (format!("train/{name}"), value)),
            );
        }
        values.extend(runner.learning_rate().map(|rate| ("train/lr".to_owned(), rate)));
        let iter = runner.iter() + 1;
        self.row(runner.epoch(), iter, values)
    }

    fn after_val_epoch(&mut self, runner: &mut Runner, metrics: &Metrics) -> HookResult {
        let named = |(name, value): (&str, f64)| (format!("val/{name}"), value);
        self.row(runner.epoch(), runner.iter(), metrics.iter().map(named).collect())
    }

    fn after_test_epoch(&mut self, runner: &mut Runner, metrics: &Metrics) -> HookResult {
        let named = |(name, value): (&str, f64)| (format!("test/{name}"), value);
        self.row(runner.epoch(), runner.iter(), metrics.iter().map(named).collect())
    }

    fn on_exception(&mut self, _: &mut Runner, _: &RunError) -> HookResult {
        self.close(1)
    }

    fn after_run(&mut self, runner: &mut Runner) -> HookResult {
        let interruption = match runner.control().interruption() {
            // An older host does not tell.
            Err(ServiceError::Unsupported(_)) => None,
            answer => answer?,
        };
        self.close(if interruption.is_some() { INTERRUPTED } else { 0 })
    }

    fn save_state(&self) -> Option<HookState> {
        Some(HookState { version: 1, data: json!({ "id": self.id.as_ref()?, "step": self.step }) })
    }

    fn load_state(&mut self, state: HookState) -> HookResult {
        self.id = state.data["id"].as_str().map(str::to_owned);
        self.step = state.data["step"].as_i64().unwrap_or_default();
        Ok(())
    }
}

impl WandbHook {
    fn is_open(&self) -> bool {
        self.run.as_ref().is_some_and(|run| !run.file.has_ended())
    }

    fn open(&mut self, runner: &mut Runner) -> HookResult {
        if self.is_open() || runner.distributed().rank() != 0 {
            return Ok(());
        }
        let (info, config) = (runner.run().info()?, runner.run().config()?);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let is_resumed = self.id.is_some();
        let id = self.id.get_or_insert_with(|| new_id(now.as_nanos() as u64, info.seed)).clone();
        let folder =
            info.run_dir.join("wandb").join(format!("offline-run-{}-{id}", info.timestamp));
        let mut file = RunFile::create(&folder, &id)?;
        file.write(Record::header(concat!("snaphook ", env!("CARGO_PKG_VERSION"))))?;
        file.write(Record::run(&message::Run {
            id: &id,
            entity: self.entity.as_deref(),
            project: &self.project,
            name: self.name.as_deref().unwrap_or(&info.experiment_name),
            tags: &self.tags,
            config: &config,
            began: now,
            is_resumed,
        }))?;
        runner.info(&format!("For Weights & Biases: wandb sync {}", folder.display()));
        self.run = Some(Open { file, began: Instant::now() });
        Ok(())
    }

    fn row(&mut self, epoch: u64, iter: u64, mut values: Vec<(String, f64)>) -> HookResult {
        let Some(run) = self.run.as_mut().filter(|run| !run.file.has_ended()) else {
            return Ok(());
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        values.extend([
            ("epoch".to_owned(), epoch as f64),
            ("iter".to_owned(), iter as f64),
            ("_timestamp".to_owned(), now.as_secs_f64()),
            ("_runtime".to_owned(), run.began.elapsed().as_secs_f64()),
            ("_step".to_owned(), self.step as f64),
        ]);
        run.file.write(Record::history(self.step, &values))?;
        run.file.write(Record::summary(&values))?;
        self.step += 1;
        Ok(())
    }

    fn close(&mut self, code: i64) -> HookResult {
        let Some(run) = &mut self.run else { return Ok(()) };
        let seconds = run.began.elapsed().as_secs() as i64;
        Ok(run.file.write_end(Record::exit(code, seconds))?)
    }
}

/// Eight letters and digits, as `wandb` makes them.
fn new_id(time: u64, seed: u64) -> String {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    // The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): neighbours become unlike.
    let mut mixed = time ^ seed.rotate_left(32) ^ u64::from(std::process::id()) << 20;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    (0..8).map(|index| LETTERS[(mixed / 36_u64.pow(index) % 36) as usize] as char).collect()
}

export_plugin!(WandbHook);

#[cfg(test)]
mod tests {
    use super::WandbHook;
    use snaphook_plugin_api::prelude::*;
    use snaphook_plugin_api::services::ids;
    use snaphook_plugin_api::testing::FakeRunner;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    fn hook() -> WandbHook {
        let kwargs = json!({ "project": "shapes", "interval": 1, "tags": ["a", "b"] });
        WandbHook::from_kwargs("WandbHook", &kwargs).unwrap()
    }

    fn run(folder: &Path, hook: &mut WandbHook) -> PathBuf {
        let info =
            json!({ "run_dir": folder, "timestamp": "20260131_235959", "experiment_name": "tiny" });
        let mut run = FakeRunner::new()
            .answer(ids::RUN, "info", info)
            .config(json!({ "model": { "type": "YOLOX" }, "long": "x".repeat(70_000) }))
            .output("loss", [0.5])
            .output("loss_cls", [f64::NAN])
            .learning_rate(0.01)
            .metrics([("coco/bbox_mAP", 0.25)]);
        for (point, batch) in [
            (HookPoint::BeforeTrain, None),
            (HookPoint::AfterTrainIter, Some(0)),
            (HookPoint::AfterValEpoch, None),
            (HookPoint::AfterRun, None),
        ] {
            run.run_point(hook, point, batch).unwrap();
        }
        let runs = std::fs::read_dir(folder.join("wandb")).unwrap();
        let newest = runs.map(|entry| entry.unwrap().path()).max().unwrap();
        let id = hook.id.as_ref().unwrap();
        assert_eq!(
            newest.file_name().unwrap().to_str().unwrap(),
            format!("offline-run-20260131_235959-{id}")
        );
        newest.join(format!("run-{id}.wandb"))
    }

    #[test]
    fn a_run_is_a_file_of_records_that_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let records = crate::file::read(&run(folder.path(), &mut hook()));
        assert_eq!(records.len(), 7, "header, run, two rows with their summaries, exit");
        let has = |index: usize, text: &str| {
            records[index].windows(text.len()).any(|window| window == text.as_bytes())
        };
        assert!(has(1, "shapes") && has(1, "{\"type\":\"YOLOX\"}") && records[1].len() > 70_000);
        assert!(has(2, "train/loss") && has(2, "0.5") && has(2, "\"NaN\""));
        assert!(has(4, "val/coco/bbox_mAP") && has(4, "0.25"));
    }

    #[test]
    fn the_end_of_an_interrupted_run_is_none_of_a_finished_one() {
        let folder = tempfile::tempdir().unwrap();
        let whole = crate::file::read(&run(folder.path(), &mut hook()));
        let interruption = json!({ "signal": 15, "name": "SIGTERM", "times": 1 });
        let mut asked = FakeRunner::new()
            .answer(ids::RUN, "info", json!({ "run_dir": folder.path(), "timestamp": "asked" }))
            .answer(ids::CONTROL, "interruption", interruption);
        let mut hook = hook();
        for point in [HookPoint::BeforeTrain, HookPoint::AfterRun] {
            asked.run_point(&mut hook, point, None).unwrap();
        }
        let id = hook.id.as_ref().unwrap();
        let file = folder.path().join(format!("wandb/offline-run-asked-{id}/run-{id}.wandb"));
        let asked = crate::file::read(&file);
        // 255 as protobuf's varint, which 0 is not written with.
        let has = |records: &[Vec<u8>]| {
            records.last().unwrap().windows(3).any(|window| window == [0x08, 0xff, 0x01])
        };
        assert!(has(&asked) && !has(&whole), "{:?}", asked.last());
    }

    #[test]
    fn a_failure_after_the_end_takes_its_place() {
        let (folder, mut hook) = (tempfile::tempdir().unwrap(), hook());
        let path = run(folder.path(), &mut hook);
        let before = crate::file::read(&path);
        let failure = json!({ "kind": "hook", "message": "why" });
        let mut failed = FakeRunner::new().payload(HookPoint::OnException, failure);
        failed.run_point(&mut hook, HookPoint::OnException, None).unwrap();
        let after = crate::file::read(&path);
        assert_eq!(after.len(), before.len());
        assert_eq!(after[..6], before[..6]);
        // The exit code stands in field 1.
        let has = |record: &[u8]| record.windows(2).any(|window| window == [0x08, 0x01]);
        assert!(has(&after[6]) && after[6] != before[6], "{:?}", after[6]);
    }

    #[test]
    fn a_resumed_run_keeps_its_id_and_counts_on() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut first, mut second) = (hook(), hook());
        run(folder.path(), &mut first);
        second.load_state(first.save_state().unwrap()).unwrap();
        run(other.path(), &mut second);
        assert_eq!(first.id, second.id);
        assert_eq!((first.step, second.step), (2, 4), "rows go on where they ended");
    }

    /// The package's own messages read every record.
    #[test]
    fn the_wandb_package_reads_it_where_it_is_installed() {
        let folder = tempfile::tempdir().unwrap();
        let path = run(folder.path(), &mut hook());
        let python = std::env::var_os("SNAPHOOK_WANDB_PYTHON").unwrap_or_else(|| "python3".into());
        let has_wandb = |output: &std::process::Output| output.status.success();
        if !Command::new(&python).args(["-c", "import wandb"]).output().is_ok_and(|o| has_wandb(&o))
        {
            eprintln!("not compared: no python3 with wandb (SNAPHOOK_WANDB_PYTHON names another)");
            return;
        }
        let raw = folder.path().join("records");
        let records = crate::file::read(&path)
            .into_iter()
            .flat_map(|record| (record.len() as u32).to_le_bytes().into_iter().chain(record));
        std::fs::write(&raw, records.collect::<Vec<u8>>()).unwrap();
        let script = "import sys, struct\nfrom wandb.proto import wandb_internal_pb2 as p\n\
            data, out = open(sys.argv[1], 'rb').read(), []\n\
            while data:\n    n = struct.unpack('<I', data[:4])[0]\n    r = p.Record()\n    r.ParseFromString(data[4:4+n])\n\
            \x20   out.append(r)\n    data = data[4+n:]\n\
            run = out[1].run\nassert run.project == 'shapes' and list(run.tags) == ['a', 'b'], run\n\
            assert {c.key for c in run.config.update} == {'model', 'long'}\n\
            rows = [r.history for r in out if r.WhichOneof('record_type') == 'history']\n\
            assert [r.step.num for r in rows] == [0, 1]\n\
            items = {i.nested_key[0]: i.value_json for i in rows[0].item}\n\
            assert items['train/loss'] == '0.5' and items['train/lr'] == '0.01', items\n\
            assert out[-1].exit.exit_code == 0\nprint([r.WhichOneof('record_type') for r in out])\n";
        let read = Command::new(&python).args(["-c", script]).arg(&raw).output().unwrap();
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    }
}
