//! Opens a plugin's file. From here on code of the plugin runs; it is never unloaded. Knows nothing of runs.

use crate::breadcrumb::{self, Crumb, Place};
use crate::catalog::Plugin;
use crate::deadline::Deadline;
use crate::entry::{EntryPoints, entry_points};
use crate::error::LoadError;
use crate::hook::PluginHook;
use crate::identity::FileIdentity;
use crate::manifest::ApiVersion;
use crate::private_copy::PrivateCopy;
use crate::resolve::PluginType;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use serde_json::Value as Json;
use snaphook_plugin_api::abi::{HookObject, Sink, Text, read_error, status};
use snaphook_plugin_api::host::{HOST_TABLE, LogLevel, log_level_number};
use snaphook_plugin_api::{HookError, host};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keeps the code where it is: a thread or a thread-local of the plugin may outlive everything.
const RTLD_NODELETE: std::ffi::c_int = 0x1000;

/// A plugin whose code is in this process.
pub struct LoadedPlugin {
    plugin_type: PluginType,
    entry: EntryPoints,
    deadline: Option<Deadline>,
}

/// What is open, so that no plugin is started twice. Never held while code of a plugin that may hang is running: the
/// watchdog asks for it, too.
static OPEN: Mutex<Vec<Open>> = Mutex::new(Vec::new());
/// Held while a plugin is opened: one at a time.
static OPENING: Mutex<()> = Mutex::new(());

/// A plugin that is open.
struct Open {
    identity: FileIdentity,
    entry: EntryPoints,
    path: PathBuf,
}

fn open_plugins() -> MutexGuard<'static, Vec<Open>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The files of open plugins that are not any more what was opened. What runs is the old code.
pub fn replaced_files() -> Vec<PathBuf> {
    let open_plugins = open_plugins();
    let replaced = open_plugins.iter().filter(|open| !open.identity.is_at(&open.path));
    replaced.map(|open| open.path.clone()).collect()
}

/// Opens the plugin of a type and starts it. A plugin that is open already is not opened again.
///
/// Errors: [`LoadError`]; for all but the last checks before any of its code runs.
pub fn load(plugin_type: &PluginType) -> Result<LoadedPlugin, LoadError> {
    let plugin = plugin_type.plugin();
    if let Some(reason) = plugin.obstacle() {
        return Err(LoadError::Refused { path: plugin.path.clone(), reason });
    }
    let _opening = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = match open_entry(&plugin.identity) {
        Some(entry) => entry,
        None => {
            let (entry, identity) = (open_and_start(plugin)?, plugin.identity);
            let path = plugin.path.clone();
            open_plugins().push(Open { identity, entry, path });
            entry
        }
    };
    Ok(LoadedPlugin { plugin_type: plugin_type.clone(), entry, deadline: None })
}

fn open_entry(identity: &FileIdentity) -> Option<EntryPoints> {
    let open_plugins = open_plugins();
    open_plugins.iter().find(|open| open.identity == *identity).map(|open| open.entry)
}

/// Sets the most verbose level of the records that plugins write outside of a call, from threads or through `log` and
/// `tracing`, for this host and for all plugins that are open; `None` writes nothing.
pub fn set_log_level(level: Option<LogLevel>) {
    host::set_log_level(level);
    for open in open_plugins().iter() {
        // SAFETY: the plugin was started.
        unsafe { (open.entry.set_log_level)(log_level_number()) }
    }
}

fn open_and_start(plugin: &Plugin) -> Result<EntryPoints, LoadError> {
    let crumb = Crumb::of(plugin, "", None);
    let inside = breadcrumb::enter(crumb, Place::LOAD, None, 0);
    let (path, host) = (|| plugin.path.clone(), ApiVersion::HOST);
    let incompatible = |problem| LoadError::Incompatible { path: path(), problem, host };
    // A name without a slash would be looked for in the system's folders.
    let file = plugin.path.canonicalize().map_err(|_| LoadError::Changed { path: path() })?;
    let opened = open(plugin, &file)?;
    breadcrumb::remember_code(&opened.file, crumb);
    let entry = entry_points(&opened.library).map_err(incompatible)?;
    let mut why = String::new();
    // SAFETY: the layouts were found equal; the table is a static of ours; the sink outlives the call.
    let started = unsafe { (entry.start)(&HOST_TABLE, Sink::to(&mut why)) };
    if started != status::OK {
        return Err(incompatible(format!("did not start: {}", read_error(started, &why))));
    }
    // SAFETY: the plugin was started.
    unsafe { (entry.set_log_level)(log_level_number()) }
    drop(inside);
    Ok(entry)
}

