//! `snaphook plugins list`: the folders in order, what was found in each, and what was refused and why.

use serde_json::{Value as Json, json};
use snaphook_loader::{Catalog, Plugin, SearchFolder};

use super::config;
use crate::args::{Format, PluginsListArguments};
use crate::output::{plain, table};
use crate::plugins::Plugins;
use crate::{CliError, Exit, output};

pub(in crate::commands) fn list(arguments: &PluginsListArguments) -> Result<Exit, CliError> {
    let config = config(arguments.config.as_deref(), &arguments.config_path)?;
    let catalog = Plugins::find(&arguments.plugins, config.as_ref())?.catalog;
    output::print(&match arguments.format {
        Format::Text => as_text(&catalog),
        Format::Json => format!("{:#}\n", as_json(&catalog)),
    })?;
    Ok(Exit::Done)
}

fn as_text(catalog: &Catalog) -> String {
    let mut text = format!("Folders searched, first match first:\n{}", folders(catalog));
    let plugins: Vec<[String; 3]> = catalog.plugins().map(plugin_row).collect();
    text += "\n";
    text += if plugins.is_empty() { "No plugins found.\n" } else { "Plugins:\n" };
    text += &table(&plugins, "  ");
    if !catalog.refused().is_empty() {
        text += "\nRefused:\n";
    }
    for refused in catalog.refused() {
        let path = plain(&refused.path.display().to_string());
        text += &format!("  {path} ({})\n    {}\n", refused.origin, plain(&refused.reason));
    }
    if !catalog.shadowed().is_empty() {
        text += "\nNot used, since an earlier folder has a plugin of that name:\n";
    }
    for shadowed in catalog.shadowed() {
        let (path, by) = (shadowed.path.display(), shadowed.by.display());
        text += &plain(&format!("  {} in {path}: {by} is used", shadowed.name));
        text += "\n";
    }
    text
}

fn folders(catalog: &Catalog) -> String {
    let row = |(index, folder): (usize, &SearchFolder)| {
        let path = plain(&folder.path.display().to_string());
        [format!("{}", index + 1), path, folder.origin.to_string(), state(catalog, folder)]
    };
    let rows: Vec<[String; 4]> = catalog.folders().iter().enumerate().map(row).collect();
    table(&rows, "  ")
}

/// `2 plugins`, `empty`, `not there`.
fn state(catalog: &Catalog, folder: &SearchFolder) -> String {
    if !folder.path.is_dir() {
        return "not there".to_owned();
    }
    match count(catalog, folder) {
        0 => "no plugins".to_owned(),
        1 => "1 plugin".to_owned(),
        many => format!("{many} plugins"),
    }
}

fn count(catalog: &Catalog, folder: &SearchFolder) -> usize {
    catalog.plugins().filter(|plugin| plugin.path.parent() == Some(&folder.path)).count()
}

fn plugin_row(plugin: &Plugin) -> [String; 3] {
    let info = &plugin.manifest.plugin;
    let types: Vec<&str> =
        plugin.manifest.types.iter().map(|exported| exported.name.as_str()).collect();
    let path = plain(&plugin.path.display().to_string());
    [format!("{} {}", info.name, info.version), types.join(", "), path]
}

fn as_json(catalog: &Catalog) -> Json {
    let folder = |folder: &SearchFolder| {
        let (is_there, plugins) = (folder.path.is_dir(), count(catalog, folder));
        json!({ "path": folder.path, "origin": folder.origin.to_string(), "is_there": is_there, "plugins": plugins })
    };
    let plugin = |plugin: &Plugin| {
        let info = &plugin.manifest.plugin;
        let types: Vec<&str> =
            plugin.manifest.types.iter().map(|exported| exported.name.as_str()).collect();
        json!({
            "name": info.name, "version": info.version, "types": types, "path": plugin.path,
            "origin": plugin.origin.to_string(),
        })
    };
    let refused = catalog.refused().iter().map(|refused| {
        let origin = refused.origin.to_string();
        json!({ "path": refused.path, "origin": origin, "reason": refused.reason, "types": refused.types })
    });
    let shadowed = catalog
        .shadowed()
        .iter()
        .map(|shadowed| json!({ "name": shadowed.name, "path": shadowed.path, "by": shadowed.by }));
    json!({
        "folders": catalog.folders().iter().map(folder).collect::<Vec<_>>(),
        "plugins": catalog.plugins().map(plugin).collect::<Vec<_>>(),
        "refused": refused.collect::<Vec<_>>(),
        "shadowed": shadowed.collect::<Vec<_>>(),
    })
}
