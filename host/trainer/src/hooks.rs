//! Turns the hooks of a config into hooks that can be called: built-in ones and those of plugins.
//! Knows nothing of what they do.

use serde_json::Value as Json;
use snaphook_cli::args::PluginArguments;
use snaphook_cli::plugins::Plugins;
use snaphook_config::Config;
use snaphook_hooks::{Dispatcher, HookSpec, Priority, SpecError, built_in, hook_specs};
use snaphook_loader::{Deadline, Resolved, check_kwargs};
use snaphook_plugin_api::host::HookInstance;

use crate::plugin_watch;

/// The hooks of a run, and what is to be written down of the plugins that they came from.
pub(crate) struct Hooks {
    pub(crate) dispatcher: Dispatcher,
    pub(crate) plugins: Vec<Json>,
}

/// All hooks of a config, in order. `value` is the config with the flags of the command line in it.
///
/// Errors: with the key of the hook that is wrong; an unknown type, wrong kwargs, a plugin that cannot be
/// loaded.
pub(crate) fn build(
    config: &Config,
    value: &Json,
    arguments: &PluginArguments,
) -> Result<Hooks, SpecError> {
    let plugins = Plugins::find(arguments, Some(config))
        .map_err(|error| SpecError { key: "plugin_dirs".to_owned(), message: error.to_string() })?;
    let mut built = Hooks { dispatcher: Dispatcher::default(), plugins: Vec::new() };
    for spec in &hook_specs(value)? {
        let hook = hook(spec, &plugins, &mut built.plugins)
            .map_err(|message| SpecError { key: spec.key.clone(), message })?;
        let own = hook.default_priority().map_or(Priority::NORMAL, Priority);
        built.dispatcher.register(hook, spec.priority.unwrap_or(own), spec.policy);
        built.dispatcher.note_arguments(spec.kwargs.clone());
    }
    Ok(built)
}

fn hook(
    spec: &HookSpec,
    plugins: &Plugins,
    records: &mut Vec<Json>,
) -> Result<Box<dyn HookInstance>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    match plugins.resolve(&spec.type_name)? {
        Resolved::BuiltIn(name) => {
            let built_in =
                built_in::find(&name).ok_or_else(|| format!("no built-in hook {name}"))?;
            (built_in.construct)(&spec.kwargs).map_err(|error| text(&error))
        }
        Resolved::Plugin(found) => {
            check_kwargs(&found, &spec.kwargs).map_err(|problems| problems.join("; "))?;
            let plugin = snaphook_loader::load(&found).map_err(|error| text(&error))?;
            let deadline = spec.policy.deadline;
            let deadline = deadline
                .map(|deadline| Deadline { after: deadline.after, ends_run: deadline.stops_run });
            let hook = plugin
                .with_deadline(deadline)
                .construct(&spec.kwargs)
                .map_err(|error| text(&error))?;
            records.push(plugin_watch::record(&found).map_err(|error| text(&error))?);
            Ok(Box::new(hook))
        }
    }
}
