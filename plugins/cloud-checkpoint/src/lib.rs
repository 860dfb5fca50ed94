//! `CloudCheckpointHook` and its S3 name `AWSCloudCheckpoint`: each checkpoint is uploaded while the training goes on, and
//! a run on an empty machine goes on from there. Knows nothing of what is in a checkpoint but its list of files.
//!
//! ```text
//! after_save_checkpoint ─► snapshot (hard links) ─► queue ─► worker thread ─► files ─► manifest ─► index
//! fetch_checkpoint      ◄─ checked files ◄─ index ◄───────────────────────── bucket
//! ```
//!
//! In the cloud a checkpoint is a folder below the URL, with the files of the local one; `manifest.json` is its last file, and
//! `checkpoints.json` beside the folders lists those that are whole. A reader begins with that list, so that it never
//! meets half a checkpoint, and compares every file with the SHA-256 of the manifest. The list has a checksum of its own, and
//! says besides what is to be removed, until that is gone.

mod checkpoints;
mod credentials;
mod download;
mod index;
mod patience;
mod process;
mod retry;
mod settings;
mod snapshot;
mod store;
mod upload;
mod uploads;
mod worker;

use settings::Settings;
use snaphook_plugin_api::prelude::*;
use std::path::PathBuf;
use uploads::Uploads;

macro_rules! cloud_hook {
    ($(#[$doc:meta])* $name:ident, $schemes:expr) => {
        $(#[$doc])*
        #[derive(Kwargs)]
        pub struct $name {
            /// Where checkpoints go, such as `s3://bucket/prefix`.
            #[kwarg(required)]
            url: String,
            /// Upload checkpoints whose epoch is a multiple of this; the last one and those of an interruption come always.
            #[kwarg(default = 1, min = 1)]
            interval: u64,
            /// Whether `interval` counts epochs, and not iterations.
            #[kwarg(default = true)]
            by_epoch: bool,
            /// Whether checkpoints that were saved for being the best are uploaded.
            #[kwarg(default = true)]
            best: bool,
            /// How many checkpoints stay in the cloud, the best one not counted; -1 keeps all.
            #[kwarg(default = -1, min = -1)]
            keep: i64,
            /// Whether the run's log and scalars are uploaded at its end.
            #[kwarg(default = false)]
            logs: bool,
            /// Whether the resolved config is uploaded.
            #[kwarg(default = false)]
            config: bool,
            /// Another store that speaks the same protocol, such as `http://127.0.0.1:9000` or `https://minio.example`.
            #[kwarg]
            endpoint: Option<String>,
            /// The region of the bucket; without it the environment or the profile says which.
            #[kwarg]
            region: Option<String>,
            /// A file with the keys, in the form of `~/.aws/credentials`, whose section `default` or `AWS_PROFILE` goes before all
            /// else; for S3.
            #[kwarg]
            credentials: Option<PathBuf>,
            /// Size of the parts of an upload, in MiB; so much memory is used for each of `parallel`.
            #[kwarg(default = 8, min = 5, max = 1024)]
            part_mib: u64,
            /// Parts that are on their way at the same time.
            #[kwarg(default = 4, min = 1, max = 64)]
            parallel: u64,
            /// How long the requests of one upload, or of a fetch, may fail in all before it is given up, in minutes; time in which
            /// bytes arrive is not counted. At the end of the run everything that is left shares it.
            #[kwarg(default = 30.0, min = 0.0)]
            retry_minutes: f64,
            /// How long a single request may take, in seconds.
            #[kwarg(default = 120.0, min = 0.1)]
            timeout_s: f64,
            /// Whether the store is asked to check the SHA-256 of each part; some that only resemble S3 refuse it.
            #[kwarg(default = true)]
            checksums: bool,
            uploads: Uploads,
        }

        impl $name {
            fn settings(&self) -> Settings {
                Settings {
                    hook: stringify!($name),
                    schemes: $schemes,
                    url: self.url.clone(),
                    interval: self.interval,
                    by_epoch: self.by_epoch,
                    best: self.best,
                    keep: usize::try_from(self.keep).ok(),
                    logs: self.logs,
                    config: self.config,
                    endpoint: self.endpoint.clone(),
                    region: self.region.clone(),
                    credentials: self.credentials.clone(),
                    part_bytes: self.part_mib << 20,
                    parallel: self.parallel as usize,
                    retry_s: self.retry_minutes * 60.0,
                    timeout_s: self.timeout_s,
                    checksums: self.checksums,
                }
            }
        }

        // After all others, so that the log that is uploaded has their last lines; but before the hooks that tell other
        // programs of the end (LOWEST, 100), since it may fail there.
        #[hook(priority = 95, cost_us = 300000)]
        impl Hook for $name {
            fn fetch_checkpoint(&mut self, runner: &mut Runner, wanted: &WantedCheckpoint) -> HookResult {
                download::fetch(&self.settings(), runner, wanted)
            }

            fn before_run(&mut self, runner: &mut Runner) -> HookResult {
                self.uploads.begin(self.settings(), runner)
            }

            fn after_save_checkpoint(&mut self, runner: &mut Runner, saved: &SavedCheckpoint) -> HookResult {
                self.uploads.take(runner, saved)
            }

            fn after_train_iter(&mut self, _: &mut Runner, _: &TrainStep) -> HookResult {
                self.uploads.tell_failures()
            }

            fn after_run(&mut self, runner: &mut Runner) -> HookResult {
                self.uploads.finish(runner)
            }

            fn on_exception(&mut self, runner: &mut Runner, _: &RunError) -> HookResult {
                self.uploads.finish(runner)
            }
        }
    };
}

cloud_hook! {
    /// Uploads checkpoints to S3 (`s3://bucket/prefix`), Google Cloud Storage (`gs://`) or Azure (`az://container/prefix`).
    ///
    /// Credentials come from where the vendor's own tools take them: the environment, for S3 also the profile in `~/.aws`, the
    /// machine's role. `--resume URL` fetches the newest checkpoint of a URL before the run starts.
    CloudCheckpointHook, &["s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl"]
}

cloud_hook! {
    /// Uploads checkpoints to S3, or to another store that speaks its protocol (`endpoint`).
    ///
    /// `CloudCheckpointHook` by the name that it has for S3.
    AWSCloudCheckpoint, &["s3", "s3a"]
}

export_plugin!(CloudCheckpointHook, AWSCloudCheckpoint);
