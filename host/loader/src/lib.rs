//! Plugins: found in folders, read without running their code, checked, loaded, and made to look like any
//! other hook. The only crate that opens `.so` files. Knows nothing of libtorch and of how a run goes.
//!
//! ```text
//! SearchPath ─► Catalog::discover ─► resolve("Type") ─► check_kwargs ─► load ─► construct ─► PluginHook
//!  (folders)     (manifests read)     (one plugin)      (no code run)    (code runs from here on)
//! ```
//!
//! ```
//! use snaphook_loader::{Catalog, SearchPath};
//! let search_path = SearchPath::builder().without_environment().build();
//! let catalog = Catalog::discover(&search_path);
//! let error = catalog.resolve("EmaHook", &["EMAHook"]).unwrap_err();
//! assert!(error.to_string().contains("did you mean 'EMAHook'?"));
//! ```

mod breadcrumb;
mod catalog;
mod check;
mod deadline;
mod dynamic;
mod elf;
mod entry;
mod error;
mod hook;
mod identity;
mod last_words;
mod load;
mod lock;
mod manifest;
mod obstacle;
mod private_copy;
mod ranks;
mod remembered;
mod resolve;
mod search;
mod shared_memory;
mod strict_json;
mod system;
mod watchdog;

pub use catalog::{Catalog, Plugin, Refused, Shadowed};
pub use check::{
    CheckEnd, CheckLimits, CheckReport, CheckStep, Exercise, StepVerdict, check_in_child,
    end_by_signal, end_checks_on_signals, exercise, limit_this_process, listen_to_stdout_alone,
};
pub use deadline::Deadline;
pub use error::{LoadError, ResolveError};
pub use hook::PluginHook;
pub use last_words::{RunGuard, end_process, install_last_words, take_crash_note};
pub use load::{LoadedPlugin, load, replaced_files, set_log_level};
pub use lock::{LockError, LockedPlugin, PluginLock};
pub use manifest::{ApiVersion, BuildInfo, Manifest, Needs, PluginInfo, TypeInfo};
pub use ranks::{RanksDiffer, compare_ranks, plugins_digest};
pub use remembered::RememberedFailures;
pub use resolve::{BUILT_IN_PREFIX, PluginType, Resolved, check_kwargs};
pub use search::{Origin, SearchFolder, SearchPath, SearchPathBuilder};
pub use shared_memory::share_words;
pub use system::open_system_library;
pub use watchdog::{Overrun, Sighting, Watchdog};
