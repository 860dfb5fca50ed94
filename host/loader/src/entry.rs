//! The entry points of an open plugin, after the check that both sides mean the same by them. Knows nothing of files.

use crate::manifest::ApiVersion;
use abi_stable::StableAbi;
use abi_stable::abi_stability::check_layout_compatibility;
use abi_stable::library::{AbiHeaderRef, LibHeader, ROOT_MODULE_LOADER_NAME_WITH_NUL};
use abi_stable::type_layout::TypeLayout;
use libloading::os::unix::Library;
use snaphook_plugin_api::abi::{
    ENTRY_SYMBOL, HookObject, HostTable, PluginEntry, PluginModuleRef, Sink, Text,
};

/// What is called of a plugin; valid for the rest of the process.
#[derive(Clone, Copy)]
pub(crate) struct EntryPoints {
    pub(crate) start: unsafe extern "C" fn(*const HostTable, Sink) -> u32,
    pub(crate) set_log_level: unsafe extern "C" fn(u32),
    pub(crate) construct_hook: unsafe extern "C" fn(Text, Text, *mut HookObject, Sink) -> u32,
}

/// The entry points of a plugin that was opened and will never be closed. A plugin in Rust says the layouts of its
/// types, which are checked; one in another language has the plain C struct alone.
///
/// Errors: what does not fit.
pub(crate) fn entry_points(library: &Library) -> Result<EntryPoints, String> {
    // SAFETY: the symbol is the address of a static that begins with an `AbiHeader`; `AbiHeaderRef` is a
    // pointer to it.
    let header = unsafe {
        library
            .get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes())
            .map(|symbol| *symbol)
    };
    match header {
        Ok(header) => checked_module(header).map(|module| EntryPoints {
            start: module.start(),
            set_log_level: module.set_log_level(),
            construct_hook: module.construct_hook(),
        }),
        Err(_) => c_entry(library),
    }
}

fn c_entry(library: &Library) -> Result<EntryPoints, String> {
    // SAFETY: the symbol is the address of a `PluginEntry`, as its name promises; only a pointer is made here.
    let entry =
        unsafe { library.get::<*const PluginEntry>(ENTRY_SYMBOL.as_bytes()).map(|symbol| *symbol) };
    let entry = entry.map_err(|_| format!("has no symbol {ENTRY_SYMBOL}"))?;
    // SAFETY: as above; four of the struct's five words are functions, which must not be null in Rust.
    let is_whole =
        !entry.is_null() && entry.is_aligned() && unsafe { no_null(entry.cast::<[usize; 5]>(), 1) };
    if !is_whole {
        return Err(format!("{ENTRY_SYMBOL} lacks a function"));
    }
    // SAFETY: as above, and its functions are not null.
    let entry = unsafe { *entry };
    let built = ApiVersion { major: entry.api_major, minor: entry.api_minor };
    if built.major != ApiVersion::HOST.major {
        return Err(format!("built for plugin-api {built}"));
    }
    let PluginEntry { start, set_log_level, construct_hook, .. } = entry;
    Ok(EntryPoints { start, set_log_level, construct_hook })
}

/// Whether no word from the `first` on is zero.
///
/// # Safety
/// `words` must be valid for a read.
pub(crate) unsafe fn no_null<const N: usize>(words: *const [usize; N], first: usize) -> bool {
    // SAFETY: the caller's promise.
    let words = unsafe { *words };
    words[first..].iter().all(|word| *word != 0)
}

/// The entry points, after the check that the older side's types are a beginning of the newer side's.
fn checked_module(header: AbiHeaderRef) -> Result<PluginModuleRef, String> {
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
