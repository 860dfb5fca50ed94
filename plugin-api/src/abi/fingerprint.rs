//! The layout of everything that crosses the border, written down: a change that would break plugins makes this
//! test red. Knows nothing of what the members mean.

use super::{
    CallContext, HookObject, HookVTable, HostTable, LogTable, PluginEntry, PluginModule,
    ProgressTable, ScalarsTable, ServicesTable, Sink, TensorsTable, Text,
};
use crate::host::Progress;
use std::any::type_name;

fn member<S, M>(_: fn(&S) -> &M) -> &'static str {
    type_name::<M>()
}

/// One line per type: size, and offset and type of each member.
macro_rules! layouts {
    ($($type:ident { $($member:ident),* })*) => {
        [$(
            [
                format!("{} {}", stringify!($type), std::mem::size_of::<$type>()),
                $(format!(
                    "  {} {} {}",
                    std::mem::offset_of!($type, $member),
                    stringify!($member),
                    member(|value: &$type| &value.$member)
                ),)*
            ].join("\n"),
        )*].join("\n")
    };
}

#[test]
fn layout_of_every_crossing_type_is_as_released() {
    let layouts = layouts! {
        Text { ptr, len }
        Sink { state, write }
        HostTable { api_major, api_minor, extension }
        CallContext { point, has_batch_idx, batch_idx, host }
        HookObject { instance, vtable }
        HookVTable { call, save_state, load_state, close }
        PluginEntry { api_major, api_minor, start, set_log_level, construct_hook, extension }
        PluginModule { start, set_log_level, construct_hook, extension }
        Progress { epoch, iter, max_epochs, max_iters, epoch_length, stage, by_epoch }
        ProgressTable { read }
        LogTable { level, write }
        ScalarsTable { add, add_tensor, read, learning_rate }
        TensorsTable { output, output_names, item, all_finite }
        ServicesTable { payload, call }
    };
    // Paths of types are no part of the ABI.
    let layouts = ["snaphook_plugin_api::abi::", "snaphook_plugin_api::host::", "core::ffi::"]
        .iter()
        .fold(layouts, |text, path| text.replace(path, ""));
    let layouts = ["text::", "module::", "tables::"]
        .iter()
        .fold(layouts, |text, path| text.replace(path, ""));
    let released = include_str!("released-1.0.txt");
    assert_eq!(
        layouts.trim(),
        released.trim(),
        "the ABI of 1.x must not change; grow it by ids and numbers"
    );
}
