//! What crosses the border between a host and a plugin: C structs of plain data and function pointers.
//! Authors of hooks do not need this module. Knows nothing of hooks as Rust sees them.
//!
//! Rules that never change within version 1:
//! - no struct here gains, loses, moves or renames a member; growth is a new [`crate::HookPoint`]
//!   number, a new extension id, or a new method of a JSON service;
//! - text going in is [`Text`], borrowed for the call; text coming out goes through a [`Sink`] of
//!   the caller, so each side frees what it allocated;
//! - no function of either side lets a panic out;
//! - a hook is constructed, called and closed on one thread, one call at a time; of the host's functions
//!   only those of [`LogTable`] with a null host may be called from another thread;
//! - a further kind of thing that plugins export (a metric, a transform) is a `kind` in the manifest and a
//!   table behind [`PluginEntry::extension`]; hosts leave out kinds that they do not know.
//!
//! The same in C: `include/snaphook_plugin.h`.

mod errors;
#[cfg(test)]
mod fingerprint;
mod module;
mod tables;
mod text;

pub(crate) use errors::put as put_error;
pub use errors::read_error;
pub use module::{
    CallContext, HookObject, HookVTable, HostTable, PluginEntry, PluginModule, PluginModuleRef,
    ENTRY_SYMBOL,
};
pub use tables::{
    LogTable, ProgressTable, ScalarsTable, ServicesTable, TensorsTable, LOG, PROGRESS, SCALARS,
    SERVICES, TENSORS,
};
pub use text::{Sink, Text};

/// Major and minor number of the contract that this crate was built with.
pub const API_VERSION: (u32, u32) = (1, 0);

/// How a call across the border ended.
pub mod status {
    /// Done.
    pub const OK: u32 = 0;
    /// Done; there is no value.
    pub const NONE: u32 = 1;
    /// Understood and failed; the sink has the reason.
    pub const FAILED: u32 = 2;
    /// The other side does not know the thing; the sink may name it.
    pub const UNSUPPORTED: u32 = 3;
    /// The other side panicked; the sink has the reason.
    pub const PANICKED: u32 = 4;
}