fn open(plugin: &Plugin, file: &Path) -> Result<Opened, LoadError> {
    let path = || plugin.path.clone();
    // What is hashed here is what is loaded below, because the identity is the same after it.
    let hash = plugin.sha256()?;
    let copied = |folder| {
        let copy = PrivateCopy::of(file, hash, folder);
        copy.map_err(|source| LoadError::Copy { path: path(), source })
    };
    let copy = plugin.copies.as_deref().map(copied).transpose()?;
    let (file, identity) = match &copy {
        Some(copy) => (copy.path().to_path_buf(), copy.identity),
        None => (file.to_path_buf(), plugin.identity),
    };
    if !identity.is_at(&file) {
        return Err(LoadError::Changed { path: path() });
    }
    // SAFETY: opening runs the file's initializers. The user put the plugin into a plugins folder or named that
    // folder; that is the trust this design asks for.
    let library = unsafe { Library::open(Some(&file), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) };
    let library = library.map_err(|error| {
        // libloading keeps the dynamic loader's words in the cause.
        let problem =
            std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
        LoadError::Open { path: path(), way_out: LoadError::way_out(&problem), problem }
    })?;
    let library = ManuallyDrop::new(library);
    match identity.is_at(&file) {
        true => Ok(Opened { library, file, _copy: copy }),
        false => Err(LoadError::Changed { path: path() }),
    }
}

/// What was opened, for good; a copy is removed after its place in memory is known.
struct Opened {
    library: ManuallyDrop<Library>,
    file: PathBuf,
    _copy: Option<PrivateCopy>,
}

impl LoadedPlugin {
    /// Builds the hook from its keyword arguments, a JSON object without `type` and `priority`.
    ///
    /// Errors: what the plugin's constructor says.
    pub fn construct(&self, kwargs: &Json) -> Result<PluginHook, HookError> {
        let (kwargs, mut why) = (kwargs.to_string(), String::new());
        let mut object = HookObject { instance: std::ptr::null_mut(), vtable: std::ptr::null() };
        let (plugin, name) = (self.plugin_type.plugin(), &self.plugin_type.info().name);
        let crumb = Crumb::of(plugin, name, self.deadline);
        let inside = breadcrumb::enter(crumb, Place::CONSTRUCT, None, 0);
        // SAFETY: the plugin was started; the texts, the object and the sink outlive the call.
        let code = unsafe {
            (self.entry.construct_hook)(
                Text::new(name),
                Text::new(&kwargs),
                &mut object,
                Sink::to(&mut why),
            )
        };
        drop(inside);
        if code != status::OK {
            return Err(read_error(code, &why));
        }
        // SAFETY: the constructor answered OK, so the object is a hook of its own; nobody else has it.
        unsafe { PluginHook::new(object, &self.plugin_type, crumb) }
    }

    /// The same plugin; hooks that are built from it have this deadline instead of the watchdog's.
    pub fn with_deadline(self, deadline: Option<Deadline>) -> LoadedPlugin {
        LoadedPlugin { deadline, ..self }
    }

    /// Tells the plugin which records of its `log` crate are written.
    pub fn set_log_level(&self, level: Option<LogLevel>) {
        // SAFETY: the plugin was started.
        unsafe { (self.entry.set_log_level)(level.map_or(0, |level| level as u32)) }
    }

    /// The type that this was loaded for.
    pub fn plugin_type(&self) -> &PluginType {
        &self.plugin_type
    }
}
