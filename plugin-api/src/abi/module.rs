//! The frozen entry points of a plugin, and the object that is a hook. Knows nothing of hooks as Rust
//! sees them.

// abi_stable's derive writes hidden items without documentation.
#![allow(missing_docs, non_local_definitions)]

use super::{Sink, Text};
use abi_stable::library::RootModule;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::StableAbi;
use std::ffi::c_void;

/// What a plugin is given when it is loaded; valid for the rest of the process.
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct HostTable {
    /// Major number of the contract that the host was built with.
    pub api_major: u32,
    /// Minor number of it.
    pub api_minor: u32,
    /// The table of an extension id, valid for the rest of the process; null when the host lacks it.
    pub extension: unsafe extern "C" fn(id: Text) -> *const c_void,
}

/// One call of a hook.
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct CallContext {
    /// Number of the [`crate::HookPoint`]; a number that the plugin does not know is answered with OK.
    pub point: u32,
    /// 1 when `batch_idx` means something.
    pub has_batch_idx: u32,
    /// The number of the batch in its epoch.
    pub batch_idx: u64,
    /// The first argument of all host functions, valid during this call, on this thread.
    pub host: *mut c_void,
}

/// What a hook can be asked to do. Errors are put into the sink as a JSON object
/// `{kind, message, file, line, backtrace}` (the last three may be `null` or missing) or as plain text.
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct HookVTable {
    /// Calls the hook at a point; status OK, FAILED or PANICKED.
    pub call:
        unsafe extern "C" fn(instance: *mut c_void, call: *const CallContext, why: Sink) -> u32,
    /// Writes the version of the state and puts the state as JSON; status OK, NONE (nothing to save),
    /// or FAILED or PANICKED with the error in the sink.
    pub save_state:
        unsafe extern "C" fn(instance: *mut c_void, version: *mut u32, state: Sink) -> u32,
    /// Takes a state back; status OK, FAILED or PANICKED.
    pub load_state:
        unsafe extern "C" fn(instance: *mut c_void, version: u32, state: Text, why: Sink) -> u32,
    /// Frees the hook; it is not used afterwards.
    pub close: unsafe extern "C" fn(instance: *mut c_void),
}

/// A hook of a plugin.
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct HookObject {
    /// The first argument of the functions of `vtable`.
    pub instance: *mut c_void,
    /// Valid for the rest of the process.
    pub vtable: *const HookVTable,
}

/// The entry points of a plugin. They never change: a further kind of thing that plugins export is a
/// table behind `extension`.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModuleRef, prefix_fields = PluginModulePrefix)))]
pub struct PluginModule {
    /// Called once, first of all; status OK, or UNSUPPORTED for a host with another major number, or
    /// FAILED or PANICKED with the error in the sink.
    pub start: unsafe extern "C" fn(host: *const HostTable, why: Sink) -> u32,
    /// The most verbose level that the host writes, as [`crate::host::LogLevel`], 0 for none; called
    /// after `start` and when it changes, on any thread.
    pub set_log_level: unsafe extern "C" fn(level: u32),
    /// Builds a hook of a type that the manifest lists, from a JSON object of arguments; status OK with
    /// `out` written, or UNSUPPORTED, FAILED or PANICKED with the error in the sink.
    pub construct_hook:
        unsafe extern "C" fn(type_name: Text, kwargs: Text, out: *mut HookObject, why: Sink) -> u32,
    /// The table of an extension id of the plugin; null when the plugin lacks it.
    #[sabi(last_prefix_field)]
    pub extension: unsafe extern "C" fn(id: Text) -> *const c_void,
}

/// The same entry points as a plain C struct, in the symbol [`ENTRY_SYMBOL`]. Every plugin has it, whatever its
/// language; a plugin in Rust has [`PluginModule`] beside it, for the check of layouts.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PluginEntry {
    /// Major number of the contract that the plugin was built with.
    pub api_major: u32,
    /// Minor number of it.
    pub api_minor: u32,
    /// As [`PluginModule::start`].
    pub start: unsafe extern "C" fn(host: *const HostTable, why: Sink) -> u32,
    /// As [`PluginModule::set_log_level`].
    pub set_log_level: unsafe extern "C" fn(level: u32),
    /// As [`PluginModule::construct_hook`].
    pub construct_hook:
        unsafe extern "C" fn(type_name: Text, kwargs: Text, out: *mut HookObject, why: Sink) -> u32,
    /// As [`PluginModule::extension`].
    pub extension: unsafe extern "C" fn(id: Text) -> *const c_void,
}

/// Name of the static [`PluginEntry`] in a plugin's file; its number is the major number of the contract.
pub const ENTRY_SYMBOL: &str = "snaphook_plugin_1";

impl RootModule for PluginModuleRef {
    abi_stable::declare_root_module_statics! {PluginModuleRef}
    const BASE_NAME: &'static str = "snaphook_plugin";
    const NAME: &'static str = "snaphook_plugin";
    const VERSION_STRINGS: VersionStrings = abi_stable::package_version_strings!();
}
