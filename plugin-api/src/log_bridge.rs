//! Records of `log` and of `tracing` that a plugin writes, on any thread, brought to the host's log. Knows
//! nothing of hooks.

// `tracing` hands its events to `log` where nobody subscribed, if its feature `log` is on. That this crate turns
// it on is all it takes: Cargo builds one `tracing` 0.1 for the whole plugin.
use tracing as _;

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

/// Writes an error to the host's log; whether the host takes it.
pub(crate) fn report(message: &str) -> bool {
    let Some(bridge) = BRIDGE.get() else { return false };
    // SAFETY: as in `Bridge::write`.
    let is_taken = unsafe { (bridge.table.level)(std::ptr::null_mut()) } > 0;
    if is_taken {
        bridge.write(Level::Error, message);
    }
    is_taken
}

impl Bridge {
    fn write(&self, level: Level, message: &str) {
        let (level, target, message) = (level as u32, Text::new(self.plugin), Text::new(message));
        // SAFETY: the table is the host's and stays; a null host means "outside of a call".
        unsafe { (self.table.write)(std::ptr::null_mut(), level, target, message) }
    }
}

impl Log for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        // Spans come as records too; only events are meant for people.
        if !self.enabled(record.metadata()) || record.target().starts_with("tracing::span") {
            return;
        }
        self.write(record.level(), &record.args().to_string());
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use crate::host::LogLevel;
    use log::Level;

    #[test]
    fn levels_have_the_same_numbers_on_both_sides() {
        let pairs = [
            (Level::Error, LogLevel::Error),
            (Level::Warn, LogLevel::Warn),
            (Level::Info, LogLevel::Info),
            (Level::Debug, LogLevel::Debug),
            (Level::Trace, LogLevel::Trace),
        ];
        assert!(pairs.iter().all(|(theirs, ours)| *theirs as u32 == *ours as u32));
    }
}
