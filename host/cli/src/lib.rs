//! What the programs `snaphook` and `snaphook-trainer` share on the command line, and all commands that
//! do not train. Links no libtorch, so that it answers at once.
//!
//! ```text
//! command line ─► args ─► commands ─┬─► config, plugins, hooks, doctor ─► stdout
//!                                   └─► train, test: check, then become snaphook-trainer
//! ```
//!
//! ```
//! use snaphook_cli::args::{Cli, Command, Resume};
//!
//! let cli = Cli::read(["snaphook", "train", "a.py", "train_cfg.max_epochs=5", "--resume"])?;
//! if let Command::Train(train) = cli.command {
//!     assert_eq!(train.load.overrides(), ["train_cfg.max_epochs=5"]);
//!     assert_eq!(train.resume(), Some(Resume::Last));
//! }
//! # Ok::<(), clap::Error>(())
//! ```

pub mod args;
mod check;
mod checkpoint_folder;
mod checkpoint_url;
mod commands;
mod error;
mod exit;
mod loading;
mod output;
pub mod plan;
pub mod plugins;
pub mod report;
mod schedule;
mod trainer;

pub use check::{dist_timeout, ignored_keys, odd_words};
pub use checkpoint_url::checkpoint_url;
pub use commands::run;
pub use error::CliError;
pub use exit::Exit;
pub use loading::{load, load_with_warnings, resolver};
pub use snaphook_launch::{end_at_second_interrupt, is_ignored};
pub use trainer::asking_signals;
