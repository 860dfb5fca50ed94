//! Opens a plugin's file and checks that both sides mean the same by every crossing type. From here on code
//! of the plugin runs; it is never unloaded. Knows nothing of runs.

use crate::catalog::Plugin;
use crate::elf::FileIdentity;
use crate::error::LoadError;
use crate::hook::PluginHook;
use crate::manifest::ApiVersion;
use crate::resolve::PluginType;
use abi_stable::StableAbi;
use abi_stable::abi_stability::check_layout_compatibility;
use abi_stable::library::{AbiHeaderRef, LibHeader, ROOT_MODULE_LOADER_NAME_WITH_NUL};
use abi_stable::type_layout::TypeLayout;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use serde_json::Value as Json;
use snaphook_plugin_api::abi::{HookObject, PluginModuleRef, Sink, Text, read_error, status};
use snaphook_plugin_api::host::{HOST_TABLE, LogLevel};
use snaphook_plugin_api::{HookError, abi};

/// Keeps the code where it is: a thread or a thread-local of the plugin may outlive everything.
const RTLD_NODELETE: std::ffi::c_int = 0x1000;

/// A plugin whose code is in this process.
pub struct LoadedPlugin {
    plugin_type: PluginType,
    module: PluginModuleRef,
}

/// Opens the plugin of a type and starts it. A plugin that is open already is not opened again.
///
/// Errors: [`LoadError`]; for all but the last checks before any of its code runs.
pub fn load(plugin_type: &PluginType) -> Result<LoadedPlugin, LoadError> {
    let plugin = plugin_type.plugin();
    let path = || plugin.path.clone();
    if let Some(reason) = plugin.manifest.obstacle() {
        return Err(LoadError::Refused { path: path(), reason });
    }
    let header = open(plugin)?;
    let incompatible =
        |problem: String| LoadError::Incompatible { path: path(), problem, host: ApiVersion::HOST };
    let module = entry_points(header).map_err(incompatible)?;
    // SAFETY: the layouts were found equal; the table is a static of ours.
    let started = unsafe { (module.start())(&HOST_TABLE) };
    if started != status::OK {
        return Err(incompatible(format!("did not start (status {started})")));
    }
    Ok(LoadedPlugin { plugin_type: plugin_type.clone(), module })
}

fn open(plugin: &Plugin) -> Result<AbiHeaderRef, LoadError> {
    let path = || plugin.path.clone();
    let open_error = |source| LoadError::Open { path: path(), source };
    // A name without a slash would be looked for in the system's folders.
    let file = plugin.path.canonicalize().map_err(|_| LoadError::Changed { path: path() })?;
    let is_same = || {
        let now = std::fs::metadata(&file).map(|metadata| FileIdentity::of(&metadata));
        now.is_ok_and(|now| now == plugin.identity)
    };
    if !is_same() {
        return Err(LoadError::Changed { path: path() });
    }
    // SAFETY: opening runs the file's initializers. The user put the plugin into a plugins folder or named that
    // folder; that is the trust this design asks for.
    let library = unsafe { Library::open(Some(&file), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) };
    let library = library.map_err(open_error)?;
    // SAFETY: the symbol is the address of a static that begins with an `AbiHeader`; `AbiHeaderRef` is a
    // pointer to it.
    let header = unsafe {
        library
            .get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes())
            .map(|symbol| *symbol)
    };
    std::mem::forget(library);
    let header = header.map_err(open_error)?;
    if !is_same() {
        return Err(LoadError::Changed { path: path() });
    }
    Ok(header)
}

/// The entry points, after the check that the older side's types are a beginning of the newer side's.
fn entry_points(header: AbiHeaderRef) -> Result<PluginModuleRef, String> {
    if !header.is_valid() {
        return Err("built with another version of abi_stable".to_owned());
    }
    let header: &LibHeader = header.upgrade().map_err(|error| first_line(&error.to_string()))?;
    let version = header.version_strings();
    let built = ApiVersion::parse(version.version.as_str())
        .filter(|built| built.major == ApiVersion::HOST.major)
        .ok_or_else(|| format!("built for plugin-api {}", version.version))?;
    let theirs = header.layout().ok_or("carries no layout to check")?;
    let ours = <PluginModuleRef as StableAbi>::LAYOUT;
    let (older, newer) = if built <= ApiVersion::HOST { (theirs, ours) } else { (ours, theirs) };
    begins_like(older, newer)?;
    // SAFETY: the layouts fit in the direction above, and members are never inserted, moved or changed
    // within a major version, so every entry point that we call is where we expect it.
    unsafe { header.unchecked_layout::<PluginModuleRef>() }
        .map_err(|error| first_line(&error.to_string()))
}

