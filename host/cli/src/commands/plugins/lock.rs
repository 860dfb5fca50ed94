//! `snaphook plugins lock`: writes down, byte for byte, which plugins a config may load from now on with `--locked`.
//! No code of a plugin is run.

use snaphook_loader::{LockedPlugin, PluginLock};

use super::config;
use crate::args::{PluginArguments, PluginsLockArguments};
use crate::output::{plain, table};
use crate::plugins::{Plugins, lock_file};
use crate::{CliError, Exit, output, report};

pub(in crate::commands) fn lock(arguments: &PluginsLockArguments) -> Result<Exit, CliError> {
    let config = config(arguments.config.as_deref(), &arguments.config_path)?;
    let found = PluginArguments { folders: arguments.folders.clone(), locked: false };
    let catalog = Plugins::find(&found, config.as_ref())?.catalog;
    let failed = |error: snaphook_loader::LockError| CliError::Plugin(error.to_string());
    let lock = PluginLock::of(&catalog, lock_file(arguments.config.as_deref())).map_err(failed)?;
    lock.write().map_err(failed)?;
    for refused in catalog.refused() {
        let (path, reason) = (refused.path.display(), &refused.reason);
        report::print_warning(&plain(&format!("not locked: {path}: {reason}")));
    }
    let row = |plugin: &LockedPlugin| {
        let title = format!("{} {}", plugin.name, plugin.version);
        [title, plugin.sha256[..12].to_owned(), plain(&plugin.path.display().to_string())]
    };
    let rows: Vec<[String; 3]> = lock.plugins.iter().map(row).collect();
    let count = match rows.len() {
        1 => "1 plugin".to_owned(),
        many => format!("{many} plugins"),
    };
    output::print(&format!("{}: {count}\n{}", lock.path.display(), table(&rows, "  ")))?;
    Ok(Exit::Done)
}
