//! Turns the hooks of a config into hooks that can be called: built-in ones and those of plugins.
//! Knows nothing of what they do.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use snaphook_hooks::{Dispatcher, HookSpec, Priority, SpecError, built_in, hook_specs, plain_type};
use snaphook_loader::{Catalog, SearchPath};
use snaphook_plugin_api::host::HookInstance;

/// Builds hooks by name.
pub(crate) struct Factory<'a> {
    config: &'a Json,
    catalog: Catalog,
}

impl<'a> Factory<'a> {
    /// Looks for plugins where the config and the command line say; runs no code of theirs.
    pub(crate) fn new(config: &'a Json, config_path: &Path, folders: &[PathBuf]) -> Factory<'a> {
        let search = SearchPath::for_config(folders, config_path, config);
        Factory { config, catalog: Catalog::discover(&search) }
    }

    /// All hooks of the config, in order.
    ///
    /// Errors: with the key of the hook that is wrong; an unknown type, wrong kwargs, a plugin that
    /// cannot be loaded.
    pub(crate) fn build(&self) -> Result<Dispatcher, SpecError> {
        let specs = hook_specs(self.config)?;
        let mut dispatcher = Dispatcher::default();
        for spec in &specs {
            let hook = self.hook(spec).map_err(|message| SpecError { key: spec.key.clone(), message })?;
            let own = hook.default_priority().map_or(Priority::NORMAL, Priority);
            dispatcher.register(hook, spec.priority.unwrap_or(own), spec.on_error);
        }
        Ok(dispatcher)
    }

    fn hook(&self, spec: &HookSpec) -> Result<Box<dyn HookInstance>, String> {
        let built_in_names: Vec<_> = built_in::all().iter().map(|hook| hook.name).collect();
        if let Some(hook) = built_in::find(plain_type(&spec.type_name)) {
            self.catalog.refuse_shadow(hook.name).map_err(|error| error.to_string())?;
            return (hook.construct)(&spec.kwargs).map_err(|error| error.to_string());
        }
        let found = self.catalog.resolve(&spec.type_name, &built_in_names);
        let found = found.map_err(|error| error.to_string())?;
        found.check_kwargs(&spec.kwargs).map_err(|error| error.to_string())?;
        let plugin = snaphook_loader::load(&found).map_err(|error| error.to_string())?;
        let hook = plugin.construct(&spec.kwargs).map_err(|error| error.to_string())?;
        Ok(Box::new(hook))
    }
}
