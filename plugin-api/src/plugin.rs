//! The plugin's end of the border: what `export_plugin!` fills the entry points with. Compiled into every
//! `.so`; no panic leaves these functions. Knows nothing of any host.

use crate::abi::{
    put_error, status, CallContext, HookObject, HookVTable, HostTable, PluginEntry, PluginModule,
    PluginModuleRef, Sink, Text, API_VERSION,
};
use crate::dispatch::HookType;
use crate::guard::GuardedHook;
use crate::panics;
use crate::runner::{HostRef, HostTables, Runner};
use crate::{HookError, HookErrorKind, HookPoint, HookState};
use abi_stable::prefix_type::PrefixTypeTrait;
use std::ffi::c_void;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::OnceLock;

/// The tables of the host that loaded this `.so`.
static HOST: OnceLock<HostTables> = OnceLock::new();
static NO_TABLES: HostTables = HostTables::NONE;

/// One type that a plugin exports.
pub struct Export {
    name: &'static str,
    construct: fn(&str) -> Result<GuardedHook, HookError>,
}

impl Export {
    /// The export of a hook.
    pub const fn hook<H: HookType>() -> Export {
        Export { name: H::NAME, construct: GuardedHook::construct::<H> }
    }
}

/// What a plugin exports, as a type: `export_plugin!` implements it.
pub trait Plugin: 'static {
    /// Name of the plugin's package.
    const NAME: &'static str;
    /// Its types.
    const EXPORTS: &'static [Export];
}

/// The entry points of `P`.
pub fn module<P: Plugin>() -> PluginModuleRef {
    PluginModule {
        start: start::<P>,
        set_log_level,
        construct_hook: construct_hook::<P>,
        extension: no_extension,
    }
    .leak_into_prefix()
}

/// The entry points of `P` as a plain C struct.
pub const fn entry<P: Plugin>() -> PluginEntry {
    PluginEntry {
        api_major: API_VERSION.0,
        api_minor: API_VERSION.1,
        start: start::<P>,
        set_log_level,
        construct_hook: construct_hook::<P>,
        extension: no_extension,
    }
}

unsafe extern "C" fn start<P: Plugin>(host: *const HostTable, why: Sink) -> u32 {
    let started = panics::guarded(|| {
        // SAFETY: the host gives a table that stays.
        let host = unsafe { &*host };
        if host.api_major != API_VERSION.0 {
            let (ours, theirs) = (API_VERSION.0, host.api_major);
            let message =
                format!("{}: expected a host of plugin-api {ours}, found {theirs}", P::NAME);
            return Err(HookError::with_kind(HookErrorKind::Unsupported, message));
        }
        // SAFETY: the table came from a host with this major number.
        let tables = unsafe { HostTables::of(host) };
        if HOST.set(tables).is_ok() {
            panics::install_hook();
            crate::log_bridge::install(P::NAME, tables);
        }
        Ok(())
    });
    match started {
        Ok(()) => status::OK,
        // SAFETY: the host's sink is alive during this call.
        Err(error) => unsafe { put_error(&error, why) },
    }
}

unsafe extern "C" fn set_log_level(level: u32) {
    crate::log_bridge::set_level(level);
}

unsafe extern "C" fn no_extension(_id: Text) -> *const c_void {
    std::ptr::null()
}

unsafe extern "C" fn construct_hook<P: Plugin>(
    type_name: Text,
    kwargs: Text,
    out: *mut HookObject,
    why: Sink,
) -> u32 {
    let built = panics::guarded(|| {
        // SAFETY: the host's texts are valid during this call.
        let (type_name, kwargs) = unsafe { (type_name.read(), kwargs.read()) };
        let export = P::EXPORTS.iter().find(|export| export.name == type_name);
        let export = export.ok_or_else(|| {
            let message = format!("{}: expected a type of this plugin, found {type_name}", P::NAME);
            HookError::with_kind(HookErrorKind::Unsupported, message)
        })?;
        (export.construct)(&kwargs)
    });
    match built {
        Ok(hook) => {
            let instance = Box::into_raw(Box::new(hook)).cast();
            // SAFETY: `out` is the host's, valid for a write.
            unsafe { *out = HookObject { instance, vtable: &HOOK_VTABLE } };
            status::OK
        }
        // SAFETY: the host's sink is alive during this call.
        Err(error) => unsafe { put_error(&error, why) },
    }
}

static HOOK_VTABLE: HookVTable = HookVTable { call, save_state, load_state, close };

unsafe extern "C" fn call(instance: *mut c_void, call: *const CallContext, why: Sink) -> u32 {
    // SAFETY: the host calls with an instance of `construct_hook` that is not closed, one call at a time,
    // and a context that is valid during the call.
    let (hook, call) = unsafe { (&mut *instance.cast::<GuardedHook>(), &*call) };
    let Some(point) = HookPoint::from_number(call.point) else { return status::OK };
    // SAFETY: the context's pointer is what the host's own tables expect.
    let host = unsafe { HostRef::new(HOST.get().unwrap_or(&NO_TABLES), call.host) };
    let mut runner = Runner::new(host, hook.type_name());
    let batch_idx = (call.has_batch_idx != 0).then_some(call.batch_idx);
    match hook.call(point, batch_idx, &mut runner) {
        Ok(()) => status::OK,
        // SAFETY: the host's sink is alive during this call.
        Err(error) => unsafe { put_error(&error, why) },
    }
}

unsafe extern "C" fn save_state(instance: *mut c_void, version: *mut u32, state: Sink) -> u32 {
    // SAFETY: as in `call`.
    let hook = unsafe { &mut *instance.cast::<GuardedHook>() };
    match hook.save_state() {
        Ok(None) => status::NONE,
        Ok(Some(saved)) => {
            // SAFETY: `version` is the host's, valid for a write; the sink is alive.
            unsafe {
                *version = saved.version;
                state.put(&saved.data.to_string());
            }
            status::OK
        }
        // SAFETY: the sink is alive.
        Err(error) => unsafe { put_error(&error, state) },
    }
}

unsafe extern "C" fn load_state(
    instance: *mut c_void,
    version: u32,
    state: Text,
    why: Sink,
) -> u32 {
    // SAFETY: as in `call`; the text is valid during this call.
    let (hook, state) = unsafe { (&mut *instance.cast::<GuardedHook>(), state.read()) };
    let data = serde_json::from_str(&state).map_err(HookError::from_error);
    match data.and_then(|data| hook.load_state(HookState { version, data })) {
        Ok(()) => status::OK,
        // SAFETY: the sink is alive.
        Err(error) => unsafe { put_error(&error, why) },
    }
}

unsafe extern "C" fn close(instance: *mut c_void) {
    // SAFETY: as in `call`, and the host does not use the instance again.
    let hook = unsafe { Box::from_raw(instance.cast::<GuardedHook>()) };
    let _ = catch_unwind(AssertUnwindSafe(|| drop(hook)));
}
