//! What the programs `snaphook` and `snaphook-trainer` share on the command line, and all commands that
//! do not train. Links no libtorch, so that it answers at once.
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
mod exit;
pub mod report;

pub use exit::Exit;
