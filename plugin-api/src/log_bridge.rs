//! Records of the `log` crate that a plugin writes, brought to the host's log. (`tracing` gets there too
//! when the plugin turns on its feature `log`.) Knows nothing of hooks.

use crate::abi::{LogTable, Text};
use crate::runner::HostTables;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::sync::OnceLock;

struct Bridge {
    plugin: &'static str,
    table: &'static LogTable,
}

static BRIDGE: OnceLock<Bridge> = OnceLock::new();

/// Makes this `.so`'s `log` write to the host.
pub(crate) fn install(plugin: &'static str, tables: HostTables) {
    let Some(table) = tables.log else { return };
    let bridge = BRIDGE.get_or_init(|| Bridge { plugin, table });
    if log::set_logger(bridge).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

/// The most verbose level that the host writes.
pub(crate) fn set_level(level: u32) {
    log::set_max_level(match level {
        0 => LevelFilter::Off,
        1 => LevelFilter::Error,
        2 => LevelFilter::Warn,
        3 => LevelFilter::Info,
        4 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    });
}

impl Log for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => 1,
            Level::Warn => 2,
            Level::Info => 3,
            Level::Debug => 4,
            Level::Trace => 5,
        };
        let message = record.args().to_string();
        // SAFETY: the table is the host's and stays; a null host means "outside of a call".
        unsafe {
            (self.table.write)(
                std::ptr::null_mut(),
                level,
                Text::new(self.plugin),
                Text::new(&message),
            );
        }
    }

    fn flush(&self) {}
}
