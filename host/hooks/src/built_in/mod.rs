//! The built-in hooks. Each is written against the same [`Hook`](snaphook_plugin_api::Hook) trait and the
//! same services as a plugin's: none can do what a third party could not.

mod checkpoint;
mod direction;
mod early_stopping;
mod ema;
mod empty_cache;
mod file_template;
mod iter_timer;
mod logger;
mod param_scheduler;
mod profiler;
mod published;
mod registry;
mod runtime_info;
mod sampler_seed;
mod sync_buffers;
mod upload;

pub use checkpoint::CheckpointHook;
pub use early_stopping::EarlyStoppingHook;
pub use ema::EMAHook;
pub use empty_cache::EmptyCacheHook;
pub use iter_timer::IterTimerHook;
pub use logger::LoggerHook;
pub use param_scheduler::ParamSchedulerHook;
pub use profiler::ProfilerHook;
pub use registry::{BuiltIn, all, find, is_built_in};
pub use runtime_info::RuntimeInfoHook;
pub use sampler_seed::DistSamplerSeedHook;
pub use sync_buffers::SyncBuffersHook;
pub use upload::FinalCopy;
