//! `snaphook config schema`: a JSON Schema of configs, hooks of plugins included. Runs no code of plugins.

use snaphook_components::{Catalog, Declared, Role, SchemaOf, config_schema};
use snaphook_hooks::{DEFAULT_HOOKS, built_in};

use crate::args::ConfigSchemaArguments;
use crate::check::catalog;
use crate::plugins::Plugins;
use crate::{CliError, Exit, load_with_warnings, output};

pub(in crate::commands) fn schema(arguments: &ConfigSchemaArguments) -> Result<Exit, CliError> {
    let load = crate::args::LoadArguments::with_config_path(arguments.config_path.clone());
    let config = match &arguments.config {
        Some(path) => Some(load_with_warnings(path, &load)?),
        None => None,
    };
    let plugins = Plugins::find(&arguments.plugins, config.as_ref())?;
    let of = if arguments.resolved { SchemaOf::Resolved } else { SchemaOf::Files };
    let schema = config_schema(&with_hooks(catalog(), &plugins), &DEFAULT_HOOKS, of);
    output::print(&format!("{schema:#}\n"))?;
    Ok(Exit::Done)
}

/// The hooks that are built in, and those that plugins export.
fn with_hooks(catalog: Catalog, plugins: &Plugins) -> Catalog {
    let built_in = built_in::all().into_iter().map(|hook| {
        let schema = serde_json::from_str(hook.kwargs_schema).unwrap_or_default();
        Declared::from_schema(Role::Hook, hook.name, hook.summary, schema)
    });
    let mut catalog = catalog.with(built_in);
    for plugin in plugins.catalog.plugins() {
        for exported in &plugin.manifest.types {
            let (name, summary) = (&exported.name, &exported.summary);
            if catalog.find(Role::Hook, name).is_none() {
                let schema = exported.kwargs_schema.clone();
                catalog = catalog.with([Declared::from_schema(Role::Hook, name, summary, schema)]);
            }
        }
    }
    catalog
}