/// Whether the types of the older side are a beginning of those of the newer side. abi_stable by itself takes
/// the host for the side that may know less, and would refuse every older plugin in a newer host.
fn begins_like(older: &'static TypeLayout, newer: &'static TypeLayout) -> Result<(), String> {
    check_layout_compatibility(older, newer)
        .into_result()
        .map_err(|error| format!("its types differ from ours: {}", first_line(&error.to_string())))
}

fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

impl LoadedPlugin {
    /// Builds the hook from its keyword arguments, a JSON object without `type` and `priority`.
    ///
    /// Errors: what the plugin's constructor says.
    pub fn construct(&self, kwargs: &Json) -> Result<PluginHook, HookError> {
        let (kwargs, mut why) = (kwargs.to_string(), String::new());
        let mut object = HookObject { instance: std::ptr::null_mut(), vtable: std::ptr::null() };
        // SAFETY: the plugin was started; the texts, the object and the sink outlive the call.
        let code = unsafe {
            (self.module.construct_hook())(
                Text::new(&self.plugin_type.info().name),
                Text::new(&kwargs),
                &mut object,
                Sink::to(&mut why),
            )
        };
        if code != abi::status::OK {
            return Err(read_error(code, &why));
        }
        // SAFETY: the constructor answered OK, so the object is a hook of its own; nobody else has it.
        unsafe { PluginHook::new(object, &self.plugin_type) }
    }

    /// Tells the plugin which records of its `log` crate are written.
    pub fn set_log_level(&self, level: Option<LogLevel>) {
        // SAFETY: the plugin was started.
        unsafe { (self.module.set_log_level())(level.map_or(0, |level| level as u32)) }
    }

    /// The type that this was loaded for.
    pub fn plugin_type(&self) -> &PluginType {
        &self.plugin_type
    }
}

#[cfg(test)]
mod tests {
    use super::begins_like;
    use abi_stable::StableAbi;

    macro_rules! module_of {
        ($version:ident { $($field:ident: $type:ty,)* }) => {
            #[allow(dead_code)] // only their layouts are looked at
            mod $version {
                #[repr(C)]
                #[derive(abi_stable::StableAbi)]
                #[sabi(kind(Prefix(prefix_ref = EntryPointsRef, prefix_fields = EntryPointsPrefix)))]
                pub(super) struct EntryPoints {
                    $(pub(super) $field: $type,)*
                    #[sabi(last_prefix_field)]
                    pub(super) last: extern "C" fn(u32) -> u32,
                }
            }
        };
    }

    module_of! { released { start: extern "C" fn(u32) -> u32, } }
    module_of! { same { start: extern "C" fn(u32) -> u32, } }
    module_of! { changed { start: extern "C" fn(u64) -> u32, } }

    #[allow(dead_code)] // as above
    mod grown {
        #[repr(C)]
        #[derive(abi_stable::StableAbi)]
        #[sabi(kind(Prefix(prefix_ref = EntryPointsRef, prefix_fields = EntryPointsPrefix)))]
        pub(super) struct EntryPoints {
            pub(super) start: extern "C" fn(u32) -> u32,
            #[sabi(last_prefix_field)]
            pub(super) last: extern "C" fn(u32) -> u32,
            pub(super) appended: extern "C" fn(u32) -> u32,
        }
    }

    #[test]
    fn older_side_may_know_less_and_not_the_newer_one() {
        let released = <released::EntryPointsRef as StableAbi>::LAYOUT;
        let grown = <grown::EntryPointsRef as StableAbi>::LAYOUT;
        assert_eq!(begins_like(released, <same::EntryPointsRef as StableAbi>::LAYOUT), Ok(()));
        assert_eq!(begins_like(released, grown), Ok(()));
        assert!(begins_like(grown, released).is_err());
    }

    #[test]
    fn changed_entry_point_is_refused() {
        let released = <released::EntryPointsRef as StableAbi>::LAYOUT;
        let changed = <changed::EntryPointsRef as StableAbi>::LAYOUT;
        assert!(
            begins_like(released, changed).unwrap_err().starts_with("its types differ from ours")
        );
    }
}
