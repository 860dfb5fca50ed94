//! Whole runs of the built programs, with real `.so` files and hostile input. A file per subject:
//!
//! | file | what must hold |
//! |---|---|
//! | `outside_plugin` | a plugin of another workspace takes part in a run; the trainer is not rebuilt |
//! | `classifiers` | a class for each picture, in MMPretrain's words |
//! | `looking` | `browse`, `predict`, `test --show-dir` |
//! | `detectors` | two stages, one stage with anchors, a model of one's own; trained weights |
//! | `hook_points` | every hook point comes in MMEngine's order with MMEngine's counters |
//! | `wrong_hooks` | wrong kwargs, unknown and doubled types, hooks that fail and panic |
//! | `validation` | several validation sets, losses on validation data |
//! | `killed_anywhere` | a run killed at twenty moments ends as one that was left alone |
//! | `interrupted` | SIGTERM, SIGUSR1 and Ctrl-C save, say how to go on, and have their exit codes |
//! | `launched` | `snaphook launch` names what fails or hangs, starts again, passes signals on |
//! | `rank_hooks` | hooks of plugins in several processes: one record, one upload, one size, one end |
//! | `ranks_break` | two ranks of which one is killed, stopped, slow, hangs or fails: all end, and the odd one is named |
//! | `emergency` | a run that fails leaves its last good checkpoint, and one of the moment where the state is sound |
//! | `trials` | `--fast-dev-run`, `--overfit-batches`, limits, `--sanity-val` |
//! | `killed_while_saving` | a run that is killed while it saves goes on from the last whole checkpoint |
//! | `built_in_hooks` | early stopping, traces, copied logs |
//! | `cloud` | checkpoints in S3 through a bad network, and going on from there on an empty machine |
//! | `detection_hooks` | MMDetection's hooks, from their plugins |
//! | `resume` | a resumed run equals one that was never interrupted |
//! | `bad_config`, `bad_data`, `bad_files` | wrong input ends with one clear message and nothing half-written |
//! | `plugin_check` | a plugin that crashes or hangs is a report and is remembered; locked runs load locked files alone |
//! | `plugin_readme` | the page about plugins says what their manifests say |
//! | `author` | the page for authors, word for word, from nothing to a line in the training log |
//! | `plugin_watch` | what plugins log is heard, what crashes is named, what was loaded is written down |
//! | `full_disk` | a checkpoint that cannot be written is a failed run; the older one stays |
//! | `loggers` | MLflow, a webhook, Prometheus and Weights & Biases hear of a run what it was |
//! | `logs` | MMEngine's lines and files, JSON lines, TensorBoard's event files |
//! | `ranks` | several processes train as one, measure as one, and end together |
//! | `ranks_data` | several processes see the samples and batches of one, whatever the sampler, and measure to the same bits |
//! | `ranks_network` | two ranks whose connection is cut end within the timeout and name each other |
//! | `reports` | the page about a run, lists and comparisons of runs |
//! | `cli` | what the commands print; none of them runs a plugin's code |
//! | `tidy` | what the sources promise: headers, lengths, no libtorch where none belongs |
//!
//! No test depends on time, network, GPU or order; each has a folder of its own.
#![allow(clippy::unwrap_used)] // helpers of tests count as no tests for clippy

mod author;
mod bad_config;
mod bad_data;
mod bad_files;
mod built_in_hooks;
mod classifiers;
mod cli;
mod cloud;
mod detection_hooks;
mod detectors;
mod emergency;
mod full_disk;
mod hook_points;
mod interrupted;
mod killed_anywhere;
mod killed_while_saving;
mod launched;
mod loggers;
mod logs;
mod looking;
mod outside_plugin;
mod plugin_check;
mod plugin_readme;
mod plugin_watch;
mod precision;
mod pth;
mod rank_hooks;
mod ranks;
mod ranks_break;
mod ranks_data;
mod ranks_join;
mod ranks_network;
mod reports;
mod resume;
mod tidy;
mod trials;
mod validation;
mod wrong_hooks;
